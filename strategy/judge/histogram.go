package judge

import "math"

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
// of it counts as not larger: a limit is as fine as the buckets are. What lies beyond the last bound counts as larger. The
// total may be a little behind the buckets, as the two are not counted in one instant: it is never less than none.
func Above(limit float64, bounds, cumulative []float64, total float64) float64 {
	for i, within := range cumulative {
		if limit <= bounds[i] {
			return max(0, total-within)
		}
	}
	if len(cumulative) == 0 {
		return 0
	}
	return max(0, total-cumulative[len(cumulative)-1])
}
