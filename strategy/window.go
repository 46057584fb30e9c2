package strategy

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

const (
	// longestWindow bounds how long requests wait to be judged.
	longestWindow = 5 * time.Second
	shortestBake  = 20 // windows in the shortest bake, at least
	// patience is how long a window waits for a track that has no requests.
	patience = time.Minute
	// coldStart is the time from the canary's first request in which its latencies say nothing: caches are cold.
	coldStart = time.Minute
)

// window is how long requests are counted before they are judged.
func (p Plan) window() time.Duration {
	return min(max(p.shortestBake()/shortestBake, time.Second), longestWindow)
}

// warmUp is the time in which the canary's latencies are not judged.
func (p Plan) warmUp() time.Duration { return min(p.shortestBake()/5, coldStart) }

func (p Plan) shortestBake() time.Duration {
	shortest := time.Duration(math.MaxInt64)
	for _, s := range p.Steps {
		if s.Bake > 0 {
			shortest = min(shortest, s.Bake)
		}
	}
	if shortest == math.MaxInt64 {
		return 0
	}
	return shortest
}

// begin is the evidence of a rollout whose canary gets its first traffic now.
func (p Plan) begin(now time.Time) Evidence {
	return Evidence{Since: now, ByEndpoint: p.byEndpoint(), Judged: p.rules(nil, 0, false).Start(), Dry: p.rules(nil, 0, true).Start()}
}

// burst takes in how errors come, as long as nothing was judged: what is judged by has to stand before.
func (e Evidence) burst(p Plan, s Sample) Evidence {
	if s.Burst == 0 || e.Burst != 0 || !e.Judged.Since.IsZero() || !e.Dry.Since.IsZero() {
		return e
	}
	e.Burst = s.Burst
	e.Judged, e.Dry = p.rules(nil, e.Burst, false).Start(), p.rules(nil, e.Burst, true).Start()
	return e
}

// turn takes in which weight is in effect. A window in which it changed says nothing of either weight: what was open is
// judged, and what comes next is left out.
func (e Evidence) turn(p Plan, w Weight, s Sample) Evidence {
	if w == e.Weight || !s.At.After(e.At) {
		return e
	}
	next := e
	if s.Every == 0 && !e.Open.From.IsZero() && e.At.After(e.Open.From) {
		if closed, err := e.shut(p, e.Open.From.Before(e.Turned)); err == nil {
			next = closed
		}
	}
	next.Weight, next.Turned, next.Shared = w, s.At, shared{}
	return next
}

// judged closes the open window when it is long enough. The error names the gates that cannot use it.
func (e Evidence) judged(p Plan, every time.Duration) (Evidence, error) {
	age := e.At.Sub(e.Open.From)
	switch {
	case e.Open.From.IsZero(), age <= 0:
		return e, nil
	case e.mixed(every):
		if e.At.Sub(e.Turned) < every { // What was counted before that may still come.
			return e, nil
		}
		return e.shut(p, true)
	case age < max(p.window(), every):
		return e, nil
	case age < patience && (e.Open.Canary.Requests == 0 || (e.Open.Stable.Requests == 0 && e.Weight < Full && !e.Alone)):
		return e, nil
	}
	return e.shut(p, false)
}

// mixed tells whether the weight changed within the open window, as far as the sources show it.
func (e Evidence) mixed(every time.Duration) bool {
	return !e.Turned.IsZero() && e.Open.From.Before(e.Turned.Add(every))
}

// shut hands the open window to the gates and opens the next.
func (e Evidence) shut(p Plan, mixed bool) (Evidence, error) {
	next := e
	var err error
	next.Judged, err = p.rules(e.Tails, e.Burst, false).Add(e.record(p, false), e.windows(p, false, mixed))
	if err != nil {
		// What cannot be used is not thrown away: the next window contains it, and the rollout is held until then.
		return e, err
	}
	if dry, err := p.rules(e.Tails, e.Burst, true).Add(e.record(p, true), e.windows(p, true, mixed)); err == nil {
		next.Dry = dry
	}
	next.Open = openWindow{From: e.At}
	next.learn(p)
	return next, nil
}

// record is the judgement of the gates that count, or of those on dry run, so far.
func (e Evidence) record(p Plan, dry bool) judge.Record {
	record := e.Judged
	if dry {
		record = e.Dry
	}
	if record.Rules == "" {
		return p.rules(nil, e.Burst, dry).Start()
	}
	return record
}

