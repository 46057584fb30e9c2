package strategy_test

import (
	"testing"

	"github.com/drover-dev/drover/strategy"
)

func TestJudge(t *testing.T) {
	errorRate := strategy.Gate{Name: "errors", Metric: strategy.MetricErrorRate, Max: &strategy.Bound{Value: 0.01, Text: "1%"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"}}
	relative := strategy.Gate{Name: "errors", Metric: strategy.MetricErrorRate, MaxVsStable: &strategy.Tolerance{Ratio: 1, Plus: 0.005, Text: "+0.5pp"}}
	latency := strategy.Gate{Name: "latency", Metric: strategy.MetricLatency, Quantile: 0.95, Max: &strategy.Bound{Value: 0.1, Text: "100ms"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.2, Text: "+20%"}}
	volume := strategy.Gate{Name: "volume", Metric: strategy.MetricRequests, Min: &strategy.Bound{Value: 500, Text: "500"}}
	for _, test := range []struct {
		name           string
		gate           strategy.Gate
		canary, stable strategy.Counters
		alone          bool
		want           strategy.VerdictState
		why            string
	}{
		{"nothing known", errorRate, counters(0, 0), counters(0, 0), false, strategy.Inconclusive, "error rate: 0 canary requests in this step, 100 are needed"},
		{"clean", errorRate, counters(200, 0), counters(4000, 4), false, strategy.Pass, "error rate 0.00%, within 1%, 1.5x of stable"},
		{"too few to compare with", errorRate, counters(200, 0), counters(99, 0), false, strategy.Inconclusive, "error rate: 99 stable requests in this step, 100 are needed to compare"},
		{"beyond the absolute limit", errorRate, counters(200, 16), counters(4000, 4), false, strategy.Fail, "error rate 8.00%, limit 1%"},
		{"beyond stable alone", errorRate, counters(4000, 36), counters(40000, 40), false, strategy.Fail, "error rate 0.90%, limit 1.5x of stable's 0.10%"},
		{"as bad as stable, and both beyond the limit", errorRate, counters(2000, 160), counters(40000, 3200), false, strategy.Fail, "error rate 8.00%, limit 1%"},
		{"chance", errorRate, counters(200, 4), counters(4000, 40), false, strategy.Inconclusive, "error rate 2.00%, limit 1%, but 200 requests are too few to tell it from chance"},
		{"at full weight stable is not asked", errorRate, counters(4000, 36), counters(0, 0), true, strategy.Pass, "error rate 0.90%, within 1%"},
		{"nothing to ask at full weight", relative, counters(4000, 400), counters(0, 0), true, strategy.Pass, "error rate is not asked: there is no stable beside the canary"},
		{"within percentage points", relative, counters(1000, 14), counters(10000, 100), false, strategy.Pass, "error rate 1.40%, within +0.5pp of stable"},
		{"fast", latency, counters(200, 0, 200, 200), counters(4000, 0, 4000, 4000), false, strategy.Pass, "p95 latency 95ms, within 100ms, +20% of stable"},
		{"slow", latency, counters(200, 0, 100, 200), counters(4000, 0, 4000, 4000), false, strategy.Fail, "p95 latency 910ms, limit 100ms"},
		{"slower than can be measured", latency, counters(200, 0, 100, 150), counters(4000, 0, 4000, 4000), false, strategy.Fail, "p95 latency beyond the last bucket, limit 100ms"},
		{"no histogram", latency, counters(200, 0), counters(4000, 0), false, strategy.Inconclusive, "p95 latency: nothing is known of the canary in this step"},
		{"volume missing", volume, counters(499, 0), counters(0, 0), false, strategy.Inconclusive, "the canary took 499 of the 500 requests that are needed"},
		{"volume reached", volume, counters(500, 500), counters(0, 0), false, strategy.Pass, "the canary took 500 requests, 500 are needed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := strategy.Evidence{Bounds: bounds, Canary: test.canary, Stable: test.stable, Total: test.canary.Requests}
			got := strategy.Judge([]strategy.Gate{test.gate}, e, !test.alone)[0]
			if got.State != test.want || got.Why != test.why {
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
