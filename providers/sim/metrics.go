package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover-dev/drover/strategy"
)

// queried is the query of a gate, of one allocation.
type queried struct{ alloc, gate string }

// Measure answers gates that have queries of their own, as the behavior of the allocations says: one that counts gets
// events of their requests, one that reads a value gets the mean over the allocations of each track. What no behavior
// says anything of is not answered.
func (t *Traffic) Measure(ctx context.Context, inquiry strategy.Inquiry) (strategy.Sample, error) {
	if err := ctx.Err(); err != nil {
		return strategy.Sample{}, fmt.Errorf("ask for the gates of %q: %w", inquiry.Release, err)
	}
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	sample := strategy.Sample{At: t.nomad.now, Bounds: latencyBounds()}
	var missing []error
	for _, g := range inquiry.Gates {
		answered := false
		for _, track := range []strategy.Track{strategy.Stable, strategy.Canary} {
			ids := inquiry.Stable
			if track == strategy.Canary {
				ids = inquiry.Canary
			}
			if g.Metric == strategy.MetricQuery && !g.Query.Instant {
				series := t.events(inquiry.Release, g.Name, track, ids)
				sample.Series, answered = append(sample.Series, series...), answered || len(series) > 0
				continue
			}
			if value, ok := t.value(g.Name, ids); ok {
				sample.Gauges, answered = append(sample.Gauges, strategy.Gauge{Gate: g.Name, Track: track, Value: value}), true
			}
		}
		if !answered {
			missing = append(missing, fmt.Errorf("gate %q: the simulation has no answer to its query", g.Name))
		}
	}
	return sample, errors.Join(missing...)
}

// events is what the query of a gate counted on each of these allocations.
func (t *Traffic) events(release, gate string, track strategy.Track, ids []string) []strategy.Series {
	l := t.releases[release]
	if l == nil {
		return nil
	}
	var all []strategy.Series
	for _, id := range ids {
		a := t.nomad.alloc(id)
		if a == nil {
			continue
		}
		if _, says := t.nomad.behaviourOf(a).Queries[gate]; !says {
			continue
		}
		all = append(all, strategy.Series{
			Source: source + "-" + id, Since: a.started, Track: track, Gate: gate,
			Counters: strategy.Counters{Requests: l.served[id], Errors: l.queries[queried{id, gate}]},
		})
	}
	return all
}

// value is what the query of a gate reads, over these allocations.
func (t *Traffic) value(gate string, ids []string) (mean float64, ok bool) {
	n := 0
	for _, id := range ids {
		a := t.nomad.alloc(id)
		if a == nil || !a.running() {
			continue
		}
		if v, says := t.nomad.behaviourOf(a).Queries[gate]; says {
			mean, n = mean+v, n+1
		}
	}
	if n == 0 {
		return 0, false
	}
	return mean / float64(n), true
}
