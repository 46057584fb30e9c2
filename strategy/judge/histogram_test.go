package judge_test

import (
	"math"
	"testing"

	"github.com/drover-dev/drover/strategy/judge"
)

func TestQuantile(t *testing.T) {
	bounds := []float64{1, 2, 4}
	for _, test := range []struct {
		name       string
		q          float64
		cumulative []float64
		total      float64
		want       float64
	}{
		{"no data", 0.5, []float64{0, 0, 0}, 0, math.NaN()},
		{"within the first bucket", 0.5, []float64{10, 10, 10}, 10, 0.5},
		{"at a bound", 0.5, []float64{5, 10, 10}, 10, 1},
		{"interpolated", 0.75, []float64{5, 10, 10}, 10, 1.5},
		{"over empty buckets", 0.9, []float64{5, 5, 10}, 10, 3.6},
		{"beyond the last bound", 0.95, []float64{5, 9, 9}, 10, math.Inf(1)},
		{"other buckets than bounds", 0.5, []float64{5}, 10, math.NaN()},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := judge.Quantile(test.q, bounds, test.cumulative, test.total)
			if math.IsNaN(got) != math.IsNaN(test.want) || (!math.IsNaN(got) && math.Abs(got-test.want) > 1e-12 && got != test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestAbove(t *testing.T) {
	bounds, cumulative := []float64{1, 2, 4}, []float64{5, 8, 9}
	for limit, want := range map[float64]float64{0.5: 5, 1: 5, 1.5: 2, 2: 2, 3: 1, 4: 1, 9: 1} {
		if got := judge.Above(limit, bounds, cumulative, 10); got != want {
			t.Errorf("above %v: got %v, want %v", limit, got, want)
		}
	}
	if got := judge.Above(100, bounds, cumulative, cumulative[len(cumulative)-1]-1); got != 0 {
		t.Errorf("got %v above in a histogram that is ahead of its total, want 0", got)
	}
	if got := judge.Above(1, nil, nil, 10); got != 0 {
		t.Errorf("without buckets: got %v, want 0: nothing is known", got)
	}
}
