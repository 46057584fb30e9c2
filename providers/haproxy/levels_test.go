package haproxy_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/drover-dev/drover/providers/haproxy"
	"github.com/drover-dev/drover/strategy"
)

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		weight         strategy.Weight
		stable, canary int
		share          strategy.Weight
	}{
		{0, 3, 3, 0},
		{strategy.Full, 3, 3, strategy.Full},
		{strategy.Percent(50), 3, 3, strategy.Percent(50)},
		{strategy.Percent(5), 3, 3, strategy.Percent(5)},
		{strategy.Percent(1), 3, 3, strategy.Percent(1)},
		{100, 10, 1, strategy.Percent(1)},
		{10, 3, 3, 0},      // 0.1%: one level of 256 is 0.39% already
		{10, 40, 1, 9},     // 0.1% of 40: 1 in 1025 … 9 hundredths
		{3333, 2, 1, 3324}, // 255 of 767; one level more is 33.34%
		{strategy.Percent(25), 3, 0, 0},
		{strategy.Percent(25), 0, 3, 0},
		{strategy.Full, 0, 3, strategy.Full},
	} {
		_, _, share := haproxy.Levels(c.weight, c.stable, c.canary)
		if share != c.share {
			t.Errorf("%s over %d stable and %d canaries arrives as %s, want %s", c.weight, c.stable, c.canary, share, c.share)
		}
	}
}

func TestLevelsNeverExceed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := strategy.Weight(rapid.IntRange(0, int(strategy.Full)).Draw(t, "weight"))
		stable, canary := rapid.IntRange(0, 50).Draw(t, "stable"), rapid.IntRange(0, 50).Draw(t, "canary")
		s, c, share := haproxy.Levels(w, stable, canary)
		if s < 0 || s > 256 || c < 0 || c > 256 {
			t.Fatalf("levels %d and %d are not HAProxy's", s, c)
		}
		if share > w {
			t.Fatalf("share %s is more than %s", share, w)
		}
		if all := stable*s + canary*c; all > 0 && canary*c*int(strategy.Full) > int(w)*all {
			t.Fatalf("%d x %d of %d is more than %s", canary, c, all, w)
		}
		if stable > 0 && canary > 0 && w < strategy.Full {
			// One of the sides is at its highest level, so a single level of the other is the most that rounding takes.
			level := max(float64(canary)/float64(stable), float64(stable)/float64(canary)) / 256
			if gap := float64(w-share) / float64(strategy.Full); gap > level+1/float64(strategy.Full) {
				t.Fatalf("share %s is more than a level below %s with %d and %d servers", share, w, stable, canary)
			}
		}
	})
}

// TestLevelsChangeInOrder: while weights change, one track after the other, somebody always serves, and the canary has no more
// than it had or is to get.
func TestLevelsChangeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stable, canary := rapid.IntRange(1, 50).Draw(t, "stable"), rapid.IntRange(1, 50).Draw(t, "canary")
		draw := func(what string) (s, c int, share float64) {
			w := strategy.Weight(rapid.OneOf(rapid.IntRange(0, int(strategy.Full)), rapid.SampledFrom([]int{0, int(strategy.Full)})).Draw(t, what))
			s, c, _ = haproxy.Levels(w, stable, canary)
			return s * stable, c * canary, float64(c*canary) / float64(s*stable+c*canary)
		}
		s0, c0, had := draw("from")
		s1, c1, gets := draw("to")
		s, c := haproxy.Between(s0, c0, s1, c1)
		if s+c == 0 {
			t.Fatalf("from %d and %d to %d and %d nobody serves in between", s0, c0, s1, c1)
		}
		if share := float64(c) / float64(s+c); share > max(had, gets) {
			t.Fatalf("from %g to %g the canary has %g in between", had, gets, share)
		}
	})
}
