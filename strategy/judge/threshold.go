package judge

import "math"

// Answer is what a test says.
type Answer int

// The answers.
const (
	Unsure Answer = iota // too little data, or beyond the limit by no more than chance may do
	Within               // within the limit
	Beyond               // beyond the limit, by more than chance
)

// The rules of judgement by thresholds.
const (
	// MinExposure is the requests below which an arm says nothing.
	MinExposure = 100
	// MinEvents is the events below which nothing is called beyond its limit: one more or less is noise.
	MinEvents = 5
	// deviations is how many standard deviations chance is given.
	deviations = 3
)

// Share tests x events in n exposures against the share of them that is allowed, from 0 to 1. When that share was
// estimated from another arm, reference is the exposures of that arm; 0 when it is a fixed number.
func Share(x, n, allowed, reference float64) Answer {
	if n < MinExposure {
		return Unsure
	}
	mean := n * allowed
	variance := mean
	if reference > 0 {
		variance += n * n * allowed / reference
	}
	switch {
	case x <= mean:
		return Within
	case x >= MinEvents && x > mean+deviations*math.Sqrt(variance):
		return Beyond
	}
	return Unsure
}

// Quantile estimates the q-quantile of a histogram: bounds ascending, cumulative the counts within each of them, total
// all counts. It interpolates within a bucket. It is +Inf when the quantile lies beyond the last bound, NaN without data.
func Quantile(q float64, bounds, cumulative []float64, total float64) float64 {
	if total <= 0 || len(bounds) != len(cumulative) {
		return math.NaN()
	}
	rank := q * total
	lower, below := 0.0, 0.0
	for i, within := range cumulative {
		if within >= rank && within > below {
			return lower + (bounds[i]-lower)*(rank-below)/(within-below)
		}
		lower, below = bounds[i], within
	}
	return math.Inf(1)
}

// Above counts what is larger than the limit in a histogram. Within the bucket that holds the limit nobody knows, so all
// of it counts as not larger: a limit is as fine as the buckets are. What lies beyond the last bound counts as larger.
func Above(limit float64, bounds, cumulative []float64, total float64) float64 {
	for i, within := range cumulative {
		if limit <= bounds[i] {
			return total - within
		}
	}
	if len(cumulative) == 0 {
		return 0
	}
	return total - cumulative[len(cumulative)-1]
}
