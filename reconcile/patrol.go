package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/strategy"
)

const (
	// patrolEvery is how often a router that follows nothing by itself is asked at rest whether it has its split still: it
	// may have been started anew, or changed by hand.
	patrolEvery = 2 * time.Second
	// lookEvery is how often a release at rest on such a router is looked at as a whole, should an event have been missed.
	lookEvery = 30 * time.Second
)

// kept is what is known of a release's split, to notice when the router loses it.
type kept struct {
	want    strategy.Split // asked for last, or found in effect
	had     bool           // it was in effect when the router was read last
	problem string         // why the router did not take it; "" when it did
	static  bool           // the router follows nothing by itself
	unready bool           // an allocation may yet become ready: nobody tells the router but Drover

	patrolled, looked time.Time
}

// see compares what the router has with what it was given, and tells the decision when it lost it.
func (k *kept) see(o *strategy.Observation) {
	o.SplitProblem = k.problem
	if o.Traffic == nil {
		return
	}
	k.static = o.Traffic.Static
	has := k.want.Release != "" && o.Traffic.Has(k.want)
	if k.had && !has {
		o.SplitLost = "the router has lost its split, or somebody changed it: it is given again"
	}
	if k.had = has; has {
		k.problem = ""
	}
}

// remarkLoss says that a split was lost.
func (l *Loop) remarkLoss(release string, r strategy.Rollout, o strategy.Observation) {
	if o.SplitLost == "" {
		return
	}
	router := r.RouterOf(o.Desired)
	if traffic, err := l.router(router); err == nil {
		router = traffic.name()
	}
	l.metrics.lost.WithLabelValues(router).Inc()
	l.log.Warn("split lost", "release", release, "router", router, "phase", string(r.Phase), "weight", r.Weight.String())
}

// settle takes for given what is in effect when nothing else was asked for.
func (k *kept) settle(o strategy.Observation, actions []strategy.Action) {
	asked := slices.ContainsFunc(actions, func(a strategy.Action) bool { return a.Kind == strategy.ActSetSplit })
	if t := o.Traffic; !asked && t != nil && len(t.Splits) > 0 && t.Splits[0].Release != "" {
		k.want, k.had, k.problem = t.Splits[0], true, ""
	}
	if o.Cluster != nil {
		k.unready = slices.ContainsFunc(o.Cluster.Allocs, func(a strategy.Alloc) bool { return !a.Ready && !a.Ending })
	}
}

// asked notes what became of a split that was asked for.
func (k *kept) asked(split strategy.Split, err error) {
	k.want, k.had, k.problem = split, false, ""
	if err != nil {
		k.problem = err.Error()
	}
}

// patrol looks at the releases that rest on routers which follow nothing by themselves; it returns those that are to be
// worked on.
func (l *Loop) patrol(ctx context.Context, now time.Time) map[string]bool {
	disturbed := map[string]bool{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(parallel)
	for name, t := range l.releases {
		if !t.patrolled() || within(now, t.split.patrolled, patrolEvery) {
			continue
		}
		t.split.patrolled = now
		group.Go(func() error {
			if l.keeps(ctx, t, now) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			disturbed[name] = true
			return nil
		})
	}
	_ = group.Wait() // A router that does not answer is a disturbance.
	return disturbed
}

// within tells whether something was done so short a time ago. The clock may go back: then it was not.
func within(now, then time.Time, d time.Duration) bool {
	return !now.Before(then) && now.Sub(then) < d
}

// patrolled tells whether a release is one of those that are patrolled.
func (t *tracked) patrolled() bool { return t.restingOn != "" && t.split.static }

// keeps tells whether nothing is to be done for a release that rests.
func (l *Loop) keeps(ctx context.Context, t *tracked, now time.Time) bool {
	if t.split.unready || !within(now, t.split.looked, lookEvery) {
		return false
	}
	d, _ := l.intent.desired(t.record.Rollout.Release)
	traffic, err := l.router(t.record.Rollout.RouterOf(d))
	if err != nil {
		return false
	}
	state, err := traffic.read(ctx, t.record.Rollout.Release)
	return err == nil && state.Has(t.split.want)
}

// patrols tells whether anything is patrolled.
func (l *Loop) patrols() bool {
	for _, t := range l.releases {
		if t.patrolled() {
			return true
		}
	}
	return false
}
