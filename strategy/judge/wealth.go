package judge

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Wealth is the state of one test: what a gambler owns who began with 1 and bets, window by window, against the
// hypothesis of the test. While the hypothesis holds, no way of betting and looking makes it likely to grow: the
// probability that it ever reaches 20 is at most 1/20. So wealth is evidence, and how often it is looked at does not
// matter. It is split over several bets, one for each size that the deviation may have.
//
// Wealth is a value: the methods of the tests return a new one and leave the old one alone. The zero Wealth belongs to
// no test; Start of a test gives the first one. Written as JSON and read again it continues to the bit as if it had
// never been away.
type Wealth struct {
	LW  Logs    `json:"lw"`            // logarithm of the wealth in each bet
	Max float64 `json:"max,omitempty"` // the highest LogE so far, at least 0
	K   int     `json:"k,omitempty"`   // windows that moved wealth between the bets
}

// LogE is the natural logarithm of the wealth in all bets, which is the evidence so far. 0 is none.
func (w Wealth) LogE() float64 { return w.LW.sumExp() }

// P is an upper bound of the probability to see as much evidence as was ever seen, at any time, while the hypothesis
// holds: an always-valid p-value.
func (w Wealth) P() float64 { return math.Exp(-w.Max) }

// mixture is how wealth is divided over bets at the start, and what comes back to each of them later.
type mixture struct {
	mult  []float64 // the deviations betted on
	cash  float64   // share of the wealth that is not betted
	share float64   // share of the wealth that is divided anew in a window, decreasing with their number
}

// start divides a wealth of 1. Cash comes first.
func (m mixture) start() Wealth {
	lw := make(Logs, 1+len(m.mult))
	for j := range lw {
		lw[j] = math.Log(m.part(j))
	}
	return Wealth{LW: lw}
}

// part is the share of the wealth that belongs to a bet at the start.
func (m mixture) part(j int) float64 {
	if j == 0 {
		return m.cash
	}
	return (1 - m.cash) / float64(len(m.mult))
}

// grow wins or loses what each bet did, which is the logarithm of a factor for each of mult. informative tells whether
// the window held any event: only those divide the wealth anew.
func (m mixture) grow(w Wealth, bets []float64, informative bool) Wealth {
	w.LW = slices.Clone(w.LW)
	for j, won := range bets {
		w.LW[j+1] += won
	}
	logE := w.LogE()
	w.Max = max(w.Max, logE)
	if m.share == 0 || !informative {
		return w
	}
	w.K++
	s := m.share
	if u := m.share * float64(w.K); u > 1 {
		s = m.share / (u * math.Sqrt(u))
	}
	for j := range w.LW {
		w.LW[j] = Logs{w.LW[j] + math.Log1p(-s), logE + math.Log(s*m.part(j))}.sumExp()
	}
	return w
}

// check tells whether wealth may belong to the mixture.
func (m mixture) check(w Wealth) error {
	if got, want := len(w.LW), 1+len(m.mult); got != want {
		return fmt.Errorf("wealth is divided over %d bets, the test has %d: it belongs to another test, start anew", got, want)
	}
	return nil
}

// finite is the largest count that is taken. Above it not all whole numbers can be told apart.
const finite = 1 << 53

// count tells whether a number may be a count.
func count(what string, v float64) error {
	if v >= 0 && v <= finite {
		return nil
	}
	return fmt.Errorf("%s: got %v, want a count of at least 0", what, v)
}

// share tells whether a number lies in [0,1).
func share(what string, v float64) error {
	if v >= 0 && v < 1 {
		return nil
	}
	return fmt.Errorf("%s: got %v, want a share of at least 0 and below 1", what, v)
}

// multiples tells whether all bets lie on one side of the limit.
func multiples(mult []float64) error {
	if len(mult) == 0 {
		return errors.New("bets: got none, want at least one multiple of the limit")
	}
	for _, m := range mult {
		if !(m > 0) || m == 1 || math.IsInf(m, 1) || (m > 1) != (mult[0] > 1) {
			return fmt.Errorf("bets: got %v, want multiples all above 1, or all between 0 and 1", mult)
		}
	}
	return nil
}

// tempering are the numbers that all tests by counts have.
func tempering(burst, limit float64) error {
	if !(burst >= 1) || math.IsInf(burst, 1) {
		return fmt.Errorf("burst: got %v, want at least 1 event at a time", burst)
	}
	if !(limit >= 0) || math.IsInf(limit, 1) {
		return fmt.Errorf("cap: got %v, want at least 0", limit)
	}
	return nil
}
