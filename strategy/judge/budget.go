package judge

import "math"

// Combine is the evidence of several tests as one: the mean of their wealth by weights that sum to 1, as a logarithm.
// It is evidence in the same sense as each of them, whatever they have to do with each other, so that one budget of
// false rollbacks covers all gates of a rollout. It is never slower than to divide the budget among them.
func Combine(logE, weights []float64) float64 {
	weighted := make(Logs, len(logE))
	for i, e := range logE {
		weighted[i] = e + math.Log(weights[i])
	}
	return weighted.sumExp()
}

// Threshold is the evidence, as a logarithm, at which a decision is wrong with a probability of at most level.
func Threshold(level float64) float64 { return -math.Log(level) }

// capFor bounds what one window may add to the evidence of a test, so that a decision rests on at least that many windows:
// one poisoned request that is tried three times, or a reading that fell into a restart, decides nothing. It is the same
// for all tests of a rollout, so that gates that agree, and the two limits of one gate, decide no sooner either. 0 is none.
func capFor(threshold float64, windows int) float64 {
	if windows < 2 {
		return 0
	}
	return 0.95 * threshold / float64(windows-1)
}

// capped is the wealth after a window, lowered to no more than limit above what it was, or above the start. To lower
// wealth keeps it evidence. The bets themselves are not bounded (see Ratio.Cap): one that had lost much in a long time
// without fault wins it back at once when there is one.
func (w Wealth) capped(before Wealth, limit float64) Wealth {
	excess := w.LogE() - (max(before.LogE(), 0) + limit)
	if limit == 0 || !(excess > 0) {
		return w
	}
	lower := Wealth{LW: make(Logs, len(w.LW)), K: w.K}
	for j, lw := range w.LW {
		lower.LW[j] = lw - excess
	}
	lower.Max = max(before.Max, lower.LogE())
	return lower
}
