package judge

import (
	"errors"
	"fmt"
	"math"
)

// Ceiling is a test of the canary's events per exposure against a fixed rate. With bets above 1 its hypothesis is that
// the rate is at most Max in every window, and wealth is evidence that the canary exceeds it; with bets below 1 it is
// the opposite. It needs no stable, and so cannot tell the canary's fault from trouble that hits both tracks.
type Ceiling struct {
	Max   float64 // above 0: events per exposure
	Burst float64 // as in Ratio, like all that follow
	Cap   float64
	Share float64
	Cash  float64
	Mult  []float64
}

// Over is the test for evidence that the canary exceeds a rate.
func Over(rate, burst, limit float64) Ceiling {
	return Ceiling{Max: rate, Burst: burst, Cap: limit, Share: 0.01, Cash: 0.1, Mult: AboveLimit}
}

// Under is the test for evidence that the canary stays below a rate.
func Under(rate, burst float64) Ceiling {
	return Ceiling{Max: rate, Burst: burst, Mult: BelowLimit}
}

func (c Ceiling) mixture() mixture { return mixture{mult: c.Mult, cash: c.Cash, share: c.Share} }

// Check tells what is wrong with the numbers of the test.
func (c Ceiling) Check() error {
	err := errors.Join(multiples(c.Mult), tempering(c.Burst, c.Cap), share("share", c.Share), share("cash", c.Cash))
	if !(c.Max > 0) || math.IsInf(c.Max, 1) {
		err = errors.Join(err, fmt.Errorf("max: got %v, want above 0", c.Max))
	}
	return err
}

// Start is the wealth before the first window.
func (c Ceiling) Start() Wealth { return c.mixture().start() }

// Add takes a window of x events in n exposures in. One without exposure leaves the wealth as it is, to the bit. On an
// error the wealth is unchanged.
func (c Ceiling) Add(w Wealth, x, n float64) (Wealth, error) {
	if err := errors.Join(c.mixture().check(w), count("events", x), count("exposure", n)); err != nil {
		return w, err
	}
	if n == 0 {
		return w, nil
	}
	return c.mixture().grow(w, c.bets(x, n), x > 0), nil
}

// bets is what each bet wins in a window.
func (c Ceiling) bets(x, n float64) []float64 {
	won := make([]float64, len(c.Mult))
	for j, m := range c.Mult {
		won[j] = temper(x*math.Log(m)-n*c.Max*(m-1), c.Burst, c.Cap)
	}
	return won
}
