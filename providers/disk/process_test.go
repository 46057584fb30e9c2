//go:build unix

package disk_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

// writerProcess starts a process with a task on the folder; what it says can be read. stop kills it and waits.
func writerProcess(t *testing.T, dir, task string) (said *bufio.Reader, stop func()) {
	t.Helper()
	cmd := command(dir, task)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(out), sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// hold takes the lock, says so, and keeps it until the process is killed.
func hold(name string) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	fmt.Println("held")
	killed, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-killed.Done()
	return nil
}
