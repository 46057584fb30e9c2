package git_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

func TestConformanceOfSSH(t *testing.T) {
	t.Parallel()
	providertest.TestRepository(t, func(t *testing.T) providertest.RepositoryHarness {
		t.Helper()
		remote := providertest.NewBareRemote(t)
		guest := newGuest(t)
		server := newSSHServer(t, remote, guest.public)
		return providertest.RepositoryHarness{
			Remote: remote,
			Open: func(t *testing.T, view providertest.View) reconcile.Repository {
				t.Helper()
				config := guest.config(t, server)
				config.Branch, config.Path = view.Branch, view.Path
				if view.Unreachable {
					config.URL = "ssh://git@" + closedAddress(t) + "/remote.git"
				}
				return open(t, config)
			},
		}
	})
}

// closedAddress is one at which nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func wantWords(t *testing.T, name string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got no error, want one that says %q", name, words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %q, want it to say %q", name, err, word)
		}
	}
}

func TestHostsThatAreKnown(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	want := remote.Commit(t, "one", files{"a": "1"})
	guest := newGuest(t)
	ed, ec, rs := newED25519(t), newECDSA(t), newRSA(t)
	server := newSSHServer(t, remote, guest.public, ec, rs, ed)
	at, keys := server.Address, server.host
	other := newGuest(t).public
	config := guest.config(t, server)
	for name, lines := range map[string][]string{
		"the first type":        {knownLine(at, keys[0].PublicKey())},
		"rsa":                   {knownLine(at, keys[1].PublicKey())},
		"the last type":         {knownLine(at, keys[2].PublicKey())},
		"all types":             {knownLine(at, keys[0].PublicKey()), knownLine(at, keys[1].PublicKey()), knownLine(at, keys[2].PublicKey())},
		"hashed":                {knownhosts.HashHostname(knownhosts.Normalize(at)) + " " + strings.SplitN(knownLine(at, keys[2].PublicKey()), " ", 2)[1]},
		"among others":          {knownLine("git.example.com:22", other), knownLine("127.0.0.1:22", other), "# comment", "", knownLine(at, keys[2].PublicKey())},
		"several names":         {"git.example.com," + knownLine(at, keys[2].PublicKey())},
		"pattern":               {"127.0.0.* " + strings.SplitN(knownLine(at, keys[2].PublicKey()), " ", 2)[1]},
		"a key that is new too": {knownLine(at, other), knownLine(at, keys[2].PublicKey())},
	} {
		config.SSHKnownHosts, config.StateDir = knownFile(t, lines...), ""
		commit, err := open(t, config).Head(t.Context())
		if err != nil || commit.SHA != want {
			t.Errorf("%s: got %q, %v, want %s", name, commit.SHA, err, want)
		}
	}
}

func TestHostsThatAreNotKnown(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	guest := newGuest(t)
	server := newSSHServer(t, remote, guest.public, newED25519(t))
	at, key := server.Address, server.host[0].PublicKey()
	shown := []string{at, "ssh-ed25519 " + ssh.FingerprintSHA256(key), knownLine(at, key)}
	other := newGuest(t).public
	otherEC := newSigner(t, newECDSA(t)).PublicKey()
	config := guest.config(t, server)
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"empty file":         {nil, append(shown, "is not known", "add this line to KNOWN")},
		"another host":       {[]string{knownLine("git.example.com:22", key), knownLine("127.0.0.1:22", key)}, append(shown, "is not known")},
		"another key":        {[]string{"# comment", knownLine(at, other)}, append(shown, "KNOWN:2", ssh.FingerprintSHA256(other), "in between")},
		"a key of its own":   {[]string{knownLine(at, otherEC)}, append(shown, "KNOWN:1", ssh.FingerprintSHA256(otherEC), "in between")},
		"revoked":            {[]string{"@revoked " + knownLine(at, key), knownLine(at, key)}, []string{"KNOWN:1", "revokes", ssh.FingerprintSHA256(key)}},
		"file that is wrong": {[]string{"# comment", "127.0.0.1 ssh-ed25519 not-base64"}, []string{"KNOWN:2"}},
	} {
		config.SSHKnownHosts, config.StateDir = knownFile(t, c.lines...), ""
		_, err := open(t, config).Head(t.Context())
		for i, word := range c.want {
			c.want[i] = strings.ReplaceAll(word, "KNOWN", config.SSHKnownHosts)
		}
		wantWords(t, name, err, c.want...)
		if errors.Is(err, git.ErrCredentials) {
			t.Errorf("%s: got %v, which is not about our credentials", name, err)
		}
		// The file is never written to, and nothing was asked of a host that is not trusted.
		content, err := os.ReadFile(config.SSHKnownHosts)
		if err != nil || string(content) != strings.Join(c.lines, "\n")+"\n" {
			t.Errorf("%s: the file is now %q, %v", name, content, err)
		}
	}
	if len(server.commands) != 0 {
		t.Errorf("the server was asked %q", server.commands)
	}

	config.SSHKnownHosts = filepath.Join(t.TempDir(), "absent")
	_, err := open(t, config).Head(t.Context())
	host, port, _ := net.SplitHostPort(at)
	wantWords(t, "no file", err, config.SSHKnownHosts, fmt.Sprintf("ssh-keyscan -p %s %s", port, host))

	// What the error says to do helps.
	config.SSHKnownHosts = knownFile(t)
	repo := open(t, config)
	_, err = repo.Head(t.Context())
	_, line, found := strings.Cut(err.Error(), "add this line to "+config.SSHKnownHosts+": ")
	if !found {
		t.Fatalf("got %v, want a line to add", err)
	}
	if err := os.WriteFile(config.SSHKnownHosts, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	head(t, repo)
}

