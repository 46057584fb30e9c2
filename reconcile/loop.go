package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/strategy"
)

// Options is what a Loop is made of.
type Options struct {
	Instance string        // names this Drover in markers and messages
	Poll     time.Duration // how often the repository is asked; 0 asks in every pass

	Repository Repository
	Load       Loader
	Strays     func(tree strategy.Tree) []strategy.Finding // what is to be said of files that no release has to do with; may be nil
	Cluster    Cluster
	Metrics    Metrics            // nil: gates with queries of their own are refused
	Routers    map[string]Traffic // by the name that releases use; "" is the default
	Ledger     Ledger
	Bookmark   Bookmark // nil: a branch that was forced while nobody looked is not noticed
	Prober     Prober   // needed by smoke checks
	Forge      Forge    // nil: issues are only logged
	// Details is where a status leads that tells of a release and a commit; nil: to the issue, the pull request or the commit.
	Details   func(release, sha string) string
	PlanForks bool // ask Nomad about the jobspecs of pull requests from forks
	Limits    Limits
	Prune     bool // stop the jobs of releases that are gone from Git

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Notify, when set, is told of every decision, of several releases at once. It must return soon.
	Notify func(Decision)
}

// Traffic is a router with the meter that reads what passes it.
type Traffic struct {
	Name   string // as drover.hcl calls it
	Router Router
	Meter  Meter // nil where the router counts nothing: its Abilities say so
	// Measured says that Options.Metrics counts the requests in place of a meter, and with Timed their latencies too, with
	// ByEndpoint by what they ask for. With Copied they tell copies of requests apart.
	Measured, Timed, ByEndpoint, Copied bool
	Every                               time.Duration // how far apart the metrics' counts are
}

// Decision is one answer of strategy.Advance, with what it was made on.
type Decision struct {
	At          time.Time
	Before      strategy.Rollout
	After       strategy.Rollout
	Observation strategy.Observation
}

// saveEvery bounds what a crash may lose of the clocks; everything else is stored at once.
const saveEvery = 5 * time.Second

// Loop reconciles all releases of one repository. Its methods may not be called concurrently, save Wake and Do.
type Loop struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics
	intent  *intent
	wake    chan struct{}

	loaded    bool
	pollAt    time.Time        // when the repository is asked next
	gitRead   time.Time        // when the repository answered last
	gitAway   *strategy.Reason // why what Git asks for now is not known
	releases  map[string]*tracked
	slots     *slots
	heads     strategy.Heads
	headsRead bool

	complaint complaint // of Run alone

	errands *errands
	desk    *desk
	words   chan struct{}     // woken when somebody wrote below a pull request
	heard   map[int64]bool    // words that need no second look; of Hear alone
	issues  map[string]string // addresses, by the commits that failed; of the errands alone
	summed  map[string]bool   // commits that one status tells of the releases that needed nothing; of the errands alone

	mu      sync.Mutex
	brought map[string]bringer          // by the commits that they brought
	stands  map[string]strategy.Rollout // where each release stands, for those beside the passes
	asked   map[string]*request         // what people asked for and was not looked at yet, by release
	touched map[strategy.JobRef]bool    // jobs that somebody changed since the last pass
	stirred map[string]bool             // releases in motion of which something came up since the last pass
	pollNow bool                        // the repository is said to have moved
	moving  map[string]string           // the commits whose rollouts are under way, by release
}

// tracked is what the loop keeps of one release between passes.
type tracked struct {
	record    strategy.Record
	stored    strategy.Rollout // as it is in the ledger
	storedAt  time.Time
	unchanged string // the rollout that Nomad found nothing to do for
	// actProblem is why Nomad did not do what was asked of it last; "" when it did.
	actProblem string
	smoke      *strategy.SmokeResult
	restingOn  string // the content key that the release came to rest on; "" while it is in motion
	waits      bool   // for another rollout to end
	split      kept
	known      known
	attention  attention
}

// newTracked is a release that nothing is recorded of.
func newTracked(release string) *tracked {
	return &tracked{record: strategy.Record{Rollout: strategy.Rollout{Release: release}}}
}

// New makes a loop. It does nothing until a pass is made.
func New(opts Options) *Loop {
	return &Loop{
		opts: opts, log: opts.Logger, metrics: newMetrics(opts.Registerer), intent: newIntent(opts),
		wake: make(chan struct{}, 1), releases: map[string]*tracked{}, asked: map[string]*request{}, touched: map[strategy.JobRef]bool{}, stirred: map[string]bool{}, errands: newErrands(),
		desk: newDesk(), words: make(chan struct{}, 1), brought: map[string]bringer{}, stands: map[string]strategy.Rollout{}, issues: map[string]string{}, summed: map[string]bool{},
	}
}

