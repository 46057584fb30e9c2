// Package sim is a simulated Nomad with traffic, in a time that is passed in. It serves three ends: tests of whole
// rollouts, rehearsals of a release against faults before it is merged, and a demo without a cluster.
//
//	nomad := sim.New(sim.Config{Start: start, Seed: 1})
//	client, err := api.NewClient(&api.Config{Address: "http://sim", HttpClient: nomad.Client()})
//	traffic := nomad.Traffic(sim.Load{RPS: 200})
//	…
//	nomad.Advance(start.Add(time.Minute)) // all that happens within the minute has happened
//
// It speaks the part of Nomad's HTTP API that Drover uses, and reads the part of the jobspec language that services
// need. What it does not know it refuses: an unknown path is answered with 404 and kept for Unknown, an unknown block
// of a jobspec is an error that says so. It never does better than Nomad: every rule here was seen on Nomad 1.11.3,
// and the conformance suite of the cluster provider runs on both.
//
// What it decides: which allocations are placed, stopped, replaced and healthy, and what becomes of deployments. What
// it leaves out: real processes, nodes as objects (capacity is one number), constraints, access control, events of
// anything but jobs, other job types than service (they are placed, and that is all).
//
// Invariants:
//
//   - time moves by Advance alone, never backwards, and everything due happens in order of time;
//   - the same seed, behavior and calls at the same times give the same history, ids and ports included;
//   - the index grows with every change, and a blocking query returns when what it asks for changed, when its wait is
//     over in simulated time, or when its context ends.
//
// The rules of scheduling stand in schedule.go, those of deployments in deployment.go. They follow Nomad's own
// division: an evaluation compares what should run with what does, and every group is settled by itself. A single
// list of fixed reactions ("on register, start canaries") was rejected: it cannot show what follows from two events
// together, such as an allocation that dies while canaries wait.
package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Config is what a simulation starts from. The zero value of each field is usable.
type Config struct {
	Start time.Time // the first moment; zero is 2026-01-01
	Seed  uint64    // of ids, ports, requests and their fate
	// Nodes is how many allocations can be placed in total; 0 is no limit.
	Nodes int
	// StartDelay is the time from placing an allocation to its tasks running; 0 is half a second.
	StartDelay time.Duration
	// Behaviour says how a task behaves; nil is DemoBehaviour. It is asked when a task starts and when requests arrive,
	// must be quick and must not call the simulation.
	Behaviour func(Task) Behaviour
	// Lenient has jobspecs read without what is not simulated in them, in place of refusing them: see LeftOut.
	Lenient bool
	// Namespaces are those that exist besides "default".
	Namespaces []string
}

// Task is one task of an allocation, as its behavior may depend on it.
type Task struct {
	Job     string
	Group   string
	Name    string
	Driver  string
	Command string
	Args    []string
	Env     map[string]string
	// Version is what follows "-version" (or "--version") in Args, else the variable VERSION of Env.
	Version string
	// Placed is the job version that its allocation was placed by: updates in place keep it.
	Placed uint64
}

// Behaviour is how a task behaves. The zero value is a sound task that answers at once.
type Behaviour struct {
	Crash      bool          // exits with code 1 as soon as it runs
	Sick       bool          // its checks fail
	StartDelay time.Duration // from running to the first check that passes
	ErrorRate  float64       // share of requests that are answered with an error, from 0 to 1
	Latency    Latency       // of requests
	// Queries is what the queries of gates say of it, by the gate's name: a value, or a share of its requests.
	Queries map[string]float64
}

// Latency is a lognormal distribution of the time to answer. A zero Sigma makes every request take the median.
type Latency struct {
	Median time.Duration
	Sigma  float64
}

// Nomad is a simulated cluster. It is safe for concurrent use.
type Nomad struct {
	mu sync.Mutex

	cfg       Config
	routes    []route
	now       time.Time
	rng       *rand.Rand
	events    events
	index     uint64
	tables    map[table]uint64 // index of the last change of each
	changed   chan struct{}    // closed at the next change or move of time
	doings    uint64           // see Doings
	behaviour func(Task) Behaviour

	jobs        map[key]*job
	allocs      []*alloc // in order of placing
	deployments []*api.Deployment
	evals       []*api.Evaluation
	vars        map[key]*api.Variable
	locks       map[key]*lock // of variables that were ever locked
	ports       int
	node        string
	emitted     []told // the newest events of jobs, for the event stream
	emittedAll  int    // how many there ever were

	left    []string // of the jobspec parsed last
	down    bool
	journal []string
	unknown []string
	traffic []*Traffic
}

// key names something within a namespace.
type key struct{ namespace, name string }

