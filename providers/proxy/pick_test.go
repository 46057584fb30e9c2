package proxy

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/drover-dev/drover/strategy"
)

func TestSequenceIsExactOverItsPeriod(t *testing.T) {
	// The stride visits odd weights, whose period is long, and comes by the round ones.
	var weights []strategy.Weight
	for w := strategy.Weight(0); w <= strategy.Full; w += 7 {
		weights = append(weights, w, w/100*100)
	}
	for _, weight := range append(weights, 1, 10, 9999, strategy.Full) {
		s := newSequence(weight, uint64(weight)*7919)
		period := int(strategy.Full) / int(gcd(uint64(max(weight, 1)), uint64(strategy.Full)))
		want := period * int(weight) / int(strategy.Full)
		got := 0
		for n := range uint64(2 * period) {
			if s.at(n) {
				got++
			}
			if n == uint64(period)-1 && got != want {
				t.Fatalf("%s: %d of the first %d requests, want %d", weight, got, period, want)
			}
		}
		if got != 2*want {
			t.Fatalf("%s: %d of the first %d requests, want %d", weight, got, 2*period, 2*want)
		}
	}
}

func TestSequenceShares(t *testing.T) {
	for _, c := range []struct {
		weight         strategy.Weight
		requests, want int
	}{
		{0, 5000, 0},
		{10, 10000, 10},
		{strategy.Percent(5), 4000, 200},
		{strategy.Percent(25), 4000, 1000},
		{strategy.Percent(50), 4000, 2000},
		{strategy.Percent(95), 4000, 3800},
		{strategy.Full, 4000, 4000},
		{1, 20000, 2},
		{9999, 20000, 19998},
	} {
		s, got := newSequence(c.weight, 42), 0
		for range c.requests {
			if s.next() {
				got++
			}
		}
		if got != c.want {
			t.Errorf("%s: %d of %d requests, want %d", c.weight, got, c.requests, c.want)
		}
	}
}

// At every moment the canary has had its share, give or take a block.
func TestSequenceIsEvenlySpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weight := strategy.Weight(rapid.IntRange(0, int(strategy.Full)).Draw(t, "weight"))
		s := newSequence(weight, rapid.Uint64().Draw(t, "seed"))
		got := 0
		for n := range uint64(2000) {
			if s.at(n) {
				got++
			}
			want := float64(n+1) * weight.Share()
			if off := float64(got) - want; off > 3.5 || off < -3.5 {
				t.Fatalf("%s: %d of %d requests, want about %.1f", weight, got, n+1, want)
			}
		}
	})
}

// Traffic with a rhythm, such as a read and a write in turns, must not send only writes to the canary.
func TestSequenceHasNoRhythm(t *testing.T) {
	for _, weight := range []strategy.Weight{10, strategy.Percent(5), strategy.Percent(10), strategy.Percent(25), strategy.Percent(50), strategy.Percent(75)} {
		s := newSequence(weight, 1)
		var even, all int
		for n := range uint64(100_000) {
			if s.at(n) {
				all++
				if n%2 == 0 {
					even++
				}
			}
		}
		if share := float64(even) / float64(all); share < .42 || share > .58 {
			t.Errorf("%s: %.0f%% of the canary's requests are the first of a pair, want about half", weight, 100*share)
		}
	}
}
