package judge_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/drover-dev/drover/strategy/judge"
)

func TestShare(t *testing.T) {
	for _, test := range []struct {
		name                     string
		x, n, allowed, reference float64
		want                     judge.Answer
	}{
		{"no data", 0, 0, 0.01, 0, judge.Unsure},
		{"one request too few", 0, 99, 0.01, 0, judge.Unsure},
		{"clean", 0, 100, 0.01, 0, judge.Within},
		{"on the limit", 1, 100, 0.01, 0, judge.Within},
		{"one too many is chance", 2, 100, 0.01, 0, judge.Unsure},
		{"four of a hundred is on the margin", 4, 100, 0.01, 0, judge.Unsure},
		{"five of a hundred", 5, 100, 0.01, 0, judge.Beyond},
		{"all fail", 100, 100, 0.01, 0, judge.Beyond},
		{"nothing allowed, few events", 4, 1000, 0, 500, judge.Unsure},
		{"nothing allowed, enough events", 5, 1000, 0, 500, judge.Beyond},
		{"an estimated limit has chance of its own", 5, 100, 0.01, 100, judge.Unsure},
		{"beyond an estimated limit", 7, 100, 0.01, 100, judge.Beyond},
		{"many requests tell a small excess", 1400, 100_000, 0.01, 0, judge.Beyond},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := judge.Share(test.x, test.n, test.allowed, test.reference); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestShareSparesTheInnocent looks once at many arms that are exactly at the limit.
func TestShareSparesTheInnocent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const runs, n, p = 20_000, 1000, 0.01
	beyond := 0
	for range runs {
		x := 0.0
		for range n {
			if rng.Float64() < p {
				x++
			}
		}
		if judge.Share(x, n, p, 0) == judge.Beyond {
			beyond++
		}
	}
	if share := float64(beyond) / runs; share > 0.005 {
		t.Errorf("%.2f%% of arms at the limit are called beyond it, want at most 0.5%%", share*100)
	}
}

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
	if got := judge.Above(1, nil, nil, 10); got != 0 {
		t.Errorf("without buckets: got %v, want 0: nothing is known", got)
	}
}
