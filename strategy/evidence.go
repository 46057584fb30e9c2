package strategy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

// Sample is what a meter reads at one moment: counters that only grow while their source lives.
type Sample struct {
	At time.Time
	// Bounds are the upper bounds of the latency buckets in seconds, ascending, without +Inf; the same for all series. The
	// last one may be AnyTime.
	Bounds []float64
	Series []Series
	Gauges []Gauge
	// Every is how far apart the readings of its sources are, where that is not at any time: what is newer than that may
	// not be in the sample yet.
	Every time.Duration
	// Burst is how many errors one cause makes at a time, by what stable showed before; 0 when not known.
	Burst float64
	// Lacks is why some gate could not be answered; "" when all could be.
	Lacks string
}

// AnyTime is the bound of the bucket that holds all requests whose time is known, where that is not all of them: latencies
// may be measured by something else than what counts requests.
const AnyTime = math.MaxFloat64

// Series is what one source has counted for one track since it began to count.
type Series struct {
	Source string    // what counts, such as one instance of a proxy; a restarted one has another name
	Since  time.Time // when it began to count from zero; zero time when unknown
	Until  time.Time // until when it has counted, of a source that is asked for a time; zero for the sample's time
	Track  Track
	// Endpoint is what the requests of the series ask for; "" where it is of all of them. Such series are counted beside those
	// of all, for gates by endpoint, and have no buckets.
	Endpoint string
	// Gate is the gate that the series belongs to: Errors are then the events of its query, and Requests their exposure. ""
	// for the requests of the release.
	Gate string
	Counters
}

// Gauge is the value of a gate's query for one track, at the sample's time.
type Gauge struct {
	Gate  string
	Track Track
	Value float64
}

// Counters are cumulative. A smaller number than before means that counting began anew.
type Counters struct {
	Requests float64   `json:"n"`
	Errors   float64   `json:"x"`           // status 5xx, or no answer
	Buckets  []float64 `json:"b,omitempty"` // requests within each bound of Sample.Bounds, cumulative over bounds
}

// Evidence is what a rollout has seen of its two tracks, and what that amounts to. It survives steps and restarts: prev
// holds the last counters of every series, so that nothing is counted twice or lost.
type Evidence struct {
	Since  time.Time            `json:"since,omitzero"` // series older than this start at what they show first
	At     time.Time            `json:"at,omitzero"`    // of the newest sample taken in
	Bounds []float64            `json:"bounds,omitempty"`
	Prev   map[string]Counters  `json:"prev,omitempty"`  // by source, track and gate
	Until  map[string]time.Time `json:"until,omitempty"` // what asked sources have counted until, by gate
	Canary Counters             `json:"canary"`          // within the present step
	Stable Counters             `json:"stable"`          // within the present step
	Total  float64              `json:"total"`           // canary requests over the whole rollout
	Failed float64              `json:"failed"`          // canary requests that failed, over the whole rollout

	Burst      float64  `json:"burst,omitempty"`       // how many errors come at a time, as stable showed before anything was judged; 0: as usual
	ByEndpoint bool     `json:"by_endpoint,omitempty"` // some gate asks for endpoints
	Endpoints  []string `json:"endpoints,omitempty"`   // those that are counted by themselves, in the order of their slots

	Shared shared                  `json:"shared,omitzero"` // how the weight in effect divides the requests
	Open   openWindow              `json:"open,omitzero"`
	Weight Weight                  `json:"weight,omitempty"` // that was in effect at At
	Turned time.Time               `json:"turned,omitzero"`  // when it was seen to have changed
	Alone  bool                    `json:"alone,omitempty"`  // the stable is ending, or there is none: what it counts says nothing
	Judged judge.Record            `json:"judged,omitzero"`
	Dry    judge.Record            `json:"dry,omitzero"` // of the gates on dry run
	Tails  map[string]tail         `json:"tails,omitempty"`
	Seen   learning                `json:"seen,omitzero"`
	Gauges map[string]gaugeReading `json:"gauges,omitempty"`
}

// openWindow is what was counted since the last window was judged.
type openWindow struct {
	From   time.Time           `json:"from,omitzero"`
	Canary Counters            `json:"canary,omitzero"`
	Stable Counters            `json:"stable,omitzero"`
	Gates  map[string]gateOpen `json:"gates,omitempty"` // of gates with a query
}

// gateOpen is what was counted for one gate.
type gateOpen struct {
	Canary Counters `json:"canary,omitzero"`
	Stable Counters `json:"stable,omitzero"`
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
	if next.Open.From.IsZero() {
		next.Open.From = e.Since
	}
	next.unshare()
	for _, series := range next.endpoints(s) {
		if err := series.check(len(s.Bounds)); err != nil {
			return e, err
		}
		prev, seen := next.Prev[series.key()]
		// An endpoint that a source is asked for first, having counted before, begins there.
		if began := strings.HasPrefix(series.Gate, "#") && e.counting(series.Source); !seen && !began && series.Since.Before(e.Since) {
			prev = series.Counters
			if series.Track == Stable && series.Gate == "" {
				next.Seen.Before.add(series.Counters)
			}
		}
		next.Prev[series.key()] = series.Counters
		next.succeed(series)
		next.count(series, series.since(prev))
	}
	return next, nil
}

// AskedSource begins the name of a source that is asked for a time, and that one alone counts for a gate: one that goes on
// where another stopped takes its place.
const AskedSource = "metrics@"