func TestPrivateKeys(t *testing.T) {
	t.Parallel()
	const passphrase = "c0rrect-horse"
	remote := providertest.NewBareRemote(t)
	want := remote.Commit(t, "one", files{"a": "1"})
	ed, ec, rs := newED25519(t), newECDSA(t), newRSA(t)
	server := newSSHServer(t, remote, newSigner(t, ed).PublicKey())
	server.guests = append(server.guests, newSigner(t, ec).PublicKey(), newSigner(t, rs).PublicKey())
	known := knownFile(t, knownLine(server.Address, server.host[0].PublicKey()))
	stranger := newED25519(t)
	encrypted := keyFile(t, ed, passphrase) // once: it is slow, as it is meant to be
	read := func(file string) []byte {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	public := ssh.MarshalAuthorizedKey(newSigner(t, ed).PublicKey())
	for name, c := range map[string]struct {
		file       string
		passphrase string
		want       []string // of the error
	}{
		"ed25519":                   {keyFile(t, ed, ""), "", nil},
		"ecdsa":                     {keyFile(t, ec, ""), "", nil},
		"rsa":                       {keyFile(t, rs, ""), "", nil},
		"encrypted":                 {encrypted, passphrase, nil},
		"passphrase without a need": {keyFile(t, ed, ""), passphrase, nil},
		"no passphrase":             {encrypted, "", []string{"encrypted", "ssh_passphrase_env"}},
		"wrong passphrase":          {encrypted, "an0ther-" + passphrase, []string{"does not open it", "ssh_passphrase_env"}},
		"readable by others":        {writeFile(t, "id", read(keyFile(t, ed, "")), 0o644), "", []string{"mode 0644", "chmod 600"}},
		"readable by the group":     {writeFile(t, "id", read(keyFile(t, ed, "")), 0o640), "", []string{"mode 0640", "chmod 600"}},
		"not there":                 {filepath.Join(t.TempDir(), "absent"), "", []string{"absent", "ssh_key_file"}},
		"a folder":                  {t.TempDir(), "", []string{"is not a file"}},
		"public half":               {writeFile(t, "id.pub", public, 0o600), "", []string{".pub"}},
		"PuTTY":                     {writeFile(t, "id.ppk", []byte("PuTTY-User-Key-File-3: ssh-ed25519\n"), 0o600), "", []string{"puttygen"}},
		"certificate":               {writeFile(t, "id", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), 0o600), "", []string{"ssh-keygen"}},
		"empty":                     {writeFile(t, "id", nil, 0o600), "", []string{"no private key"}},
		"large":                     {writeFile(t, "id", make([]byte, 1<<20), 0o600), "", []string{"no private key"}},
		"of somebody who is not let in": {keyFile(t, stranger, ""), "", []string{
			`user "git"`, ssh.FingerprintSHA256(newSigner(t, stranger).PublicKey()),
			strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newSigner(t, stranger).PublicKey()))), "public half",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := open(t, git.Config{URL: server.URL, SSHKeyFile: c.file, SSHPassphrase: c.passphrase, SSHKnownHosts: known})
			commit, err := repo.Head(t.Context())
			if c.want == nil {
				if err != nil || commit.SHA != want {
					t.Errorf("got %q, %v, want %s", commit.SHA, err, want)
				}
				return
			}
			wantWords(t, name, err, append(c.want, c.file)...)
			if !errors.Is(err, git.ErrCredentials) {
				t.Errorf("got %v, want %v", err, git.ErrCredentials)
			}
			if strings.Contains(err.Error(), passphrase) {
				t.Errorf("the error holds the passphrase: %v", err)
			}
		})
	}
}

