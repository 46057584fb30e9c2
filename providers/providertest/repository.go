package providertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// RepositoryHarness is an empty bare remote and the way to it.
type RepositoryHarness struct {
	// Remote is where other people commit.
	Remote *BareRemote
	// Open makes a Repository that follows Remote, each with state of its own.
	Open func(t *testing.T, view View) reconcile.Repository
}

// View is what a Repository looks at. The zero value is all of branch main.
type View struct {
	Branch      string // "" is main
	Path        string
	Unreachable bool // at an address where no repository answers
}

// TestRepository holds a reconcile.Repository to its contract. It needs the git program for its side doors.
func TestRepository(t *testing.T, newHarness func(t *testing.T) RepositoryHarness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, RepositoryHarness){
		"head follows the branch":               repositoryHead,
		"files come with git's hashes":          repositoryFiles,
		"files that are no files are left out":  repositoryOddFiles,
		"only files below the path":             repositoryPath,
		"log is the first-parent history":       repositoryLog,
		"messages are kept whole":               repositoryMessages,
		"changes are the paths that differ":     repositoryChanges,
		"push creates, replaces and deletes":    repositoryPush,
		"push says who, when and why":           repositoryCommit,
		"push leaves other paths as they were":  repositoryUntouched,
		"push of nothing is an error":           repositoryNothing,
		"push refuses paths that are no files":  repositoryBadPaths,
		"a lost race leaves the other's commit": repositoryLostRace,
		"a hook that declines is a refusal":     repositoryRefused,
		"pushers at once lose nothing":          repositoryPushers,
		"a rewritten branch is followed":        repositoryRewritten,
		"an empty repository says what to do":   repositoryEmpty,
		"a missing branch says which there are": repositoryMissingBranch,
		"an unreachable remote is an error":     repositoryUnreachable,
		"readers at once agree":                 repositoryReaders,
		"a line of commits descends":            repositoryDescends,
		"a merge descends from both sides":      repositoryDescendsMerge,
		"a forced branch does not descend":      repositoryDescendsForced,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHarness(t))
		})
	}
}

func mustHead(t *testing.T, repo reconcile.Repository) strategy.Commit {
	t.Helper()
	head, err := repo.Head(t.Context())
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	return head
}

// contents are the files of a commit by path, as text.
func contents(t *testing.T, repo reconcile.Repository, sha string) map[string]string {
	t.Helper()
	tree, err := repo.Files(t.Context(), sha)
	if err != nil {
		t.Fatalf("files: %v", err)
	}
	files := map[string]string{}
	for path, file := range tree {
		files[path] = string(file.Content)
	}
	return files
}

func mustPush(t *testing.T, repo reconcile.Repository, change strategy.Change) strategy.Commit {
	t.Helper()
	commit, err := repo.Push(t.Context(), change)
	if err != nil {
		t.Fatalf("push: %v", err)
	}
	return commit
}

func file(content string) *strategy.File { return &strategy.File{Content: []byte(content)} }

func wantText(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got error %q, want it to say %q", err, word)
		}
	}
}

