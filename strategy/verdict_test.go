package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

var (
	errorGate   = strategy.Gate{Name: "errors", Metric: strategy.MetricErrorRate, Max: &strategy.Bound{Value: 0.01, Text: "1%"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"}}
	pointsGate  = strategy.Gate{Name: "errors", Metric: strategy.MetricErrorRate, MaxVsStable: &strategy.Tolerance{Ratio: 1, Plus: 0.005, Text: "+0.5pp"}}
	latencyGate = strategy.Gate{Name: "latency", Metric: strategy.MetricLatency, Quantile: 0.95, Max: &strategy.Bound{Value: 0.1, Text: "100ms"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.2, Text: "+20%"}}
	callsGate   = strategy.Gate{Name: "calls", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "q"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"}}
	queueGate   = strategy.Gate{Name: "queue", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "q", Instant: true}, Max: &strategy.Bound{Value: 100, Text: "100"}}
	cpuGate     = strategy.Gate{Name: "cpu", Metric: strategy.MetricCPU, MaxVsStable: &strategy.Tolerance{Ratio: 1, Plus: 0.1, Text: "+10pp"}}

	handshakeGate = strategy.Gate{Name: "handshakes", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "q", Exposure: "e"}, Max: &strategy.Bound{Value: 0.02, Text: "2%"}}
	volumeGate    = strategy.Gate{Name: "volume", Metric: strategy.MetricRequests, Min: &strategy.Bound{Value: 500, Text: "500"}}
)

// rollout has one gate judge what both tracks count in every window of a step that is one of its own, and returns the
// verdict at its end. Weight 0 takes the canary to have all of the traffic.
type trial struct {
	gate           strategy.Gate
	canary, stable strategy.Counters // in every window
	windows        int
	alone          bool
	own            [2]strategy.Counters // of the gate's own query, for both tracks, in every window
	value          [2]float64           // of the gate's own query, likewise
	endpoints      []endpoint           // what is counted by endpoint, in every window
	burst, later   float64              // how errors come, as the first sample says it, and those after the third
	bounds         []float64            // of the buckets; those of sample when left out
}

// endpoint is what both tracks count of one endpoint.
type endpoint struct {
	name           string
	canary, stable strategy.Counters
}

const perWindow = 5 // seconds

func (c trial) plan() strategy.Plan {
	return strategy.Plan{Steps: []strategy.Step{{Weight: strategy.Full, Bake: 5 * time.Minute}}, Gates: []strategy.Gate{c.gate}}
}

func (c trial) verdict(t *testing.T) strategy.Verdict {
	t.Helper()
	r := c.run(t, c.plan())
	if len(r.Verdicts) != 1 {
		t.Fatalf("got %d verdicts: %s", len(r.Verdicts), r.Reason.Text)
	}
	return r.Verdicts[0]
}

// run has the gates of a plan judge the trial.
func (c trial) run(t *testing.T, p strategy.Plan) strategy.Rollout {
	t.Helper()
	r := strategy.Rollout{Release: "web", Phase: strategy.Stepping, ID: "web-1", Registered: true, Opened: true, Plan: p, Canary: strategy.Trial{Revision: revision("b"), Service: service}}
	r.Plan.Steps[0].Weight = strategy.Percent(10)
	if c.alone {
		r.Plan.Steps[0].Weight = strategy.Full
	}
	r.Evidence = strategy.Evidence{Since: start, At: start, ByEndpoint: len(c.endpoints) > 0}
	r.Plan.MaxDuration, r.Job = time.Hour, job
	w := newWorld("b", false)
	w.register("b", strategy.Marker{Rollout: r.ID, Role: strategy.RoleCanary, Revision: revision("b")})
	w.plan, w.quality = r.Plan, silent
	w.each(func(a *strategy.Alloc) { a.Ready = true })
	w.split.Weight = r.Plan.Steps[0].Weight
	canary, stable := strategy.Counters{Buckets: make([]float64, len(c.canary.Buckets))}, strategy.Counters{Buckets: make([]float64, len(c.canary.Buckets))}
	for i := range c.windows + 1 {
		now := start.Add(time.Duration(i*perWindow) * time.Second)
		if i > 0 {
			grow(&canary, c.canary)
			grow(&stable, c.stable)
		}
		o := w.observe()
		s := sample(i*perWindow+1, series("p", strategy.Canary, 0, canary), series("p", strategy.Stable, 0, stable))
		if len(c.canary.Buckets) == 0 || c.bounds != nil {
			s.Bounds = c.bounds
		}
		if i == 0 {
			s.Burst = c.burst
		} else if i > 3 {
			s.Burst = c.later
		}
		for _, of := range c.endpoints {
			for track, c := range map[strategy.Track]strategy.Counters{strategy.Canary: of.canary, strategy.Stable: of.stable} {
				s.Series = append(s.Series, strategy.Series{Source: "p", Since: start, Track: track, Endpoint: of.name, Counters: counters(c.Requests*float64(i), c.Errors*float64(i))})
			}
		}
		if g := c.gate; g.Query != nil && !g.Query.Instant {
			for n, track := range []strategy.Track{strategy.Canary, strategy.Stable} {
				own := strategy.Counters{Requests: c.own[n].Requests * float64(i), Errors: c.own[n].Errors * float64(i)}
				s.Series = append(s.Series, strategy.Series{Source: "m", Since: start, Track: track, Gate: g.Name, Counters: own})
			}
		}
		s.Gauges = []strategy.Gauge{{Gate: c.gate.Name, Track: strategy.Canary, Value: c.value[0]}, {Gate: c.gate.Name, Track: strategy.Stable, Value: c.value[1]}}
		o.Sample = &s
		r, _, _ = strategy.Advance(r, o, now)
		if len(r.Verdicts) == 1 && r.Verdicts[0].State == strategy.Fail {
			break
		}
		if r.Phase != strategy.Stepping || r.Evidence.At != s.At {
			t.Fatalf("got phase %s: %s", r.Phase, r.Reason.Text)
		}
	}
	return r
}

func grow(c *strategy.Counters, more strategy.Counters) {
	c.Requests += more.Requests
	c.Errors += more.Errors
	buckets := make([]float64, len(c.Buckets))
	for i := range buckets {
		buckets[i] = c.Buckets[i]
		if i < len(more.Buckets) {
			buckets[i] += more.Buckets[i]
		}
	}
	c.Buckets = buckets
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name  string
		trial trial
		want  strategy.VerdictState
		why   string
	}{
		{"nothing known", trial{gate: errorGate, windows: 3}, strategy.Inconclusive, "error rate: the canary has had no requests in this step"},
		{"clean", trial{gate: errorGate, canary: counters(200, 0), stable: counters(4000, 4), windows: 20}, strategy.Pass, "error rate 0.00%, within 1%, 1.5x of stable"},
		{"clean, and too few requests", trial{gate: errorGate, canary: counters(20, 0), stable: counters(400, 1), windows: 20}, strategy.Inconclusive, "too few requests to tell, about "},
		{"nothing to compare with", trial{gate: errorGate, canary: counters(200, 0), windows: 20}, strategy.Inconclusive, "error rate: stable has had no requests in this step to compare with"},
		{"beyond the absolute limit", trial{gate: errorGate, canary: counters(200, 16), stable: counters(4000, 4), windows: 3}, strategy.Fail, "error rate 8.00%, limit 1"},
		{"all fail", trial{gate: errorGate, canary: counters(10, 10), stable: counters(200, 0), windows: 2}, strategy.Fail, "error rate 100.00%, limit"},
		{"beyond stable alone", trial{gate: errorGate, canary: counters(1000, 8), stable: counters(10000, 10), windows: 40}, strategy.Fail, "limit 1.5x of stable's 0.10%"},
		{"as bad as stable, and both beyond the limit", trial{gate: errorGate, canary: counters(200, 16), stable: counters(4000, 320), windows: 20}, strategy.Inconclusive, "error rate 8.00%, limit 1%, but stable is over it too"},
		{"a few errors", trial{gate: errorGate, canary: counters(10, 0.2), stable: counters(200, 2), windows: 10}, strategy.Inconclusive, "error rate 2.00%, limit 1.5x of stable's 1.00%: too few requests to tell"},
		{"at full weight stable is not asked", trial{gate: errorGate, canary: counters(4000, 20), alone: true, windows: 10}, strategy.Pass, "error rate 0.50%, within 1%"},
		{"nothing to ask at full weight", trial{gate: pointsGate, canary: counters(4000, 400), alone: true, windows: 3}, strategy.Pass, "error rate is not asked: there is no stable beside the canary"},
		{"within percentage points", trial{gate: pointsGate, canary: counters(1000, 12), stable: counters(10000, 100), windows: 20}, strategy.Pass, "error rate 1.20%, within +0.5pp of stable"},
		{"beyond percentage points", trial{gate: pointsGate, canary: counters(1000, 30), stable: counters(10000, 100), windows: 20}, strategy.Fail, "error rate 3.00%, limit +0.5pp of stable's 1.00%"},
		{"fast", trial{gate: latencyGate, canary: counters(200, 0, 196, 200), stable: counters(4000, 0, 3920, 4000), windows: 60}, strategy.Pass, "p95 latency 96.9ms, within 100ms, +20% of stable"},
		{"all within the first bucket", trial{gate: latencyGate, canary: counters(200, 0, 200, 200), stable: counters(4000, 0, 4000, 4000), windows: 60}, strategy.Pass, "p95 latency 95ms, within 100ms, +20% of stable"},
		{"slow", trial{gate: latencyGate, canary: counters(200, 0, 100, 200), stable: counters(4000, 0, 4000, 4000), windows: 60}, strategy.Fail, "p95 latency 910ms, limit"},
		{"slower than can be measured", trial{gate: latencyGate, canary: counters(200, 0, 100, 150), stable: counters(4000, 0, 4000, 4000), windows: 60}, strategy.Fail, "p95 latency beyond the last bucket, limit"},
		{"stable not known yet", trial{gate: latencyGate, canary: counters(20, 0, 20, 20), stable: counters(40, 0, 40, 40), windows: 40}, strategy.Inconclusive, "learning how stable's latencies are spread: 1600 of 4000 requests seen"},
		{"no histogram", trial{gate: latencyGate, canary: counters(200, 0), stable: counters(4000, 0), windows: 3}, strategy.Inconclusive, "p95 latency"},
		{"volume missing", trial{gate: volumeGate, canary: counters(499, 0), windows: 1}, strategy.Inconclusive, "the canary took 499 of the 500 requests that are needed"},
		{"volume reached", trial{gate: volumeGate, canary: counters(500, 500), windows: 1}, strategy.Pass, "the canary took 500 requests, 500 are needed"},
		{"failed calls by the requests of the release", trial{gate: callsGate, canary: counters(200, 0), stable: counters(4000, 0), own: [2]strategy.Counters{counters(0, 40), counters(0, 40)}, windows: 10}, strategy.Fail, "calls 20.00%, limit 1.5x of stable's 1.00%"},
		{"failed calls as often as on stable", trial{gate: callsGate, canary: counters(200, 0), stable: counters(4000, 0), own: [2]strategy.Counters{counters(0, 2), counters(0, 40)}, windows: 50}, strategy.Pass, "calls 1.00%, within 1.5x of stable"},
		{"failed handshakes by handshakes", trial{gate: handshakeGate, canary: counters(200, 0), stable: counters(4000, 0), own: [2]strategy.Counters{counters(50, 10), counters(900, 9)}, windows: 10}, strategy.Fail, "handshakes 20.00%, limit 2%"},
		{"a value within", trial{gate: queueGate, value: [2]float64{90, 50}, windows: 60}, strategy.Pass, "queue 90, within 100"},
		{"a value beyond, for long enough", trial{gate: queueGate, value: [2]float64{150, 50}, windows: 60}, strategy.Fail, "queue 150, limit 100, in 3 readings one after another"},
		{"a value beyond, once", trial{gate: queueGate, value: [2]float64{150, 50}, windows: 2}, strategy.Inconclusive, "queue 150, limit 100, in 1 readings"},
		{"as busy as stable", trial{gate: cpuGate, value: [2]float64{0.55, 0.5}, windows: 60}, strategy.Pass, "use of the processor 55.00%, within +10pp of stable"},
		{"busier than stable: that holds, and rolls nothing back", trial{gate: cpuGate, value: [2]float64{0.95, 0.2}, windows: 200}, strategy.Inconclusive, "use of the processor 95.00%, beyond +10pp of stable's 20.00% for good"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.trial.verdict(t)
			if got.State != test.want || !strings.Contains(got.Why, test.why) {
				t.Errorf("got %s: %s\nwant %s: %s", got.State, got.Why, test.want, test.why)
			}
		})
	}
}

