package providertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drover-dev/drover/reconcile"
)

// descends is a table of one repository: which commits come after which.
type descends struct {
	t    *testing.T
	repo reconcile.Ancestry
	name map[string]string
}

func newDescends(t *testing.T, repo reconcile.Repository) *descends {
	t.Helper()
	ancestry, ok := repo.(reconcile.Ancestry)
	if !ok {
		t.Fatalf("%T is no reconcile.Ancestry", repo)
	}
	return &descends{t: t, repo: ancestry, name: map[string]string{}}
}

// call gives a commit a name for messages, and returns it.
func (d *descends) call(name, sha string) string {
	d.name[sha] = name
	return sha
}

func (d *descends) check(sha string, want bool, ancestors ...string) {
	d.t.Helper()
	for _, ancestor := range ancestors {
		got, err := d.repo.Descends(d.t.Context(), sha, ancestor)
		if err != nil || got != want {
			d.t.Errorf("%q descends from %q: got %t, %v, want %t", d.name[sha], d.name[ancestor], got, err, want)
		}
	}
}

func repositoryDescends(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	d := newDescends(t, repo)
	one := d.call("one", h.Remote.Commit(t, "one", Files{"a": "1"}))
	two := d.call("two", h.Remote.Commit(t, "two", Files{"a": "2"}))
	three := d.call("three", h.Remote.Commit(t, "three", Files{"a": "3"}))
	mustHead(t, repo)
	d.check(three, true, three, two, one)
	d.check(two, true, one)
	d.check(two, false, three)
	d.check(one, false, two, three)
	never := d.call("a commit that never was", strings.Repeat("1", 40))
	d.check(three, false, never)
	for _, bad := range []string{"", "main", one[:12]} {
		if got, err := d.repo.Descends(t.Context(), three, bad); err == nil {
			t.Errorf("an ancestor called %q: got %t, want an error", bad, got)
		}
		if got, err := d.repo.Descends(t.Context(), bad, one); err == nil {
			t.Errorf("a commit called %q: got %t, want an error", bad, got)
		}
	}
	if got, err := d.repo.Descends(t.Context(), never, one); err == nil {
		t.Errorf("from a commit that is not there: got %t, want an error", got)
	}
}

func repositoryDescendsMerge(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	d := newDescends(t, repo)
	one := d.call("one", h.Remote.Commit(t, "one", Files{"a": "1"}))
	merge := d.call("merge", h.Remote.Merge(t, "merge of a pull request", Files{"b": "1"}, Files{"b": "2"}))
	side := d.call("second side commit", h.Remote.Git(t, "rev-parse", merge+"^2"))
	first := d.call("first side commit", h.Remote.Git(t, "rev-parse", merge+"^2^"))
	last := d.call("last", h.Remote.Commit(t, "last", Files{"a": "2"}))
	mustHead(t, repo)
	d.check(last, true, merge, side, first, one)
	d.check(merge, true, side, first, one)
	d.check(side, false, merge, last)
	d.check(side, true, first, one)
}

func repositoryDescendsForced(t *testing.T, h RepositoryHarness) {
	repo := h.Open(t, View{})
	d := newDescends(t, repo)
	base := d.call("base", h.Remote.Commit(t, "base", Files{"a": "0"}))
	var old []string
	for i := range 3 {
		old = append(old, d.call(fmt.Sprintf("old %d", i), h.Remote.Commit(t, "old", Files{"a": fmt.Sprint(i)})))
	}
	mustHead(t, repo)

	// Set back to an older commit.
	h.Remote.Move(t, old[0])
	if got := mustHead(t, repo).SHA; got != old[0] {
		t.Fatalf("head: got %s, want %s", got, old[0])
	}
	d.check(old[0], true, base)
	d.check(old[0], false, old[2], old[1])

	// Rebased: the same changes on top of another commit.
	onto := h.Remote.Rewrite(t, base, "another base", Files{"b": "1"})
	for i := range 3 {
		onto = h.Remote.Commit(t, "old", Files{"a": fmt.Sprint(i)})
	}
	rebased := d.call("rebased", onto)
	mustHead(t, repo)
	d.check(rebased, false, old...)
	d.check(rebased, true, base)

	// Another history altogether.
	unrelated := d.call("unrelated", h.Remote.Branch(t, "refs/heads/main", "", "a new beginning", Files{"a": "9"}))
	mustHead(t, repo)
	d.check(unrelated, false, append(old, base, rebased)...)
	d.check(unrelated, true, unrelated)

	// Somebody who comes only now has none of the old commits, even when the remote has thrown them away.
	h.Remote.Git(t, "reflog", "expire", "--expire=now", "--all")
	h.Remote.Git(t, "gc", "--quiet", "--prune=now")
	late := h.Open(t, View{})
	mustHead(t, late)
	l := newDescends(t, late)
	l.name = d.name
	l.check(unrelated, false, append(old, base, rebased)...)

	// A commit on top of the forced one descends from it.
	next := d.call("next", h.Remote.Commit(t, "next", Files{"a": "10"}))
	mustHead(t, repo)
	d.check(next, true, unrelated)
	d.check(next, false, base)
}
