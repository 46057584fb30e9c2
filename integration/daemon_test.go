package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon is `drover run` as a child process. Its log is kept in a file, across restarts.
type daemon struct {
	t      testing.TB
	config string
	log    string

	command *exec.Cmd     // nil when it does not run
	exited  chan struct{} // closed when the process is gone
}

// newDaemon has nothing running yet. What runs when the test ends is killed.
func newDaemon(t testing.TB, config string) *daemon {
	t.Helper()
	d := &daemon{t: t, config: config, log: filepath.Join(filepath.Dir(config), "drover.log")}
	t.Cleanup(func() {
		if d.command != nil {
			d.kill()
		}
	})
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	log, err := os.OpenFile(d.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatalf("open drover's log: %v", err)
	}
	defer log.Close() // The child has its own.
	d.command = exec.Command(drover, "run", "-config", d.config)
	d.command.Stdout, d.command.Stderr = log, log
	if err := d.command.Start(); err != nil {
		d.command = nil
		d.t.Fatalf("start drover: %v", err)
	}
	exited, command := make(chan struct{}), d.command
	d.exited = exited
	go func() {
		defer close(exited)
		_ = command.Wait() // Its state is asked for by who ends it.
	}()
}

// end sends a signal and waits for the exit; the code is -1 for a process that was killed.
func (d *daemon) end(signal os.Signal) (code int) {
	d.t.Helper()
	if err := d.command.Process.Signal(signal); err != nil {
		d.t.Errorf("send %v to drover: %v", signal, err)
	}
	select {
	case <-d.exited:
	case <-time.After(30 * time.Second):
		d.t.Errorf("drover did not end within 30s of %v", signal)
		_ = d.command.Process.Kill()
		<-d.exited
	}
	code = d.command.ProcessState.ExitCode()
	d.command = nil
	return code
}

// stop ends it as a service manager does; it must end well.
func (d *daemon) stop() {
	d.t.Helper()
	if code := d.end(syscall.SIGTERM); code != 0 {
		d.t.Errorf("drover exited with %d on SIGTERM, want 0", code)
	}
}

// kill ends it as a crash does.
func (d *daemon) kill() {
	d.t.Helper()
	d.end(syscall.SIGKILL)
}

// tail is the end of its log.
func (d *daemon) tail(lines int) string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
