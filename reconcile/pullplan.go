package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// base is the release branch as pull requests are compared with it.
type base struct {
	sha      string
	tree     strategy.Tree
	releases map[string]strategy.Release
	owners   map[string][]string // releases by the files that they name
	mistakes map[string]bool
}

// pullPlan is what merging a pull request would do.
type pullPlan struct {
	pull     strategy.Pull
	changes  []pullChange
	mistakes []strategy.Mistake
	unread   string // why the jobspecs were not asked for; "" when they were
}

// pullChange is what becomes of one release.
type pullChange struct {
	release  string
	from, to *strategy.Release // nil: it is new, or it goes
	desired  *strategy.Desired
	live     int // allocations that run; 0 when not known
	plan     *strategy.JobPlan
}

// planOf compares what a pull request proposes, merged into the release branch, with the branch. What it holds is a
// stranger's when it comes from a fork: it is read within the bounds of the repository and of the loader, and Nomad is
// not asked about it unless that is allowed.
func (l *Loop) planOf(ctx context.Context, refs Refs, head strategy.Commit, p strategy.Pull) (*pullPlan, error) {
	b, err := l.baseAt(ctx, head.SHA)
	if err != nil {
		return nil, err
	}
	plan := &pullPlan{pull: p}
	commit, err := refs.FetchRef(ctx, p.Ref)
	if err != nil {
		if errors.Is(err, strategy.ErrTooLarge) {
			plan.mistakes = append(plan.mistakes, strategy.Mistake{Text: "it holds more than Drover reads"})
			return plan, nil
		}
		return nil, err
	}
	if commit.SHA != p.Head {
		return nil, fmt.Errorf("it is at %s, and GitHub says %.7s: looked at again", commit.Short(), p.Head)
	}
	tree, changed, err := l.merged(ctx, refs, b, commit.SHA)
	if err != nil {
		return nil, err
	}
	if tree == nil {
		plan.mistakes = append(plan.mistakes, strategy.Mistake{Text: "its history has nothing in common with the release branch"})
		return plan, nil
	}
	plan.compare(b, changed, l.opts.Load, tree)
	if p.Fork && !l.opts.PlanForks {
		plan.unread = "it comes from a fork, so that Nomad was not asked about its jobspecs"
		return plan, nil
	}
	for i := range plan.changes {
		if plan.changes[i].to != nil {
			l.ask(ctx, plan, &plan.changes[i])
		}
	}
	return plan, ctx.Err()
}

// baseAt is the branch at its head, read once.
func (l *Loop) baseAt(ctx context.Context, sha string) (*base, error) {
	if b := l.desk.base; b != nil && b.sha == sha {
		return b, nil
	}
	tree, err := l.opts.Repository.Files(ctx, sha)
	if err != nil {
		return nil, fmt.Errorf("read the files of %.7s: %w", sha, err)
	}
	releases, mistakes := l.opts.Load(tree)
	b := &base{sha: sha, tree: tree, releases: map[string]strategy.Release{}, owners: map[string][]string{}, mistakes: map[string]bool{}}
	for _, r := range releases {
		b.releases[r.Name] = r
		for _, file := range r.Files {
			b.owners[file] = append(b.owners[file], r.Name)
		}
	}
	for _, m := range mistakes {
		b.mistakes[sameMistake(m)] = true
	}
	l.desk.base = b
	return b, nil
}

// sameMistake identifies a mistake wherever in its file it stands.
func sameMistake(m strategy.Mistake) string { return m.Release + "\x00" + m.Path + "\x00" + m.Text }

