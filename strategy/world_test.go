package strategy_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// world is a small model of everything outside the machine: Git, Nomad, a router and a meter. It is as unhelpful as the
// real ones: it may be away, lose actions, and change by other hands. It is a value that can be cloned, so that every
// order of events can be tried.
type world struct {
	now       time.Time
	ask       string // the version Git asks for; "" when the release cannot be read
	nomadUp   bool
	routerUp  bool
	quality   quality
	stopped   bool
	specs     []string // version number -> what it runs
	index     uint64
	marker    strategy.Marker
	dep       strategy.Deployment
	allocs    []strategy.Alloc
	nextAlloc int
	good      uint64
	stable    uint64 // the newest version whose deployment was successful
	tagged    bool
	split     strategy.Split
	counters  map[strategy.Track]strategy.Counters
	plan      strategy.Plan
	holdAt    *strategy.Weight
	command   *strategy.Command // for one look
	smoke     *strategy.SmokeResult
	smokeBad  bool
	slow      bool                // the next evaluation comes a tick late
	pending   string              // the spec that was registered and is not evaluated yet
	bad       []strategy.Revision // those whose version carries a bad tag
	forced    bool                // the branch was force-pushed
	gitAway   bool                // nobody knows what Git asks for now
	wait      bool                // the limits let nothing begin
	drift     strategy.Drift
	open      map[string]int // connections that do not end by themselves, by allocation
}

type quality int

const (
	fine quality = iota
	faulty
	silent
)

const (
	count   = 2
	tick    = 30 * time.Second
	service = "web"
)

var job = strategy.JobRef{Namespace: "default", ID: "web"}

func revision(version string) strategy.Revision {
	return strategy.Revision{Version: version, Attempt: 1, Digest: "digest-" + version}
}

// newWorld has a job that runs version a; an empty one has no job.
func newWorld(ask string, empty bool) *world {
	w := &world{now: time.Unix(1_000_000, 0).UTC(), plan: plan(), ask: ask, nomadUp: true, routerUp: true, counters: map[strategy.Track]strategy.Counters{}}
	if empty {
		return w
	}
	w.specs, w.index = []string{"a"}, 10
	w.dep = strategy.Deployment{ID: "d0", Status: strategy.DeploymentSuccessful, Promoted: true}
	for range count {
		w.place("a", false)
	}
	w.each(func(a *strategy.Alloc) { a.Ready = true })
	return w
}

func (w *world) clone() *world {
	c := *w
	c.specs, c.allocs = slices.Clone(w.specs), slices.Clone(w.allocs)
	c.split.Stable, c.split.Canary = slices.Clone(w.split.Stable), slices.Clone(w.split.Canary)
	c.counters, c.open = maps.Clone(w.counters), maps.Clone(w.open)
	return &c
}

func (w *world) each(do func(*strategy.Alloc)) {
	for i := range w.allocs {
		do(&w.allocs[i])
	}
}

func (w *world) drop(which func(strategy.Alloc) bool) {
	w.allocs = slices.DeleteFunc(w.allocs, which)
}

func (w *world) place(version string, canary bool) {
	w.nextAlloc++
	id := fmt.Sprintf("%s%d", version, w.nextAlloc)
	w.allocs = append(w.allocs, strategy.Alloc{ID: id, Group: "g", Canary: canary, Fresh: true, Address: "127.0.0.1:" + strconv.Itoa(1000+w.nextAlloc)})
}

func (w *world) spec() string { return w.specs[len(w.specs)-1] }