// table is a kind of object, whose index lists answer with.
type table string

const (
	tableJobs        table = "jobs"
	tableAllocs      table = "allocs"
	tableDeployments table = "deployments"
	tableEvals       table = "evals"
	tableServices    table = "services"
	tableVars        table = "variables"
	tableNamespaces  table = "namespaces"
)

// New starts a simulated cluster with nothing on it.
func New(cfg Config) *Nomad {
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if cfg.StartDelay == 0 {
		cfg.StartDelay = 500 * time.Millisecond
	}
	if cfg.Behaviour == nil {
		cfg.Behaviour = DemoBehaviour
	}
	n := &Nomad{
		cfg: cfg, routes: routes(), now: cfg.Start, rng: rand.New(rand.NewPCG(cfg.Seed, cfg.Seed^0x9e3779b97f4a7c15)),
		index: 10, tables: map[table]uint64{}, changed: make(chan struct{}), behaviour: cfg.Behaviour,
		jobs: map[key]*job{}, vars: map[key]*api.Variable{}, locks: map[key]*lock{}, ports: 20000,
	}
	n.node = n.newID()
	return n
}

// Now is the simulated time.
func (n *Nomad) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// Advance moves the time to now and lets everything due happen, in order of time. A time that is not after the
// present changes nothing. It does not block.
func (n *Nomad) Advance(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !now.After(n.now) {
		return
	}
	for {
		e, ok := n.events.next(now)
		if !ok {
			break
		}
		n.flow(e.at)
		n.doings++
		e.act()
	}
	n.flow(now)
	n.wake()
}

// Doings counts all that may have changed what the cluster answers: what fell due, what was written, and what was done to it
// from here. While it stays the same, a question has the same answer, but for the time that it gives of a check.
func (n *Nomad) Doings() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.doings
}

// flow lets the requests arrive that come until at.
func (n *Nomad) flow(at time.Time) {
	if !at.After(n.now) {
		return
	}
	from := n.now
	n.now = at
	for _, t := range n.traffic {
		t.flow(from, at)
	}
}

// after lets act happen when d has passed.
func (n *Nomad) after(d time.Duration, act func()) { n.events.add(n.now.Add(max(d, 0)), act) }

// touch makes a new index and marks the tables as changed by it.
func (n *Nomad) touch(tables ...table) uint64 {
	n.index++
	for _, t := range tables {
		n.tables[t] = n.index
	}
	n.wake()
	return n.index
}

// wake lets blocking queries look again.
func (n *Nomad) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// newID makes the next id, in the form of a UUID.
func (n *Nomad) newID() string {
	a, b := n.rng.Uint64(), n.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

// SetBehaviour changes how tasks behave, those that run included; nil is DemoBehaviour. Checks and requests see it at
// once; a task that is to crash now exits now.
func (n *Nomad) SetBehaviour(behaviour func(Task) Behaviour) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if behaviour == nil {
		behaviour = DemoBehaviour
	}
	n.doings++
	n.behaviour = behaviour
	for _, a := range slices.Clone(n.allocs) {
		if a.running() {
			n.behave(a)
		}
	}
	n.wake()
}

// CrashAlloc lets the tasks of an allocation exit with code 1. Nomad's restart policy decides what follows.
func (n *Nomad) CrashAlloc(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.alloc(id)
	if a == nil || !a.running() {
		return fmt.Errorf("crash allocation %q: no such allocation runs", id)
	}
	n.doings++
	n.exited(a)
	return nil
}

// LoseAlloc takes the node away from an allocation: it is lost, and Nomad replaces it where its rules say so.
func (n *Nomad) LoseAlloc(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.alloc(id)
	if a == nil || a.clientTerminal() {
		return fmt.Errorf("lose allocation %q: no such allocation runs", id)
	}
	n.doings++
	n.lost(a)
	return nil
}

// SetNodes changes the capacity, in allocations; 0 is no limit. What waits for room is placed.
func (n *Nomad) SetNodes(nodes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.doings++
	n.cfg.Nodes = nodes
	n.unblock()
}

// Unavailable makes the cluster unreachable, or reachable again: meanwhile clients of Client get a refused connection
// and others status 500. What runs goes on running.
func (n *Nomad) Unavailable(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.doings++
	n.down = down
	n.wake()
}

// Requests is every request so far, as "METHOD /path?query", in order.
func (n *Nomad) Requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.journal)
}

// Unknown is the requests to paths that the simulation does not know; a test should find none.
func (n *Nomad) Unknown() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.unknown)
}

// LeftOut is what was left out of the jobspec that was parsed last, as ParseLeniently says it.
func (n *Nomad) LeftOut() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.left)
}
