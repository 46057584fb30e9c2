package judge

import (
	"errors"
	"fmt"
	"math"
)

// Tail is how a tolerance on a quantile of latencies is asked of a histogram. Buckets cannot say how many requests took
// 20% longer than others, but they can say how many took longer than one of their bounds. Freeze it when a rollout
// starts: both tracks are then counted against the same bound.
type Tail struct {
	Boundary float64 // seconds: events are requests slower than this, one of the bounds
	Index    int     // of the boundary among the bounds
	Events   float64 // requests of the histogram that were slower
	Exposure float64 // all requests of the histogram
	Kappa    float64 // by how many percent fewer requests exceed a bound that is 1% larger
	Ratio    float64 // the tolerance for Margin.Ratio: how many times more requests are slower when all take the margin longer
}

// TailEvents is how many slow requests a histogram should hold before its tail is read: ask for a longer history, such
// as an hour before the rollout, when Tail.Events is smaller.
const TailEvents = 200

// TailFromHistogram reads the tail of the stable's latencies: le are the bounds, ascending, the last one +Inf; cum the
// requests within each of them. The tolerance is that the q-quantile is no more than the margin (0.2 for +20%) larger.
// The error says that the buckets are too coarse to know anything about that quantile.
func TailFromHistogram(le, cum []float64, q, margin float64) (Tail, error) {
	if err := histogram(le, cum); err != nil {
		return Tail{}, err
	}
	if !(q > 0 && q < 1) || !(margin >= 0) || math.IsInf(margin, 1) {
		return Tail{}, fmt.Errorf("quantile %v with a margin of %v: want a quantile between 0 and 1 and a margin of at least 0", q, margin)
	}
	total := cum[len(cum)-1]
	slower := func(i int) float64 { return (total - cum[i]) / total }
	best, distance := -1, math.Inf(1)
	for i := range le[:len(le)-1] {
		if d := math.Abs(math.Log(slower(i) / (1 - q))); d < distance {
			best, distance = i, d
		}
	}
	if best < 0 || distance > math.Log(3)*(1+1e-12) {
		return Tail{}, fmt.Errorf("buckets too coarse for the quantile %v: no bound is exceeded by %.3g%% to %.3g%% of requests; add bounds near it",
			q, (1-q)/3*100, (1-q)*3*100)
	}
	kappa, err := steepness(le, slower, best)
	if err != nil {
		return Tail{}, err
	}
	return Tail{
		Boundary: le[best], Index: best, Events: total - cum[best], Exposure: total,
		Kappa: kappa, Ratio: math.Exp(kappa * math.Log1p(margin)),
	}, nil
}

// steepness is how fast the tail falls around a bound, between its neighbours that have something to say.
func steepness(le []float64, slower func(int) float64, at int) (float64, error) {
	lower, upper := at, at
	if at > 0 && le[at-1] > 0 && slower(at-1) > slower(at) {
		lower = at - 1
	}
	if at+1 < len(le)-1 && slower(at+1) > 0 {
		upper = at + 1
	}
	if lower == upper || slower(lower) == slower(upper) {
		return 0, fmt.Errorf("buckets too coarse around %v s: nothing is known of how fast the tail falls there; add bounds beside it", le[at])
	}
	return math.Log(slower(lower)/slower(upper)) / math.Log(le[upper]/le[lower]), nil
}

func histogram(le, cum []float64) error {
	if len(le) < 2 || len(le) != len(cum) {
		return fmt.Errorf("histogram of %d bounds and %d counts: want as many of both, two at least", len(le), len(cum))
	}
	if !math.IsInf(le[len(le)-1], 1) {
		return fmt.Errorf("histogram that ends at %v: want a last bound of +Inf", le[len(le)-1])
	}
	for i := range le {
		if err := count("requests within a bound", cum[i]); err != nil {
			return err
		}
		if i > 0 && (!(le[i] > le[i-1]) || cum[i] < cum[i-1]) {
			return fmt.Errorf("histogram with bound %v of %v requests after bound %v of %v: want both to grow", le[i], cum[i], le[i-1], cum[i-1])
		}
	}
	if cum[len(cum)-1] == 0 {
		return errors.New("histogram without requests: wait for traffic, or read a longer history")
	}
	return nil
}

// Tolerate is the margin that a tolerance on a quantile comes to, with the tail that it was read from. Where the buckets
// are too coarse around the quantile to tell a small shift, a larger one is tolerated: no more requests may be slower
// than the next bound above it than the quantile leaves. The error says that the quantile lies beyond all bounds, or that
// nothing was counted.
func Tolerate(le, cum []float64, q, margin float64) (Tail, Margin, error) {
	tail, err := TailFromHistogram(le, cum, q, margin)
	if err == nil {
		return tail, Margin{Ratio: tail.Ratio}, nil
	}
	if wrong := histogram(le, cum); wrong != nil {
		return Tail{}, Margin{}, wrong
	}
	total := cum[len(cum)-1]
	for i, bound := range le[:len(le)-1] {
		if left := 1 - q - (total-cum[i])/total; left > 0 && q > 0 {
			return Tail{Boundary: bound, Index: i, Events: total - cum[i], Exposure: total, Ratio: 1}, Margin{Ratio: 1, Absolute: left}, nil
		}
	}
	return Tail{}, Margin{}, err
}