// merged is the branch's files with what a commit changed since they parted; nil when they have nothing in common.
// changed are the paths that differ from the branch then. Where both changed a file, it is the commit's.
func (l *Loop) merged(ctx context.Context, refs Refs, b *base, sha string) (tree strategy.Tree, changed []string, err error) {
	fork, err := refs.MergeBase(ctx, b.sha, sha)
	if err != nil || fork == "" {
		return nil, nil, err
	}
	before, err := l.opts.Repository.Files(ctx, fork)
	if err != nil {
		return nil, nil, fmt.Errorf("read the files of %.7s: %w", fork, err)
	}
	after, err := l.opts.Repository.Files(ctx, sha)
	if err != nil {
		return nil, nil, fmt.Errorf("read the files of %.7s: %w", sha, err)
	}
	tree = maps.Clone(b.tree)
	for name, file := range after {
		if before[name].Hash != file.Hash {
			tree[name] = file
		}
	}
	for name := range before {
		if _, stays := after[name]; !stays {
			delete(tree, name)
		}
	}
	for name := range tree {
		if tree[name].Hash != b.tree[name].Hash {
			changed = append(changed, name)
		}
	}
	for name := range b.tree {
		if _, stays := tree[name]; !stays {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return tree, changed, nil
}

// compare finds the releases that change, and the mistakes that were not there before.
func (plan *pullPlan) compare(b *base, changed []string, load Loader, tree strategy.Tree) {
	s := scopeOf(b, changed)
	if len(s.touched) == 0 && !s.wide {
		return
	}
	releases, mistakes := load(s.narrow(b, tree))
	for _, m := range mistakes {
		if !b.mistakes[sameMistake(m)] && s.concerns(b, m) {
			plan.mistakes = append(plan.mistakes, m)
		}
	}
	after := map[string]bool{}
	for _, r := range releases {
		after[r.Name] = true
		old, was := b.releases[r.Name]
		switch {
		case !was:
			plan.changes = append(plan.changes, pullChange{release: r.Name, to: &r})
		case !s.has(r.Name) && old.Path != r.Path:
			plan.mistakes = append(plan.mistakes, strategy.Mistake{Release: r.Name, Path: r.Path, Line: r.Line, Text: fmt.Sprintf("there is another release %q, in %s", r.Name, old.Path)})
		case contentKey(old) != contentKey(r):
			plan.changes = append(plan.changes, pullChange{release: r.Name, from: &old, to: &r})
		}
	}
	for name, r := range b.releases {
		if !after[name] && s.has(name) && !isBroken(r, mistakes) {
			plan.changes = append(plan.changes, pullChange{release: name, from: &r})
		}
	}
	slices.SortFunc(plan.changes, func(a, b pullChange) int { return strings.Compare(a.release, b.release) })
}

// scope is which releases a change of files may change.
type scope struct {
	touched map[string]bool // by name
	wide    bool            // all of them
}

func scopeOf(b *base, changed []string) scope {
	s := scope{touched: map[string]bool{}}
	for _, file := range changed {
		for _, name := range b.owners[file] {
			s.touched[name] = true
		}
		// What no release names may be a policy, which any release may refer to, or a release that is new.
		s.wide = s.wide || (len(b.owners[file]) == 0 && (path.Ext(file) == ".hcl" || path.Ext(file) == ".json"))
	}
	return s
}

// concerns tells whether a mistake is of what changes, not of what was left out.
func (s scope) concerns(b *base, m strategy.Mistake) bool {
	_, known := b.releases[m.Release]
	return !known || s.has(m.Release)
}

// isBroken tells whether a release is there, and cannot be read.
func isBroken(r strategy.Release, mistakes []strategy.Mistake) bool {
	return slices.ContainsFunc(mistakes, func(m strategy.Mistake) bool { return m.Release == r.Name || m.Path == r.Path })
}

func (s scope) has(release string) bool { return s.wide || s.touched[release] }

// narrow leaves out the releases that stay as they are.
func (s scope) narrow(b *base, tree strategy.Tree) strategy.Tree {
	if s.wide {
		return tree
	}
	tree = maps.Clone(tree)
	for name, r := range b.releases {
		if !s.touched[name] {
			delete(tree, r.Path)
		}
	}
	return tree
}

// ask has Nomad say what a release's job is, what runs of it, and what would change.
func (l *Loop) ask(ctx context.Context, plan *pullPlan, c *pullChange) {
	d, err := l.intent.resolve(ctx, *c.to)
	if errors.Is(err, strategy.ErrInvalid) {
		plan.mistakes = append(plan.mistakes, strategy.Mistake{Release: c.release, Path: c.to.Source.Path, Line: 1, Text: err.Error()})
		return
	}
	if err != nil { // What it says may name what is ours alone.
		plan.unread = "Nomad could not be asked about the jobspecs"
		l.log.Warn("jobspec of a pull request not resolved", "release", c.release, "pull", plan.pull.Number, "error", err)
		return
	}
	c.desired = d
	for _, problem := range d.Refusals {
		plan.mistakes = append(plan.mistakes, strategy.Mistake{Release: c.release, Path: c.to.Path, Line: c.to.Line, Text: problem})
	}
	if other := l.ownerOf(d.Job.Ref, c.release); other != "" {
		plan.mistakes = append(plan.mistakes, strategy.Mistake{Release: c.release, Path: c.to.Path, Line: c.to.Line, Text: fmt.Sprintf("its job %s is that of release %q", d.Job.Ref.ID, other)})
	}
	state, err := l.opts.Cluster.Observe(ctx, d.Job.Ref, d.Service)
	if err != nil {
		return
	}
	c.live = state.Count
	if planner, ok := l.opts.Cluster.(Planner); ok {
		said, err := planner.Plan(ctx, strategy.Registration{
			Job: d.Job.Ref, Source: &c.to.Source, Canaries: d.Release.Plan.Canaries, Steps: d.Release.Plan.Steps, ModifyIndex: state.ModifyIndex,
		})
		if err == nil {
			c.plan = &said
		}
	}
}

// ownerOf is another release that asks for the job now.
func (l *Loop) ownerOf(job strategy.JobRef, release string) string {
	l.intent.mu.RLock()
	defer l.intent.mu.RUnlock()
	for name, a := range l.intent.asked {
		if name != release && a.desired != nil && a.desired.Job.Ref == job {
			return name
		}
	}
	return ""
}
