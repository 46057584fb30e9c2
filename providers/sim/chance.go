package sim

import (
	"math"
	"math/rand/v2"
)

// The draws below are exact for few and normal for many, which no gate can tell apart, so that hours of traffic take
// no longer than minutes.
const exactDraws = 64

// binomial draws how many of n happen, each with probability p.
func binomial(rng *rand.Rand, n int, p float64) int {
	switch {
	case n <= 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case n <= exactDraws:
		hits := 0
		for range n {
			if rng.Float64() < p {
				hits++
			}
		}
		return hits
	}
	mean := float64(n) * p
	if mean < exactDraws/2 {
		return min(n, poisson(rng, mean))
	}
	if rest := float64(n) - mean; rest < exactDraws/2 {
		return max(0, n-poisson(rng, rest))
	}
	drawn := math.Round(mean + rng.NormFloat64()*math.Sqrt(mean*(1-p)))
	return int(min(max(drawn, 0), float64(n)))
}

// poisson draws how many happen when mean are expected.
func poisson(rng *rand.Rand, mean float64) int {
	if mean <= 0 {
		return 0
	}
	if mean > exactDraws {
		return int(max(0, math.Round(mean+rng.NormFloat64()*math.Sqrt(mean))))
	}
	limit, product, drawn := math.Exp(-mean), 1.0, -1
	for product > limit || drawn < 0 {
		product *= rng.Float64()
		drawn++
	}
	return drawn
}

// share is how many of the requests are answered within a bound, in seconds.
func (l Latency) share(bound float64) float64 {
	median := l.Median.Seconds()
	switch {
	case median <= 0:
		return 1
	case l.Sigma > 0:
		return 0.5 * math.Erfc(-(math.Log(bound)-math.Log(median))/(l.Sigma*math.Sqrt2))
	case bound >= median:
		return 1
	}
	return 0
}
