package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	errCrashed = errors.New("this process has ended")
	errFault   = errors.New("the answer was lost")
)

// damage is what happens at one call.
type damage int

const (
	crashBefore damage = iota // the process ends before the call
	crashAfter                // the process ends when the call took effect
	failBefore                // the call returns an error and had no effect
	failAfter                 // the call returns an error although it took effect
	hang                      // the call returns late, because its time is up, and had no effect
	away                      // the provider answers nothing from this call on, for a while
	handover                  // another process takes over before the call, and the one that makes it goes on for a while
)

func (d damage) String() string {
	return [...]string{
		"crash before", "crash after", "error without effect", "error after the effect", "timeout", "outage", "handover",
	}[d]
}

const (
	hangs  = 10 * time.Second // how long a call hangs
	outage = 20 * time.Second // how long a provider stays away
)

// point is one call of a story: the nth of its kind.
type point struct {
	call string
	nth  int
}

func (p point) String() string { return fmt.Sprintf("%s %d", p.call, p.nth) }

// boundary is everything that a Loop calls. It counts, and does damage at one point. After a crash nothing that the same
// Loop does has any effect; a new Loop gets a new process.
type boundary struct {
	now    func() time.Time
	pass   func() int
	elapse func(time.Duration) // lets the world go on meanwhile
	usurp  func()              // starts another process and lets it pass

	mu     sync.Mutex
	calls  map[string]int
	acts   map[string]bool // the calls that change the world
	at     point
	damage damage
	armed  bool
	struck bool      // the damage was done
	when   int       // the pass in which it was
	gone   string    // the provider that is away
	until  time.Time // it is back
}

func newBoundary() *boundary {
	return &boundary{
		calls: map[string]int{}, acts: map[string]bool{},
		pass: func() int { return 0 }, now: func() time.Time { return time.Time{} },
	}
}

// arm makes the boundary do damage at a point, once.
func (b *boundary) arm(at point, d damage) { b.at, b.damage, b.armed = at, d, true }

// calm tells whether a pass was made since the damage was done, and nobody is away any more.
func (b *boundary) calm() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.struck || (b.pass() > b.when && b.now().After(b.until.Add(time.Second)))
}

// count is how many calls of the given kinds were made.
func (b *boundary) count(kinds ...string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, kind := range kinds {
		n += b.calls[kind]
	}
	return n
}

// process is the calls of one Loop.
type process struct {
	*boundary
	dead bool
}

func (b *boundary) process() *process { return &process{boundary: b} }

func (p *process) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// enter counts a call and tells whether this is the one that is damaged, or why it is not made at all.
func (p *process) enter(call string, acts bool) (strikes bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false, errCrashed
	}
	p.calls[call]++
	p.acts[call] = p.acts[call] || acts
	if p.gone != "" && p.gone == providerOf(call) {
		if p.now().Before(p.until) {
			return false, errFault
		}
		p.gone = ""
	}
	if !p.armed || p.struck || p.at != (point{call, p.calls[call]}) {
		return false, nil
	}
	p.struck, p.when = true, p.pass()
	return true, nil
}

// providerOf is the part of a call before the dot.
func providerOf(call string) string {
	provider, _, _ := strings.Cut(call, ".")
	return provider
}

// before does the damage that comes before a call.
func (p *process) before(call string) error {
	switch p.damage {
	case crashBefore:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dead = true
		return errCrashed
	case failBefore:
		return errFault
	case hang:
		p.elapse(hangs)
		return context.DeadlineExceeded
	case away:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.gone, p.until = providerOf(call), p.now().Add(outage)
		return errFault
	case handover:
		p.usurp()
	case crashAfter, failAfter:
	}
	return nil
}

// after is the answer of a call that was struck after its effect.
func (p *process) after(err error) error {
	switch p.damage {
	case crashAfter:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dead = true
		return errCrashed
	case failAfter:
		return errFault
	case crashBefore, failBefore, hang, away, handover:
	}
	return err
}

// through makes a call of a process. acts tells whether it changes the world.
func through[T any](p *process, call string, acts bool, do func() (T, error)) (T, error) {
	var none T
	strikes, err := p.enter(call, acts)
	if strikes {
		err = p.before(call)
	}
	if err != nil {
		return none, err
	}
	answer, err := do()
	if strikes {
		if err := p.after(nil); err != nil {
			return none, err
		}
	}
	return answer, err
}