// Wake makes Run pass at once. It never blocks.
func (l *Loop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Pass looks at everything once: it asks the repository when that is due, and advances every release that has
// something to do. It returns the names of those in motion. The error joins what went wrong with single releases; the
// others were worked on all the same.
func (l *Loop) Pass(ctx context.Context, now time.Time) (moving []string, err error) {
	return l.pass(ctx, now, true)
}

// pass is Pass; when it is not a whole one, of the releases in motion only those are looked at that something came up for.
func (l *Loop) pass(ctx context.Context, now time.Time, whole bool) (moving []string, err error) {
	start := time.Now()
	defer func() { l.metrics.passes.Observe(time.Since(start).Seconds()) }()
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	var failures []error
	if told := l.takePoll(); told || !now.Before(l.pollAt) || now.Add(l.opts.Poll).Before(l.pollAt) { // The clock may go back.
		if err := l.poll(ctx, now); err != nil {
			failures = append(failures, err)
		} else {
			l.pollAt = now.Add(l.opts.Poll)
		}
	} else if !l.isCompared() { // A revert has read the repository, or the last try failed.
		if err := l.seeHead(ctx); err != nil {
			failures = append(failures, err)
		}
	}
	l.acceptHead(ctx)
	for _, name := range l.intent.names() {
		if l.releases[name] == nil {
			l.releases[name] = newTracked(name)
		}
	}
	l.refuseUnknown()
	if l.slots == nil {
		l.slots = newSlots(l.opts.Limits, l.releases)
	}
	l.record()
	l.takeStirred()
	moving, faults := l.sweep(ctx, now, l.disturbed(ctx, now), whole)
	l.showTrials()
	if !l.slots.full() && l.anyWaits() {
		l.Wake()
	}
	return moving, errors.Join(append(failures, faults...)...)
}

// disturbed tells which releases somebody touched since the last pass, also those whose router lost what it was given.
func (l *Loop) disturbed(ctx context.Context, now time.Time) func(*tracked) bool {
	touched, lost := l.takeTouched(), l.patrol(ctx, now)
	return func(t *tracked) bool {
		return touched[t.record.Rollout.Job] || touched[strategy.JobRef{}] || lost[t.record.Rollout.Release]
	}
}

// sweep works on every release that has something to do, and on those that were disturbed. It returns those in motion.
func (l *Loop) sweep(ctx context.Context, now time.Time, disturbed func(*tracked) bool, whole bool) (moving []string, failures []error) {
	var turns []*turn
	for _, name := range slices.Sorted(maps.Keys(l.releases)) {
		t := l.releases[name]
		isDisturbed := disturbed(t)
		if l.mayRest(name, t, now, whole) && !isDisturbed {
			continue
		}
		d, _ := l.intent.desired(name)
		wait := l.slots.take(name, t.record.Rollout, d) // Here, so that those first in the alphabet are first.
		glance := !whole && !isDisturbed
		if !glance || now.Sub(t.known.at) >= tick {
			t.known = known{}
		}
		turns = append(turns, &turn{name: name, tracked: t, now: now, wait: wait, glance: glance})
	}
	for len(turns) > 0 {
		var faults []error
		turns, faults = l.round(ctx, turns)
		failures = append(failures, faults...)
	}
	moving = l.inMotion()
	slices.Sort(moving)
	return moving, failures
}

// mayRest tells whether nothing was asked of a release since it came to rest, or, in a pass that is not a whole one, since
// it was looked at last.
func (l *Loop) mayRest(name string, t *tracked, now time.Time, whole bool) bool {
	if !whole && t.restingOn == "" && t.attention.seen != "" {
		return !t.attention.due(l.intent.key(name), now) && !l.isAsked(name)
	}
	return t.restingOn != "" && t.restingOn == l.intent.key(name) && (!t.waits || l.slots.full()) && !l.isAsked(name)
}

// poll asks the repository what it asks for.
func (l *Loop) poll(ctx context.Context, now time.Time) error {
	err := l.intent.refresh(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.gitAnswered(now, err)
	if err != nil {
		return err
	}
	return l.seeHead(ctx)
}

// Touch has the releases of a job looked at in the next pass; a zero JobRef means all of them. It may be called at any
// time.
func (l *Loop) Touch(job strategy.JobRef) {
	l.mu.Lock()
	l.touched[job] = true
	l.mu.Unlock()
	l.Wake()
}

// takeTouched begins a pass: it returns what was touched since the last one.
func (l *Loop) takeTouched() map[strategy.JobRef]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	touched := l.touched
	l.touched = map[strategy.JobRef]bool{}
	return touched
}

func (l *Loop) anyWaits() bool {
	for _, t := range l.releases {
		if t.waits {
			return true
		}
	}
	return false
}

// Mistakes is what is wrong in the release repository, as of the last pass.
func (l *Loop) Mistakes() []strategy.Mistake {
	l.intent.mu.RLock()
	defer l.intent.mu.RUnlock()
	return slices.Clone(l.intent.mistakes)
}

// Rollouts is every record, as of the last pass, by release.
func (l *Loop) Rollouts() map[string]strategy.Rollout {
	all := make(map[string]strategy.Rollout, len(l.releases))
	for name, t := range l.releases {
		all[name] = t.record.Rollout
	}
	return all
}

func (l *Loop) load(ctx context.Context) error {
	if l.loaded {
		return nil
	}
	records, err := l.opts.Ledger.Load(ctx)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	stored := map[string]bool{}
	for _, r := range records {
		l.releases[r.Rollout.Release] = &tracked{record: r, stored: r.Rollout}
		stored[r.Rollout.Release] = true
	}
	for name, t := range l.releases {
		if !stored[name] && t.record.Index != 0 {
			// It vanished under our hands. What it said is known here, and is written again.
			l.log.Warn("record vanished from the ledger", "release", name)
			t.record.Index, t.stored, t.restingOn = 0, strategy.Rollout{}, ""
		}
	}
	for name, t := range l.releases {
		l.show(name, t.record.Rollout)
	}
	l.loaded, l.slots = true, nil
	return nil
}

// show lets those beside the passes know where a release stands.
func (l *Loop) show(release string, r strategy.Rollout) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stands[release] = r
}

