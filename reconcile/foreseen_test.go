package reconcile_test

import (
	"testing"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// TestGateText says every attribute of a gate that decides something.
func TestGateText(t *testing.T) {
	for want, gate := range map[string]strategy.Gate{
		"error_rate, at most 1%, at most 1.5x of stable, passes within 2x of stable + 1pp, from 25%": {
			Metric: strategy.MetricErrorRate, Max: &strategy.Bound{Value: 0.01, Text: "1%"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"},
			Promote: &strategy.Tolerance{Ratio: 2, Plus: 0.01, Text: "2x+1pp"}, From: strategy.Percent(25),
		},
		"latency p95, at most stable +20%, passes within +50% of stable, dry run": {
			Metric: strategy.MetricLatency, Quantile: 0.95, MaxVsStable: &strategy.Tolerance{Ratio: 1.2, Text: "+20%"},
			Promote: &strategy.Tolerance{Ratio: 1.5, Text: "+50%"}, DryRun: true,
		},
		"failures of tries, at most 1.5x of stable, passes within 2x of stable + 0.5pp": {
			Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "failures", Exposure: "tries"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"},
		},
		"max(queue_length), at most 100, at least 1": {
			Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "max(queue_length)\n", Instant: true},
			Max: &strategy.Bound{Value: 100, Text: "100"}, Min: &strategy.Bound{Value: 1, Text: "1"},
		},
	} {
		if got := reconcile.GateText(gate); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
