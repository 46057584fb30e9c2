package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// known is what was seen of a job a moment ago, in the same pass or in one that waited for the router alone. It holds until
// something is done to the job; what others do meanwhile is seen a second later, or when Nomad tells, and acts compare before
// they set.
type known struct {
	at      time.Time // of the pass
	job     strategy.JobRef
	service string
	state   strategy.ClusterState
}

// after takes in what was done: a job that something was done to is not known any more.
func (k *known) after(actions []strategy.Action) {
	for _, a := range actions {
		if a.Kind != strategy.ActSetSplit && a.Kind != strategy.ActDeliver {
			*k = known{}
		}
	}
}

// observe gathers all that a decision about one release may rest on. What cannot be read is left nil, with the problem.
// Nomad is asked only for what is not known already, and what it says is known then.
func (l *Loop) observe(ctx context.Context, name string, t *tracked, now time.Time) strategy.Observation {
	r := t.record.Rollout
	o := strategy.Observation{Unchanged: t.unchanged, ActProblem: t.actProblem, Smoke: t.smoke, GitAway: l.gitAway}
	o.Desired, o.GitProblem = l.intent.desired(name)
	l.headSeen(&o) // After it was read what Git asks for: that may move meanwhile.
	if l.intent.gone(name) {
		l.observeGone(r, &o)
	}
	job, service := r.Subject(o.Desired)
	o.Job = job
	if job == (strategy.JobRef{}) {
		o.Cluster = &strategy.ClusterState{} // It never ran, and which job is meant cannot be said: nothing to look at.
		return o
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		if t.known.job != job || t.known.service != service {
			state, err := l.opts.Cluster.Observe(ctx, job, service)
			if err != nil {
				o.ClusterProblem, o.ClusterDenied = err.Error(), errors.Is(err, strategy.ErrDenied)
				return
			}
			t.known = known{now, job, service, state}
		}
		state := t.known.state
		if owner := state.Marker.Instance; owner != "" && owner != l.opts.Instance {
			o.Owner = owner
		}
		if _, can := l.opts.Cluster.(Condemner); !can {
			state.Condemned = r.Condemned // What the cluster cannot keep is not asked of it.
		}
		o.Cluster = &state
	})
	if service != "" {
		wait.Go(func() { l.observeTraffic(ctx, t, &o, now) })
	}
	wait.Wait()
	if o.Cluster != nil {
		o.Desired = served(o.Desired, r, *o.Cluster)
	}
	l.observeGates(ctx, r, &o, now)
	return o
}

// observeGone says of a release that is gone from Git whether its job is to be stopped for it, and why not.
func (l *Loop) observeGone(r strategy.Rollout, o *strategy.Observation) {
	heir, sure := l.intent.heir(r.Job)
	o.Heir = heir
	switch {
	case heir != "":
		o.GitProblem += fmt.Sprintf(", and its job is that of release %q", heir)
	case !l.opts.Prune:
	case o.Forced != "":
		o.GitProblem += fmt.Sprintf(" since the branch was force-pushed to %.7s, so that nothing is pruned until a commit lands on top of it or drover accept-head", o.Forced)
	case len(l.intent.names()) == 0:
		o.GitProblem += ", nor is any other, so that nothing is pruned"
	case !sure:
		o.GitProblem += ", though its job may be that of another one that cannot be read"
	default:
		o.Prune = true
	}
}

// observeGates has the metrics answer the gates that ask by themselves, and those on requests where the router has no meter.
// What they cannot answer is said, and takes nothing from what the router has counted.
func (l *Loop) observeGates(ctx context.Context, r strategy.Rollout, o *strategy.Observation, now time.Time) {
	traffic, err := l.router(r.RouterOf(o.Desired))
	requests := err == nil && traffic.Measured
	if l.opts.Metrics == nil || r.AtRest() || (o.Sample == nil && !requests) {
		return
	}
	at := now
	if o.Sample != nil {
		at = o.Sample.At
	}
	inquiry, asks := r.Inquiry(o.Cluster, at, requests)
	if !asks {
		return
	}
	answers, err := l.opts.Metrics.Measure(ctx, inquiry)
	switch {
	case requests && answers.At.IsZero():
		o.SampleProblem = err.Error()
		return
	case requests:
		o.Sample = &answers
	default:
		o.Sample.Series, o.Sample.Gauges = append(o.Sample.Series, answers.Series...), answers.Gauges
	}
	if err != nil {
		o.Sample.Lacks = err.Error()
	}
}

func (l *Loop) observeTraffic(ctx context.Context, t *tracked, o *strategy.Observation, now time.Time) {
	r := t.record.Rollout
	traffic, err := l.router(r.RouterOf(o.Desired))
	if err != nil {
		o.TrafficProblem, o.SampleProblem = err.Error(), err.Error()
		return
	}
	state, err := traffic.read(ctx, r.Release)
	if err != nil {
		o.TrafficProblem = err.Error()
	} else {
		o.Traffic = &state
	}
	switch {
	case r.AtRest(), r.Phase == strategy.Placing && !r.Registered: // There is nothing to judge yet.
	case traffic.Measured: // The metrics are asked, once it is known which allocations there are.
	case traffic.Meter == nil:
		o.Sample = &strategy.Sample{At: now} // Nothing is counted, and the gates know: they ask the metrics.
	default:
		sample, err := traffic.Meter.Sample(ctx, r.Release)
		if err != nil {
			o.SampleProblem = err.Error()
			return
		}
		o.Sample = &sample
	}
}

// read is what the router has in effect, with what it makes of it.
func (t Traffic) read(ctx context.Context, release string) (strategy.TrafficState, error) {
	state, err := t.Router.Read(ctx, release)
	if err != nil {
		return state, err
	}
	state.Static = t.Router.Abilities().Static
	if len(state.Splits) > 0 {
		s := state.Splits[0]
		if share := t.shares()(s.Weight, len(s.Stable), len(s.Canary)); share != s.Weight {
			state.Share = &share
		}
	}
	return state, nil
}

func (l *Loop) router(name string) (Traffic, error) { return routerOf(l.opts.Routers, name) }