func TestWeight(t *testing.T) {
	for text, want := range map[string]strategy.Weight{"5%": 500, "0.5%": 50, "100%": strategy.Full, " 12.25 % ": 1225, "0%": 0} {
		if got, err := strategy.ParseWeight(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "five%", "-1%", "101%", "NaN%", "0.001%", "5%%"} {
		if got, err := strategy.ParseWeight(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
	for w, want := range map[strategy.Weight]string{0: "0%", 50: "0.5%", 1225: "12.25%", strategy.Full: "100%"} {
		if got := w.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPlanFor(t *testing.T) {
	steps := []strategy.Step{{Weight: strategy.Percent(10)}, {Weight: strategy.Percent(50)}, {Weight: strategy.Full}}
	job := strategy.JobSpec{Groups: []strategy.GroupSpec{{Name: "api", Count: 10, Services: []string{"web"}}}}
	for _, test := range []struct {
		name     string
		canaries strategy.Canaries
		count    int
		steps    int
		problems int
	}{
		{"full canaries carry everything", strategy.FullCanaries, 10, 3, 0},
		{"auto carries the largest step, the promotion the rest", strategy.Canaries{Auto: true}, 5, 2, 0},
		{"too few for a step", strategy.Canaries{Number: 3}, 3, 1, 1},
		{"more than there are", strategy.Canaries{Number: 30}, 10, 3, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.canaries.For(10, steps); got != test.count {
				t.Errorf("got %d canaries, want %d", got, test.count)
			}
			plan, problems := strategy.Plan{Steps: steps, Canaries: test.canaries}.For(job, "web")
			if len(plan.Steps) != test.steps || len(problems) != test.problems {
				t.Errorf("got %d steps and problems %q, want %d and %d", len(plan.Steps), problems, test.steps, test.problems)
			}
		})
	}
}

// TestInquiry: gates that ask by themselves are told apart, and are given the allocations of each track.
func TestInquiry(t *testing.T) {
	w := newWorld("b", false)
	w.register("b", strategy.Marker{Rollout: "web-1", Role: strategy.RoleCanary, Revision: revision("b")})
	r := strategy.Rollout{Release: "web", ID: "web-1", Phase: strategy.Stepping, Opened: true, Plan: strategy.Plan{Gates: []strategy.Gate{errorGate, queueGate, cpuGate}}}
	o := w.observe()
	got, asks := r.Inquiry(o.Cluster, start, false)
	if !asks || len(got.Gates) != 2 || len(got.Canary) != count || len(got.Stable) != count || got.Canary[0][:1] != "b" || got.Stable[0][:1] != "a" {
		t.Errorf("got %+v, %t", got, asks)
	}
	r.Phase, r.Opened, r.Shadowing = strategy.Placing, false, true
	r.Plan.Shadow = &strategy.ShadowPlan{Percent: strategy.Percent(10)}
	if got, asks := r.Inquiry(o.Cluster, start, true); asks {
		t.Errorf("asked %+v about copies that no gate is on", got)
	}
	r.Plan.Shadow.Gates = []strategy.Gate{{Name: "copies", Metric: strategy.MetricLatency}}
	if got, asks := r.Inquiry(o.Cluster, start, true); !asks || !got.Copies || !got.Latency || got.Alone || len(got.Gates) > 0 || got.Trial() != strategy.Shadow || len(got.Track(strategy.Shadow)) != count {
		t.Errorf("asked %+v, %t about copies", got, asks)
	}
	if got, asks := r.Inquiry(o.Cluster, start, false); asks {
		t.Errorf("asked %+v about copies that the router counts", got)
	}
	if why := r.Plan.Unanswered(); !strings.Contains(why, `gate "queue"`) || !strings.Contains(why, "drover.hcl") {
		t.Errorf("got %q", why)
	}
	if why := (strategy.Plan{Gates: []strategy.Gate{errorGate}}).Unanswered(); why != "" {
		t.Errorf("got %q for a plan that asks nothing", why)
	}
}
