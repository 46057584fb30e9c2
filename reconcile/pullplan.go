package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

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
	pull      strategy.Pull
	changes   []pullChange
	mistakes  []strategy.Mistake
	unread    string             // why the jobspecs were not asked for; "" when they were
	away      bool               // they will be, when Nomad answers
	joined    []string           // files that the branch changed too, which a merge makes one of
	conflicts []string           // those of which it cannot
	strays    []strategy.Finding // of files that no release has to do with any more
	peak      int                // allocations more than now, when everything that begins is at its peak
}

// pullChange is what becomes of one release.
type pullChange struct {
	release  string
	from, to *strategy.Release // in Git; nil: it is new, or it goes
	stand    strategy.Rollout  // where it stands now
	foreseen *Foreseen         // nil when that is not known: Nomad was not asked
	stays    bool              // foreseen: what runs is what it asks for
	goesOn   bool              // foreseen: what is under way is what it asks for
}

// planOf compares what a pull request proposes, merged into the release branch, with the branch. What it holds is a
// stranger's when it comes from a fork: it is read within the bounds of the repository and of the loader, and Nomad is
// not asked about it unless that is allowed.
func (l *Loop) planOf(ctx context.Context, refs Refs, head strategy.Commit, p strategy.Pull, now time.Time) (*pullPlan, error) {
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
	tree, changed, err := l.merged(ctx, refs, b, commit.SHA, plan)
	if err != nil {
		return nil, err
	}
	if tree == nil {
		plan.mistakes = append(plan.mistakes, strategy.Mistake{Text: "its history has nothing in common with the release branch"})
		return plan, nil
	}
	plan.compare(b, changed, l.opts.Load, tree)
	if l.opts.Strays != nil && plan.mayStray(b, changed) {
		before := l.opts.Strays(b.tree)
		plan.strays = slices.DeleteFunc(l.opts.Strays(tree), func(f strategy.Finding) bool { return slices.Contains(before, f) })
	}
	for i := range plan.changes {
		plan.changes[i].stand = l.standOf(plan.changes[i].release)
	}
	if p.Fork && !l.opts.PlanForks {
		plan.unread = "it comes from a fork, so that Nomad was not asked about its jobspecs"
		return plan, nil
	}
	var previews []Preview
	for i := range plan.changes {
		if plan.changes[i].to == nil {
			continue
		}
		if preview, ok := l.ask(ctx, plan, &plan.changes[i], now); ok {
			previews = append(previews, preview)
		}
	}
	plan.peak = Peak(previews, l.opts.Limits)
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
// changed are the paths that differ from the branch then. Where both changed a file it is what a merge makes of it, and the
// commit's where a merge cannot; the plan notes which those are.
func (l *Loop) merged(ctx context.Context, refs Refs, b *base, sha string, plan *pullPlan) (tree strategy.Tree, changed []string, err error) {
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
			tree[name] = plan.join(name, before[name], b.tree[name], file)
		}
	}
	for name, was := range before {
		if _, stays := after[name]; !stays {
			if now, there := b.tree[name]; there && now.Hash != was.Hash {
				plan.conflicts = append(plan.conflicts, name)
			}
			delete(tree, name)
		}
	}
	slices.Sort(plan.conflicts)
	slices.Sort(plan.joined)
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

// join is what a merge makes of a file that the pull request changed.
func (plan *pullPlan) join(name string, before, ours, theirs strategy.File) strategy.File {
	if ours.Hash == before.Hash || ours.Hash == theirs.Hash {
		return theirs
	}
	if ours.Hash != "" && before.Hash != "" {
		if merged, ok := mergeFile(before.Content, ours.Content, theirs.Content); ok {
			plan.joined = append(plan.joined, name)
			return merged
		}
	}
	plan.conflicts = append(plan.conflicts, name)
	return theirs
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

// mayStray tells whether anything else than a release may have lost, or not found, a release that refers to it.
func (plan *pullPlan) mayStray(b *base, changed []string) bool {
	return scopeOf(b, changed).wide || slices.ContainsFunc(plan.changes, func(c pullChange) bool {
		return c.from == nil || c.to == nil || c.from.Policy != c.to.Policy
	})
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

// ask has Nomad say what a release's job is, and foresees from what runs of it what would be done.
func (l *Loop) ask(ctx context.Context, plan *pullPlan, c *pullChange, now time.Time) (preview Preview, ok bool) {
	wrong := func(file string, line int, text string) {
		plan.mistakes = append(plan.mistakes, strategy.Mistake{Release: c.release, Path: file, Line: line, Text: text})
	}
	d, err := l.intent.resolve(ctx, *c.to)
	if errors.Is(err, strategy.ErrInvalid) {
		wrong(c.to.Source.Path, 1, err.Error())
		return Preview{}, false
	}
	r, state := c.stand, strategy.ClusterState{}
	if err == nil {
		r, state, err = l.found(ctx, c.stand, d)
	}
	if err != nil { // What it says may name what is ours alone.
		plan.unread, plan.away = "Nomad could not be asked about the jobspecs", true
		l.log.Warn("release of a pull request not foreseen", "release", c.release, "pull", plan.pull.Number, "error", err)
		return Preview{}, false
	}
	for _, problem := range d.Refusals {
		wrong(c.to.Path, c.to.Line, problem)
	}
	if other := l.ownerOf(d.Job.Ref, c.release); other != "" {
		wrong(c.to.Path, c.to.Line, fmt.Sprintf("its job %s is that of release %q", d.Job.Ref.ID, other))
	}
	r, cluster := r.AsEnded(&state)
	o := strategy.Observation{Desired: served(d, r, state), Cluster: cluster}
	if owner := state.Marker.Instance; owner != "" && owner != l.opts.Instance {
		o.Owner = owner
	}
	preview = l.foresee(ctx, r, o, now)
	if preview.NomadProblem != "" {
		preview.NomadProblem = "not known"
	}
	f := preview.Foreseen()
	c.foreseen, c.stays = &f, d.Revision == preview.Next.Stable.Revision
	c.goesOn = !c.stand.AtRest() && d.Revision == c.stand.Canary.Revision
	if refused(preview) && len(d.Refusals) == 0 && !l.isAskedFor(c.release, d.Revision) {
		wrong(c.to.Path, c.to.Line, preview.Reason.Text)
	}
	return preview, true
}

// found is what a release would find if it were asked for: the job that runs of it, be it another one, or what there is of the
// one that is asked for.
func (l *Loop) found(ctx context.Context, r strategy.Rollout, d *strategy.Desired) (strategy.Rollout, strategy.ClusterState, error) {
	job, service := r.Job, cmp.Or(r.Canary.Service, d.Service)
	if job != (strategy.JobRef{}) && job != d.Job.Ref {
		state, err := l.opts.Cluster.Observe(ctx, job, service)
		if err != nil || (state.Exists && !state.Stopped) {
			return r, state, err
		}
		r, service = strategy.Rollout{Release: r.Release}, d.Service
	}
	state, err := l.opts.Cluster.Observe(ctx, d.Job.Ref, service)
	return r, state, err
}

// refused tells whether merging would begin nothing, because of what was before.
func refused(p Preview) bool {
	return slices.Contains([]strategy.ReasonCode{strategy.AlreadyCondemned, strategy.AlreadyParked, strategy.OtherInstance, strategy.Refused}, p.Reason.Code)
}

// isAskedFor tells whether the branch asks for that revision already.
func (l *Loop) isAskedFor(release string, revision strategy.Revision) bool {
	d, _ := l.intent.desired(release)
	return d != nil && d.Revision == revision
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