// succeed notes how far an asked source has counted, and forgets the one before it.
func (e *Evidence) succeed(s Series) {
	if s.Until.IsZero() {
		return
	}
	e.Until = maps.Clone(e.Until)
	if e.Until == nil {
		e.Until = map[string]time.Time{}
	}
	e.Until[s.Gate] = s.Until
	_, of, _ := strings.Cut(s.key(), "/")
	for key := range e.Prev {
		if source, rest, _ := strings.Cut(key, "/"); rest == of && source != s.Source && strings.HasPrefix(source, AskedSource) {
			delete(e.Prev, key)
		}
	}
}

// covers tells whether a newer sample goes on counting the canary's requests where the evidence ends: every series of it
// that the evidence knows is there and has not begun anew, or another takes its place, and one of them has grown.
func (e Evidence) covers(s Sample) bool {
	there := map[string]bool{}
	grows, succeeds := false, false
	for _, series := range s.Series {
		there[series.key()] = true
		before, known := e.Prev[series.key()]
		asked := strings.HasPrefix(series.Source, AskedSource)
		if series.Track != Canary || series.Gate != "" || (!known && !asked) {
			continue
		}
		if series.Requests < before.Requests {
			return false
		}
		grows, succeeds = grows || series.Requests > before.Requests, succeeds || asked
	}
	for key := range e.Prev {
		if strings.HasSuffix(key, "/"+string(Canary)) && !there[key] && (!succeeds || !strings.HasPrefix(key, AskedSource)) {
			return false
		}
	}
	return grows
}

// unshare makes what is counted into the evidence's own.
func (e *Evidence) unshare() {
	for _, c := range []*Counters{&e.Canary, &e.Stable, &e.Open.Canary, &e.Open.Stable, &e.Seen.Before, &e.Seen.Since} {
		c.Buckets = slices.Clone(c.Buckets)
	}
	e.Open.Gates = maps.Clone(e.Open.Gates)
}

// count adds what a series has grown by to all that it belongs to.
func (e *Evidence) count(s Series, grown Counters) {
	if s.Gate != "" {
		if e.Open.Gates == nil {
			e.Open.Gates = map[string]gateOpen{}
		}
		open := e.Open.Gates[s.Gate]
		if s.Track == Canary {
			open.Canary.add(grown)
		} else {
			open.Stable.add(grown)
		}
		e.Open.Gates[s.Gate] = open
		return
	}
	switch s.Track {
	case Canary:
		e.Canary.add(grown)
		e.Open.Canary.add(grown)
		e.Total += grown.Requests
		e.Failed += grown.Errors
	case Shadow: // Taken for the canary where copies are judged; see Sample.tracks.
	case Stable:
		e.Stable.add(grown)
		e.Open.Stable.add(grown)
		e.Seen.Since.add(grown)
	}
}

// NextStep forgets what belongs to the step that ended. What the gates have seen goes on.
func (e Evidence) NextStep() Evidence {
	e.Canary, e.Stable = Counters{}, Counters{}
	e.Judged, e.Dry = e.Judged.NextStep(), e.Dry.NextStep()
	return e
}

// concluded is what is left of the evidence when nothing more is judged: the counts that people read.
func (e Evidence) concluded() Evidence {
	return Evidence{Since: e.Since, At: e.At, Canary: e.Canary, Stable: e.Stable, Total: e.Total, Failed: e.Failed}
}

// key tells series apart.
func (s Series) key() string {
	key := s.Source + "/" + string(s.Track)
	if s.Gate != "" {
		key += "/" + s.Gate
	}
	return key
}

func (s Series) check(bounds int) error {
	switch {
	case s.Errors > s.Requests && (s.Gate == "" || strings.HasPrefix(s.Gate, "#")):
		return fmt.Errorf("%s counts %.0f errors but only %.0f requests on %s: errors exceed requests", s.Source, s.Errors, s.Requests, s.Track)
	case !(s.Requests >= 0) || !(s.Errors >= 0):
		return fmt.Errorf("%s counts %v requests and %v errors on %s: not a count", s.Source, s.Requests, s.Errors, s.Track)
	case len(s.Buckets) != bounds && s.Gate == "":
		return fmt.Errorf("%s has %d latency buckets on %s, %d are declared", s.Source, len(s.Buckets), s.Track, bounds)
	}
	return nil
}

// since is the growth from prev; everything counts when the source began anew.
func (c Counters) since(prev Counters) Counters {
	if c.Requests < prev.Requests || c.Errors < prev.Errors {
		prev = Counters{}
	}
	grown := Counters{Requests: c.Requests - prev.Requests, Errors: c.Errors - prev.Errors, Buckets: slices.Clone(c.Buckets)}
	for i := range min(len(prev.Buckets), len(grown.Buckets)) {
		grown.Buckets[i] = max(0, grown.Buckets[i]-prev.Buckets[i])
	}
	return grown
}

// timed is the requests whose time is known, with the bounds of their buckets.
func (c Counters) timed(bounds []float64) (timed Counters, within []float64) {
	last := len(bounds) - 1
	if last < 0 || bounds[last] != AnyTime {
		return c, bounds
	}
	if len(c.Buckets) <= last {
		return Counters{}, bounds[:last]
	}
	return Counters{Requests: c.Buckets[last], Buckets: c.Buckets[:last]}, bounds[:last]
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