func TestKeyThatIsReplaced(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	guest, next := newGuest(t), newGuest(t)
	server := newSSHServer(t, remote, guest.public)
	config := guest.config(t, server)
	repo := open(t, config)
	head(t, repo)
	server.set(func(s *sshServer) { s.guests = []ssh.PublicKey{next.public} })
	if _, err := repo.Head(t.Context()); !errors.Is(err, git.ErrCredentials) {
		t.Errorf("got %v, want %v", err, git.ErrCredentials)
	}
	content, err := os.ReadFile(keyFile(t, next.key, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config.SSHKeyFile, content, 0o600); err != nil {
		t.Fatal(err)
	}
	want := remote.Commit(t, "two", files{"a": "2"})
	if got := head(t, repo).SHA; got != want {
		t.Errorf("head: got %s, want %s", got, want)
	}
}

func TestSSHAddresses(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	guest := newGuest(t)
	server := newSSHServer(t, remote, guest.public)
	config := guest.config(t, server)
	for path, want := range map[string]string{
		remote.Dir:               "git-upload-pack '" + remote.Dir + "'",
		"/~git/shop/r.git":       "git-upload-pack '~git/shop/r.git'",
		"/it's%20here/!r.git":    `git-upload-pack '/it'\''s here/'\!'r.git'`,
		"/a%3Bb%24%28c%29/r.git": "git-upload-pack '/a;b$(c)/r.git'",
	} {
		server.set(func(s *sshServer) { s.commands = nil })
		config.URL = "ssh://" + server.Address + path // for user git, when none is given
		_, err := open(t, config).Head(t.Context())
		if (err == nil) != (path == remote.Dir) {
			t.Errorf("%s: got %v", path, err)
		}
		if commands := slices.Compact(server.commands); len(commands) != 1 || commands[0] != want {
			t.Errorf("%s: the server was asked %q, want %q", path, server.commands, want)
		}
	}
}

func TestRepositoryThatIsNotThereOverSSH(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	guest := newGuest(t)
	server := newSSHServer(t, remote, guest.public)
	config := guest.config(t, server)
	config.URL += "-elsewhere"
	_, err := open(t, config).Head(t.Context())
	wantWords(t, "absent", err, "there is no repository", "may not see it", "git.url", "does not appear to be a git repository")

	config = guest.config(t, server)
	server.set(func(s *sshServer) { s.instead = "echo 'the forge is down for an hour' >&2; exit 1" })
	_, err = open(t, config).Head(t.Context())
	wantWords(t, "down", err, "the forge is down for an hour")
	server.set(func(s *sshServer) { s.instead = "echo 'this is no git'" })
	if _, err = open(t, config).Head(t.Context()); err == nil {
		t.Error("a program that is not git: got no error")
	}
	server.set(func(s *sshServer) { s.instead = "yes" })
	if _, err = open(t, config).Head(t.Context()); err == nil {
		t.Error("a program that never stops: got no error")
	}
}

// A key that may only read leaves a pull request as the way to write.
func TestKeyThatMayOnlyReadIsARefusal(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"ERROR: The key you are authenticating with has been marked as read only.",
		"ERROR: Permission to shop/releases.git denied to deploy key",
		"remote: This deploy key does not have write access to this project.",
		"Forgejo: User permission denied for writing.",
	} {
		remote := providertest.NewBareRemote(t)
		one := remote.Commit(t, "one", files{"a": "1"})
		guest := newGuest(t)
		server := newSSHServer(t, remote, guest.public)
		server.readOnly = words
		_, err := open(t, guest.config(t, server)).Push(t.Context(), change(one, "2"))
		if !errors.Is(err, strategy.ErrRefused) || errors.Is(err, git.ErrCredentials) {
			t.Errorf("%s: got %v, want %v", words, err, strategy.ErrRefused)
		}
		wantWords(t, "refusal", err, words)
	}
}

func TestSSHServerThatHangs(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	guest := newGuest(t)
	server := newSSHServer(t, remote, guest.public)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	config := guest.config(t, server)
	hangs := func(name string, repo *git.Repository, call func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want %v", name, err, context.DeadlineExceeded)
		}
		// The call let go of its turn: the next one is not held up by it.
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	}
	mute := config
	mute.URL, mute.StateDir = "ssh://git@"+silent.Addr().String()+"/r.git", ""
	repo := open(t, mute)
	hangs("no handshake", repo, func(ctx context.Context) error { _, err := repo.Head(ctx); return err })

	repo = open(t, config)
	server.set(func(s *sshServer) { s.instead = "exec sleep 3600" })
	hangs("no advertisement", repo, func(ctx context.Context) error { _, err := repo.Head(ctx); return err })
	server.set(func(s *sshServer) {
		s.instead = "git-upload-pack --advertise-refs '" + remote.Dir + "'; exec sleep 3600"
	})
	hangs("no objects", repo, func(ctx context.Context) error { _, err := repo.Head(ctx); return err })
	server.set(func(s *sshServer) { s.instead = "" })
	if got := head(t, repo).SHA; got != one {
		t.Errorf("head after all that: got %s, want %s", got, one)
	}
	server.set(func(s *sshServer) {
		s.instead = "git-receive-pack --http-backend-info-refs '" + remote.Dir + "'; exec sleep 3600"
	})
	hangs("no report", repo, func(ctx context.Context) error { _, err := repo.Push(ctx, change(one, "2")); return err })
	if !slices.ContainsFunc(server.commands, func(line string) bool { return strings.HasPrefix(line, "git-receive-pack") }) {
		t.Errorf("the server was asked %q, want a push among them", server.commands)
	}
}
