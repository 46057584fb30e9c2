package git_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
)

// sshServer serves a remote as a forge does over ssh: git's own programs, to whoever shows one of the keys it knows.
type sshServer struct {
	Address string // host:port
	URL     string

	host   []ssh.Signer // its own keys
	remote *providertest.BareRemote
	stop   context.Context

	mu       sync.Mutex
	guests   []ssh.PublicKey
	readOnly string // what is said to who pushes; "" lets them
	instead  string // a shell script to run in the place of git
	commands []string
}

// newSSHServer serves until the test ends.
func newSSHServer(t *testing.T, remote *providertest.BareRemote, guest ssh.PublicKey, hostKeys ...any) *sshServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithCancel(context.Background())
	s := &sshServer{Address: listener.Addr().String(), remote: remote, guests: []ssh.PublicKey{guest}, stop: stop}
	s.URL = "ssh://git@" + s.Address + remote.Dir
	if len(hostKeys) == 0 {
		hostKeys = []any{newED25519(t)}
	}
	for _, key := range hostKeys {
		s.host = append(s.host, newSigner(t, key))
	}
	config := &ssh.ServerConfig{PublicKeyCallback: s.letIn}
	for _, key := range s.host {
		config.AddHostKey(key)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		serving.Wait()
	})
	return s
}

func (s *sshServer) letIn(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, guest := range s.guests {
		if conn.User() == "git" && bytes.Equal(guest.Marshal(), key.Marshal()) {
			return nil, nil
		}
	}
	return nil, os.ErrPermission
}

func (s *sshServer) serve(conn net.Conn, config *ssh.ServerConfig) {
	defer context.AfterFunc(s.stop, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { ssh.DiscardRequests(requests) })
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		serving.Go(func() { s.session(channel, requests) })
	}
}

func (s *sshServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = channel.Close() }()
	for request := range requests {
		if request.Type != "exec" {
			_ = request.Reply(false, nil)
			continue
		}
		var command struct{ Line string }
		err := ssh.Unmarshal(request.Payload, &command)
		_ = request.Reply(err == nil, nil)
		status := struct{ Status uint32 }{uint32(s.run(command.Line, channel))} //nolint:gosec // an exit code is small
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(&status))
		return
	}
}

// run is a shell at the other end: it understands quoting, and knows the git programs alone.
func (s *sshServer) run(line string, channel ssh.Channel) int {
	s.mu.Lock()
	s.commands = append(s.commands, line)
	readOnly, instead := s.readOnly, s.instead
	s.mu.Unlock()
	if strings.HasPrefix(line, "git-receive-pack ") && readOnly != "" {
		_, _ = io.WriteString(channel.Stderr(), readOnly+"\n")
		return 1
	}
	if instead != "" {
		line = instead
	}
	cmd := exec.CommandContext(s.stop, "sh", "-c", line)
	cmd.Dir = filepath.Dir(s.remote.Dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.remote.Dir, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	// Not cmd.Stdin, which would have Wait wait for a client that has not closed its side.
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return 127
	}
	go func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close()
	}()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

func (s *sshServer) set(f func(s *sshServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func newED25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigner(t *testing.T, key any) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// keyFile writes a private key in the form of OpenSSH, encrypted where there is a passphrase.
func keyFile(t *testing.T, key any, passphrase string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "id", pem.EncodeToMemory(block), 0o600)
}

func writeFile(t *testing.T, name string, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// knownLine is a line of known_hosts for a host.
func knownLine(address string, key ssh.PublicKey) string {
	return knownhosts.Line([]string{address}, key)
}

func knownFile(t *testing.T, lines ...string) string {
	t.Helper()
	return writeFile(t, "known_hosts", []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// guest is a key pair, and the configuration of who shows it to a server that is known.
type guest struct {
	key    ed25519.PrivateKey
	public ssh.PublicKey
}

func newGuest(t *testing.T) guest {
	t.Helper()
	key := newED25519(t)
	return guest{key, newSigner(t, key).PublicKey()}
}

func (g guest) config(t *testing.T, server *sshServer) git.Config {
	t.Helper()
	return git.Config{
		URL: server.URL, SSHKeyFile: keyFile(t, g.key, ""),
		SSHKnownHosts: knownFile(t, knownLine(server.Address, server.host[0].PublicKey())),
	}
}
