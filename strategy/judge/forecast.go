package judge

import "math"

// Forecast tells how many windows like this one a test needs from its start to reach a level, were the rates those
// given: growth is what the best bet wins in a window. ok is false when no bet wins anything: at these rates the test
// never decides.
func (r Ratio) Forecast(nc, ns, canary, stable, level float64) (growth, windows float64, ok bool) {
	for _, won := range r.bets(Tally{XC: nc * canary, NC: nc, XS: ns * stable, NS: ns}) {
		growth = max(growth, won)
	}
	if growth == 0 {
		return 0, 0, false
	}
	return growth, (Threshold(level) + math.Log(float64(len(r.Mult)))) / growth, true
}

// Remaining is the windows like this one that a test needs to reach a level from the wealth that is there.
func (r Ratio) Remaining(w Wealth, nc, ns, canary, stable, level float64) (windows float64, ok bool) {
	return remaining(w, r.bets(Tally{XC: nc * canary, NC: nc, XS: ns * stable, NS: ns}), level)
}

// Remaining is the windows of n exposures at a rate that a test needs to reach a level from the wealth that is there.
func (c Ceiling) Remaining(w Wealth, n, rate, level float64) (windows float64, ok bool) {
	return remaining(w, c.bets(n*rate, n), level)
}

// remaining is the windows until the first of the bets reaches the level by itself, and a little pessimistic for that.
func remaining(w Wealth, bets []float64, level float64) (windows float64, ok bool) {
	if w.LogE() >= Threshold(level) {
		return 0, true
	}
	windows = math.Inf(1)
	for j, won := range bets {
		if won > 0 {
			windows = min(windows, max(0, Threshold(level)-w.LW[j+1])/won)
		}
	}
	if math.IsInf(windows, 1) {
		return 0, false
	}
	return windows, true
}

// RequestsToPass is how many exposures of the canary a gate needs to pass when both tracks are at a rate and the canary has
// this share of the traffic: against the stable where it has a limit against it, else against its fixed one. It is +Inf when
// it would never pass.
func RequestsToPass(g Gate, level, share, rate float64) float64 {
	var windows float64
	var ok bool
	const each = 100 // exposures of the canary in a window
	if g.MaxVsStable != nil {
		test := NotWorse(g.promote(), g.burst())
		windows, ok = test.Remaining(test.Start(), each, each*(1-share)/share, rate, rate, level)
	} else {
		test := Under(g.promoteMax(), g.burst())
		windows, ok = test.Remaining(test.Start(), each, rate, level)
	}
	if !ok {
		return math.Inf(1)
	}
	return windows * each
}
