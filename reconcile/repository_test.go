package reconcile_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Repository = (*repository)(nil)
	_ reconcile.Ancestry   = (*repository)(nil)
	_ reconcile.Messages   = (*repository)(nil)
	_ reconcile.Refs       = (*repository)(nil)
)

// repository is a release repository in memory: commits with parents and trees, one branch. It keeps the contract of
// reconcile.Repository, first parents and compare-and-set included.
type repository struct {
	now func() time.Time

	mu      sync.Mutex
	head    string
	commits map[string]*snapshot
	refs    map[string]string // beside the branch
	reads   int               // of trees

	away    error    // what the remote answers instead of its head; nil when it answers
	refuse  string   // why pushes are refused; "" takes them
	race    []func() // what others do just before the next pushes, one each
	drover  []string // commits that Drover pushed, the oldest first
	lostOne int      // pushes that lost a race
}

// snapshot is a commit with its parents, the first one first, and its whole tree.
type snapshot struct {
	strategy.Commit
	message string
	parents []string
	tree    strategy.Tree
}

func newRepository(now func() time.Time) *repository {
	return &repository{now: now, commits: map[string]*snapshot{}, refs: map[string]string{}}
}

// fileOf is a file as Git would store it.
func fileOf(content string) strategy.File {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
	return strategy.File{Hash: hex.EncodeToString(sum[:]), Content: []byte(content)}
}

// add commits a tree on top of parents. The lock is held.
func (r *repository) add(author, message string, tree strategy.Tree, parents ...string) strategy.Commit {
	subject, _, _ := strings.Cut(message, "\n")
	hash := sha1.New()
	fmt.Fprintln(hash, author, message, parents, r.now().UnixNano())
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		fmt.Fprintln(hash, path, tree[path].Hash)
	}
	sha := hex.EncodeToString(hash.Sum(nil))
	commit := strategy.Commit{SHA: sha, Subject: subject, Author: author, Time: r.now()}
	r.commits[sha] = &snapshot{Commit: commit, message: message, parents: parents, tree: tree}
	return commit
}

func (r *repository) parentsOfHead() []string {
	if r.head == "" {
		return nil
	}
	return []string{r.head}
}

// tree is a copy of the tree at a commit; an empty one for no commit.
func (r *repository) tree(sha string) strategy.Tree {
	if s := r.commits[sha]; s != nil {
		return maps.Clone(s.tree)
	}
	return strategy.Tree{}
}

// commit lets a person change files at the head; "" deletes one.
func (r *repository) commit(author, message string, files map[string]string) strategy.Commit {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree := r.tree(r.head)
	for path, content := range files {
		if content == "" {
			delete(tree, path)
			continue
		}
		tree[path] = fileOf(content)
	}
	c := r.add(author, message, tree, r.parentsOfHead()...)
	r.head = c.SHA
	return c
}

// merge lets a person merge a branch that was made at an earlier commit with the changes of files. The branch's own
// commits are not among the first parents.
func (r *repository) merge(author, message, from string, files map[string]string) strategy.Commit {
	r.mu.Lock()
	defer r.mu.Unlock()
	side, merged := r.tree(from), r.tree(r.head)
	for path, content := range files {
		side[path], merged[path] = fileOf(content), fileOf(content)
	}
	branch := r.add(author, "On a branch: "+message, side, from)
	c := r.add(author, message, merged, r.head, branch.SHA)
	r.head = c.SHA
	return c
}

// branch lets a person change files on top of the head, on a ref beside the branch.
func (r *repository) branch(author, message, ref string, files map[string]string) strategy.Commit {
	r.mu.Lock()
	defer r.mu.Unlock()
	tree := r.tree(r.head)
	for path, content := range files {
		tree[path] = fileOf(content)
	}
	c := r.add(author, message, tree, r.parentsOfHead()...)
	r.refs[ref] = c.SHA
	return c
}

// undo lets a person revert the newest commit.
func (r *repository) undo(author string) strategy.Commit {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.commits[r.head]
	c := r.add(author, fmt.Sprintf("Revert %q", last.Subject), r.tree(last.parents[0]), r.head)
	r.head = c.SHA
	return c
}

// force lets a person throw the newest commits away, and commit on top of what is left.
func (r *repository) force(author, message string, back int, files map[string]string) strategy.Commit {
	r.mu.Lock()
	for range back {
		r.head = r.commits[r.head].parents[0]
	}
	r.mu.Unlock()
	return r.commit(author, message, files)
}

