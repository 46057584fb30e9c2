package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
)

func (d damage) String() string {
	return [...]string{"crash before", "crash after", "error without effect", "error after the effect"}[d]
}

// point is one call of a story: the nth of its kind.
type point struct {
	call string
	nth  int
}

func (p point) String() string { return fmt.Sprintf("%s %d", p.call, p.nth) }

// boundary is everything that a Loop calls. It counts, and does damage at one point. After a crash nothing that the same
// Loop does has any effect; a new Loop gets a new process.
type boundary struct {
	mu     sync.Mutex
	calls  map[string]int
	at     point
	damage damage
	armed  bool
	struck bool // the damage was done
}

func newBoundary() *boundary { return &boundary{calls: map[string]int{}} }

// arm makes the boundary do damage at a point, once.
func (b *boundary) arm(at point, d damage) { b.at, b.damage, b.armed = at, d, true }

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

// enter counts a call and says what becomes of it.
func (p *process) enter(call string) (strikes bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false, errCrashed
	}
	p.calls[call]++
	if !p.armed || p.struck || p.at != (point{call, p.calls[call]}) {
		return false, nil
	}
	p.struck = true
	switch p.damage {
	case crashBefore:
		p.dead = true
		return true, errCrashed
	case failBefore:
		return true, errFault
	case crashAfter, failAfter:
	}
	return true, nil
}

// leave is the answer of a call that was struck after its effect.
func (p *process) leave() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damage == crashAfter {
		p.dead = true
		return errCrashed
	}
	return errFault
}

// through makes a call of a process.
func through[T any](p *process, call string, do func() (T, error)) (T, error) {
	var none T
	strikes, err := p.enter(call)
	if err != nil {
		return none, err
	}
	answer, err := do()
	if strikes {
		return none, p.leave()
	}
	return answer, err
}

func throughOnly(p *process, call string, do func() error) error {
	_, err := through(p, call, func() (struct{}, error) { return struct{}{}, do() })
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
)

func acts() []string {
	return []string{callRegister, callPromote, callStop, callMarkGood, callMarkBad, callScale, callReplace, callHeads, callApply, callStore, callPush, callIssue, callStatus}
}

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
	return through(c.process, callParse, func() (strategy.JobSpec, error) { return c.to.Parse(ctx, source) })
}

func (c boundCluster) Observe(ctx context.Context, job strategy.JobRef, service string) (strategy.ClusterState, error) {
	return through(c.process, callObserve, func() (strategy.ClusterState, error) { return c.to.Observe(ctx, job, service) })
}

func (c boundCluster) Register(ctx context.Context, r strategy.Registration) (bool, error) {
	return through(c.process, callRegister, func() (bool, error) { return c.to.Register(ctx, r) })
}

func (c boundCluster) Promote(ctx context.Context, job strategy.JobRef, deployment string) error {
	return throughOnly(c.process, callPromote, func() error { return c.to.Promote(ctx, job, deployment) })
}

func (c boundCluster) Stop(ctx context.Context, job strategy.JobRef, index uint64) error {
	return throughOnly(c.process, callStop, func() error { return c.to.Stop(ctx, job, index) })
}

func (c boundCluster) MarkGood(ctx context.Context, job strategy.JobRef, version uint64) error {
	return throughOnly(c.process, callMarkGood, func() error { return c.to.MarkGood(ctx, job, version) })
}

func (c boundCluster) MarkBad(ctx context.Context, job strategy.JobRef, version uint64, bad strategy.Revision) error {
	return throughOnly(c.process, callMarkBad, func() error { return c.to.MarkBad(ctx, job, version, bad) })
}

func (c boundCluster) Scale(ctx context.Context, job strategy.JobRef, group string, count int) error {
	return throughOnly(c.process, callScale, func() error { return c.to.Scale(ctx, job, group, count) })
}

func (c boundCluster) Replace(ctx context.Context, job strategy.JobRef, alloc string) error {
	return throughOnly(c.process, callReplace, func() error { return c.to.Replace(ctx, job, alloc) })
}

type boundTraffic struct {
	*process
	router reconcile.Router
	meter  reconcile.Meter
}

func (t boundTraffic) Apply(ctx context.Context, split strategy.Split) error {
	return throughOnly(t.process, callApply, func() error { return t.router.Apply(ctx, split) })
}

func (t boundTraffic) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	return through(t.process, callRead, func() (strategy.TrafficState, error) { return t.router.Read(ctx, release) })
}

func (t boundTraffic) Sample(ctx context.Context, release string) (strategy.Sample, error) {
	return through(t.process, callSample, func() (strategy.Sample, error) { return t.meter.Sample(ctx, release) })
}

type boundLedger struct {
	*process
	to reconcile.Ledger
}

func (l boundLedger) Load(ctx context.Context) ([]strategy.Record, error) {
	return through(l.process, callLoad, func() ([]strategy.Record, error) { return l.to.Load(ctx) })
}

func (l boundLedger) Store(ctx context.Context, r strategy.Record) (uint64, error) {
	return through(l.process, callStore, func() (uint64, error) { return l.to.Store(ctx, r) })
}

type boundBookmark struct {
	*process
	to reconcile.Bookmark
}

func (b boundBookmark) LoadHead(ctx context.Context) (strategy.Heads, error) {
	return through(b.process, callSeen, func() (strategy.Heads, error) { return b.to.LoadHead(ctx) })
}

func (b boundBookmark) StoreHead(ctx context.Context, heads strategy.Heads) error {
	return throughOnly(b.process, callHeads, func() error { return b.to.StoreHead(ctx, heads) })
}

// wholeRepository is a repository that knows its history, too.
type wholeRepository interface {
	reconcile.Repository
	reconcile.Ancestry
}

type boundRepository struct {
	*process
	to wholeRepository
}

func (r boundRepository) Descends(ctx context.Context, sha, ancestor string) (bool, error) {
	return through(r.process, callDescend, func() (bool, error) { return r.to.Descends(ctx, sha, ancestor) })
}

func (r boundRepository) Head(ctx context.Context) (strategy.Commit, error) {
	return through(r.process, callHead, func() (strategy.Commit, error) { return r.to.Head(ctx) })
}

func (r boundRepository) Files(ctx context.Context, sha string) (strategy.Tree, error) {
	return through(r.process, callFiles, func() (strategy.Tree, error) { return r.to.Files(ctx, sha) })
}

func (r boundRepository) Log(ctx context.Context, sha string, limit int) ([]strategy.Commit, error) {
	return through(r.process, callLog, func() ([]strategy.Commit, error) { return r.to.Log(ctx, sha, limit) })
}

func (r boundRepository) Changes(ctx context.Context, older, newer string) ([]string, error) {
	return through(r.process, callChanges, func() ([]string, error) { return r.to.Changes(ctx, older, newer) })
}

func (r boundRepository) Push(ctx context.Context, change strategy.Change) (strategy.Commit, error) {
	return through(r.process, callPush, func() (strategy.Commit, error) { return r.to.Push(ctx, change) })
}

// wholeForge is a forge that can do all that a loop asks for.
type wholeForge interface {
	reconcile.Forge
	reconcile.Statuses
}

type boundForge struct {
	*process
	to wholeForge
}

func (f boundForge) SetStatus(ctx context.Context, sha string, status strategy.Status) error {
	return throughOnly(f.process, callStatus, func() error { return f.to.SetStatus(ctx, sha, status) })
}

func (f boundForge) OpenIssue(ctx context.Context, issue strategy.Issue) (string, error) {
	return through(f.process, callIssue, func() (string, error) { return f.to.OpenIssue(ctx, issue) })
}