// observe is what Drover would read.
func (w *world) observe() strategy.Observation {
	o := strategy.Observation{Command: w.command, Smoke: w.smoke, GitProblem: "release.hcl:1: it does not parse", ClusterProblem: "connection refused", TrafficProblem: "connection refused"}
	if w.forced {
		o.Forced = "f0rced"
	}
	if w.gitAway {
		o.GitAway = &strategy.Reason{Code: strategy.GitUnreachable, Text: "no answer"}
	}
	if w.wait {
		o.Wait = &strategy.Reason{Code: strategy.LimitReached, Text: "others are under way"}
	}
	if w.ask != "" {
		o.Desired = &strategy.Desired{
			Release: strategy.Release{Name: "web", Version: w.ask, Source: strategy.JobSource{Jobspec: w.ask}, Plan: w.plan, HoldAt: w.holdAt, Drift: w.drift}, Revision: revision(w.ask),
			Job: strategy.JobSpec{Ref: job}, Service: service, Commit: strategy.Commit{SHA: "c0ffee-" + w.ask, Subject: "release " + w.ask},
		}
	}
	if w.nomadUp {
		o.Cluster = w.cluster()
	}
	if w.routerUp {
		o.Traffic = &strategy.TrafficState{Splits: []strategy.Split{w.split}, Open: map[string]int{}}
		for id, n := range w.open {
			if slices.ContainsFunc(w.allocs, func(a strategy.Alloc) bool { return a.ID == id }) {
				o.Traffic.Open[id] = n
			}
		}
	}
	if w.routerUp && w.quality != silent {
		o.Sample = &strategy.Sample{At: w.now}
		for _, track := range []strategy.Track{strategy.Stable, strategy.Canary, strategy.Shadow} {
			o.Sample.Series = append(o.Sample.Series, strategy.Series{Source: "s", Track: track, Counters: w.counters[track]})
		}
	} else {
		o.SampleProblem = "no answer"
	}
	return o
}

// ill makes all that is no canary fail its checks, or pass them again.
func (w *world) ill(ill bool) {
	for i := range w.allocs {
		if !w.allocs[i].Canary {
			w.allocs[i].Ready = !ill
		}
	}
}

func (w *world) cluster() *strategy.ClusterState {
	c := &strategy.ClusterState{
		Exists: len(w.specs) > 0, Stopped: w.stopped, ModifyIndex: w.index, Marker: w.marker, Count: count, Deployment: w.dep,
		Allocs: slices.Clone(w.allocs), GoodVersion: w.good, GoodTagged: w.tagged, ProgressDeadline: tick, Condemned: slices.Clone(w.bad),
	}
	if c.Exists {
		c.Version, c.Revision = uint64(len(w.specs)-1), revision(w.spec())
		c.LastGood = strategy.Installed{Revision: revision(w.specs[w.stable]), Version: w.stable}
	}
	return c
}

// blueGreen switches at once, after smoke checks, and keeps the old revision for a while.
func blueGreen() strategy.Plan {
	p := plan()
	p.Kind, p.Steps, p.Standby = strategy.KindBlueGreen, p.Steps[1:], 2*tick
	p.Smoke = []strategy.Smoke{{Name: "home", Path: "/", Status: 200}}
	return p
}

// draining lets open connections end before it ends what they are on, and tries a version on copies of requests first.
func draining() strategy.Plan {
	p := plan()
	p.Drain = 2 * tick
	p.Shadow = &strategy.ShadowPlan{Percent: strategy.Percent(10), Bake: tick, Methods: []string{"GET"}, Gates: p.Gates}
	return p
}

// connect opens a connection to everything that gets requests.
func (w *world) connect() {
	w.open = map[string]int{}
	for _, e := range slices.Concat(w.split.Stable, w.split.Canary) {
		w.open[e.Alloc] = 1
	}
}

// other is the plan with other steps.
func other(p strategy.Plan) strategy.Plan {
	p.Steps = []strategy.Step{{Weight: strategy.Percent(40), Bake: tick}, {Weight: strategy.Percent(80), Bake: tick}, {Weight: strategy.Full, Bake: tick}}
	p.Standby = tick
	return p
}

func plan() strategy.Plan {
	return strategy.Plan{
		Steps: []strategy.Step{{Weight: strategy.Percent(50), Bake: tick}, {Weight: strategy.Full, Bake: tick}},
		Gates: []strategy.Gate{{
			Name: "errors", Metric: strategy.MetricErrorRate, Max: &strategy.Bound{Value: 0.01, Text: "1%"},
			MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"},
		}},
		Rollback: strategy.Rollback{Commit: strategy.CommitPush, Issue: true}, MaxDuration: 4 * tick,
	}
}

// perform does what an action asks, as the real world would; acts that cannot be done have no effect.
func (w *world) perform(a strategy.Action) {
	switch a.Kind {
	case strategy.ActSetSplit:
		if w.routerUp {
			w.split = *a.Split
			for _, id := range w.split.Leaving {
				delete(w.open, id)
			}
		}
	case strategy.ActRegister:
		if w.nomadUp && a.Registration.ModifyIndex == w.index {
			spec := ""
			if a.Registration.Source != nil {
				spec = a.Registration.Source.Jobspec
			} else {
				spec = w.specs[a.Registration.Version]
			}
			w.register(spec, a.Registration.Marker)
		}
	case strategy.ActPromote:
		if w.nomadUp && a.Deployment == w.dep.ID {
			w.promote()
		}
	case strategy.ActStop:
		if w.nomadUp && a.ModifyIndex == w.index {
			w.stop()
		}
	case strategy.ActMarkGood:
		if w.nomadUp {
			w.good, w.tagged = a.Version, true
		}
	case strategy.ActMarkBad:
		if w.nomadUp {
			w.bad = append(slices.Clip(w.bad), a.Revision)
		}
	case strategy.ActReplace:
		if w.nomadUp {
			w.replace(a.Alloc)
		}
	case strategy.ActDeliver, strategy.ActSmoke, strategy.ActScale:
	}
}

