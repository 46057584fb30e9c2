package prometheus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/drover-dev/drover/strategy"
)

// Meter asks a Prometheus. It is safe for concurrent use.
type Meter struct {
	api     v1.API
	every   time.Duration
	scrape  time.Duration
	profile *Profile // nil: requests are not counted here
	failed  classifier
	log     *slog.Logger
	clamped *client.CounterVec

	mu       sync.Mutex
	tallies  map[string]*tally    // by release
	counts   map[string]*count    // by release and gate
	lastRead map[string]time.Time // when a gate's value was read last, likewise
}

// count is what was counted for one gate in one rollout.
type count struct {
	rollout        string
	since, at      time.Time
	canary, stable strategy.Counters
}

// The gates on the machine, as Nomad's own metrics tell it (publish_allocation_metrics in the telemetry of its agents).
var machine = map[strategy.Metric]string{
	strategy.MetricCPU:    `avg(nomad_client_allocs_cpu_total_ticks{alloc_id=~"${allocs}"} / (nomad_client_allocs_cpu_allocated{alloc_id=~"${allocs}"} > 0))`,
	strategy.MetricMemory: `avg(nomad_client_allocs_memory_usage{alloc_id=~"${allocs}"} / (nomad_client_allocs_memory_allocated{alloc_id=~"${allocs}"} > 0))`,
}

// Measure answers an inquiry: series for the gates that count, as far as they were asked by now, and values for the others. The
// error joins what could not be answered, gate by gate; what could be is returned all the same.
func (m *Meter) Measure(ctx context.Context, i strategy.Inquiry) (strategy.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s := strategy.Sample{At: i.Now}
	var errs []error
	if i.Requests {
		var err error
		if s, err = m.requests(ctx, i); s.At.IsZero() {
			return s, err
		}
		errs = append(errs, err)
	}
	for _, g := range i.Gates {
		var err error
		if g.Query != nil && !g.Query.Instant {
			s.Series, err = m.count(ctx, s.Series, i, g)
		} else {
			s.Gauges, err = m.value(ctx, s.Gauges, i, g)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("gate %q: %w", g.Name, err))
		}
	}
	return s, errors.Join(errs...)
}

// value adds what a gate reads now.
func (m *Meter) value(ctx context.Context, gauges []strategy.Gauge, i strategy.Inquiry, g strategy.Gate) ([]strategy.Gauge, error) {
	if !m.due(i, g) {
		return gauges, nil
	}
	query, known := machine[g.Metric]
	if !known {
		query = g.Query.Text
	}
	for _, track := range []strategy.Track{strategy.Canary, strategy.Stable} {
		v, found, err := m.ask(ctx, query, i.Track(track), 0, i.Now)
		if err != nil {
			return gauges, err
		}
		if found && !math.IsNaN(v) && !math.IsInf(v, 0) { // Such as a share of nothing: nothing is known.
			gauges = append(gauges, strategy.Gauge{Gate: g.Name, Track: track, Value: m.within(i, g, track, v)})
		}
	}
	return gauges, nil
}

// within is a share of the machine as it is judged: more than all is all, and is said, as the metrics may be wrong.
func (m *Meter) within(i strategy.Inquiry, g strategy.Gate, track strategy.Track, v float64) float64 {
	if _, share := machine[g.Metric]; !share || v <= 1 {
		return v
	}
	m.clamped.WithLabelValues(string(g.Metric)).Inc()
	m.log.Warn("allocations use more than they have", "release", i.Release, "gate", g.Name, "metric", g.Metric, "track", track, "share", v)
	return 1
}

// due tells whether a value may have changed since it was read last.
func (m *Meter) due(i strategy.Inquiry, g strategy.Gate) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := i.Release + "/" + i.Rollout + "/" + g.Name
	if last, known := m.lastRead[key]; known && i.Now.Sub(last) < m.every/scrapes {
		return false
	}
	m.lastRead[key] = i.Now
	return true
}

