package prometheus

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/drover-dev/drover/strategy"
)

// point is the last reading of a series: a number, or a histogram as its buckets with all requests at the end.
type point struct {
	at     time.Time
	values []float64
}

// take adds what all series have grown by.
func (t *tally) take(m *Meter, counters, times []reading, now time.Time) error {
	for _, r := range counters {
		grown := t.grow(r, numbers(r))
		if len(grown) == 0 {
			continue
		}
		more := strategy.Counters{Requests: grown[0]}
		if m.failed.failed(r.Metric) {
			more.Errors = grown[0]
		}
		c := t.of(r.track)
		c.Requests, c.Errors = c.Requests+more.Requests, c.Errors+more.Errors
		if name := m.profile.endpoint(r.Metric); name != "" {
			t.count(r.track, name, more)
		}
	}
	if err := t.takeTimes(times, m.profile.Unit); err != nil {
		return err
	}
	for _, r := range slices.Concat(counters, times) {
		t.seen[r.target] = true
	}
	for series, p := range t.points {
		if now.Sub(p.at) > memory+lookback {
			delete(t.points, series)
		}
	}
	t.at = now
	return nil
}

// count adds to what an endpoint has counted.
func (t *tally) count(track strategy.Track, endpoint string, more strategy.Counters) {
	if t.endpoints[track] == nil {
		t.endpoints[track] = map[string]strategy.Counters{}
	}
	c := t.endpoints[track][endpoint]
	t.endpoints[track][endpoint] = strategy.Counters{Requests: c.Requests + more.Requests, Errors: c.Errors + more.Errors}
}

func (t *tally) of(track strategy.Track) *strategy.Counters {
	switch track {
	case strategy.Canary:
		return &t.canary
	case strategy.Shadow:
		return &t.shadow
	case strategy.Stable:
	}
	return &t.stable
}

// numbers are the readings of a counter.
func numbers(r reading) []point {
	points := make([]point, 0, len(r.Values))
	for _, v := range r.Values {
		if n := float64(v.Value); n >= 0 && !math.IsInf(n, 1) {
			points = append(points, point{at: v.Timestamp.Time(), values: []float64{n}})
		}
	}
	return points
}

// grow is what a series has grown by since its last reading, reading by reading: one that is smaller than the one before
// began anew, at zero. Where there was none before, what it shows first counts when it began to count since then.
func (t *tally) grow(r reading, points []point) []float64 {
	key := r.Metric.String()
	last, known := t.before(key, points)
	var grown []float64
	for _, p := range points {
		if known && !p.at.After(last.at) {
			continue
		}
		if grown == nil {
			grown = make([]float64, len(p.values))
		}
		end := len(p.values) - 1 // The last is the whole.
		switch {
		case !known && !r.zero:
		case !known || len(last.values) != len(p.values) || p.values[end] < last.values[end]:
			add(grown, p.values, nil)
		default:
			add(grown, p.values, last.values)
		}
		last, known = p, true
	}
	if known {
		t.points[key] = last
	}
	return grown
}

// before is the last reading of a series that was counted already.
func (t *tally) before(key string, points []point) (last point, known bool) {
	last, known = t.points[key]
	if known {
		return last, true
	}
	for _, p := range points {
		if !p.at.After(t.at) {
			last, known = p, true
		}
	}
	return last, known
}

func add(to, now, before []float64) {
	for n := range to {
		if before == nil {
			to[n] += now[n]
			continue
		}
		to[n] += max(0, now[n]-before[n])
	}
}

// takeTimes adds what the histograms have grown by. All have the same buckets, or cannot be compared.
func (t *tally) takeTimes(all []reading, unit time.Duration) error {
	if len(all) == 0 {
		return nil
	}
	var bounds []float64
	var err error
	native := slices.ContainsFunc(all, func(r reading) bool { return len(r.Histograms) > 0 })
	if native {
		bounds = nativeBounds()
	} else if bounds, err = classicBounds(all); err != nil {
		return err
	}
	scaled := make([]float64, 0, len(bounds)+1)
	for _, b := range bounds {
		if !native {
			b *= unitOf(unit)
		}
		scaled = append(scaled, b)
	}
	scaled = append(scaled, strategy.AnyTime)
	if t.bounds != nil && !slices.Equal(t.bounds, scaled) {
		return fmt.Errorf("latency: the buckets changed within the rollout, from %v to %v: requests of before and after cannot be compared", t.bounds, scaled)
	}
	t.bounds = scaled
	for _, r := range all {
		c := t.of(r.track)
		if c.Buckets == nil {
			c.Buckets = make([]float64, len(scaled))
		}
		if native {
			points, err := nativePoints(r, bounds, unitOf(unit))
			if err != nil {
				return err
			}
			for n, v := range t.grow(r, points) {
				c.Buckets[n] += v
			}
			continue
		}
		for _, v := range t.grow(r, numbers(r)) {
			c.Buckets[place(bounds, bound(r.Metric))] += v
		}
	}
	return nil
}