func repositoryHead(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	first := h.Remote.Commit(t, "first subject\n\nwith a body", Files{"a.hcl": "one"})
	got := mustHead(t, repo)
	want := strategy.Commit{SHA: first, Subject: "first subject", Author: "Other Person <other@example.com>"}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(strategy.Commit{}, "Time")); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	if age := time.Since(got.Time); age < -time.Minute || age > time.Hour {
		t.Errorf("head is of %v, want about now", got.Time)
	}
	if again := mustHead(t, repo); again != got {
		t.Errorf("head of a branch that did not move: got %v, want %v", again, got)
	}
	for round := range 3 {
		want := h.Remote.Commit(t, "next", Files{"a.hcl": fmt.Sprint(round)})
		if got := mustHead(t, repo).SHA; got != want {
			t.Errorf("head after the branch moved: got %s, want %s", got, want)
		}
		if diff := cmp.Diff(map[string]string{"a.hcl": fmt.Sprint(round)}, contents(t, repo, want)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(map[string]string{"a.hcl": "one"}, contents(t, repo, first)); diff != "" {
		t.Errorf("files of the first commit (-want +got):\n%s", diff)
	}
}

func repositoryFiles(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	files := Files{"release.hcl": "release \"web\" {}\n", "empty": "", "deep/er/still.hcl": "x\r\n", "ünï côde.hcl": "é", "raw.bin": "\x00\xff\n"}
	sha := h.Remote.Commit(t, "add", files)
	mustHead(t, repo)
	tree, err := repo.Files(t.Context(), sha)
	if err != nil {
		t.Fatal(err)
	}
	want := strategy.Tree{}
	for path, content := range files {
		want[path] = strategy.File{Hash: h.Remote.Git(t, "rev-parse", sha+":"+path), Content: []byte(content)}
	}
	if diff := cmp.Diff(want, tree, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := repo.Files(t.Context(), strings.Repeat("1", 40)); err == nil {
		t.Error("files of a commit that is not there: got no error")
	}
	if _, err := repo.Files(t.Context(), "main"); err == nil {
		t.Error("files of a branch name in place of a commit: got no error")
	}
}

func repositoryOddFiles(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	sha := h.Remote.Commit(t, "add", Files{
		"plain":   "kept",
		"script":  "kept too",
		"link":    "plain",
		"pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
		"large":   strings.Repeat("x", 1<<20+1),
		"limit":   strings.Repeat("x", 1<<20),
	}, Mode{"script", "100755"}, Mode{"link", "120000"}, Submodule("module"))
	mustHead(t, repo)
	got := contents(t, repo, sha)
	var paths []string
	for path := range got {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	if diff := cmp.Diff([]string{"limit", "plain", "script"}, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func repositoryPath(t *testing.T, h RepositoryHarness) {
	sha := h.Remote.Commit(t, "add", Files{"top": "0", "prod/a": "1", "prod/b/c": "2", "production/d": "3", "x/prod/e": "4"})
	for path, want := range map[string]map[string]string{
		"prod":     {"prod/a": "1", "prod/b/c": "2"},
		"/prod/b/": {"prod/b/c": "2"},
		"nowhere":  {},
	} {
		repo := h.Open(t, View{Path: path})
		mustHead(t, repo)
		if diff := cmp.Diff(want, contents(t, repo, sha)); diff != "" {
			t.Errorf("files below %q (-want +got):\n%s", path, diff)
		}
	}
	repo := h.Open(t, View{Path: "top"})
	mustHead(t, repo)
	if _, err := repo.Files(t.Context(), sha); err == nil {
		t.Error("a path that is a file: got no error")
	}
}

func repositoryMessages(t *testing.T, h RepositoryHarness) {
	const message = "Revert \"Release\"\n\nThis says why.\n\nDrover-Release: web\n"
	repo := h.Open(t, View{})
	first := h.Remote.Commit(t, "one", Files{"a": "1"})
	mustHead(t, repo)
	file := strategy.File{Content: []byte("2")}
	commit, err := repo.Push(t.Context(), strategy.Change{Parent: first, Files: map[string]*strategy.File{"a": &file}, Message: message})
	if err != nil {
		t.Fatalf("push: %v", err)
	}
	messages, ok := repo.(reconcile.Messages)
	if !ok {
		t.Fatalf("%T is no reconcile.Messages", repo)
	}
	got, err := messages.Message(t.Context(), commit.SHA)
	if err != nil || strings.TrimSpace(got) != strings.TrimSpace(message) {
		t.Errorf("the message is %q (%v), want %q", got, err, message)
	}
	if got, err := messages.Message(t.Context(), strings.Repeat("0", 40)); err == nil {
		t.Errorf("the message of no commit is %q, want an error", got)
	}
}

func repositoryLog(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	one := h.Remote.Commit(t, "one", Files{"a": "1"})
	two := h.Remote.Commit(t, "two", Files{"a": "2"})
	merge := h.Remote.Merge(t, "merge of a pull request", Files{"b": "1"}, Files{"b": "2"})
	last := h.Remote.Commit(t, "last", Files{"a": "3"})
	mustHead(t, repo)
	shas := func(from string, limit int) []string {
		t.Helper()
		log, err := repo.Log(t.Context(), from, limit)
		if err != nil {
			t.Fatalf("log: %v", err)
		}
		var shas []string
		for _, commit := range log {
			shas = append(shas, commit.SHA)
		}
		return shas
	}
	for _, c := range []struct {
		from  string
		limit int
		want  []string
	}{
		{last, 10, []string{last, merge, two, one}},
		{last, 4, []string{last, merge, two, one}},
		{last, 2, []string{last, merge}},
		{two, 10, []string{two, one}},
		{one, 1, []string{one}},
		{one, 0, nil},
	} {
		if diff := cmp.Diff(c.want, shas(c.from, c.limit)); diff != "" {
			t.Errorf("log of %d from %s (-want +got):\n%s", c.limit, c.from, diff)
		}
	}
	log, err := repo.Log(t.Context(), merge, 1)
	if err != nil || len(log) != 1 || log[0].Subject != "merge of a pull request" || log[0].Time.IsZero() {
		t.Errorf("got %+v, %v, want the merge", log, err)
	}
	if diff := cmp.Diff(map[string]string{"a": "2", "b": "2"}, contents(t, repo, merge)); diff != "" {
		t.Errorf("files of the merge (-want +got):\n%s", diff)
	}
}

func repositoryRewritten(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	one := h.Remote.Commit(t, "one", Files{"a": "1"})
	two := h.Remote.Commit(t, "two", Files{"a": "2"})
	mustHead(t, repo)
	other := h.Remote.Rewrite(t, one, "two, otherwise", Files{"a": "9"})
	if got := mustHead(t, repo).SHA; got != other {
		t.Errorf("head of a rewritten branch: got %s, want %s", got, other)
	}
	if diff := cmp.Diff(map[string]string{"a": "9"}, contents(t, repo, other)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	h.Remote.Move(t, one) // to a commit that is known already
	if got := mustHead(t, repo).SHA; got != one {
		t.Errorf("head of a branch set back: got %s, want %s", got, one)
	}
	if _, err := repo.Push(t.Context(), strategy.Change{Parent: two, Files: map[string]*strategy.File{"a": file("3")}, Message: "late"}); !errors.Is(err, strategy.ErrHeadMoved) {
		t.Errorf("push onto a commit that the branch left: got %v, want %v", err, strategy.ErrHeadMoved)
	}
	if got := h.Remote.Tip(t); got != one {
		t.Errorf("the branch is at %s, want %s", got, one)
	}
}

func repositoryEmpty(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	_, err := repo.Head(t.Context())
	wantText(t, err, "empty", `"main"`, "push")
	want := h.Remote.Commit(t, "now there is one", Files{"a": "1"})
	if got := mustHead(t, repo).SHA; got != want {
		t.Errorf("head: got %s, want %s", got, want)
	}
}

func repositoryMissingBranch(t *testing.T, h RepositoryHarness) {
	h.Remote.Commit(t, "one", Files{"a": "1"})
	repo := h.Open(t, View{Branch: "release"})
	_, err := repo.Head(t.Context())
	wantText(t, err, `"release"`, "main")
}

func repositoryUnreachable(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{Unreachable: true})
	if head, err := repo.Head(t.Context()); err == nil {
		t.Errorf("head of an unreachable remote: got %v, want an error", head)
	}
	_, err := repo.Push(t.Context(), strategy.Change{Parent: strings.Repeat("1", 40), Files: map[string]*strategy.File{"a": file("3")}, Message: "m"})
	if err == nil || errors.Is(err, strategy.ErrHeadMoved) || errors.Is(err, strategy.ErrRefused) {
		t.Errorf("push to an unreachable remote: got %v, want an error of transport", err)
	}
}

func repositoryReaders(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	var shas []string
	for i := range 6 {
		shas = append(shas, h.Remote.Commit(t, "next", Files{"a": fmt.Sprint(i), fmt.Sprintf("dir/%d", i): "x"}))
	}
	mustHead(t, repo)
	var wg sync.WaitGroup
	for i := range 4 * len(shas) {
		wg.Go(func() {
			n := i % len(shas)
			tree, err := repo.Files(t.Context(), shas[n])
			if err != nil || string(tree["a"].Content) != fmt.Sprint(n) || len(tree) != n+2 {
				t.Errorf("files of commit %d: got %d, a = %q, %v", n, len(tree), tree["a"].Content, err)
			}
			log, err := repo.Log(t.Context(), shas[n], 10)
			if err != nil || len(log) != n+1 {
				t.Errorf("log from commit %d: got %d commits, %v", n, len(log), err)
			}
			if _, err := repo.Head(t.Context()); err != nil {
				t.Errorf("head: %v", err)
			}
		})
	}
	wg.Wait()
}
