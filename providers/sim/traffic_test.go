package sim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router = (*sim.Traffic)(nil)
	_ reconcile.Meter  = (*sim.Traffic)(nil)
)

func TestRouter(t *testing.T) {
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		n := sim.New(sim.Config{Start: start, Seed: 7})
		traffic := n.Traffic(sim.Load{})
		return providertest.RouterHarness{
			Router: traffic,
			Meter:  traffic,
			Start: func(_, alloc string) strategy.Endpoint {
				return traffic.Stand(alloc, sim.Behaviour{})
			},
			Behave: func(e strategy.Endpoint, b providertest.Behavior) {
				behaviour := sim.Behaviour{Latency: sim.Latency{Median: b.Delay}}
				if b.Fail {
					behaviour.ErrorRate = 1
				}
				traffic.Stand(e.Alloc, behaviour)
			},
			Send:   traffic.Send,
			Settle: func() { n.Advance(n.Now().Add(time.Second)) },
		}
	})
}

func sample(t *testing.T, traffic *sim.Traffic, release string) map[strategy.Track]strategy.Counters {
	t.Helper()
	s, err := traffic.Sample(t.Context(), release)
	if err != nil {
		t.Fatalf("sample: %v", err)
	}
	out := map[strategy.Track]strategy.Counters{}
	for _, series := range s.Series {
		if series.Endpoint != "" {
			continue
		}
		out[series.Track] = series.Counters
	}
	return out
}

// apply steers all of a release's traffic to endpoints that are no allocations.
func apply(t *testing.T, traffic *sim.Traffic, split strategy.Split) {
	t.Helper()
	if err := traffic.Apply(t.Context(), split); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func TestTrafficArrivesWithTime(t *testing.T) {
	n := sim.New(sim.Config{Start: start, Seed: 3})
	traffic := n.Traffic(sim.Load{RPS: 2000})
	slow := traffic.Stand("slow", sim.Behaviour{ErrorRate: 0.02, Latency: sim.Latency{Median: 100 * time.Millisecond, Sigma: 0.5}})
	fast := traffic.Stand("fast", sim.Behaviour{Latency: sim.Latency{Median: time.Millisecond}})
	apply(t, traffic, strategy.Split{
		Release: "web", Weight: strategy.Percent(25), Stable: []strategy.Endpoint{fast}, Canary: []strategy.Endpoint{slow},
	})
	began := time.Now()
	for range 6 * 3600 {
		n.Advance(n.Now().Add(time.Second))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("six hours at 2000 requests a second took %s", took)
	}
	const hours = 2000 * 6 * 3600
	got := sample(t, traffic, "web")
	canary, stable := got[strategy.Canary], got[strategy.Stable]
	if canary.Requests != hours/4 || stable.Requests != hours*3/4 {
		t.Errorf("got %.0f and %.0f requests, want exactly %d and %d", canary.Requests, stable.Requests, hours/4, hours*3/4)
	}
	if rate := canary.Errors / canary.Requests; rate < 0.0195 || rate > 0.0205 || stable.Errors != 0 {
		t.Errorf("got error rate %.4f and %.0f errors on stable, want 0.02 and none", rate, stable.Errors)
	}
	// The bound of 100 ms is the median.
	if share := canary.Buckets[8] / canary.Requests; share < 0.49 || share > 0.51 {
		t.Errorf("got %.3f of the canary's requests within its median, want half", share)
	}
	if stable.Buckets[0] != stable.Requests {
		t.Errorf("got %.0f of %.0f stable requests within 5ms, want all", stable.Buckets[0], stable.Requests)
	}
}

func TestTrafficPoisson(t *testing.T) {
	run := func(seed uint64) float64 {
		n := sim.New(sim.Config{Start: start, Seed: seed})
		traffic := n.Traffic(sim.Load{RPS: 50, Poisson: true})
		apply(t, traffic, strategy.Split{Release: "web", Stable: []strategy.Endpoint{traffic.Stand("a", sim.Behaviour{})}})
		for range 1000 {
			n.Advance(n.Now().Add(time.Second))
		}
		return sample(t, traffic, "web")[strategy.Stable].Requests
	}
	first, again, other := run(1), run(1), run(2)
	if first != again || first == other {
		t.Errorf("got %.0f, %.0f and %.0f requests, want the same for the same seed only", first, again, other)
	}
	// 50000 expected, with a standard deviation of 224.
	if first < 48800 || first > 51200 {
		t.Errorf("got %.0f requests, want about 50000", first)
	}
}

func TestTrafficFollowsRegistrationsAtRest(t *testing.T) {
	c := newCluster(t, sim.Config{Start: start, Seed: 5})
	c.register("1.0.0", 2, 0)
	c.settled()
	traffic := c.nomad.Traffic(sim.Load{})
	split := strategy.Split{Release: "checkout-api", Namespace: "default", Service: "checkout-api", Resting: true, Check: &strategy.Check{Type: "http"}}
	apply(t, traffic, split)
	first := traffic.Send("checkout-api", 10)
	if len(first) != 2 || first[""] != 0 {
		t.Fatalf("got answers of %v, want both allocations", first)
	}
	if err := c.nomad.LoseAlloc(c.running()[0].ID); err != nil {
		t.Fatal(err)
	}
	if got := traffic.Send("checkout-api", 10); len(got) != 1 || got[""] != 0 {
		t.Errorf("got answers of %v after one was lost, want the other alone", got)
	}
	c.settled()
	if got := traffic.Send("checkout-api", 10); len(got) != 2 || got[""] != 0 {
		t.Errorf("got answers of %v after it was replaced, want two", got)
	}
	if got := traffic.Versions("checkout-api")["1.0.0"]; got != 30 {
		t.Errorf("got %.0f requests of 1.0.0, want 30", got)
	}
	// In a rollout what is not named gets nothing.
	split.Resting = false
	apply(t, traffic, split)
	if got := traffic.Send("checkout-api", 10); got[""] != 10 {
		t.Errorf("got answers of %v for a split without endpoints, want none", got)
	}
	if got := sample(t, traffic, "checkout-api")[strategy.Stable].Errors; got != 10 {
		t.Errorf("got %.0f errors on stable, want 10", got)
	}
}

func TestTrafficEndedContext(t *testing.T) {
	traffic := sim.New(sim.Config{}).Traffic(sim.Load{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := traffic.Apply(ctx, strategy.Split{Release: "web"}); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: got %v, want canceled", err)
	}
}
