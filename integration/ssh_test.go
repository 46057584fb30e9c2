package integration_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// sshd is OpenSSH's server, on the loopback, to which one key is let in.
type sshd struct {
	t       *testing.T
	dir     string
	address string
	command *exec.Cmd
	exited  chan struct{}
}

func newSSHD(t *testing.T) *sshd {
	t.Helper()
	s := &sshd{t: t, dir: t.TempDir(), address: freeAddress(t)}
	for _, key := range []string{"host", "other_host", "drover"} {
		if said, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", filepath.Join(s.dir, key)).CombinedOutput(); err != nil { //nolint:gosec // Names of this test.
			t.Fatalf("make a key: %v\n%s", err, said)
		}
	}
	s.write("authorized_keys", s.read("drover.pub"))
	s.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s", s.port(), s.read("host.pub")))
	if os.Getuid() == 0 { // Its own folder to lock itself into.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if s.command != nil {
			s.stop()
		}
	})
	return s
}

func (s *sshd) port() string { _, port, _ := net.SplitHostPort(s.address); return port }

func (s *sshd) path(name string) string { return filepath.Join(s.dir, name) }

func (s *sshd) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *sshd) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// start runs the server with a host key, and returns when it answers.
func (s *sshd) start(hostKey string) {
	s.t.Helper()
	program := "/usr/sbin/sshd"
	if found, err := exec.LookPath("sshd"); err == nil {
		program = found
	}
	// Nobody's settings but these. The folders of a test belong to it, but the one above them to everybody.
	s.write("sshd_config", fmt.Sprintf("ListenAddress %s\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nUsePAM no\nStrictModes no\n"+
		"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
		s.address, s.path(hostKey), s.path("authorized_keys")))
	log, err := os.OpenFile(s.path("sshd.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()                                                          // The child has its own.
	s.command = exec.Command(program, "-D", "-e", "-f", s.path("sshd_config")) //nolint:gosec // A program of this machine.
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		s.t.Fatalf("start sshd (openssh-server): %v", err)
	}
	exited, command := make(chan struct{}), s.command
	s.exited = exited
	go func() { defer close(exited); _ = command.Wait() }()
	eventually(s.t, "sshd answers", func() bool {
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// stop ends the server; connections that it had go with it in time.
func (s *sshd) stop() {
	s.t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Errorf("stop sshd: %v", err)
	}
	<-s.exited
	s.command = nil
}

// TestRepositoryOverSSH has the release repository behind OpenSSH's server: it is read and written with Drover's key. A host
// whose key is not the known one is not spoken to, whatever it offers.
func TestRepositoryOverSSH(t *testing.T) {
	t.Parallel()
	server := newSSHD(t)
	c := newCrowd(t, "over-ssh", 1)
	name := c.names[0]
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(config), fmt.Sprintf("url  = %q\n", c.shop.bare), fmt.Sprintf("url  = \"ssh://%s@%s%s\"\n  ssh_key_file     = %q\n  known_hosts_file = %q\n",
		me.Username, server.address, c.shop.bare, server.path("drover"), server.path("known_hosts")), 1)
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.name = name
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sshd's log:\n%s", server.read("sshd.log"))
		}
	})

	server.start("host")
	c.bakeFor("1s")
	c.write(name, "1.0.0")
	c.shop.push("Release 1.0.0")
	c.runProxy()
	c.drover.start()
	c.rests("1.0.0", strategy.OutcomePromoted)
	c.write(name, "bad-1.1.0")
	failed := c.shop.push("Release bad-1.1.0")
	c.rests("1.0.0", strategy.OutcomeCondemned)
	c.until("the revert is pushed", func() bool { return len(c.reverts()) == 1 })
	if got := c.shop.trailer("main", "Drover-Failed"); got != failed {
		t.Errorf("the revert is of %q, want %s", got, failed)
	}

	server.stop()
	server.start("other_host")
	c.shop.pull()
	c.write(name, "1.2.0")
	c.shop.push("Release 1.2.0")
	c.until("drover doctor says that the host is another", func() bool {
		said := c.drive(1, "doctor")
		return strings.Contains(said, "somebody may be in between") && strings.Contains(said, "known_hosts:1")
	})
	c.until("drover run says so too", func() bool { return strings.Contains(c.drover.tail(20), "somebody may be in between") })
	if r := c.status(); r.Stable.Revision.Version != "1.0.0" || r.Phase != strategy.Resting {
		t.Errorf("with a host that is not known it went on: %s on %s", r.Phase, r.Stable.Revision)
	}

	server.stop()
	server.start("host")
	c.rests("1.2.0", strategy.OutcomePromoted)
	c.drover.stop()
}
