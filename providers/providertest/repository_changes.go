package providertest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

func repositoryChanges(t *testing.T, h RepositoryHarness) {
	all, below := h.Open(t, View{}), h.Open(t, View{Path: "releases"})
	none := h.Remote.Commit(t, "nothing below the path", Files{"README.md": "about"})
	one := h.Remote.Commit(t, "two releases", Files{
		"README.md": "about", "releases/a/release.hcl": "1", "releases/a/job.hcl": "1", "releases/b/release.hcl": "1", "releases/b/job.hcl": "1",
	})
	changed := h.Remote.Commit(t, "one changed", Files{"releases/a/release.hcl": "2"})
	mustHead(t, all)
	moved := mustPush(t, all, strategy.Change{
		Parent: changed, Message: "one moved", Files: map[string]*strategy.File{"releases/b/release.hcl": nil, "releases/c/release.hcl": file("1")},
	}).SHA
	swapped := h.Remote.Commit(t, "a file in the place of a folder", Files{"releases/a": "1"})
	merge := h.Remote.Merge(t, "merge of a pull request", Files{"releases/b/job.hcl": "2"}, Files{"releases/d": "1"})
	mustHead(t, all)
	mustHead(t, below)
	for _, c := range []struct {
		name         string
		older, newer string
		want         []string
	}{
		{"a commit and itself", one, one, nil},
		{"files that came", none, one, []string{"releases/a/job.hcl", "releases/a/release.hcl", "releases/b/job.hcl", "releases/b/release.hcl"}},
		{"files that went", one, none, []string{"releases/a/job.hcl", "releases/a/release.hcl", "releases/b/job.hcl", "releases/b/release.hcl"}},
		{"a file that changed", one, changed, []string{"releases/a/release.hcl"}},
		{"a file that moved", changed, moved, []string{"releases/b/release.hcl", "releases/c/release.hcl"}},
		{"a file in the place of a folder", moved, swapped, []string{"releases/a", "releases/a/job.hcl", "releases/a/release.hcl"}},
		{"a merge against its first parent", swapped, merge, []string{"releases/b/job.hcl", "releases/d"}},
		{"several commits", one, moved, []string{"releases/a/release.hcl", "releases/b/release.hcl", "releases/c/release.hcl"}},
	} {
		got, err := below.Changes(t.Context(), c.older, c.newer)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", c.name, err, diff)
		}
	}
	elsewhere := h.Remote.Commit(t, "beside the path", Files{"README.md": "more", "releases/b/job.hcl": "3"})
	mustHead(t, all)
	mustHead(t, below)
	if got, err := below.Changes(t.Context(), merge, elsewhere); err != nil || !cmp.Equal([]string{"releases/b/job.hcl"}, got) {
		t.Errorf("below the path: got %q, %v", got, err)
	}
	if got, err := all.Changes(t.Context(), merge, elsewhere); err != nil || !cmp.Equal([]string{"README.md", "releases/b/job.hcl"}, got) {
		t.Errorf("in the whole repository: got %q, %v", got, err)
	}
	if got, err := all.Changes(t.Context(), strings.Repeat("1", 40), merge); err == nil {
		t.Errorf("against a commit that never was: got %q, want an error", got)
	}
}
