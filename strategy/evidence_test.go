package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

var (
	start  = time.Unix(1_000_000, 0)
	bounds = []float64{0.1, 1}
)

func counters(requests, errors float64, buckets ...float64) strategy.Counters {
	return strategy.Counters{Requests: requests, Errors: errors, Buckets: buckets}
}

func sample(second int, series ...strategy.Series) strategy.Sample {
	return strategy.Sample{At: start.Add(time.Duration(second) * time.Second), Bounds: bounds, Series: series}
}

func series(source string, track strategy.Track, since int, c strategy.Counters) strategy.Series {
	return strategy.Series{Source: source, Since: start.Add(time.Duration(since) * time.Second), Track: track, Counters: c}
}

func TestEvidence(t *testing.T) {
	canary, stable := strategy.Canary, strategy.Stable
	for _, test := range []struct {
		name       string
		samples    []strategy.Sample
		wantCanary strategy.Counters
		wantStable strategy.Counters
	}{
		{
			"what a source counted before counts for nothing",
			[]strategy.Sample{sample(1, series("p", canary, -9, counters(50, 5, 40, 50)), series("p", stable, -9, counters(100, 0, 100, 100)))},
			counters(0, 0, 0, 0), counters(0, 0, 0, 0),
		},
		{
			"growth counts",
			[]strategy.Sample{
				sample(1, series("p", canary, -9, counters(50, 5, 40, 50)), series("p", stable, -9, counters(100, 0, 100, 100))),
				sample(2, series("p", canary, -9, counters(60, 6, 45, 60)), series("p", stable, -9, counters(300, 1, 290, 300))),
			},
			counters(10, 1, 5, 10), counters(200, 1, 190, 200),
		},
		{
			"a source that began later counts from zero",
			[]strategy.Sample{sample(5, series("new", canary, 3, counters(7, 1, 7, 7)))},
			counters(7, 1, 7, 7),
			strategy.Counters{},
		},
		{
			"a source that counts anew",
			[]strategy.Sample{sample(1, series("p", canary, -9, counters(50, 5, 50, 50))), sample(2, series("p", canary, -9, counters(8, 2, 6, 8)))},
			counters(8, 2, 6, 8),
			strategy.Counters{},
		},
		{
			"several sources add up",
			[]strategy.Sample{
				sample(1, series("p", canary, -9, counters(0, 0, 0, 0)), series("q", canary, -9, counters(10, 0, 0, 0))),
				sample(2, series("p", canary, -9, counters(5, 1, 1, 5)), series("q", canary, -9, counters(20, 2, 2, 10))),
			},
			counters(15, 3, 3, 15),
			strategy.Counters{},
		},
		{
			"a sample twice, and one from before",
			[]strategy.Sample{
				sample(1, series("p", canary, -9, counters(0, 0, 0, 0))), sample(3, series("p", canary, -9, counters(5, 0, 5, 5))),
				sample(3, series("p", canary, -9, counters(9, 0, 9, 9))), sample(2, series("p", canary, -9, counters(2, 0, 2, 2))),
			},
			counters(5, 0, 5, 5),
			strategy.Counters{},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := strategy.Evidence{Since: start, At: start}
			for _, s := range test.samples {
				var err error
				if e, err = e.Add(s); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(test.wantCanary, e.Canary); diff != "" {
				t.Errorf("canary (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantStable, e.Stable); diff != "" {
				t.Errorf("stable (-want +got):\n%s", diff)
			}
			if e.Total != test.wantCanary.Requests || e.Failed != test.wantCanary.Errors {
				t.Errorf("got %v requests and %v errors in all", e.Total, e.Failed)
			}
		})
	}
}

// TestEvidenceIsExactOverCuts proves that it does not matter how often is looked, nor that looks are forgotten.
func TestEvidenceIsExactOverCuts(t *testing.T) {
	counts := []float64{0, 3, 10, 40, 41, 90}
	often := strategy.Evidence{Since: start, At: start}
	var seldom strategy.Evidence
	for i, n := range counts {
		var err error
		if often, err = often.Add(sample(i+1, series("p", strategy.Canary, -9, counters(n, n/10, n, n)))); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			seldom = often
		}
	}
	seldom, err := seldom.Add(sample(9, series("p", strategy.Canary, -9, counters(90, 9, 90, 90))))
	if err != nil {
		t.Fatal(err)
	}
	if seldom.Total != often.Total || seldom.Canary.Requests != often.Canary.Requests {
		t.Errorf("looked often: %v, seldom: %v", often.Canary, seldom.Canary)
	}
}

func TestEvidenceRefuses(t *testing.T) {
	before, err := strategy.Evidence{Since: start, At: start}.Add(sample(1, series("p", strategy.Canary, -9, counters(5, 0, 5, 5))))
	if err != nil {
		t.Fatal(err)
	}
	other := sample(2, series("p", strategy.Canary, -9, counters(5, 0, 5)))
	other.Bounds = []float64{1}
	for want, s := range map[string]strategy.Sample{
		"errors exceed requests":      sample(2, series("p", strategy.Canary, -9, counters(10, 11, 10, 10))),
		"not a count":                 sample(2, series("p", strategy.Canary, -9, counters(-1, -2, 10, 10))),
		"1 latency buckets on canary": sample(2, series("p", strategy.Canary, -9, counters(10, 1, 10))),
		"latency buckets changed":     other,
	} {
		after, err := before.Add(s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: the evidence changed: %s", want, diff)
		}
	}
}