// count adds the counters of a gate, asking for what they have grown by when that is due.
func (m *Meter) count(ctx context.Context, series []strategy.Series, i strategy.Inquiry, g strategy.Gate) ([]strategy.Series, error) {
	key := i.Release + "/" + g.Name
	m.mu.Lock()
	c := m.counts[key]
	if c == nil || c.rollout != i.Rollout || i.Until[g.Name].After(c.at) {
		until, begun := m.begins(i, g.Name, true)
		if !begun {
			m.mu.Unlock()
			return series, nil
		}
		c = &count{rollout: i.Rollout, since: until, at: until}
		m.counts[key] = c
	}
	last := *c
	m.mu.Unlock()
	if span := i.Now.Sub(last.at); span >= m.every {
		canary, err := m.grown(ctx, i.Canary, g, span, i.Now)
		if err != nil {
			return series, err
		}
		stable, err := m.grown(ctx, i.Stable, g, span, i.Now)
		if err != nil {
			return series, err
		}
		last.canary = strategy.Counters{Requests: last.canary.Requests + canary.Requests, Errors: last.canary.Errors + canary.Errors}
		last.stable = strategy.Counters{Requests: last.stable.Requests + stable.Requests, Errors: last.stable.Errors + stable.Errors}
		last.at = i.Now
		m.mu.Lock()
		m.counts[key] = &last
		m.mu.Unlock()
	}
	source := strategy.AskedSource + strconv.FormatInt(last.since.UnixMilli(), 36)
	return append(
		series,
		strategy.Series{Source: source, Since: last.since, Until: last.at, Track: strategy.Canary, Gate: g.Name, Counters: last.canary},
		strategy.Series{Source: source, Since: last.since, Until: last.at, Track: strategy.Stable, Gate: g.Name, Counters: last.stable},
	), nil
}

// grown is what one track counted in a time. Without series there is nothing of it.
func (m *Meter) grown(ctx context.Context, allocs []string, g strategy.Gate, span time.Duration, now time.Time) (strategy.Counters, error) {
	var c strategy.Counters
	if len(allocs) == 0 {
		return c, nil
	}
	var err error
	if c.Errors, _, err = m.ask(ctx, g.Query.Text, allocs, span, now); err != nil {
		return c, err
	}
	if g.Query.Exposure != "" {
		if c.Requests, _, err = m.ask(ctx, g.Query.Exposure, allocs, span, now); err != nil {
			return c, fmt.Errorf("its exposure: %w", err)
		}
	}
	if !(c.Errors >= 0 && c.Requests >= 0) || math.IsInf(c.Errors+c.Requests, 1) {
		return c, fmt.Errorf("counts %v events and an exposure of %v in %s: a count is at least 0", c.Errors, c.Requests, span)
	}
	return c, nil
}

// ask asks for one number. found is false where there are no series.
func (m *Meter) ask(ctx context.Context, query string, allocs []string, span time.Duration, now time.Time) (value float64, found bool, err error) {
	if len(allocs) == 0 {
		return 0, false, nil
	}
	query = m.rendered(query, allocs, span)
	answer, err := m.query(ctx, query, now)
	if err != nil {
		return 0, false, err
	}
	switch a := answer.(type) {
	case *model.Scalar:
		value = float64(a.Value)
	case model.Vector:
		if len(a) == 0 {
			return 0, false, nil
		}
		if len(a) > 1 {
			return 0, false, fmt.Errorf("the query answers %d series: make it one number, such as by sum(…) or max(…)", len(a))
		}
		value = float64(a[0].Value)
	default:
		return 0, false, fmt.Errorf("the query answers a %s: it has to be one number, without a range at its end", answer.Type())
	}
	return value, true, nil
}

// Check tells whether queries are answered at all.
func (m *Meter) Check(ctx context.Context) error {
	_, err := m.query(ctx, "vector(1)", time.Now())
	return err
}

// query asks one query.
func (m *Meter) query(ctx context.Context, query string, now time.Time) (model.Value, error) {
	answer, _, _, err := m.api.Query(ctx, query, now)
	if err != nil {
		return nil, fmt.Errorf("ask the metrics: %w", err)
	}
	return answer, nil
}
