package providertest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

func repositoryPush(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "start", Files{"keep": "k", "replace": "old", "gone": "g", "dir/only/gone": "g", "dir.hcl": "sorts before dir/", "dir/stay": "s"})
	repo := h.Open(t, View{})
	head := mustHead(t, repo)
	pushed := mustPush(t, repo, strategy.Change{
		Parent: head.SHA,
		Files: map[string]*strategy.File{
			"replace": file("new"), "gone": nil, "dir/only/gone": nil, "never/was": nil,
			"new/deep/file": file("created"), "dir-b": file("sorts before dir.hcl"),
		},
		Message: "revert\n\nbody",
	})
	if got := h.Remote.Tip(t); got != pushed.SHA {
		t.Errorf("the branch is at %s, want the commit returned, %s", got, pushed.SHA)
	}
	want := map[string]string{
		"keep": "k", "replace": "new", "dir.hcl": "sorts before dir/", "dir/stay": "s",
		"new/deep/file": "created", "dir-b": "sorts before dir.hcl",
	}
	if diff := cmp.Diff(want, h.Remote.Files(t, pushed.SHA)); diff != "" {
		t.Errorf("files at the remote (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, contents(t, repo, pushed.SHA)); diff != "" {
		t.Errorf("files of the commit returned (-want +got):\n%s", diff)
	}
	if got := mustHead(t, repo).SHA; got != pushed.SHA {
		t.Errorf("head after the push: got %s, want %s", got, pushed.SHA)
	}
	// Git itself finds nothing wrong with trees and commit.
	h.Remote.Git(t, "fsck", "--strict", "--no-dangling")
	next := mustPush(t, repo, strategy.Change{Parent: pushed.SHA, Files: map[string]*strategy.File{"keep": file("k2")}, Message: "next"})
	if got := h.Remote.Git(t, "rev-list", "--parents", "-n1", next.SHA); got != next.SHA+" "+pushed.SHA {
		t.Errorf("parents of the next commit: got %q", got)
	}
	// Another one sees what was pushed.
	if got := mustHead(t, h.Open(t, View{})); got.SHA != next.SHA {
		t.Errorf("head of another: got %s, want %s", got.SHA, next.SHA)
	}
}

func repositoryCommit(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "start", Files{"a": "1"})
	repo := h.Open(t, View{})
	head := mustHead(t, repo)
	const message = "Revert \"start\"\n\nBecause of é.\n\nDrover-Release: web\n"
	pushed := mustPush(t, repo, strategy.Change{Parent: head.SHA, Files: map[string]*strategy.File{"a": file("2")}, Message: message})
	if got := h.Remote.Git(t, "log", "-1", "--format=%B", pushed.SHA); strings.TrimSpace(got) != strings.TrimSpace(message) {
		t.Errorf("message: got %q, want %q", got, message)
	}
	author, committer := h.Remote.Git(t, "log", "-1", "--format=%an <%ae>", pushed.SHA), h.Remote.Git(t, "log", "-1", "--format=%cn <%ce>", pushed.SHA)
	if pushed.Author != author || author != committer || author == head.Author {
		t.Errorf("author %q, committer %q, returned %q: want one, and not the other person", author, committer, pushed.Author)
	}
	if pushed.Subject != `Revert "start"` {
		t.Errorf("subject: got %q", pushed.Subject)
	}
	at, err := time.Parse(time.RFC3339, h.Remote.Git(t, "log", "-1", "--format=%cI", pushed.SHA))
	if err != nil || !at.Equal(pushed.Time) {
		t.Errorf("time: got %v, want %v (%v)", pushed.Time, at, err)
	}
}

func repositoryUntouched(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "start", Files{
		"script": "#!/bin/sh\n", "tool": "x", "link": "tool", "pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n",
		"crlf": "a\r\nb\r\n", "large": strings.Repeat("x", 1<<20+1), "outside/x": "1", "prod/a": "1",
	}, Mode{"script", "100755"}, Mode{"tool", "100755"}, Mode{"link", "120000"}, Submodule("module"))
	repo := h.Open(t, View{Path: "prod"})
	head := mustHead(t, repo)
	before := h.Remote.Git(t, "ls-tree", "-r", head.SHA)
	pushed := mustPush(t, repo, strategy.Change{
		Parent:  head.SHA,
		Files:   map[string]*strategy.File{"prod/a": file("2"), "script": file("#!/bin/sh\nexit\n")},
		Message: "change",
	})
	var got []string
	for line := range strings.Lines(h.Remote.Git(t, "diff-tree", "-r", "--name-status", head.SHA, pushed.SHA)) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if diff := cmp.Diff([]string{"M prod/a", "M script"}, got); diff != "" {
		t.Errorf("paths altered (-want +got):\n%s\nbefore:\n%s", diff, before)
	}
	if mode := h.Remote.Git(t, "ls-tree", pushed.SHA, "script"); !strings.HasPrefix(mode, "100755 ") {
		t.Errorf("a script lost its mode: %s", mode)
	}
}

