package balancers_test

import (
	"bytes"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// server is a balancer's program.
type server struct {
	t       *testing.T
	command []string
	ready   func() bool

	process *exec.Cmd
	exited  chan struct{}
	said    bytes.Buffer
}

// run starts a server and waits until it is ready; it is ended with the test.
func run(t *testing.T, ready func() bool, command ...string) *server {
	t.Helper()
	s := &server{t: t, command: command, ready: ready}
	s.start()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", command[0], s.said.String())
		}
	})
	return s
}

func (s *server) start() {
	s.t.Helper()
	process, exited := exec.Command(s.command[0], s.command[1:]...), make(chan struct{})
	process.Stdout, process.Stderr = &s.said, &s.said
	if err := process.Start(); err != nil {
		s.t.Fatalf("start %s, which the tests need: %v", s.command[0], err)
	}
	s.process, s.exited = process, exited
	go func() { defer close(exited); _ = process.Wait() }()
	deadline := time.After(time.Minute)
	for !s.ready() {
		select {
		case <-exited:
			s.t.Fatalf("%s ended: %s", s.command[0], s.said.String())
		case <-deadline:
			s.t.Fatalf("%s is not ready after a minute", s.command[0])
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.process.Process.Kill()
		<-s.exited
	}
}

// restart ends it and starts it anew.
func (s *server) restart() {
	s.stop()
	s.start()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
