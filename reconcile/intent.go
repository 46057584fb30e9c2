package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/strategy"
)

// intent is what Git asks for, release by release. Only releases whose content changed are resolved again.
type intent struct {
	repository Repository
	parse      func(ctx context.Context, source strategy.JobSource) (strategy.JobSpec, error)
	load       Loader
	measured   bool // there are metrics that gates may ask
	routers    map[string]Traffic

	refreshing sync.Mutex // one refresh at a time

	mu       sync.RWMutex
	head     strategy.Commit
	forced   string // the head, when it was forced
	complete bool   // everything at head was resolved
	mistakes []strategy.Mistake
	asked    map[string]ask // by release
	changed  map[string]int // how many releases, by the commit that they ask by
}

// ask is what Git asks for one release.
type ask struct {
	key     string // of the content it was resolved from
	desired *strategy.Desired
	problem string          // why desired is nil
	job     strategy.JobRef // zero while that is not known
	files   []string        // that the release names, also when it cannot be resolved
}

func newIntent(opts Options) *intent {
	return &intent{repository: opts.Repository, parse: opts.Cluster.Parse, load: opts.Load, measured: opts.Metrics != nil, routers: opts.Routers, asked: map[string]ask{}}
}

// desired is what Git asks for, or why that cannot be said.
func (i *intent) desired(name string) (*strategy.Desired, string) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	a, ok := i.asked[name]
	switch {
	case !ok && i.head.SHA == "":
		return nil, "the release repository was not read yet"
	case !ok:
		return nil, "the release is not in Git"
	}
	return a.desired, a.problem
}

// key identifies what Git asks for, so that a release at rest is looked at again only when that changes. It is "" while
// that is not known.
func (i *intent) key(name string) string {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if a, ok := i.asked[name]; (ok && a.key == "") || i.head.SHA == "" {
		return ""
	} else if ok {
		return a.key + i.forced
	}
	switch {
	case !i.hasGone(name):
		return "absent"
	case i.isUnsure(), len(i.asked) == 0:
		return "gone, or under another name" + i.forced
	}
	return "gone" + i.forced
}

// force says that the head was forced; "" that it was not.
func (i *intent) force(sha string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forced = sha
}

// gone tells whether a release was taken out of Git, and is not only in a file that cannot be read.
func (i *intent) gone(name string) bool {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.hasGone(name)
}

// hasGone is gone with the lock held.
func (i *intent) hasGone(name string) bool {
	_, asked := i.asked[name]
	nameless := slices.ContainsFunc(i.mistakes, func(m strategy.Mistake) bool { return m.Release == "" })
	return !asked && !nameless && i.complete && i.head.SHA != ""
}

// isUnsure tells, with the lock held, whether the job of any release is not known.
func (i *intent) isUnsure() bool {
	for _, a := range i.asked {
		if a.job == (strategy.JobRef{}) {
			return true
		}
	}
	return false
}

// heir is the release that a job is of now; "" when there is none, as for a job that is not known. It is not sure while the job
// of any release is not known.
func (i *intent) heir(job strategy.JobRef) (release string, sure bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	for name, a := range i.asked {
		if a.job == job && job != (strategy.JobRef{}) {
			return name, true
		}
	}
	return "", !i.isUnsure()
}