func repositoryNothing(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "start", Files{"a": "1"})
	repo := h.Open(t, View{})
	head := mustHead(t, repo)
	for name, files := range map[string]map[string]*strategy.File{
		"no files":      nil,
		"the same file": {"a": file("1")},
		"not there":     {"b": nil, "c/d": nil},
	} {
		_, err := repo.Push(t.Context(), strategy.Change{Parent: head.SHA, Files: files, Message: "m"})
		if err == nil || errors.Is(err, strategy.ErrHeadMoved) || errors.Is(err, strategy.ErrRefused) {
			t.Errorf("%s: got %v, want an error of its own", name, err)
		}
	}
	if got := h.Remote.Tip(t); got != head.SHA {
		t.Errorf("the branch moved to %s", got)
	}
}

func repositoryBadPaths(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "start", Files{"a": "1", "dir/b": "1", "link": "a"}, Mode{"link", "120000"})
	repo := h.Open(t, View{})
	head := mustHead(t, repo)
	for _, path := range []string{"", "/a", "../a", "dir/../a", "dir//b", "dir/", ".git/config", "x/.GIT/hooks/y", "dir", "link", "a/below"} {
		for _, content := range []*strategy.File{file("2"), nil} {
			_, err := repo.Push(t.Context(), strategy.Change{Parent: head.SHA, Files: map[string]*strategy.File{path: content, "a": file("2")}, Message: "m"})
			if err == nil {
				t.Errorf("push of path %q (delete: %t): got no error", path, content == nil)
			}
			if got := h.Remote.Tip(t); got != head.SHA {
				t.Fatalf("path %q: the branch moved to %s", path, got)
			}
		}
	}
}

func repositoryLostRace(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "start", Files{"a": "1", "b": "1"})
	repo := h.Open(t, View{})
	head := mustHead(t, repo)
	others := h.Remote.Commit(t, "somebody was faster", Files{"b": "2"})
	change := strategy.Change{Parent: head.SHA, Files: map[string]*strategy.File{"a": file("3")}, Message: "mine"}
	if _, err := repo.Push(t.Context(), change); !errors.Is(err, strategy.ErrHeadMoved) {
		t.Errorf("got %v, want %v", err, strategy.ErrHeadMoved)
	}
	if got := h.Remote.Tip(t); got != others {
		t.Fatalf("the branch is at %s, want the other's commit, %s", got, others)
	}
	// Looked at again, the change goes on top.
	change.Parent = mustHead(t, repo).SHA
	pushed := mustPush(t, repo, change)
	if diff := cmp.Diff(map[string]string{"a": "3", "b": "2"}, h.Remote.Files(t, pushed.SHA)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	// A parent that is not the head known is not even tried.
	change.Parent, change.Files = head.SHA, map[string]*strategy.File{"a": file("4")}
	if _, err := repo.Push(t.Context(), change); !errors.Is(err, strategy.ErrHeadMoved) {
		t.Errorf("an old parent: got %v, want %v", err, strategy.ErrHeadMoved)
	}
}

func repositoryRefused(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "start", Files{"a": "1"})
	repo := h.Open(t, View{})
	head := mustHead(t, repo)
	change := strategy.Change{Parent: head.SHA, Files: map[string]*strategy.File{"a": file("2")}, Message: "mine"}
	h.Remote.Protect(t, "GH006: changes must be made through a pull request")
	_, err := repo.Push(t.Context(), change)
	if !errors.Is(err, strategy.ErrRefused) || errors.Is(err, strategy.ErrHeadMoved) {
		t.Errorf("got %v, want %v", err, strategy.ErrRefused)
	}
	wantText(t, err, "GH006: changes must be made through a pull request")
	if got := h.Remote.Tip(t); got != head.SHA {
		t.Errorf("the branch is at %s, want %s", got, head.SHA)
	}
	if got := mustHead(t, repo); got != head {
		t.Errorf("head after a refusal: got %v, want %v", got, head)
	}
	h.Remote.Unprotect(t)
	mustPush(t, repo, change)
}

// repositoryPushers has two instances write at once, twenty files in all (six with -short), each trying until it is
// done.
func repositoryPushers(t *testing.T, h RepositoryHarness) {
	const pushers = 2
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	start := h.Remote.Commit(t, "start", Files{"a": "1"})
	want := map[string]string{"a": "1"}
	var wg sync.WaitGroup
	for who := range pushers {
		repo := h.Open(t, View{})
		for round := range rounds {
			want[fmt.Sprintf("by-%d/%d", who, round)] = fmt.Sprint(round)
		}
		wg.Go(func() {
			for round := range rounds {
				if err := pushUntilDone(t, repo, fmt.Sprintf("by-%d/%d", who, round), fmt.Sprint(round)); err != nil {
					t.Errorf("pusher %d, round %d: %v", who, round, err)
					return
				}
			}
		})
	}
	wg.Wait()
	tip := h.Remote.Tip(t)
	if diff := cmp.Diff(want, h.Remote.Files(t, tip)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := h.Remote.Git(t, "rev-list", "--count", start+".."+tip); got != fmt.Sprint(pushers*rounds) {
		t.Errorf("%s commits were made, want %d: each push is one", got, pushers*rounds)
	}
}

func pushUntilDone(t *testing.T, repo reconcile.Repository, path, content string) error {
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		head, err := repo.Head(t.Context())
		if err != nil {
			return err
		}
		_, err = repo.Push(t.Context(), strategy.Change{Parent: head.SHA, Files: map[string]*strategy.File{path: file(content)}, Message: "add " + path})
		if !errors.Is(err, strategy.ErrHeadMoved) {
			return err
		}
	}
	return errors.New("the race was lost for two minutes")
}
