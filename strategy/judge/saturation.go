package judge

import (
	"errors"
	"fmt"
	"math"
)

// Saturation is a test of a gauge between 0 and 1, such as the use of a processor: its hypothesis is that the canary's
// mean exceeds the stable's by no more than Margin, given all that was seen before, and wealth is evidence that it does.
//
// Gauges remember: a reading says much of the next one, which makes this the weakest of the tests. Feed it one
// difference a minute, not one a scrape; prefer a ratio of counters, such as processor seconds by request; and rather
// hold a rollout on its word than roll it back.
type Saturation struct {
	Margin    float64   // at least 0 and below 1
	Fractions []float64 // of the wealth, each in (0,1): how boldly is betted
}

// Saturated is the test with the usual bets.
func Saturated(margin float64) Saturation {
	return Saturation{Margin: margin, Fractions: []float64{0.1, 0.3, 0.6, 0.9}}
}

// Check tells what is wrong with the numbers of the test.
func (s Saturation) Check() error {
	err := share("margin", s.Margin)
	if len(s.Fractions) == 0 {
		err = errors.Join(err, errors.New("fractions: got none, want at least one"))
	}
	for _, f := range s.Fractions {
		if !(f > 0 && f < 1) {
			err = errors.Join(err, fmt.Errorf("fractions: got %v, want each above 0 and below 1", s.Fractions))
		}
	}
	return err
}

// Start is the wealth before the first reading.
func (s Saturation) Start() Wealth {
	lw := make(Logs, len(s.Fractions))
	for j := range lw {
		lw[j] = -math.Log(float64(len(s.Fractions)))
	}
	return Wealth{LW: lw}
}

// Add takes in by how much the canary's mean exceeds the stable's, from -1 to 1. On an error, which a difference
// outside of that range is, the wealth is unchanged: such a gauge is not a share of anything.
func (s Saturation) Add(w Wealth, difference float64) (Wealth, error) {
	if len(w.LW) != len(s.Fractions) {
		return w, fmt.Errorf("wealth is divided over %d bets, the test has %d: it belongs to another test, start anew", len(w.LW), len(s.Fractions))
	}
	if !(difference >= -1 && difference <= 1) {
		return w, fmt.Errorf("difference of a gauge: got %v, want one from -1 to 1: give the gauge as a share, not in percent", difference)
	}
	lw := make(Logs, len(w.LW))
	for j, f := range s.Fractions {
		lw[j] = w.LW[j] + math.Log1p(f/(1+s.Margin)*(difference-s.Margin))
	}
	return Wealth{LW: lw, Max: max(w.Max, lw.sumExp())}, nil
}