// standOf is where a release stands, to the best of what the last pass knew.
func (l *Loop) standOf(release string) strategy.Rollout {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.stands[release]
	r.Release = release
	return r
}

// store writes the record when it says something new, or when its clocks are old.
func (l *Loop) store(ctx context.Context, t *tracked, now time.Time) error {
	r := t.record.Rollout
	// What counts from a baseline that nobody remembers is lost in a crash, and with it the verdict it led to.
	baseline := len(r.Evidence.Prev) > 0 && len(t.stored.Evidence.Prev) == 0
	// So is a suspicion: the verdict that confirms it must not be forgotten once it was acted on.
	suspects := r.Evidence.Judged.LogE > 0 && r.Evidence.Judged.LogE != t.stored.Evidence.Judged.LogE
	// What a release rests on is read by people for a long time.
	restsAnew := !r.InMotion() && (r.Reason.Code != t.stored.Reason.Code ||
		(r.Reason.Code == strategy.LimitReached && r.Reason.Text != t.stored.Reason.Text)) // It waits for others, or for a person.
	if !r.Differs(t.stored) && !baseline && !suspects && !restsAnew && (!r.InMotion() || within(now, t.storedAt, saveEvery)) {
		return nil
	}
	index, err := l.opts.Ledger.Store(ctx, strategy.Record{Rollout: r.Within(recordLimit, recordSize), Index: t.record.Index})
	if err != nil {
		if errors.Is(err, strategy.ErrStale) {
			l.loaded = false // Somebody else wrote: read again before anything else is done.
		}
		return fmt.Errorf("store the record: %w", err)
	}
	t.record.Index, t.stored, t.storedAt = index, r, now
	return nil
}

// announce logs a decision that moved something.
func (l *Loop) announce(before, after strategy.Rollout) {
	l.metrics.observe(before, after)
	if !after.Differs(before) {
		return
	}
	attrs := []any{
		"release", after.Release, "rollout", after.ID, "phase", string(after.Phase), "step", after.Step + 1, "weight", after.Weight.String(),
		"reason", string(after.Reason.Code), "text", after.Reason.Text,
	}
	level := slog.LevelInfo
	if after.Hold != nil {
		level = slog.LevelWarn
	}
	if urgency := after.Urgent().Urgency(); urgency != "" {
		level = slog.LevelError
		attrs = append(attrs, "urgency", string(urgency))
	}
	if after.Hold != nil {
		l.log.Log(context.Background(), level, "rollout held", append(attrs, "since", after.Hold.Since)...)
		return
	}
	l.log.Log(context.Background(), level, "rollout moved", attrs...)
}