// windows is the open window as each gate sees it.
func (e Evidence) windows(p Plan, dry, mixed bool) map[string]judge.Window {
	windows := map[string]judge.Window{}
	for _, g := range p.Gates {
		if !g.counted() || g.DryRun != dry || e.Weight < g.From {
			continue
		}
		if g.By == ByEndpoint {
			g.endpointWindows(e, mixed, windows)
			continue
		}
		w := judge.Window{From: e.Open.From, To: e.At, Mixed: mixed}
		switch g.Metric {
		case MetricLatency:
			boundary, known := e.Tails[g.Name]
			w.OverOnly = g.MaxVsStable != nil && !known
			w.Canary, w.Stable = g.slow(e.Open.Canary, e.Bounds, boundary), g.slow(e.Open.Stable, e.Bounds, boundary)
		case MetricQuery:
			open := e.Open.Gates[g.Name]
			w.Canary, w.Stable = g.queried(open.Canary, e.Open.Canary), g.queried(open.Stable, e.Open.Stable)
		case MetricErrorRate, MetricRequests, MetricCPU, MetricMemory:
			w.Canary, w.Stable = judge.Failures(e.Open.Canary.Requests, e.Open.Canary.Errors), judge.Failures(e.Open.Stable.Requests, e.Open.Stable.Errors)
		}
		if e.Alone {
			w.Stable = judge.Counts{}
		}
		windows[g.Name] = w
	}
	return windows
}

// slow counts the requests that were slower than the limits of a latency gate. A track without buckets has none.
func (g Gate) slow(c Counters, bounds []float64, boundary tail) judge.Counts {
	c, bounds = c.timed(bounds)
	if len(c.Buckets) == 0 {
		return judge.Counts{}
	}
	counts := judge.Counts{Exposure: c.Requests}
	if g.Max != nil {
		counts.Over = judge.Above(g.Max.Value, bounds, c.Buckets, c.Requests)
	}
	if boundary.Boundary > 0 {
		counts.Events = judge.Above(boundary.Boundary, bounds, c.Buckets, c.Requests)
	}
	return counts
}

// queried is what a gate's own queries counted, by the requests of the release where it has no exposure of its own.
func (g Gate) queried(own, requests Counters) judge.Counts {
	if g.Query.Exposure == "" {
		return judge.Failures(requests.Requests, own.Errors)
	}
	return judge.Failures(own.Requests, own.Errors)
}

// counted tells whether the gate is judged by counts, in windows.
func (g Gate) counted() bool {
	switch g.Metric {
	case MetricErrorRate, MetricLatency:
		return true
	case MetricQuery:
		return !g.Query.Instant
	case MetricRequests, MetricCPU, MetricMemory:
		return false
	}
	return false
}

// rules are what the counted gates are judged by: those on dry run, or the others. A rollout has one budget of false
// rollbacks, which the gates that can roll it back share.
func (p Plan) rules(tails map[string]tail, burst float64, dry bool) judge.Rules {
	rules := judge.Rules{Confidence: p.Confidence}
	for _, g := range p.Gates {
		first := len(rules.Gates)
		switch {
		case !g.counted() || g.DryRun != dry:
		case g.By == ByEndpoint:
			rules.Gates = append(rules.Gates, g.endpointRules(p)...)
		default:
			rules.Gates = append(rules.Gates, g.rule(p, tails))
		}
		for n := first; n < len(rules.Gates) && g.Metric == MetricErrorRate; n++ {
			rules.Gates[n].Burst = burst
		}
	}
	return rules
}

// rule is one gate as judge knows it.
func (g Gate) rule(p Plan, tails map[string]tail) judge.Gate {
	rule := judge.Gate{Name: g.Name}
	if g.MaxVsStable != nil {
		margin := judge.Margin{Ratio: g.MaxVsStable.Ratio, Absolute: g.MaxVsStable.Plus}
		rule.MaxVsStable = &margin
	}
	if g.Promote != nil {
		rule.Promote = &judge.Margin{Ratio: g.Promote.Ratio, Absolute: g.Promote.Plus}
	}
	if g.Max != nil {
		rule.Max = g.Max.Value
	}
	switch g.Metric {
	case MetricLatency:
		rule.WarmUp = p.warmUp()
		g.tailed(&rule, tails)
	case MetricQuery:
		rule.Unbounded = true
	case MetricErrorRate, MetricRequests, MetricCPU, MetricMemory:
	}
	return rule
}

// learning is what is known of the stable's latencies: from before the rollout, and since.
type learning struct {
	Before Counters `json:"before,omitzero"`
	Since  Counters `json:"since,omitzero"`
}

// learn reads the tails of the stable's latencies as soon as enough was seen of them, and forgets what it no longer
// needs. Only what is counted after that is judged by them.
func (e *Evidence) learn(p Plan) {
	waiting := false
	for _, g := range p.Gates {
		if _, known := e.Tails[g.Name]; known || !g.comparesTail() {
			continue
		}
		if t, ok := e.Seen.tail(g, e.Bounds); ok {
			e.Tails = maps.Clone(e.Tails)
			if e.Tails == nil {
				e.Tails = map[string]tail{}
			}
			e.Tails[g.Name] = t
			continue
		}
		waiting = true
	}
	if !waiting {
		e.Seen = learning{}
	}
}

// sameWeight tells whether all instances have the same weight in effect, and which.
func (t *TrafficState) sameWeight() (Weight, bool) {
	if t == nil || len(t.Splits) == 0 {
		return 0, false
	}
	first := t.Splits[0].Weight
	return first, !slices.ContainsFunc(t.Splits, func(s Split) bool { return s.Weight != first })
}
