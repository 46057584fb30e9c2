package git_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

func packs(t *testing.T, state string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(state, "store.git", "objects", "pack", "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestNothingIsFetchedUnlessTheBranchMoved(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	tree := files{}
	for i := range 40 {
		tree[fmt.Sprintf("dir-%d/file", i)] = strings.Repeat(fmt.Sprintf("%d-%d ", i, i*i), 50)
	}
	remote.Commit(t, "one", tree)
	server := providertest.NewGitServer(t, remote)
	state := filepath.Join(t.TempDir(), "state")
	config := git.Config{URL: server.URL, Token: token, StateDir: state}
	repo := open(t, config)
	for range 3 {
		head(t, repo)
	}
	if got := server.Fetches.Load(); got != 1 {
		t.Errorf("got %d fetches of a branch that did not move, want 1", got)
	}
	next := remote.Commit(t, "two", files{"dir-7/file": "changed"})
	// After a restart the store is still there, and only what is new is fetched.
	repo = open(t, config)
	if got := head(t, repo).SHA; got != next {
		t.Errorf("head: got %s, want %s", got, next)
	}
	if got := server.Fetches.Load(); got != 2 {
		t.Errorf("got %d fetches, want 2", got)
	}
	var sizes []int64
	for _, pack := range packs(t, state) {
		info, err := os.Stat(pack)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	if len(sizes) != 2 || min(sizes[0], sizes[1]) > max(sizes[0], sizes[1])/2 {
		t.Errorf("packs of %v bytes, want a second one that holds only what is new", sizes)
	}
	// Known commits are read without the remote.
	if _, err := open(t, config).Files(t.Context(), next); err != nil {
		t.Error(err)
	}
	if got := server.Fetches.Load(); got != 2 {
		t.Errorf("got %d fetches, want 2", got)
	}
}

func TestDamagedStoreIsMadeAnew(t *testing.T) {
	t.Parallel()
	overwrite := func(pattern string) func(*testing.T, string) {
		return func(t *testing.T, state string) {
			t.Helper()
			found, err := filepath.Glob(filepath.Join(state, "store.git", pattern))
			if err != nil || len(found) == 0 {
				t.Fatalf("%s: found %v, %v", pattern, found, err)
			}
			for _, name := range found {
				if err := os.Chmod(name, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte("not what git wrote"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	remove := func(what string) func(*testing.T, string) {
		return func(t *testing.T, state string) {
			t.Helper()
			if err := os.RemoveAll(filepath.Join(state, "store.git", what)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(*testing.T, string){
		"packs overwritten":   overwrite("objects/pack/*.pack"),
		"indexes overwritten": overwrite("objects/pack/*.idx"),
		"config overwritten":  overwrite("config"),
		"branch overwritten":  overwrite("refs/remotes/origin/main"),
		"objects gone":        remove("objects"),
		"branch gone":         remove("refs"),
		"config gone":         remove("config"),
		"everything gone":     remove("."),
	} {
		for _, restart := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, restarted %t", name, restart), func(t *testing.T) {
				t.Parallel()
				remote := providertest.NewBareRemote(t)
				one := remote.Commit(t, "one", files{"a": "1"})
				config := git.Config{URL: remote.Dir, StateDir: filepath.Join(t.TempDir(), "state")}
				repo := open(t, config)
				head(t, repo)
				damage(t, config.StateDir)
				if restart {
					repo = open(t, config)
				}
				two := remote.Commit(t, "two", files{"a": "2"})
				if got := head(t, repo).SHA; got != two {
					t.Errorf("head: got %s, want %s", got, two)
				}
				for sha, want := range map[string]string{one: "1", two: "2"} {
					tree, err := repo.Files(t.Context(), sha)
					if err != nil || string(tree["a"].Content) != want {
						t.Errorf("files of %s: got %q, %v, want %q", sha, tree["a"].Content, err, want)
					}
				}
				if _, err := repo.Push(t.Context(), change(two, "3")); err != nil {
					t.Errorf("push: %v", err)
				}
				entries, err := os.ReadDir(config.StateDir)
				if err != nil || len(entries) != 1 {
					t.Errorf("state folder holds %v, %v, want the store alone", entries, err)
				}
			})
		}
	}
}

func TestDamageFoundWhileReading(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	config := git.Config{URL: remote.Dir, StateDir: filepath.Join(t.TempDir(), "state")}
	head(t, open(t, config))
	for _, pack := range packs(t, config.StateDir) {
		if err := os.Remove(pack); err != nil {
			t.Fatal(err)
		}
	}
	log, err := open(t, config).Log(t.Context(), one, 5)
	if err != nil || len(log) != 1 || log[0].SHA != one {
		t.Errorf("got %v, %v, want one commit", log, err)
	}
}

func TestStoreOfAnotherRepositoryIsNotUsed(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"1", "2"} {
		remote := providertest.NewBareRemote(t)
		want := remote.Commit(t, "one", files{"a": content})
		repo := open(t, git.Config{URL: remote.Dir, StateDir: state})
		if got := head(t, repo).SHA; got != want {
			t.Errorf("head: got %s, want %s", got, want)
		}
	}
}

func TestLeftoversOfAFetchAreCleared(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	config := git.Config{URL: remote.Dir, StateDir: filepath.Join(t.TempDir(), "state")}
	head(t, open(t, config))
	half := filepath.Join(config.StateDir, "store.git", "objects", "pack", "tmp_pack_123")
	if err := os.WriteFile(half, []byte("PACK"), 0o600); err != nil {
		t.Fatal(err)
	}
	head(t, open(t, config))
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("got %v, want the leftover gone", err)
	}
}

func TestStoreIsRenewedAfterManyPacks(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	config := git.Config{URL: remote.Dir, StateDir: filepath.Join(t.TempDir(), "state")}
	repo := open(t, config)
	repo.RenewAfter(3)
	for i := range 4 {
		remote.Commit(t, "next", files{"a": fmt.Sprint(i)})
		head(t, repo)
	}
	if got := len(packs(t, config.StateDir)); got != 1 {
		t.Errorf("got %d packs, want 1", got)
	}
	if log, err := repo.Log(t.Context(), remote.Tip(t), 10); err != nil || len(log) != 4 {
		t.Errorf("got %d commits, %v, want 4", len(log), err)
	}
}

func TestLargeFileIsToldOfOnce(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	var log bytes.Buffer
	repo := open(t, git.Config{URL: remote.Dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 3 {
		sha := remote.Commit(t, "next", files{"large": strings.Repeat("x", 1<<20+1), "a": fmt.Sprint(i)})
		head(t, repo)
		if _, err := repo.Files(t.Context(), sha); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(log.String(), "path=large"); got != 1 {
		t.Errorf("told %d times, want once:\n%s", got, log.String())
	}
}

func TestTooManyFilesAreAnError(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	var stream strings.Builder
	stream.WriteString("commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nm\n")
	for i := range 50_001 {
		fmt.Fprintf(&stream, "M 100644 inline many/%d/%d\ndata 1\nx\n", i%256, i/256) // git is slow with many in one folder
	}
	stream.WriteString("M 100644 inline few/a\ndata 1\ny\n")
	cmd := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = remote.Dir, strings.NewReader(stream.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	repo := open(t, git.Config{URL: remote.Dir})
	if _, err := repo.Files(t.Context(), head(t, repo).SHA); err == nil || !strings.Contains(err.Error(), "git.path") {
		t.Errorf("got %v, want an error that says what to set", err)
	}
	repo = open(t, git.Config{URL: remote.Dir, Path: "few"})
	tree, err := repo.Files(t.Context(), head(t, repo).SHA)
	if err != nil || len(tree) != 1 {
		t.Errorf("got %d files, %v, want 1", len(tree), err)
	}
}

func TestTreesThatAreTheSameAreShared(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	repo := open(t, git.Config{URL: remote.Dir, Path: "prod"})
	var trees []strategy.Tree
	for i := range 2 {
		sha := remote.Commit(t, "next", files{"prod/a": "1", "elsewhere": fmt.Sprint(i)})
		head(t, repo)
		tree, err := repo.Files(t.Context(), sha)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
	}
	if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
		t.Errorf("trees differ:\n%s", diff)
	}
	if &trees[0]["prod/a"].Content[0] != &trees[1]["prod/a"].Content[0] {
		t.Error("the content was read twice")
	}
}

// A repository with a working copy can be followed; git lets nobody push to the branch that is checked out.
func TestWorkingCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "one"},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	repo := open(t, git.Config{URL: dir})
	_, err := repo.Push(t.Context(), change(head(t, repo).SHA, "2"))
	if err == nil || !strings.Contains(err.Error(), "checked out") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want a refusal in git's words", err)
	}
}

func TestGitIsMissing(t *testing.T) {
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	t.Setenv("PATH", t.TempDir())
	_, err := open(t, git.Config{URL: remote.Dir}).Head(t.Context())
	if err == nil || !strings.Contains(err.Error(), "install git") {
		t.Errorf("got %v, want an error that says what to install", err)
	}
}