// Descends follows all parents.
func (r *repository) Descends(_ context.Context, sha, ancestor string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := []string{sha}; len(line) > 0; {
		next := line[0]
		if line = line[1:]; next == ancestor {
			return true, nil
		}
		if s := r.commits[next]; s != nil {
			line = append(line, s.parents...)
		}
	}
	return false, nil
}

// FetchRef is where a ref is.
func (r *repository) FetchRef(_ context.Context, ref string) (strategy.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.commits[r.refs[ref]]
	if !ok {
		return strategy.Commit{}, fmt.Errorf("there is no ref %s", ref)
	}
	return s.Commit, nil
}

// MergeBase is the newest commit among the ancestors of both.
func (r *repository) MergeBase(_ context.Context, a, b string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ofA := map[string]bool{}
	for line := []string{a}; len(line) > 0; line = line[1:] {
		ofA[line[0]] = true
		line = append(line, r.commits[line[0]].parents...)
	}
	for line := []string{b}; len(line) > 0; line = line[1:] {
		if ofA[line[0]] {
			return line[0], nil
		}
		line = append(line, r.commits[line[0]].parents...)
	}
	return "", nil
}

// Head is the newest commit.
func (r *repository) Head(context.Context) (strategy.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away != nil {
		return strategy.Commit{}, fmt.Errorf("fetch the branch: %w", r.away)
	}
	return r.commits[r.head].Commit, nil
}

// Files is the tree at a commit.
func (r *repository) Files(_ context.Context, sha string) (strategy.Tree, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	s, ok := r.commits[sha]
	if !ok {
		return nil, fmt.Errorf("there is no commit %s", sha)
	}
	return s.tree, nil
}

// Log follows first parents.
func (r *repository) Log(_ context.Context, sha string, limit int) ([]strategy.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var log []strategy.Commit
	for len(log) < limit {
		s, ok := r.commits[sha]
		if !ok {
			return nil, fmt.Errorf("there is no commit %s", sha)
		}
		log = append(log, s.Commit)
		if len(s.parents) == 0 {
			break
		}
		sha = s.parents[0]
	}
	return log, nil
}

// Message is what was written with a commit.
func (r *repository) Message(_ context.Context, sha string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.commits[sha]
	if !ok {
		return "", fmt.Errorf("there is no commit %s", sha)
	}
	return s.message, nil
}

// Changes compares two trees.
func (r *repository) Changes(_ context.Context, older, newer string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, now := r.commits[older], r.commits[newer]
	if was == nil || now == nil {
		return nil, fmt.Errorf("there is no commit %s or %s", older, newer)
	}
	differs := map[string]bool{}
	for path, file := range was.tree {
		differs[path] = now.tree[path].Hash != file.Hash
	}
	for path, file := range now.tree {
		differs[path] = was.tree[path].Hash != file.Hash
	}
	maps.DeleteFunc(differs, func(_ string, d bool) bool { return !d })
	return slices.Sorted(maps.Keys(differs)), nil
}

// Push is a compare-and-set of the head.
func (r *repository) Push(_ context.Context, change strategy.Change) (strategy.Commit, error) {
	r.mu.Lock()
	var other func()
	if len(r.race) > 0 {
		other, r.race = r.race[0], r.race[1:]
	}
	r.mu.Unlock()
	if other != nil {
		other()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.refuse != "":
		return strategy.Commit{}, fmt.Errorf("push: %w: %s", strategy.ErrRefused, r.refuse)
	case change.Parent != r.head:
		r.lostOne++
		return strategy.Commit{}, fmt.Errorf("push: %w", strategy.ErrHeadMoved)
	}
	tree := r.tree(r.head)
	for path, file := range change.Files {
		if file == nil {
			delete(tree, path)
			continue
		}
		tree[path] = *file
	}
	c := r.add("Drover", change.Message, tree, r.head)
	r.head = c.SHA
	r.drover = append(r.drover, c.SHA)
	return c, nil
}

// content is a file at the head, "" when it is not there.
func (r *repository) content(path string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.commits[r.head].tree[path].Content)
}

// same tells whether a path has the same content at two commits.
func (r *repository) same(a, b, path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Equal(r.commits[a].tree[path].Content, r.commits[b].tree[path].Content)
}