// replace is what Nomad does when an allocation is stopped.
func (w *world) replace(id string) {
	n := slices.IndexFunc(w.allocs, func(a strategy.Alloc) bool { return a.ID == id })
	if n < 0 {
		return
	}
	old := w.allocs[n]
	w.allocs = slices.Delete(w.allocs, n, n+1)
	w.place(old.ID[:1], old.Canary)
}

// register makes a new version. Until it is evaluated there is no deployment, and canaries of the old one still run.
func (w *world) register(spec string, marker strategy.Marker) {
	w.specs, w.marker, w.stopped = append(w.specs, spec), marker, false
	w.index += 10
	w.dep, w.pending = strategy.Deployment{}, spec
	w.each(func(a *strategy.Alloc) { a.Fresh = false })
	if !w.slow {
		w.evaluate()
	}
	w.slow = false
}

// evaluate is what Nomad does with a new version: canaries end, an unchanged spec stays in place, a changed one gets
// canaries beside what runs, and is placed at once when nothing does.
func (w *world) evaluate() {
	spec := w.pending
	w.pending = ""
	w.drop(func(a strategy.Alloc) bool { return a.Canary })
	w.dep = strategy.Deployment{ID: "d" + strconv.Itoa(len(w.specs)), Status: strategy.DeploymentRunning, Promoted: true}
	switch running := w.allocs; {
	case len(running) == 0:
		for range count {
			w.place(spec, false)
		}
	case slices.ContainsFunc(running, func(a strategy.Alloc) bool { return a.ID[:1] != spec }):
		w.dep.Promoted, w.dep.Canaries = false, map[string]int{"g": count}
		for range count {
			w.place(spec, true)
		}
	default:
		w.each(func(a *strategy.Alloc) { a.Fresh = true })
		w.succeed()
	}
}

func (w *world) succeed() {
	w.dep.Status, w.stable = strategy.DeploymentSuccessful, uint64(len(w.specs)-1)
}

func (w *world) promote() {
	if w.dep.Promoted || w.dep.Status != strategy.DeploymentRunning || slices.ContainsFunc(w.allocs, func(a strategy.Alloc) bool { return a.Canary && !a.Ready }) {
		return
	}
	w.dep.Promoted = true
	w.succeed()
	w.drop(func(a strategy.Alloc) bool { return !a.Fresh })
	w.each(func(a *strategy.Alloc) { a.Canary = false })
}

func (w *world) stop() {
	w.stopped, w.allocs, w.pending = true, nil, ""
	w.index += 10
	w.specs = append(w.specs, w.spec())
	w.dep = strategy.Deployment{}
}

// pass lets a tick go by: starting allocations become ready, deployments end, requests come.
func (w *world) pass() {
	w.now = w.now.Add(tick)
	if w.pending != "" {
		w.evaluate()
		w.requests()
		return
	}
	w.each(func(a *strategy.Alloc) { a.Ready = a.Fault == strategy.FaultNone })
	if w.dep.Status == strategy.DeploymentRunning && w.dep.Promoted && !slices.ContainsFunc(w.allocs, func(a strategy.Alloc) bool { return !a.Ready }) {
		w.succeed()
	}
	w.requests()
}

func (w *world) requests() {
	for track, share := range map[strategy.Track]float64{strategy.Canary: w.split.Weight.Share(), strategy.Stable: 1 - w.split.Weight.Share()} {
		c := w.counters[track]
		c.Requests += 10_000 * share
		if w.quality == faulty && track == strategy.Canary {
			c.Errors += 5000 * share
		}
		w.counters[track] = c
	}
	if w.split.Copies != nil {
		c := w.counters[strategy.Shadow]
		c.Requests += 10_000
		if w.quality == faulty {
			c.Errors += 5000
		}
		w.counters[strategy.Shadow] = c
	}
}