func unitOf(d time.Duration) float64 {
	if d == 0 {
		return 1
	}
	return d.Seconds()
}

// place is where a bound stands, the one for all at the end.
func place(bounds []float64, b float64) int {
	if n, found := slices.BinarySearch(bounds, b); found {
		return n
	}
	return len(bounds)
}

// bound is the upper bound of a bucket's series; NaN where there is none.
func bound(labels model.Metric) float64 {
	b, err := strconv.ParseFloat(string(labels[model.BucketLabel]), 64)
	if err != nil {
		return math.NaN()
	}
	return b
}

// mostBounds keeps what is remembered of a histogram small enough for a record.
const mostBounds = 40

// classicBounds are the bounds that all histograms have, without +Inf.
func classicBounds(all []reading) ([]float64, error) {
	by := map[string][]float64{}
	for _, r := range all {
		b := bound(r.Metric)
		if math.IsNaN(b) {
			return nil, fmt.Errorf("latency: %s is no bucket of a histogram: select the series that end in _bucket, or a native histogram", r.Metric)
		}
		labels := r.Metric.Clone()
		delete(labels, model.BucketLabel)
		by[labels.String()] = append(by[labels.String()], b)
	}
	var bounds []float64
	var of string
	for series, own := range by {
		slices.Sort(own)
		switch {
		case !math.IsInf(own[len(own)-1], 1):
			return nil, fmt.Errorf("latency: %s has no bucket le=\"+Inf\"", series)
		case len(own) > mostBounds+1:
			return nil, fmt.Errorf("latency: %s has %d buckets, at most %d are read: let it have fewer", series, len(own), mostBounds)
		case bounds == nil:
			bounds, of = own, series
		case !slices.Equal(bounds, own):
			return nil, fmt.Errorf("latency: %s has the buckets %v and %s has %v: tracks with different buckets cannot be compared", of, bounds, series, own)
		}
	}
	return bounds[:len(bounds)-1], nil
}

// The bounds that native histograms are read at: two for each doubling, from 1 ms to 64 s. Every native histogram that is
// as fine or finer has them.
const (
	nativeFactor = math.Sqrt2
	nativeFirst  = -20 // powers of nativeFactor
	nativeLast   = 12
)

func nativeBounds() []float64 {
	var bounds []float64
	for n := nativeFirst; n <= nativeLast; n++ {
		bounds = append(bounds, math.Pow(2, float64(n)/2))
	}
	return bounds
}

// nativePoints are the readings of a native histogram at the bounds, all of its requests at the end.
func nativePoints(r reading, bounds []float64, unit float64) ([]point, error) {
	if len(r.Values) > 0 {
		return nil, fmt.Errorf("latency: %s is no histogram", r.Metric)
	}
	points := make([]point, 0, len(r.Histograms))
	for _, h := range r.Histograms {
		values := make([]float64, len(bounds)+1)
		for _, bucket := range h.Histogram.Buckets {
			upper, lower := float64(bucket.Upper), float64(bucket.Lower)
			if lower > 0 && upper/lower > nativeFactor*(1+1e-9) {
				return nil, fmt.Errorf("latency: %s counts from %v to %v in one bucket: let it be finer, by a factor of 1.4 or less", r.Metric, lower, upper)
			}
			for n, b := range bounds {
				if upper <= b/unit*(1+1e-9) {
					values[n] += float64(bucket.Count)
				}
			}
		}
		values[len(bounds)] = float64(h.Histogram.Count)
		points = append(points, point{at: h.Timestamp.Time(), values: values})
	}
	return points, nil
}
