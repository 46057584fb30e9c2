package strategy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// TestLatenciesOfTheirOwn: where not every request has its time measured, latencies are judged among those that have.
func TestLatenciesOfTheirOwn(t *testing.T) {
	gate := strategy.Gate{Name: "slow", Metric: strategy.MetricLatency, Quantile: 0.9, Max: &strategy.Bound{Value: 0.1, Text: "100ms"}}
	for name, test := range map[string]struct {
		fast float64 // of the 50 of 100 requests whose time is known
		want strategy.VerdictState
	}{"fast": {50, strategy.Pass}, "slow": {10, strategy.Fail}} {
		t.Run(name, func(t *testing.T) {
			c := trial{
				gate: gate, canary: counters(100, 0, test.fast, 50, 50), stable: counters(300, 0, 150, 150, 150), windows: 50,
				bounds: []float64{0.1, 1, strategy.AnyTime},
			}
			if got := c.verdict(t); got.State != test.want {
				t.Errorf("got %s: %s", got.State, got.Why)
			}
		})
	}
}

// TestAnAskedSourceTakesThePlaceOfAnother: of those that are asked for a time one alone is remembered, for each gate and track.
func TestAnAskedSourceTakesThePlaceOfAnother(t *testing.T) {
	asked := func(begun, until int, gate string, n float64) strategy.Series {
		s := series(strategy.AskedSource+string(rune('a'+begun)), strategy.Canary, begun, counters(n, 0, n, n))
		s.Until, s.Gate = start.Add(time.Duration(until)*time.Second), gate
		return s
	}
	e := strategy.Evidence{Since: start}
	for _, s := range []strategy.Sample{
		sample(5, asked(0, 5, "", 10), asked(0, 5, "canary", 7), series("proxy", strategy.Canary, 0, counters(1, 0, 1, 1))),
		sample(9, asked(5, 9, "", 4), asked(0, 9, "canary", 8)),
	} {
		var err error
		if e, err = e.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(counters(15, 0, 15, 15), e.Canary); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(e.Prev) != 3 || !e.Until[""].Equal(start.Add(9*time.Second)) {
		t.Errorf("remembered %v, until %v", e.Prev, e.Until)
	}
}

// TestCopiesAreAnnounced: who counts by allocation is told until when these may have answered copies of requests.
func TestCopiesAreAnnounced(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	cluster := &strategy.ClusterState{Allocs: []strategy.Alloc{{ID: "c", Canary: true, Fresh: true, Ready: true}}}
	r := strategy.Rollout{Release: "web", ID: "web-1", Phase: strategy.Stepping, Opened: true}
	copied := func(change func(*strategy.Rollout)) time.Time {
		t.Helper()
		one := r
		change(&one)
		i, asks := one.Inquiry(cluster, now, true)
		if !asks {
			t.Fatal("nothing is asked")
		}
		return i.Copied
	}
	shadow := &strategy.ShadowPlan{Percent: strategy.Percent(10)}
	turned := now.Add(-time.Minute)
	for what, c := range map[string]struct{ got, want time.Time }{
		"without a trial":                      {copied(func(*strategy.Rollout) {}), time.Time{}},
		"before the first weight is in effect": {copied(func(r *strategy.Rollout) { r.Plan.Shadow = shadow }), now},
		"after that":                           {copied(func(r *strategy.Rollout) { r.Plan.Shadow, r.Evidence.Turned = shadow, turned }), turned},
	} {
		if !c.got.Equal(c.want) {
			t.Errorf("%s copies may have come until %v, want %v", what, c.got, c.want)
		}
	}
}
