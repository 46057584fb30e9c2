package providertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BareRemote is a bare Git repository on this machine, and what other people do to it, by the git program. Its branch
// is main.
type BareRemote struct {
	Dir string
}

// Files are contents by path.
type Files map[string]string

// Mode is the mode of a path that is not a plain file: 100755 a program, 120000 a symbolic link.
type Mode struct {
	Path string
	Mode string
}

// submoduleMode is git's for a commit in a tree.
const submoduleMode = "160000"

// Submodule is a path at which another repository stands.
func Submodule(path string) Mode { return Mode{path, submoduleMode} }

// NewBareRemote makes an empty one.
func NewBareRemote(t *testing.T) *BareRemote {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatalf("the suite needs the git program: %v", err)
	}
	r := &BareRemote{Dir: filepath.Join(t.TempDir(), "remote.git")}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Git(t, "init", "--quiet", "--bare", "--initial-branch=main")
	return r
}

// Git runs the git program on the remote, and returns what it says without the last line break.
func (r *BareRemote) Git(t *testing.T, args ...string) string {
	t.Helper()
	return strings.TrimSuffix(r.run(t, nil, "", args...), "\n")
}

func (r *BareRemote) run(t *testing.T, env []string, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "core.quotePath=false"}, args...)...)
	cmd.Dir = r.Dir
	cmd.Stdin = strings.NewReader(stdin)
	// Nothing of the machine's own settings may reach the test.
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.Dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=" + r.Dir, "LC_ALL=C",
		"GIT_AUTHOR_NAME=Other Person", "GIT_AUTHOR_EMAIL=other@example.com",
		"GIT_COMMITTER_NAME=Other Person", "GIT_COMMITTER_EMAIL=other@example.com",
	}, env...)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, fault.String())
	}
	return out.String()
}

// Tip is where main is.
func (r *BareRemote) Tip(t *testing.T) string {
	t.Helper()
	return r.Git(t, "rev-parse", "refs/heads/main")
}

// Move sets main to a commit, whatever it was at.
func (r *BareRemote) Move(t *testing.T, sha string) {
	t.Helper()
	r.Git(t, "update-ref", "refs/heads/main", sha)
}

// Commit adds or replaces files on top of main, as another person, and returns the commit.
func (r *BareRemote) Commit(t *testing.T, message string, files Files, modes ...Mode) string {
	t.Helper()
	parent := r.Git(t, "for-each-ref", "--format=%(objectname)", "refs/heads/main")
	var parents []string
	if parent != "" {
		parents = []string{parent}
	}
	sha := r.commit(t, message, files, modes, parents...)
	r.Move(t, sha)
	return sha
}

// Rewrite makes another commit on top of an older one, and forces main to it.
func (r *BareRemote) Rewrite(t *testing.T, onto, message string, files Files) string {
	t.Helper()
	sha := r.commit(t, message, files, nil, onto)
	r.Move(t, sha)
	return sha
}

// Merge makes one commit for each set of files on a side branch that starts at main, and merges it into main.
func (r *BareRemote) Merge(t *testing.T, message string, side ...Files) string {
	t.Helper()
	base := r.Tip(t)
	branch := base
	for i, files := range side {
		branch = r.commit(t, fmt.Sprintf("side %d", i), files, nil, branch)
	}
	tree := r.Git(t, "rev-parse", branch+"^{tree}")
	sha := strings.TrimSpace(r.run(t, nil, message, "commit-tree", tree, "-p", base, "-p", branch))
	r.Move(t, sha)
	return sha
}

// commit makes a commit whose files are those of the first parent, and the ones given.
func (r *BareRemote) commit(t *testing.T, message string, files Files, modes []Mode, parents ...string) string {
	t.Helper()
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "index")}
	args := []string{"commit-tree"}
	if len(parents) > 0 {
		r.run(t, index, "", "read-tree", parents[0])
	}
	for _, parent := range parents {
		args = append(args, "-p", parent)
	}
	special := map[string]string{}
	var entries strings.Builder
	for _, m := range modes {
		special[m.Path] = m.Mode
		if m.Mode == submoduleMode {
			fmt.Fprintf(&entries, "%s %s\t%s\x00", submoduleMode, strings.Repeat("ab", 20), m.Path)
		}
	}
	for path, content := range files {
		mode := special[path]
		if mode == "" {
			mode = "100644"
		}
		fmt.Fprintf(&entries, "%s %s\t%s\x00", mode, strings.TrimSpace(r.run(t, nil, content, "hash-object", "-w", "--stdin")), path)
	}
	r.run(t, index, entries.String(), "update-index", "-z", "--index-info")
	tree := strings.TrimSpace(r.run(t, index, "", "write-tree"))
	return strings.TrimSpace(r.run(t, nil, message, append(args, tree)...))
}

// Files are the contents of all plain files of a commit.
func (r *BareRemote) Files(t *testing.T, sha string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for line := range strings.SplitSeq(r.Git(t, "ls-tree", "-r", "-z", sha), "\x00") {
		entry, path, found := strings.Cut(line, "\t")
		if fields := strings.Fields(entry); found && fields[1] == "blob" {
			files[path] = r.run(t, nil, "", "cat-file", "blob", fields[2])
		}
	}
	return files
}

// Protect has every push declined, with these words, until Unprotect.
func (r *BareRemote) Protect(t *testing.T, words string) {
	t.Helper()
	r.Hook(t, "pre-receive", fmt.Sprintf("echo '%s' >&2\nexit 1\n", words))
}

// Unprotect lets pushes pass again.
func (r *BareRemote) Unprotect(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(r.Dir, "hooks", "pre-receive")); err != nil {
		t.Fatal(err)
	}
}

// Hook installs a shell script as a hook of the remote.
func (r *BareRemote) Hook(t *testing.T, name, script string) {
	t.Helper()
	dir := filepath.Join(r.Dir, "hooks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}
