package strategy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

// Judge asks every gate what the evidence says. compare tells whether there is a stable beside the canary to compare
// with: at weight 100%, after promotion and in a first release there is none, and absolute limits decide alone.
func Judge(gates []Gate, e Evidence, compare bool) []Verdict {
	verdicts := make([]Verdict, 0, len(gates))
	for _, g := range gates {
		verdicts = append(verdicts, g.judge(e, compare))
	}
	return verdicts
}

func (g Gate) judge(e Evidence, compare bool) Verdict {
	if g.Metric == MetricRequests {
		return g.judgeVolume(e)
	}
	v := Verdict{Gate: g.Name, Limit: g.limit(compare), Samples: e.Canary.Requests}
	limits := judge.Limits{}
	if g.Max != nil {
		limits.Max = &g.Max.Value
	}
	if g.MaxVsStable != nil && compare {
		limits.VsStable = &judge.Relative{Ratio: g.MaxVsStable.Ratio, Plus: g.MaxVsStable.Plus}
	}
	if limits.Max == nil && limits.VsStable == nil {
		v.State, v.Why = Pass, fmt.Sprintf("%s is not asked: there is no stable beside the canary", g.Name)
		return v
	}
	canary, stable := g.reading(e.Canary, e.Bounds), g.reading(e.Stable, e.Bounds)
	if canary.Exposure > 0 {
		v.Canary = g.format(canary.Value)
	}
	if stable.Exposure > 0 && compare {
		v.Stable = g.format(stable.Value)
	}
	answer, cause := judge.Threshold(canary, stable, limits)
	v.State = map[judge.Answer]VerdictState{judge.Unsure: Inconclusive, judge.Within: Pass, judge.Beyond: Fail}[answer]
	v.Why = g.explain(cause, v, canary, stable)
	return v
}

func (g Gate) judgeVolume(e Evidence) Verdict {
	need := 0.0
	if g.Min != nil {
		need = g.Min.Value
	}
	v := Verdict{Gate: g.Name, Limit: fmt.Sprintf("at least %.0f", need), Canary: fmt.Sprintf("%.0f", e.Total), Samples: e.Total, State: Pass}
	v.Why = fmt.Sprintf("the canary took %.0f requests, %.0f are needed", e.Total, need)
	if e.Total < need {
		v.State = Inconclusive
		v.Why = fmt.Sprintf("the canary took %.0f of the %.0f requests that are needed", e.Total, need)
	}
	return v
}

func (g Gate) reading(c Counters, bounds []float64) judge.Reading {
	r := judge.Reading{Exposure: c.Requests, Events: c.Requests}
	switch g.Metric {
	case MetricErrorRate:
		r.Events = c.Errors
		if c.Requests > 0 {
			r.Value = c.Errors / c.Requests
		}
	case MetricLatency:
		if len(c.Buckets) > 0 {
			r.Value = judge.Quantile(g.Quantile, bounds, c.Buckets, c.Requests)
		} else {
			r.Exposure = 0 // Requests without a histogram say nothing about latency.
		}
	case MetricRequests:
		r.Value = c.Requests
	}
	return r
}

func (g Gate) explain(cause judge.Cause, v Verdict, canary, stable judge.Reading) string {
	what := g.what()
	switch cause {
	case judge.TooFew:
		return fmt.Sprintf("%s: %.0f canary requests in this step, %d are needed", what, canary.Exposure, judge.MinExposure)
	case judge.TooFewOld:
		return fmt.Sprintf("%s: %.0f stable requests in this step, %d are needed to compare", what, stable.Exposure, judge.MinExposure)
	case judge.AboveMax:
		return fmt.Sprintf("%s %s, limit %s", what, v.Canary, g.Max.Text)
	case judge.AboveOld:
		return fmt.Sprintf("%s %s, limit %s of stable's %s", what, v.Canary, g.MaxVsStable.Text, v.Stable)
	case judge.ByLimits:
		return fmt.Sprintf("%s %s, within %s", what, v.Canary, v.Limit)
	}
	return what
}

func (g Gate) what() string {
	switch g.Metric {
	case MetricErrorRate:
		return "error rate"
	case MetricLatency:
		return "p" + strings.TrimSuffix(strconv.FormatFloat(g.Quantile*100, 'f', -1, 64), ".") + " latency"
	case MetricRequests:
		return "requests"
	}
	return string(g.Metric)
}

func (g Gate) limit(compare bool) string {
	var parts []string
	if g.Max != nil {
		parts = append(parts, g.Max.Text)
	}
	if g.MaxVsStable != nil && compare {
		parts = append(parts, g.MaxVsStable.Text+" of stable")
	}
	return strings.Join(parts, ", ")
}

func (g Gate) format(value float64) string {
	switch g.Metric {
	case MetricErrorRate:
		return strconv.FormatFloat(value*100, 'f', 2, 64) + "%"
	case MetricLatency:
		if math.IsInf(value, 1) {
			return "beyond the last bucket"
		}
		return time.Duration(value * float64(time.Second)).Round(100 * time.Microsecond).String()
	case MetricRequests:
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprint(value)
}
