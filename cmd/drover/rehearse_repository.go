package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// rehearsedRepository is a release repository of two commits: one that asks for the stable version, and after release
// one that asks for the new one.
type rehearsedRepository struct {
	commits        []strategy.Commit // the newest first
	stable, newest strategy.Release
	start          time.Time
}

// rehearsedStable marks the tree of the first commit.
const rehearsedStable = "rehearsed-stable"

// newRehearsedRepository asks for the stable version. The new one is released by release.
func newRehearsedRepository(stable, newest strategy.Release, start time.Time) *rehearsedRepository {
	return &rehearsedRepository{stable: stable, newest: newest, start: start, commits: []strategy.Commit{{SHA: strings.Repeat("0", 40), Subject: "What runs", Time: start}}}
}

// release commits the new version.
func (r *rehearsedRepository) release() {
	next := strategy.Commit{SHA: strings.Repeat("1", 40), Subject: "Release " + r.newest.Version, Time: r.start.Add(rehearsalHistory)}
	r.commits = slices.Insert(r.commits, 0, next)
}

// Head is the newest commit.
func (r *rehearsedRepository) Head(context.Context) (strategy.Commit, error) {
	return r.commits[0], nil
}

// Files is the release's own files: load knows what they say.
func (r *rehearsedRepository) Files(_ context.Context, sha string) (strategy.Tree, error) {
	tree := strategy.Tree{}
	for _, path := range r.newest.Files {
		tree[path] = strategy.File{Hash: sha}
	}
	if sha == strings.Repeat("0", 40) {
		tree[rehearsedStable] = strategy.File{Hash: sha}
	}
	return tree, nil
}

// Log is the history.
func (r *rehearsedRepository) Log(_ context.Context, sha string, limit int) ([]strategy.Commit, error) {
	n := slices.IndexFunc(r.commits, func(c strategy.Commit) bool { return c.SHA == sha })
	if n < 0 {
		return nil, fmt.Errorf("there is no commit %s", sha)
	}
	return r.commits[n:min(n+limit, len(r.commits))], nil
}

// Changes is all that the release names.
func (r *rehearsedRepository) Changes(context.Context, string, string) ([]string, error) {
	return slices.Sorted(slices.Values(r.newest.Files)), nil
}

// Push refuses: nothing is reverted in a rehearsal.
func (r *rehearsedRepository) Push(context.Context, strategy.Change) (strategy.Commit, error) {
	return strategy.Commit{}, fmt.Errorf("nothing is written in a rehearsal: %w", strategy.ErrRefused)
}

// load reads what a commit asks for.
func (r *rehearsedRepository) load(tree strategy.Tree) ([]strategy.Release, []strategy.Mistake) {
	if _, ok := tree[rehearsedStable]; ok {
		return []strategy.Release{r.stable}, nil
	}
	return []strategy.Release{r.newest}, nil
}

// stableOf is the release before, as far as that is known: the same with another version.
func stableOf(r strategy.Release, version string) strategy.Release {
	var lines []string
	for line := range strings.Lines(r.Source.Variables) {
		if name, _, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "version" {
			line = fmt.Sprintf("version = %q\n", version)
		}
		lines = append(lines, line)
	}
	r.Source.Variables = strings.Join(lines, "")
	r.Version, r.Attempt = version, 1
	return r
}