// looking makes a call that only looks.
func looking[T any](p *process, call string, do func() (T, error)) (T, error) {
	return through(p, call, false, do)
}

// acting makes a call that changes the world.
func acting[T any](p *process, call string, do func() (T, error)) (T, error) {
	return through(p, call, true, do)
}

// actingOnly makes a call that changes the world and returns nothing.
func actingOnly(p *process, call string, do func() error) error {
	_, err := acting(p, call, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// The calls that change the world, and those that only look at it.
const (
	callRegister = "cluster.register"
	callPromote  = "cluster.promote"
	callStop     = "cluster.stop"
	callMarkGood = "cluster.mark_good"
	callMarkBad  = "cluster.mark_bad"
	callScale    = "cluster.scale"
	callReplace  = "cluster.replace"
	callHeads    = "bookmark.store"
	callApply    = "router.apply"
	callStore    = "ledger.store"
	callPush     = "repository.push"
	callIssue    = "forge.issue"
	callClose    = "forge.close"
	callStatus   = "forge.status"

	callParse   = "cluster.parse"
	callObserve = "cluster.observe"
	callRead    = "router.read"
	callSample  = "meter.sample"
	callLoad    = "ledger.load"
	callHead    = "repository.head"
	callFiles   = "repository.files"
	callLog     = "repository.log"
	callChanges = "repository.changes"
	callDescend = "repository.descends"
	callSeen    = "bookmark.load"
	callMessage = "repository.message"
	callRef     = "repository.ref"
	callParted  = "repository.merge_base"
	callSmoke   = "prober.smoke"
)

// wholeCluster is a cluster that can do all that a loop asks for.
type wholeCluster interface {
	reconcile.Cluster
	reconcile.Keeper
	reconcile.Condemner
	reconcile.Scaler
}

var _ reconcile.Keeper = boundCluster{}

type boundCluster struct {
	*process
	to wholeCluster
}

func (c boundCluster) Parse(ctx context.Context, source strategy.JobSource) (strategy.JobSpec, error) {
	return looking(c.process, callParse, func() (strategy.JobSpec, error) { return c.to.Parse(ctx, source) })
}

func (c boundCluster) Observe(ctx context.Context, job strategy.JobRef, service string) (strategy.ClusterState, error) {
	return looking(c.process, callObserve, func() (strategy.ClusterState, error) { return c.to.Observe(ctx, job, service) })
}

func (c boundCluster) Register(ctx context.Context, r strategy.Registration) (bool, error) {
	return acting(c.process, callRegister, func() (bool, error) { return c.to.Register(ctx, r) })
}

func (c boundCluster) Promote(ctx context.Context, job strategy.JobRef, deployment string) error {
	return actingOnly(c.process, callPromote, func() error { return c.to.Promote(ctx, job, deployment) })
}

func (c boundCluster) Stop(ctx context.Context, job strategy.JobRef, index uint64) error {
	return actingOnly(c.process, callStop, func() error { return c.to.Stop(ctx, job, index) })
}

func (c boundCluster) MarkGood(ctx context.Context, job strategy.JobRef, version uint64) error {
	return actingOnly(c.process, callMarkGood, func() error { return c.to.MarkGood(ctx, job, version) })
}

func (c boundCluster) MarkBad(ctx context.Context, job strategy.JobRef, version uint64, bad strategy.Revision) error {
	return actingOnly(c.process, callMarkBad, func() error { return c.to.MarkBad(ctx, job, version, bad) })
}

func (c boundCluster) Scale(ctx context.Context, job strategy.JobRef, group string, count int) error {
	return actingOnly(c.process, callScale, func() error { return c.to.Scale(ctx, job, group, count) })
}

func (c boundCluster) Replace(ctx context.Context, job strategy.JobRef, alloc string) error {
	return actingOnly(c.process, callReplace, func() error { return c.to.Replace(ctx, job, alloc) })
}

type boundTraffic struct {
	*process
	router reconcile.Router
	meter  reconcile.Meter
}

func (t boundTraffic) Apply(ctx context.Context, split strategy.Split) error {
	return actingOnly(t.process, callApply, func() error { return t.router.Apply(ctx, split) })
}

func (t boundTraffic) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	return looking(t.process, callRead, func() (strategy.TrafficState, error) { return t.router.Read(ctx, release) })
}

func (t boundTraffic) Abilities() strategy.Abilities { return t.router.Abilities() }

func (t boundTraffic) Sample(ctx context.Context, release string) (strategy.Sample, error) {
	return looking(t.process, callSample, func() (strategy.Sample, error) { return t.meter.Sample(ctx, release) })
}

type boundLedger struct {
	*process
	to reconcile.Ledger
}

func (l boundLedger) Load(ctx context.Context) ([]strategy.Record, error) {
	return looking(l.process, callLoad, func() ([]strategy.Record, error) { return l.to.Load(ctx) })
}

func (l boundLedger) Store(ctx context.Context, r strategy.Record) (uint64, error) {
	return acting(l.process, callStore, func() (uint64, error) { return l.to.Store(ctx, r) })
}

type boundBookmark struct {
	*process
	to reconcile.Bookmark
}

func (b boundBookmark) LoadHead(ctx context.Context) (strategy.Heads, error) {
	return looking(b.process, callSeen, func() (strategy.Heads, error) { return b.to.LoadHead(ctx) })
}

func (b boundBookmark) StoreHead(ctx context.Context, heads strategy.Heads) error {
	return actingOnly(b.process, callHeads, func() error { return b.to.StoreHead(ctx, heads) })
}

// wholeRepository is a repository that knows its history, too.
type wholeRepository interface {
	reconcile.Repository
	reconcile.Ancestry
	reconcile.Messages
	reconcile.Refs
}

type boundRepository struct {
	*process
	to wholeRepository
}

func (r boundRepository) Descends(ctx context.Context, sha, ancestor string) (bool, error) {
	return looking(r.process, callDescend, func() (bool, error) { return r.to.Descends(ctx, sha, ancestor) })
}

func (r boundRepository) Message(ctx context.Context, sha string) (string, error) {
	return looking(r.process, callMessage, func() (string, error) { return r.to.Message(ctx, sha) })
}

func (r boundRepository) Head(ctx context.Context) (strategy.Commit, error) {
	return looking(r.process, callHead, func() (strategy.Commit, error) { return r.to.Head(ctx) })
}

func (r boundRepository) Files(ctx context.Context, sha string) (strategy.Tree, error) {
	return looking(r.process, callFiles, func() (strategy.Tree, error) { return r.to.Files(ctx, sha) })
}

func (r boundRepository) Log(ctx context.Context, sha string, limit int) ([]strategy.Commit, error) {
	return looking(r.process, callLog, func() ([]strategy.Commit, error) { return r.to.Log(ctx, sha, limit) })
}

func (r boundRepository) Changes(ctx context.Context, older, newer string) ([]string, error) {
	return looking(r.process, callChanges, func() ([]string, error) { return r.to.Changes(ctx, older, newer) })
}

func (r boundRepository) Push(ctx context.Context, change strategy.Change) (strategy.Commit, error) {
	return acting(r.process, callPush, func() (strategy.Commit, error) { return r.to.Push(ctx, change) })
}

// wholeForge is a forge that can do all that a loop asks for.
type wholeForge interface {
	reconcile.Forge
	reconcile.Statuses
	reconcile.Closer
}

type boundForge struct {
	*process
	to wholeForge
}

func (f boundForge) SetStatus(ctx context.Context, sha string, status strategy.Status) error {
	return actingOnly(f.process, callStatus, func() error { return f.to.SetStatus(ctx, sha, status) })
}

func (f boundForge) OpenIssue(ctx context.Context, issue strategy.Issue) (string, error) {
	return acting(f.process, callIssue, func() (string, error) { return f.to.OpenIssue(ctx, issue) })
}

func (f boundForge) CloseIssue(ctx context.Context, c strategy.Closing) error {
	return actingOnly(f.process, callClose, func() error { return f.to.CloseIssue(ctx, c) })
}

type boundProber struct {
	*process
	to reconcile.Prober
}

func (b boundProber) Smoke(ctx context.Context, checks []strategy.Smoke, endpoints []strategy.Endpoint) (string, error) {
	return looking(b.process, callSmoke, func() (string, error) { return b.to.Smoke(ctx, checks, endpoints) })
}
