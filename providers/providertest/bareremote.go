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
func NewBareRemote(t testing.TB) *BareRemote {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatalf("the suite needs the git program: %v", err)
	}
	r := &BareRemote{Dir: filepath.Join(t.TempDir(), "remote.git")}
	for _, dir := range []string{"objects", "refs"} {
		if err := os.MkdirAll(filepath.Join(r.Dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// What `git init --bare` makes, without a process for it: suites make hundreds. Nor need they outlast a power cut.
	for name, content := range map[string]string{
		"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n\tfsync = none\n",
	} {
		if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// Git runs the git program on the remote, and returns what it says without the last line break.
func (r *BareRemote) Git(t testing.TB, args ...string) string {
	t.Helper()
	return strings.TrimSuffix(r.run(t, "", args...), "\n")
}

func (r *BareRemote) run(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "core.quotePath=false"}, args...)...)
	cmd.Dir = r.Dir
	cmd.Stdin = strings.NewReader(stdin)
	// Nothing of the machine's own settings may reach the test.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.Dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=" + r.Dir, "LC_ALL=C",
		"GIT_AUTHOR_NAME=Other Person", "GIT_AUTHOR_EMAIL=other@example.com",
		"GIT_COMMITTER_NAME=Other Person", "GIT_COMMITTER_EMAIL=other@example.com",
	}
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, fault.String())
	}
	return out.String()
}

// Tip is where main is.
func (r *BareRemote) Tip(t testing.TB) string {
	t.Helper()
	return r.Git(t, "rev-parse", "refs/heads/main")
}

// Move sets main to a commit, whatever it was at.
func (r *BareRemote) Move(t testing.TB, sha string) {
	t.Helper()
	r.Git(t, "update-ref", "refs/heads/main", sha)
}

// Commit adds or replaces files on top of main, as another person, and returns the commit.
func (r *BareRemote) Commit(t testing.TB, message string, files Files, modes ...Mode) string {
	t.Helper()
	return r.CommitTo(t, "refs/heads/main", message, files, modes...)
}

// CommitTo adds or replaces files on top of a ref, which is made when it is not there, and returns the commit.
func (r *BareRemote) CommitTo(t testing.TB, ref, message string, files Files, modes ...Mode) string {
	t.Helper()
	onto := ""
	if r.has(t, ref) {
		onto = ref + "^0"
	}
	return r.commit(t, ref, onto, message, files, modes...)
}

// has tells whether a ref is there. Most are in a file of their own, which takes no process to see.
func (r *BareRemote) has(t testing.TB, ref string) bool {
	t.Helper()
	if _, err := os.Stat(filepath.Join(r.Dir, ref)); err == nil {
		return true
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "packed-refs")); err != nil {
		return false
	}
	return r.Git(t, "for-each-ref", ref) != ""
}

// Rewrite makes another commit on top of an older one, and forces main to it.
func (r *BareRemote) Rewrite(t testing.TB, onto, message string, files Files) string {
	t.Helper()
	return r.commit(t, "refs/heads/main", onto, message, files)
}

// Branch makes a commit on top of another one, "" for none, and sets a ref to it, whatever it was at.
func (r *BareRemote) Branch(t testing.TB, ref, onto, message string, files Files, modes ...Mode) string {
	t.Helper()
	return r.commit(t, ref, onto, message, files, modes...)
}

// Merge makes one commit for each set of files on a side branch that starts at main, and merges it into main.
func (r *BareRemote) Merge(t testing.TB, message string, side ...Files) string {
	t.Helper()
	const branch = "refs/side/merging"
	base := r.Tip(t)
	tip := base
	for i, files := range side {
		tip = r.commit(t, branch, tip, fmt.Sprintf("side %d", i), files)
	}
	sha := strings.TrimSpace(r.run(t, message, "commit-tree", tip+"^{tree}", "-p", base, "-p", tip))
	r.Move(t, sha)
	r.Git(t, "update-ref", "-d", branch)
	return sha
}

// commit makes a commit whose files are those of the parent, and the ones given, and sets the ref to it.
func (r *BareRemote) commit(t testing.TB, ref, parent, message string, files Files, modes ...Mode) string {
	t.Helper()
	var stream strings.Builder
	fmt.Fprintf(&stream, "commit %s\nmark :1\ncommitter Other Person <other@example.com> now\ndata %d\n%s\n", ref, len(message), message)
	if parent != "" {
		fmt.Fprintf(&stream, "from %s\n", parent)
	}
	special := map[string]string{}
	for _, m := range modes {
		special[m.Path] = m.Mode
		if m.Mode == submoduleMode {
			fmt.Fprintf(&stream, "M %s %s %s\n", submoduleMode, strings.Repeat("ab", 20), m.Path)
		}
	}
	for path, content := range files {
		mode := special[path]
		if mode == "" {
			mode = "100644"
		}
		fmt.Fprintf(&stream, "M %s inline %s\ndata %d\n%s\n", mode, path, len(content), content)
	}
	stream.WriteString("\nget-mark :1\n")
	// One process a commit: suites make hundreds.
	return strings.TrimSpace(r.run(t, stream.String(), "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--force", "--date-format=now"))
}

// Files are the contents of all plain files of a commit.
func (r *BareRemote) Files(t testing.TB, sha string) map[string]string {
	t.Helper()
	var paths []string
	var wanted strings.Builder
	for line := range strings.SplitSeq(r.Git(t, "ls-tree", "-r", "-z", sha), "\x00") {
		entry, path, found := strings.Cut(line, "\t")
		if fields := strings.Fields(entry); found && fields[1] == "blob" {
			paths = append(paths, path)
			fmt.Fprintln(&wanted, fields[2])
		}
	}
	files := map[string]string{}
	rest := r.run(t, wanted.String(), "cat-file", "--batch")
	for _, path := range paths {
		header, after, _ := strings.Cut(rest, "\n")
		var hash, kind string
		var size int
		if _, err := fmt.Sscan(header, &hash, &kind, &size); err != nil || len(after) <= size {
			t.Fatalf("read %s at %s: git said %q: %v", path, sha, header, err)
		}
		files[path], rest = after[:size], after[size+1:]
	}
	return files
}

// Protect has every push declined, with these words, until Unprotect.
func (r *BareRemote) Protect(t testing.TB, words string) {
	t.Helper()
	r.Hook(t, "pre-receive", fmt.Sprintf("echo '%s' >&2\nexit 1\n", words))
}

// Unprotect lets pushes pass again.
func (r *BareRemote) Unprotect(t testing.TB) {
	t.Helper()
	if err := os.Remove(filepath.Join(r.Dir, "hooks", "pre-receive")); err != nil {
		t.Fatal(err)
	}
}

// Hook installs a shell script as a hook of the remote.
func (r *BareRemote) Hook(t testing.TB, name, script string) {
	t.Helper()
	dir := filepath.Join(r.Dir, "hooks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}
