package strategy

import (
	"fmt"
	"math"

	"github.com/drover-dev/drover/strategy/judge"
)

// tail is how the tolerance of a latency gate against stable is asked of the buckets. It is read once in a rollout.
type tail struct {
	Boundary float64 `json:"at"` // seconds
	Ratio    float64 `json:"ratio"`
	Absolute float64 `json:"plus,omitempty"`
}

const (
	// agreeing is how many slow requests have to be seen before the past is believed to be like the present.
	agreeing = 20
	// alike is by how much the past and the present may differ in their share of slow requests.
	alike = 1.5
)

func (g Gate) comparesTail() bool { return g.Metric == MetricLatency && g.MaxVsStable != nil }

// tailed puts what was learned of the stable's latencies into the rule.
func (g Gate) tailed(rule *judge.Gate, tails map[string]tail) {
	if g.Max != nil {
		rule.Max = 1 - g.Quantile
	}
	if g.MaxVsStable == nil {
		return
	}
	rule.Learned = fmt.Sprintf("p%v %s", g.Quantile*100, g.MaxVsStable.Text)
	if t, known := tails[g.Name]; known {
		rule.MaxVsStable = &judge.Margin{Ratio: t.Ratio, Absolute: t.Absolute}
	}
	if g.Promote != nil {
		rule.Learned += " " + g.Promote.Text
		promote := g.promoteTail(*rule.MaxVsStable)
		rule.Promote = &promote
	}
}

// promoteTail is the promotion margin of a latency gate as one of slow requests: a shift of the quantile goes the same
// way as the tolerance.
func (g Gate) promoteTail(rollback judge.Margin) judge.Margin {
	margin := rollback.Promotion()
	if g.MaxVsStable.Ratio > 1 && rollback.Ratio > 1 {
		steepness := math.Log(rollback.Ratio) / math.Log(g.MaxVsStable.Ratio)
		margin.Ratio = math.Max(rollback.Ratio, math.Exp(steepness*math.Log(g.Promote.Ratio)))
	}
	return margin
}

// tail reads the tail of the stable's latencies for one gate, once enough was seen: in this rollout alone, or before it
// as well, when what was seen since is like it.
func (l learning) tail(g Gate, bounds []float64) (tail, bool) {
	l, bounds = l.timed(bounds)
	fresh, err := readTail(g, bounds, l.Since)
	if err == nil && l.Since.slow(g) >= judge.TailEvents {
		return fresh, true
	}
	old, oldErr := readTail(g, bounds, l.Before)
	if oldErr != nil || l.Before.slow(g) < judge.TailEvents || l.Since.slow(g) < agreeing {
		return tail{}, false
	}
	was := judge.Above(old.Boundary, bounds, l.Before.Buckets, l.Before.Requests) / l.Before.Requests
	is := judge.Above(old.Boundary, bounds, l.Since.Buckets, l.Since.Requests) / l.Since.Requests
	if is > alike*was+(1-g.Quantile)/4 || is < was/alike-(1-g.Quantile)/4 {
		return tail{}, false
	}
	return old, true
}

// timed is what was learned of the requests whose time is known.
func (l learning) timed(bounds []float64) (learning, []float64) {
	before, _ := l.Before.timed(bounds)
	since, within := l.Since.timed(bounds)
	return learning{Before: before, Since: since}, within
}

func readTail(g Gate, bounds []float64, c Counters) (tail, error) {
	le := append(append([]float64(nil), bounds...), math.Inf(1))
	cum := append(append([]float64(nil), c.Buckets...), c.Requests)
	t, margin, err := judge.Tolerate(le, cum, g.Quantile, g.MaxVsStable.Ratio-1)
	if err != nil {
		return tail{}, err
	}
	return tail{Boundary: t.Boundary, Ratio: margin.Ratio, Absolute: margin.Absolute}, nil
}

// slow is how many requests are slower than the quantile of a gate, whatever that is.
func (c Counters) slow(g Gate) float64 { return c.Requests * (1 - g.Quantile) }

// learns says how far learning has come.
func (l learning) learns(g Gate, bounds []float64) string {
	l, bounds = l.timed(bounds)
	if need := judge.TailEvents / (1 - g.Quantile); l.Since.Requests < need {
		return fmt.Sprintf("learning how stable's latencies are spread: %.0f of %.0f requests seen", l.Since.Requests, need)
	}
	if _, err := readTail(g, bounds, l.Since); err != nil {
		return "stable cannot be compared with: " + err.Error()
	}
	return "learning how stable's latencies are spread"
}
