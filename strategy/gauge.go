package strategy

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

const (
	// gaugeEvery is how far apart the values of a gauge are taken in: one says much of the next.
	gaugeEvery = time.Minute
	// inARow is how many values one after another have to be over a fixed limit. One alone is a peak.
	inARow = 3
)

// gaugeReading is what is remembered of a gate that reads a value.
type gaugeReading struct {
	At     time.Time    `json:"at,omitzero"`
	Canary *float64     `json:"canary,omitempty"` // nil: the canary had no value
	Stable *float64     `json:"stable,omitempty"`
	N      int          `json:"n,omitempty"`     // values so far
	Out    int          `json:"out,omitempty"`   // how many in a row were over the limit, up to now
	Worse  judge.Wealth `json:"worse,omitzero"`  // of a saturation against stable
	Wrong  string       `json:"wrong,omitempty"` // why the last value cannot be used
}

// instant tells whether the gate reads a value, in place of counting.
func (g Gate) instant() bool {
	switch g.Metric {
	case MetricCPU, MetricMemory:
		return true
	case MetricQuery:
		return g.Query.Instant
	case MetricErrorRate, MetricLatency, MetricRequests:
		return false
	}
	return false
}

// saturation tells whether the gate reads how much of what it has an allocation uses. Such gauges remember, so that what
// they prove is weak: they hold a rollout and never roll it back.
func (g Gate) saturation() bool { return g.Metric == MetricCPU || g.Metric == MetricMemory }

// gauge takes the values of a sample in, one a minute for each gate.
func (e Evidence) gauge(p Plan, s Sample) Evidence {
	every := min(gaugeEvery, p.shortestBake()/5)
	for _, g := range p.Gates {
		was := e.Gauges[g.Name]
		if !g.instant() || e.Weight < g.From || (!was.At.IsZero() && s.At.Sub(was.At) < every) {
			continue
		}
		now := was.next(g, s)
		e.Gauges = maps.Clone(e.Gauges)
		if e.Gauges == nil {
			e.Gauges = map[string]gaugeReading{}
		}
		e.Gauges[g.Name] = now
	}
	return e
}

// next is the reading after one more sample. Without a value of the canary it stays as it was.
func (r gaugeReading) next(g Gate, s Sample) gaugeReading {
	var canary, stable *float64
	for _, v := range s.Gauges {
		switch {
		case v.Gate != g.Name:
		case v.Track == Canary:
			canary = &v.Value
		default:
			stable = &v.Value
		}
	}
	if canary == nil {
		return r
	}
	r.At, r.Canary, r.Stable, r.N, r.Wrong = s.At, canary, stable, r.N+1, ""
	if g.saturation() && g.MaxVsStable != nil && stable != nil {
		check := judge.Saturated(g.MaxVsStable.Plus)
		if r.Worse.LW == nil {
			r.Worse = check.Start()
		}
		var err error
		if r.Worse, err = check.Add(r.Worse, *canary-*stable); err != nil {
			r.Wrong = err.Error()
		}
	}
	if r.over(g) {
		r.Out++
	} else {
		r.Out = 0
	}
	return r
}

// over tells whether the value is beyond a limit that is held against each value.
func (r gaugeReading) over(g Gate) bool {
	v := *r.Canary
	switch {
	case g.Max != nil && !(v <= g.Max.Value), g.Min != nil && !(v >= g.Min.Value):
		return true
	case g.saturation() || g.MaxVsStable == nil || r.Stable == nil:
		return false
	}
	return !(v <= *r.Stable*g.MaxVsStable.Ratio+g.MaxVsStable.Plus)
}

// judgeGauge is the verdict of a gate that reads a value.
func (g Gate) judgeGauge(e Evidence, p Plan, compare bool) Verdict {
	v := Verdict{Gate: g.Name, Limit: g.limit(compare), DryRun: g.DryRun}
	r, known := e.Gauges[g.Name]
	every := min(gaugeEvery, p.shortestBake()/5)
	if !known || e.At.Sub(r.At) > 3*every+patience {
		v.Why = g.what() + ": there is no value of the canary"
		return v
	}
	v.Canary, v.Samples = g.format(*r.Canary), float64(r.N)
	if r.Stable != nil && compare {
		v.Stable = g.format(*r.Stable)
	}
	proven := r.Worse.LW != nil && r.Worse.Max >= judge.Threshold(p.level())
	switch {
	case r.Wrong != "":
		v.Why = g.what() + ": " + r.Wrong
	case r.Out >= inARow && !g.saturation():
		v.State, v.Why = Fail, fmt.Sprintf("%s %s, limit %s, in %d readings one after another", g.what(), v.Canary, v.Limit, r.Out)
	case r.Out > 0:
		v.Why = fmt.Sprintf("%s %s, limit %s, in %d readings one after another", g.what(), v.Canary, v.Limit, r.Out)
	case proven && compare:
		v.Why = fmt.Sprintf("%s %s, beyond %s of stable's %s for good", g.what(), v.Canary, g.MaxVsStable.Text, v.Stable)
	default:
		v.State, v.Why = Pass, fmt.Sprintf("%s %s, within %s", g.what(), v.Canary, v.Limit)
		if v.Limit == "" {
			v.Why = g.what() + " is not asked: there is no stable beside the canary"
		}
	}
	return v
}

// number is a value without a unit that is known.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
