package judge

import (
	"errors"
	"fmt"
	"math"
)

// Margin is how much worse than the stable a canary may be: rate <= Ratio * stable rate + Absolute. "1.5x" is a Ratio of
// 1.5; "+0.5pp" a Ratio of 1 and an Absolute of 0.005; "+20%" of a latency is the Ratio of a Tail. A margin of both
// parts adds them up.
type Margin struct {
	Ratio    float64
	Absolute float64
}

// Promotion is the margin that a canary is shown to be within before it gets more traffic, where none is given: twice as
// far from the stable as the one that it is rolled back for, and half a percent point more at least. It must be wider, or a
// canary between the two would stay undecided for ever. Without its absolute part a service that never fails could never
// pass.
func (m Margin) Promotion() Margin {
	return Margin{Ratio: m.Ratio + math.Abs(m.Ratio-1), Absolute: max(2*m.Absolute, m.Absolute+0.005)}
}

func (m Margin) check() error {
	if !(m.Ratio > 0) || math.IsInf(m.Ratio, 1) {
		return fmt.Errorf("ratio %v: want above 0", m.Ratio)
	}
	return share("absolute part", m.Absolute)
}

// wider tells whether the margin to promote leaves room above the one to roll back for.
func (m Margin) wider(rollback Margin) error {
	if err := m.check(); err != nil {
		return err
	}
	if m.Ratio <= rollback.Ratio && m.Absolute <= rollback.Absolute {
		return fmt.Errorf("%vx + %vpp is no wider than %vx + %vpp, for which the canary is rolled back: widen it, or leave it out",
			m.Ratio, m.Absolute*100, rollback.Ratio, rollback.Absolute*100)
	}
	if m.Absolute == 0 {
		return errors.New("without an absolute part it can never be passed while nobody fails: add one, such as 0.005 for 0.5pp")
	}
	return nil
}
