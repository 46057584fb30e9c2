package strategy

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Sample is what a meter reads at one moment: counters that only grow while their source lives.
type Sample struct {
	At     time.Time
	Bounds []float64 // upper bounds of the latency buckets in seconds, ascending, without +Inf; the same for all series
	Series []Series
}

// Series is what one source has counted for one track since it began to count.
type Series struct {
	Source string    // what counts, such as one instance of a proxy; a restarted one has another name
	Since  time.Time // when it began to count from zero; zero time when unknown
	Track  Track
	Counters
}

// Counters are cumulative. A smaller number than before means that counting began anew.
type Counters struct {
	Requests float64   `json:"n"`
	Errors   float64   `json:"x"`           // status 5xx, or no answer
	Buckets  []float64 `json:"b,omitempty"` // requests within each bound of Sample.Bounds, cumulative over bounds
}

// Evidence is what a rollout has seen of its two tracks. It survives steps and restarts: prev holds the last
// counters of every series, so that nothing is counted twice or lost.
type Evidence struct {
	Since  time.Time           `json:"since,omitzero"` // series older than this start at what they show first
	At     time.Time           `json:"at,omitzero"`    // of the newest sample taken in
	Bounds []float64           `json:"bounds,omitempty"`
	Prev   map[string]Counters `json:"prev,omitempty"` // by source and track
	Canary Counters            `json:"canary"`         // within the present step
	Stable Counters            `json:"stable"`         // within the present step
	Total  float64             `json:"total"`          // canary requests over the whole rollout
	Failed float64             `json:"failed"`         // canary requests that failed, over the whole rollout
}

// Add takes a sample in. One that is not newer than the last changes nothing. The error says why a sample cannot be
// used; the evidence is unchanged then.
func (e Evidence) Add(s Sample) (Evidence, error) {
	if !s.At.After(e.At) {
		return e, nil
	}
	if len(e.Bounds) > 0 && !slices.Equal(e.Bounds, s.Bounds) {
		return e, fmt.Errorf("latency buckets changed from %v to %v within the rollout", e.Bounds, s.Bounds)
	}
	next := e
	next.At, next.Bounds, next.Prev = s.At, s.Bounds, maps.Clone(e.Prev)
	if next.Prev == nil {
		next.Prev = map[string]Counters{}
	}
	next.Canary.Buckets, next.Stable.Buckets = slices.Clone(e.Canary.Buckets), slices.Clone(e.Stable.Buckets)
	for _, series := range s.Series {
		if err := series.check(len(s.Bounds)); err != nil {
			return e, err
		}
		key := series.Source + "/" + string(series.Track)
		prev, seen := next.Prev[key]
		if !seen && series.Since.Before(e.Since) {
			prev = series.Counters
		}
		next.Prev[key] = series.Counters
		grown := series.since(prev)
		switch series.Track {
		case Canary:
			next.Canary.add(grown)
			next.Total += grown.Requests
			next.Failed += grown.Errors
		case Stable:
			next.Stable.add(grown)
		}
	}
	return next, nil
}

// NextStep forgets what belongs to the step that ended.
func (e Evidence) NextStep() Evidence {
	e.Canary, e.Stable = Counters{}, Counters{}
	return e
}

func (s Series) check(bounds int) error {
	switch {
	case s.Errors > s.Requests:
		return fmt.Errorf("%s counts %.0f errors but only %.0f requests on %s: errors exceed requests", s.Source, s.Errors, s.Requests, s.Track)
	case !(s.Requests >= 0) || !(s.Errors >= 0):
		return fmt.Errorf("%s counts %v requests and %v errors on %s: not a count", s.Source, s.Requests, s.Errors, s.Track)
	case len(s.Buckets) != bounds:
		return fmt.Errorf("%s has %d latency buckets on %s, %d are declared", s.Source, len(s.Buckets), s.Track, bounds)
	}
	return nil
}

// since is the growth from prev; everything counts when the source began anew.
func (c Counters) since(prev Counters) Counters {
	if c.Requests < prev.Requests {
		prev = Counters{}
	}
	grown := Counters{Requests: c.Requests - prev.Requests, Errors: max(0, c.Errors-prev.Errors), Buckets: slices.Clone(c.Buckets)}
	for i := range min(len(prev.Buckets), len(grown.Buckets)) {
		grown.Buckets[i] = max(0, grown.Buckets[i]-prev.Buckets[i])
	}
	return grown
}

func (c *Counters) add(grown Counters) {
	c.Requests += grown.Requests
	c.Errors += grown.Errors
	if len(c.Buckets) < len(grown.Buckets) {
		c.Buckets = append(c.Buckets, make([]float64, len(grown.Buckets)-len(c.Buckets))...)
	}
	for i, b := range grown.Buckets {
		c.Buckets[i] += b
	}
}
