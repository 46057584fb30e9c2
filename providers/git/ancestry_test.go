package git_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
)

// importInto feeds a stream to git fast-import.
func importInto(t *testing.T, remote *providertest.BareRemote, stream string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet", "--force")
	cmd.Dir, cmd.Stdin = remote.Dir, strings.NewReader(stream)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// A committer whose clock is years behind does not hide what came before.
func TestDescendsWithoutTrustInClocks(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	var stream strings.Builder
	for i, year := range []int{2020, 1990, 2025, 1971, 2001} {
		fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\ncommitter A <a@example.com> %d +0000\ndata 1\nm\n", i+1, (year-1970)*31_557_600)
		fmt.Fprintf(&stream, "M 100644 inline a\ndata 1\n%d\n", i)
	}
	importInto(t, remote, stream.String())
	repo := open(t, git.Config{URL: remote.Dir})
	tip := head(t, repo)
	log, err := repo.Log(t.Context(), tip.SHA, 10)
	if err != nil || len(log) != 5 {
		t.Fatalf("got %d commits, %v, want 5", len(log), err)
	}
	for i, later := range log {
		for j, earlier := range log {
			got, err := repo.Descends(t.Context(), later.SHA, earlier.SHA)
			if want := i <= j; err != nil || got != want {
				t.Errorf("commit %d from commit %d: got %t, %v, want %t", i, j, got, err, want)
			}
		}
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	two := remote.Commit(t, "two", files{"a": "2"})
	merge := remote.Merge(t, "merge", files{"b": "1"}, files{"b": "2"})
	side := remote.Git(t, "rev-parse", merge+"^2^")
	repo := open(t, git.Config{URL: remote.Dir})
	head(t, repo)
	fork := remote.Rewrite(t, one, "fork", files{"c": "1"})
	head(t, repo)
	alone := remote.Branch(t, "refs/heads/main", "", "alone", files{"c": "1"})
	head(t, repo)
	for _, c := range []struct{ name, a, b, want string }{
		{"itself", two, two, two},
		{"an ancestor", merge, one, one},
		{"a side that was merged", merge, side, side},
		{"histories that part", merge, fork, one},
		{"nothing in common", merge, alone, ""},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got, err := repo.MergeBase(t.Context(), pair[0], pair[1]); err != nil || got != c.want {
				t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
			}
		}
	}
	if got, err := repo.MergeBase(t.Context(), one, strings.Repeat("1", 40)); err == nil {
		t.Errorf("a commit that is not there: got %q, want an error", got)
	}
}

// What a forced push left behind is gone when the store is made anew, and asking for it is no damage.
func TestDescendsFromWhatIsGone(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	gone := remote.Commit(t, "two", files{"a": "2"})
	repo := open(t, git.Config{URL: remote.Dir})
	head(t, repo)
	repo.RenewAfter(0)
	forced := remote.Rewrite(t, one, "two, otherwise", files{"a": "3"})
	head(t, repo)
	if _, err := repo.Files(t.Context(), gone); err == nil {
		t.Fatal("the store still has the commit: the test asks nothing")
	}
	for ancestor, want := range map[string]bool{gone: false, one: true, forced: true} {
		if got, err := repo.Descends(t.Context(), forced, ancestor); err != nil || got != want {
			t.Errorf("from %s: got %t, %v, want %t", ancestor, got, err, want)
		}
	}
}
