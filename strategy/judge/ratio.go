package judge

import (
	"errors"
	"fmt"
	"math"
)

// The bets of the tests by counts, as multiples of the limit.
var (
	// AboveLimit are the deviations that evidence against a canary is sought for.
	AboveLimit = []float64{1.2, 1.5, 2, 3, 5, 10, 30, 100}
	// BelowLimit are the deviations that evidence for a canary is sought for.
	BelowLimit = []float64{0.85, 0.7, 0.5, 0.3, 0.15, 0.05}
)

// Tally is what both tracks counted in one window: exposures, such as requests, and the events among them, such as
// failed ones. Counts need not be whole. Events may exceed exposure where the one is no part of the other, such as
// restarts by hours of running.
type Tally struct {
	XC, NC float64 // events and exposure of the canary
	XS, NS float64 // events and exposure of the stable
}

func (t Tally) check() error {
	return errors.Join(count("canary events", t.XC), count("canary exposure", t.NC), count("stable events", t.XS), count("stable exposure", t.NS))
}

// Ratio is a test of events per exposure of the canary against those of the stable that runs beside it. With bets above
// 1 its hypothesis is that in every window
//
//	canary rate <= Ratio * stable rate + Absolute
//
// and wealth is evidence that the canary is worse. With bets below 1 the hypothesis is the opposite (>=), and wealth is
// evidence that the canary is not worse. The stable's rate may move as it likes, from window to window: what hits both
// tracks alike is no evidence. So may the division of the traffic.
type Ratio struct {
	Ratio    float64   // above 0
	Absolute float64   // at least 0
	Burst    float64   // at least 1: how many events one cause makes at most; evidence is divided by it
	Cap      float64   // most evidence that one window may add to a bet; 0 for no limit
	Share    float64   // part of the wealth divided anew in each of the first 1/Share windows with events
	Cash     float64   // part of the wealth that is not betted
	Mult     []float64 // the bets, as multiples of Ratio: all above 1 or all below
}

// Worse is the test for evidence that the canary exceeds a margin.
func Worse(m Margin, burst, limit float64) Ratio {
	return Ratio{Ratio: m.Ratio, Absolute: m.Absolute, Burst: burst, Cap: limit, Share: 0.01, Cash: 0.1, Mult: AboveLimit}
}

// NotWorse is the test for evidence that the canary stays within a margin.
func NotWorse(m Margin, burst float64) Ratio {
	return Ratio{Ratio: m.Ratio, Absolute: m.Absolute, Burst: burst, Mult: BelowLimit}
}

func (r Ratio) mixture() mixture { return mixture{mult: r.Mult, cash: r.Cash, share: r.Share} }

// Check tells what is wrong with the numbers of the test.
func (r Ratio) Check() error {
	err := errors.Join(multiples(r.Mult), tempering(r.Burst, r.Cap), share("share", r.Share), share("cash", r.Cash))
	if !(r.Ratio > 0) || math.IsInf(r.Ratio, 1) {
		err = errors.Join(err, fmt.Errorf("ratio: got %v, want above 0", r.Ratio))
	}
	return errors.Join(err, share("absolute margin", r.Absolute))
}

// Start is the wealth before the first window.
func (r Ratio) Start() Wealth { return r.mixture().start() }

// Add takes a window in. One without exposure on a track, and one without events unless there is an absolute margin,
// says nothing and leaves the wealth as it is, to the bit. On an error the wealth is unchanged.
func (r Ratio) Add(w Wealth, t Tally) (Wealth, error) {
	if err := errors.Join(r.mixture().check(w), t.check()); err != nil {
		return w, err
	}
	if t.NC == 0 || t.NS == 0 || (t.XC+t.XS == 0 && r.Absolute == 0) {
		return w, nil
	}
	return r.mixture().grow(w, r.bets(t), t.XC+t.XS > 0), nil
}

// bets is what each bet wins in a window.
func (r Ratio) bets(t Tally) []float64 {
	won := make([]float64, len(r.Mult))
	for j, m := range r.Mult {
		won[j] = r.bet(r.Ratio*m, t)
	}
	return won
}

// bet is what a bet on the ratio q wins. Given all events of the window, the canary's share of them is binomial, with a
// probability that follows from each track's exposure; the compensator takes away what the absolute margin allows.
func (r Ratio) bet(q float64, t Tally) float64 {
	won := t.XC*math.Log(q/r.Ratio) - (t.XC+t.XS)*math.Log1p((q-r.Ratio)*t.NC/(r.Ratio*t.NC+t.NS)) -
		(q-r.Ratio)*t.NC/(q*t.NC+t.NS)*t.NS*r.Absolute/r.Ratio
	return temper(won, r.Burst, r.Cap)
}

// temper divides evidence by how many events come at a time, and bounds it.
func temper(won, burst, limit float64) float64 {
	won /= burst
	if limit > 0 {
		won = min(won, limit)
	}
	return won
}
