package strategy_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/drover-dev/drover/strategy"
)

func TestShared(t *testing.T) {
	for name, c := range map[string]struct {
		share          float64
		canary, stable float64 // of each look
		looks          int
		off            bool
	}{
		"as asked":              {0.05, 5, 95, 1000, false},
		"a little more":         {0.05, 8, 92, 1000, false},
		"nothing":               {0.05, 0, 100, 20, true},
		"nothing, too soon":     {0.05, 0, 100, 3, false},
		"a third":               {0.30, 10, 90, 50, true},
		"thrice":                {0.05, 15, 85, 50, true},
		"all, and asked for it": {1, 100, 0, 50, false},
		"none of all":           {1, 0, 100, 2, true},
		"no requests":           {0.05, 0, 0, 100, false},
		"more than half":        {0.6, 100, 0, 50, false},
	} {
		t.Run(name, func(t *testing.T) {
			off := strategy.SharedOff(c.share, c.looks, func() (float64, float64) { return c.canary, c.stable })
			if off != c.off {
				t.Errorf("off: %t, want %t", off, c.off)
			}
		})
	}
}

// TestSharedIsMended: a router that divides rightly again is seen to.
func TestSharedIsMended(t *testing.T) {
	looks := 0
	off := strategy.SharedOff(0.05, 500, func() (float64, float64) {
		if looks++; looks <= 50 {
			return 0, 100
		}
		return 5, 95
	})
	if off {
		t.Error("a share that was mended is still said to be off")
	}
}

// TestSharedWithinBounds: what keeps between half and twice of the share is never off, whatever the looks.
func TestSharedWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.0005, 1).Draw(t, "share")
		got := share * rapid.Float64Range(0.55, 1.8).Draw(t, "times")
		if got > 1 {
			got = 1
		}
		size := rapid.Float64Range(1, 5000).Draw(t, "size")
		if strategy.SharedOff(share, rapid.IntRange(1, 200).Draw(t, "looks"), func() (float64, float64) { return got * size, (1 - got) * size }) {
			t.Fatalf("share %g is off with %g", share, got)
		}
	})
}
