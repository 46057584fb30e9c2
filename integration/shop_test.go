package integration_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// person is who commits in the stories, save Drover.
const person = "Robin"

// shop is a release repository as people have it: a bare one that is pushed to, and a clone to work in.
type shop struct {
	t           testing.TB
	bare, clone string
}

func newShop(t testing.TB, dir string) *shop {
	t.Helper()
	r := &shop{t: t, bare: filepath.Join(dir, "shop.git"), clone: filepath.Join(dir, "clone")}
	for _, path := range []string{r.bare, r.clone} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.git(r.bare, "init", "-q", "--bare", "-b", "main")
	r.git(r.clone, "init", "-q", "-b", "main")
	r.git(r.clone, "remote", "add", "origin", r.bare)
	return r
}

// git runs the git program in a folder, as the person.
func (r *shop) git(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	// Nothing of the machine's own settings may reach the test.
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME="+person, "GIT_AUTHOR_EMAIL=robin@shop.example", "GIT_COMMITTER_NAME="+person, "GIT_COMMITTER_EMAIL=robin@shop.example")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out))
}

// write puts a file into the clone.
func (r *shop) write(path, text string) {
	r.t.Helper()
	file := filepath.Join(r.clone, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// push commits what was written, pushes it and returns the commit.
func (r *shop) push(message string) string {
	r.t.Helper()
	r.git(r.clone, "add", "-A")
	r.git(r.clone, "commit", "-q", "-m", message)
	r.git(r.clone, "push", "-q", "origin", "main")
	return r.git(r.clone, "rev-parse", "HEAD")
}

// pull takes over what others pushed.
func (r *shop) pull() {
	r.t.Helper()
	r.git(r.clone, "pull", "-q", "--ff-only", "origin", "main")
}

// revert takes the newest commit back, as a person does.
func (r *shop) revert() {
	r.t.Helper()
	r.git(r.clone, "revert", "--no-edit", "HEAD")
	r.git(r.clone, "push", "-q", "origin", "main")
}

// head is the newest commit of the remote.
func (r *shop) head() string {
	r.t.Helper()
	return r.git(r.bare, "rev-parse", "main")
}

// authors is who made the commits of the remote, the oldest first.
func (r *shop) authors() []string {
	r.t.Helper()
	return strings.Split(r.git(r.bare, "log", "--reverse", "--format=%an", "main"), "\n")
}

// trailer is the value of a trailer of a commit of the remote; "" when it has none.
func (r *shop) trailer(commit, key string) string {
	r.t.Helper()
	return r.git(r.bare, "log", "-1", "--format=%(trailers:key="+key+",valueonly)", commit)
}