// refresh reads the head. When it did not move and everything was resolved before, nothing else is asked.
func (i *intent) refresh(ctx context.Context) error {
	i.refreshing.Lock()
	defer i.refreshing.Unlock()
	head, err := i.repository.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the release repository: %w", err)
	}
	if head.SHA == i.head.SHA && i.complete {
		return nil
	}
	tree, err := i.repository.Files(ctx, head.SHA)
	if err != nil {
		return fmt.Errorf("read the files of %s: %w", head.Short(), err)
	}
	releases, mistakes := i.load(tree)
	next, complete := i.askAll(ctx, head, releases)
	refuseSharedJobs(next)
	mistakes = append(mistakes, invalid(next, releases)...)
	for _, m := range mistakes {
		if _, ok := next[m.Release]; !ok && m.Release != "" {
			next[m.Release] = ask{key: "mistake " + m.Text + m.Path, problem: fmt.Sprintf("%s:%d: %s", m.Path, m.Line, strings.TrimSuffix(m.Text, "."))}
		}
	}
	changed := map[string]int{}
	for _, a := range next {
		if a.desired != nil {
			changed[a.desired.Commit.SHA]++
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.head, i.complete, i.mistakes, i.asked, i.changed = head, complete, mistakes, next, changed
	return nil
}

// names is every release that Git asks for.
func (i *intent) names() []string {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return slices.Collect(maps.Keys(i.asked))
}

// now is the head as of the last refresh.
func (i *intent) now() strategy.Commit {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.head
}

// askedBy is how many releases ask for what they do by a commit.
func (i *intent) askedBy(sha string) int {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.changed[sha]
}

// parses bounds how many jobspecs Nomad is asked for at once.
const parses = 8

// askAll resolves the releases at head; complete tells whether all that could be known is.
func (i *intent) askAll(ctx context.Context, head strategy.Commit, releases []strategy.Release) (next map[string]ask, complete bool) {
	all := make([]ask, len(releases))
	var group errgroup.Group
	group.SetLimit(parses)
	var fresh []int // those resolved anew
	for n, r := range releases {
		key := contentKey(r)
		if known := i.asked[r.Name]; known.key == key && known.desired != nil {
			all[n] = known
			continue
		}
		fresh = append(fresh, n)
		group.Go(func() error { all[n] = i.ask(ctx, key, r); return nil })
	}
	_ = group.Wait() // What goes wrong is in the answers.
	i.date(ctx, head, all, fresh)
	next, complete = make(map[string]ask, len(all)), true
	for n, a := range all {
		complete = complete && (a.desired != nil || a.key != "")
		next[releases[n].Name] = a
	}
	return next, complete
}

// ask resolves one release.
func (i *intent) ask(ctx context.Context, key string, r strategy.Release) ask {
	d, err := i.resolve(ctx, r)
	switch {
	case errors.Is(err, strategy.ErrInvalid):
		return ask{key: key, problem: err.Error(), files: r.Files}
	case err != nil:
		return ask{files: r.Files, problem: "Nomad could not be asked what the jobspec says: " + err.Error()} // No key: asked again in the next pass.
	}
	return ask{key: key, desired: d, job: d.Job.Ref, files: r.Files}
}

// contentKey identifies everything that a release says, also by its policy.
func contentKey(r strategy.Release) string {
	r.Line = 0
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Sprintf("%+v", r)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// resolve asks Nomad what the release's job is, and fits its plan to it.
func (i *intent) resolve(ctx context.Context, r strategy.Release) (*strategy.Desired, error) {
	job, err := i.parse(ctx, r.Source)
	if err != nil {
		return nil, err
	}
	d := &strategy.Desired{Release: r, Job: job, Revision: strategy.Revision{Version: r.Version, Attempt: r.Attempt, Digest: job.Digest}}
	d.Release.Plan, d.Service, d.Refusals = Fit(r, job, i.routers)
	if n := jsonSize(d.Release.Plan); n > strategy.MaxPlan {
		d.Refusals = append(d.Refusals, fmt.Sprintf("its plan takes %d bytes of the record, at most %d are kept: shorten the queries, smoke checks and labels, or take fewer steps", n, strategy.MaxPlan))
	}
	if problem := d.Release.Plan.Unanswered(); problem != "" && !i.measured {
		d.Refusals = append(d.Refusals, problem)
	}
	return d, nil
}

// ServiceOf is the service of the job that takes the traffic: the one that the release names, or the only one.
func ServiceOf(job strategy.JobSpec, t strategy.Traffic) (service, problem string) {
	var names []string
	for _, g := range job.Groups {
		names = append(names, g.Services...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case t.Service != "" && slices.Contains(names, t.Service):
		return t.Service, ""
	case t.Service != "":
		return "", fmt.Sprintf("traffic names the service %q, but the job has %s%s", t.Service, list(names), strategy.Meant(t.Service, names))
	case len(names) == 1:
		return names[0], ""
	case len(names) == 0:
		return "", "the job has no service of provider \"nomad\", so there is no traffic to move in steps"
	}
	return "", fmt.Sprintf("the job has several services (%s): name the one that takes the traffic by traffic { service = … }", strings.Join(names, ", "))
}

func list(names []string) string {
	if len(names) == 0 {
		return "none of provider \"nomad\""
	}
	return strings.Join(names, ", ")
}

// invalid turns what Nomad said of jobspecs into mistakes.
func invalid(asked map[string]ask, releases []strategy.Release) []strategy.Mistake {
	var mistakes []strategy.Mistake
	for _, r := range releases {
		if a := asked[r.Name]; a.desired == nil && a.key != "" {
			mistakes = append(mistakes, strategy.Mistake{Release: r.Name, Path: r.Source.Path, Line: 1, Text: a.problem, Detail: a.problem})
		}
	}
	return mistakes
}

// refuseSharedJobs makes an error of two releases of one job, in both.
func refuseSharedJobs(asked map[string]ask) {
	owners := map[strategy.JobRef][]string{}
	for name, a := range asked {
		if a.desired != nil {
			owners[a.desired.Job.Ref] = append(owners[a.desired.Job.Ref], name)
		}
	}
	for job, names := range owners {
		if len(names) < 2 {
			continue
		}
		slices.Sort(names)
		for _, name := range names {
			a := asked[name]
			a.desired, a.problem = nil, fmt.Sprintf("the releases %s are of one job, %s: keep one of them", strings.Join(names, " and "), job)
			a.key += " " + a.problem // What rests on this is looked at again when it is settled, though its own content stays.
			asked[name] = a
		}
	}
}
