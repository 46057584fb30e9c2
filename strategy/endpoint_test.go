package strategy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// TestByEndpoint: the worst endpoint is judged and named; a rare one holds nothing up, and is still rolled back for.
func TestByEndpoint(t *testing.T) {
	gate := strategy.Gate{
		Name: "endpoints", Metric: strategy.MetricErrorRate, By: strategy.ByEndpoint,
		Max: &strategy.Bound{Value: 0.02, Text: "2%"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"},
	}
	cart := endpoint{"GET /cart", counters(100, 0.1), counters(900, 1)}
	for _, test := range []struct {
		name  string
		of    []endpoint
		alone bool
		state strategy.VerdictState
		says  []string
	}{
		{"all are well", []endpoint{cart, {"POST /pay", counters(50, 0), counters(450, 0.2)}}, false, strategy.Pass, []string{"error rate of ", "the worst of 2"}},
		{"one fails", []endpoint{cart, {"POST /pay", counters(50, 5), counters(450, 0.2)}}, false, strategy.Fail, []string{"error rate of POST /pay 10.00%"}},
		{"one fails, with all traffic", []endpoint{cart, {"POST /pay", counters(50, 5), counters(0, 0)}}, true, strategy.Fail, []string{"error rate of POST /pay 10.00%, limit 2%"}},
		{"a rare one is well", []endpoint{cart, {"GET /admin", counters(0.02, 0), counters(0.2, 0)}}, false, strategy.Pass, []string{"GET /cart"}},
		{"a rare one fails", []endpoint{cart, {"GET /admin", counters(1, 0.9), counters(9, 0)}}, false, strategy.Fail, []string{"error rate of GET /admin"}},
		{"one of many fails", append(many(20), endpoint{"GET /rest", counters(30, 6), counters(270, 0)}), false, strategy.Fail, []string{"error rate of all other endpoints"}},
		{"nobody counts endpoints", nil, false, strategy.Inconclusive, []string{"no requests are known by endpoint"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := trial{gate: gate, canary: counters(200, 1, 150, 190), stable: counters(1800, 9, 1500, 1750), windows: 120, endpoints: test.of, alone: test.alone}
			v := c.verdict(t)
			if v.State != test.state || v.Gate != gate.Name {
				t.Errorf("got %s of %q: %s", v.State, v.Gate, v.Why)
			}
			for _, words := range test.says {
				if !strings.Contains(v.Why, words) {
					t.Errorf("got %q, want %q", v.Why, words)
				}
			}
		})
	}
}

// many is that many endpoints that are well.
func many(n int) []endpoint {
	var all []endpoint
	for i := range n {
		all = append(all, endpoint{fmt.Sprintf("GET /page-%c", 'a'+i), counters(100, 0.1), counters(900, 1)})
	}
	return all
}

// TestEndpointsGetNames: the busiest get a slot of their own and keep it, the others share one, and nothing is counted twice
// or lost when another source begins or an endpoint is asked for first.
func TestEndpointsGetNames(t *testing.T) {
	of := func(source, name string, since int, n float64) strategy.Series {
		s := series(source, strategy.Canary, since, counters(n, 0))
		s.Endpoint = name
		return s
	}
	e := strategy.Evidence{Since: start, ByEndpoint: true}
	add := func(second int, all ...strategy.Series) {
		t.Helper()
		var err error
		if e, err = e.Add(strategy.Sample{At: sample(second).At, Series: all}); err != nil {
			t.Fatal(err)
		}
	}
	add(1, of("p", "A", -9, 50), of("p", "B", -9, 70), of("p", "C", -9, 10))
	add(2, of("p", "A", -9, 51), of("p", "B", -9, 72), of("p", "C", -9, 13), of("p", "D", -9, 4), of("p", "E", -9, 5), of("p", "F", -9, 9), of("p", "G", -9, 7))
	add(3, of("p", "A", -9, 51), of("p", "B", -9, 72), of("p", "C", -9, 13), of("p", "D", -9, 4), of("p", "E", -9, 8), of("p", "F", -9, 9), of("p", "G", -9, 7), of("q", "A", 2, 100), of("q", "E", 2, 10))
	if diff := cmp.Diff([]string{"B", "A", "C", "F", "G"}, e.Endpoints); diff != "" {
		t.Errorf("endpoints of their own (-want +got):\n%s", diff)
	}
	got := map[string]float64{}
	for slot, open := range e.Open.Gates {
		got[slot] = open.Canary.Requests
	}
	if diff := cmp.Diff(map[string]float64{"#0": 4 + 8 + 10, "#1": 2, "#2": 101, "#3": 3, "#4": 9, "#5": 7}, got); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if e.Canary.Requests != 0 {
		t.Errorf("%v requests are counted of all", e.Canary.Requests)
	}
}
