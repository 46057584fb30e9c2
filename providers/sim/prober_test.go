package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Prober  = (*sim.Prober)(nil)
	_ reconcile.Metrics = (*sim.Traffic)(nil)
)

// run registers the example at a version, and lets it get ready.
func run(t *testing.T, n *sim.Nomad, version string) []*api.AllocationListStub {
	t.Helper()
	client := newClient(t, n)
	job, err := client.Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: readCheckout(t), Variables: fmt.Sprintf("version = %q", version)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	n.Advance(n.Now().Add(30 * time.Second))
	allocs, _, err := client.Jobs().Allocations(*job.ID, false, nil)
	if err != nil || len(allocs) == 0 {
		t.Fatalf("%d allocations, %v", len(allocs), err)
	}
	return allocs
}

// TestSmoke answers smoke checks as the allocations behave.
func TestSmoke(t *testing.T) {
	check := strategy.Smoke{Name: "home", Path: "/", Status: 200, Timeout: time.Second, Retries: 1}
	for name, c := range map[string]struct {
		behaviour sim.Behaviour
		want      string
	}{
		"sound":   {sim.Behaviour{}, ""},
		"sick":    {sim.Behaviour{Sick: true}, "answered GET / with status 503 (expected 200)"},
		"failing": {sim.Behaviour{ErrorRate: 1}, "answered GET / with status 500 (expected 200)"},
		"slow":    {sim.Behaviour{Latency: sim.Latency{Median: 2 * time.Second}}, "with nothing in time"},
	} {
		t.Run(name, func(t *testing.T) {
			n := sim.New(sim.Config{Start: start, Seed: 1, Behaviour: func(sim.Task) sim.Behaviour { return c.behaviour }})
			alloc := run(t, n, "1.0.0")[0]
			failed, err := n.Prober().Smoke(t.Context(), []strategy.Smoke{check}, []strategy.Endpoint{{Alloc: alloc.ID}})
			if err != nil || (failed == "") != (c.want == "") || !strings.Contains(failed, c.want) {
				t.Errorf("got %q and %v, want %q", failed, err, c.want)
			}
		})
	}
	n := sim.New(sim.Config{Start: start})
	failed, err := n.Prober().Smoke(t.Context(), []strategy.Smoke{check}, []strategy.Endpoint{{Alloc: "gone"}})
	if err != nil || !strings.Contains(failed, "refused") {
		t.Errorf("an allocation that is not there answers %q and %v", failed, err)
	}
}

// TestMeasure answers the gates that ask by themselves, for those allocations that say something of them.
func TestMeasure(t *testing.T) {
	n := sim.New(sim.Config{Start: start, Seed: 1, Behaviour: func(sim.Task) sim.Behaviour {
		return sim.Behaviour{Queries: map[string]float64{"calls": 0.5, "queue": 7}}
	}})
	traffic := n.Traffic(sim.Load{RPS: 100})
	var ids []string
	split := strategy.Split{Release: "checkout-api", Service: "checkout-api", Namespace: "default"}
	for _, a := range run(t, n, "1.0.0") {
		ids = append(ids, a.ID)
		split.Stable = append(split.Stable, strategy.Endpoint{Alloc: a.ID})
	}
	if err := traffic.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	n.Advance(n.Now().Add(time.Minute))
	calls := strategy.Gate{Name: "calls", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "calls"}}
	queue := strategy.Gate{Name: "queue", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "queue", Instant: true}}
	other := strategy.Gate{Name: "other", Metric: strategy.MetricCPU}
	got, err := traffic.Measure(t.Context(), strategy.Inquiry{Release: "checkout-api", Gates: []strategy.Gate{calls, queue, other}, Stable: ids})
	if err == nil || !strings.Contains(err.Error(), `gate "other"`) {
		t.Errorf("the error is %v, want it to name the gate without an answer", err)
	}
	requests, events := 0.0, 0.0
	for _, s := range got.Series {
		requests, events = requests+s.Requests, events+s.Errors
	}
	if requests != 6000 || events < 2500 || events > 3500 || len(got.Series) != len(ids) {
		t.Errorf("%d series count %.0f events of %.0f requests, want half of 6000", len(got.Series), events, requests)
	}
	if len(got.Gauges) != 1 || got.Gauges[0] != (strategy.Gauge{Gate: "queue", Track: strategy.Stable, Value: 7}) {
		t.Errorf("the values are %+v", got.Gauges)
	}
}
