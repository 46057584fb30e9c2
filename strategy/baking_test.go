package strategy_test

import (
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestUnwatchedTimeIsNotBaked has nobody look at a step for a while, as when no Drover leads. What the metrics counted
// meanwhile was baked; what nobody counted was not.
func TestUnwatchedTimeIsNotBaked(t *testing.T) {
	proxy := func(source string, at int, requests float64) *strategy.Sample {
		s := sample(at, series(source, strategy.Canary, 0, counters(requests, 0)), series(source, strategy.Stable, 0, counters(9*requests, 0)))
		s.Bounds = nil
		return &s
	}
	for _, test := range []struct {
		name   string
		gates  []strategy.Gate
		before *strategy.Sample // taken when the step is last looked at
		after  *strategy.Sample
		gap    time.Duration
		want   time.Duration
	}{
		{"looked at in time", nil, nil, nil, 2 * time.Second, 2 * time.Second},
		{"nobody counts", nil, nil, nil, 20 * time.Second, 5 * time.Second},
		{"the proxy counts on", []strategy.Gate{errorGate}, proxy("p", 1, 100), proxy("p", 21, 500), 20 * time.Second, 20 * time.Second},
		{"the proxy counts on for long", []strategy.Gate{errorGate}, proxy("p", 1, 100), proxy("p", 601, 9000), 10 * time.Minute, time.Minute},
		{"the proxy was away too", []strategy.Gate{errorGate}, proxy("p", 1, 100), proxy("q", 21, 300), 20 * time.Second, 5 * time.Second},
		{"the proxy began anew", []strategy.Gate{errorGate}, proxy("p", 1, 100), proxy("p", 21, 30), 20 * time.Second, 5 * time.Second},
		{"the metrics count on from there", []strategy.Gate{errorGate}, proxy(strategy.AskedSource+"1", 1, 100), proxy(strategy.AskedSource+"2", 21, 40), 20 * time.Second, 20 * time.Second},
		{"the canary got nothing", []strategy.Gate{errorGate}, proxy("p", 1, 100), proxy("p", 21, 100), 20 * time.Second, 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, w := stepping(test.gates...)
			look := func(s *strategy.Sample, now time.Time) {
				o := w.observe()
				o.Sample = s
				var actions []strategy.Action
				r, actions, _ = strategy.Advance(r, o, now)
				for _, a := range actions {
					w.perform(a)
				}
				if r.Phase != strategy.Stepping || r.Hold != nil {
					t.Fatalf("got %s, hold %v: %s", r.Phase, r.Hold, r.Reason.Text)
				}
			}
			look(nil, start) // The split is asked for.
			now := start.Add(time.Second)
			look(test.before, now)
			baked := r.Baked
			look(test.after, now.Add(test.gap))
			if got := r.Baked - baked; got != test.want {
				t.Errorf("baked %s more, want %s", got, test.want)
			}
		})
	}
}

// TestTheClockGoesBack has the clock put back in mid-step: the step bakes on, and what fails then is seen to.
func TestTheClockGoesBack(t *testing.T) {
	for name, test := range map[string]struct {
		back   time.Duration
		errors float64 // of each 100 requests of the canary
		want   strategy.Phase
	}{
		"by a moment":                 {2 * time.Second, 0, strategy.Stepping},
		"by an hour":                  {time.Hour, 0, strategy.Stepping},
		"by an hour, and it fails":    {time.Hour, 50, strategy.Restoring},
		"by half a year, it fails":    {4000 * time.Hour, 50, strategy.Restoring},
		"by less than a poll of ours": {time.Second, 50, strategy.Restoring},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := stepping(errorGate)
			now, canary, failed := start, 0.0, 0.0
			look := func(errors float64) {
				now, canary, failed = now.Add(time.Second), canary+100, failed+errors
				o := w.observe()
				s := sample(0, series("p", strategy.Canary, 0, counters(canary, failed)), series("p", strategy.Stable, 0, counters(9*canary, 0)))
				s.Bounds, s.At = nil, now
				o.Sample = &s
				var actions []strategy.Action
				r, actions, _ = strategy.Advance(r, o, now)
				for _, a := range actions {
					w.perform(a)
				}
			}
			for range 10 {
				look(0)
			}
			baked := r.Baked
			now = now.Add(-test.back)
			for range 30 {
				if look(test.errors); r.Phase != strategy.Stepping {
					break
				}
			}
			if r.Phase != test.want {
				t.Fatalf("got %s, want %s: %s", r.Phase, test.want, r.Reason.Text)
			}
			if more := r.Baked - baked; test.want == strategy.Stepping && more < 25*time.Second {
				t.Errorf("baked %s in 30 seconds", more)
			}
		})
	}
}

// stepping is a rollout in its only step, at 10%, with ready canaries.
func stepping(gates ...strategy.Gate) (strategy.Rollout, *world) {
	p := strategy.Plan{Steps: []strategy.Step{{Weight: strategy.Percent(10), Bake: time.Hour}}, Gates: gates, MaxDuration: 2 * time.Hour}
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Stepping, ID: "web-1", Registered: true, Opened: true, Plan: p, Since: start, Seen: start,
		Weight: p.Steps[0].Weight, Canary: strategy.Trial{Revision: revision("b"), Service: service},
	}
	r.Evidence = strategy.Evidence{Since: start, At: start}
	w := newWorld("b", false)
	w.register("b", strategy.Marker{Rollout: r.ID, Role: strategy.RoleCanary, Revision: revision("b")})
	w.plan, w.quality, w.split.Weight = r.Plan, silent, p.Steps[0].Weight
	w.each(func(a *strategy.Alloc) { a.Ready = true })
	return r, w
}

// TestPhaseIsAsOldAsItIs also where its deadline waits, as while Nomad cannot be read.
func TestPhaseIsAsOldAsItIs(t *testing.T) {
	r, w := stepping()
	began := r.Since
	o := w.observe()
	o.Cluster, o.ClusterProblem = nil, "connection refused"
	for range 5 {
		w.now = w.now.Add(time.Second)
		r, _, _ = strategy.Advance(r, o, w.now)
	}
	if !r.Entered.Equal(began) || !r.Since.After(began) {
		t.Errorf("got a step since %s with a deadline from %s, want the step since %s and the deadline later", r.Entered, r.Since, began)
	}
}
