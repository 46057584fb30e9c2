// Package judge holds the statistics of gates: it turns counts of two arms into an answer, and knows neither
// metrics nor releases. Everything in it is a function of its arguments.
//
// The judgement so far is by thresholds: readings of the present step against fixed limits, unsure below a minimum
// of requests. It has no bound on how often it is wrong over a whole rollout.
package judge

import "math"

// Answer is what a test says.
type Answer int

// The answers.
const (
	Unsure Answer = iota // too little data
	Within               // the canary is within its limits
	Beyond               // the canary is beyond one of them
)

// Cause is which rule gave the answer.
type Cause int

// The causes.
const (
	ByLimits  Cause = iota // all limits were asked
	TooFew                 // the canary has too little data
	TooFewOld              // the stable has too little data to compare with
	AboveMax               // beyond the absolute limit
	AboveOld               // beyond the limit against stable
)

// Reading is what one arm shows of a metric.
type Reading struct {
	Value    float64 // such as a share of errors, or seconds; +Inf when beyond what can be measured
	Exposure float64 // requests it rests on
	Events   float64 // of them, those that count against the arm; the exposure itself where a metric has no events
}

// Limits are what a reading is held against. A limit that is not asked is nil.
type Limits struct {
	Max      *float64
	VsStable *Relative
}

// Relative is the limit stable*Ratio + Plus.
type Relative struct{ Ratio, Plus float64 }

// The rules of judgement by thresholds.
const (
	// MinExposure is the requests below which an arm says nothing.
	MinExposure = 100
	// MinEvents is the events below which the canary is not called worse than stable: with few of them on both sides,
	// one more or less is noise.
	MinEvents = 5
)

// Threshold compares readings with limits.
func Threshold(canary, stable Reading, limits Limits) (Answer, Cause) {
	if canary.Exposure < MinExposure {
		return Unsure, TooFew
	}
	if limits.Max != nil && canary.Value > *limits.Max {
		return Beyond, AboveMax
	}
	if limits.VsStable == nil {
		return Within, ByLimits
	}
	if stable.Exposure < MinExposure {
		return Unsure, TooFewOld
	}
	if canary.Events >= MinEvents && canary.Value > stable.Value*limits.VsStable.Ratio+limits.VsStable.Plus {
		return Beyond, AboveOld
	}
	return Within, ByLimits
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
