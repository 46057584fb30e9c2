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
	if v.Limit == "" {
		v.State, v.Why = Pass, fmt.Sprintf("%s is not asked: there is no stable beside the canary", g.what())
		return v
	}
	canary, stable := g.value(e.Canary, e.Bounds), g.value(e.Stable, e.Bounds)
	if e.Canary.Requests > 0 {
		v.Canary = g.format(canary)
	}
	if e.Stable.Requests > 0 && compare {
		v.Stable = g.format(stable)
	}
	if g.Metric == MetricLatency && (len(e.Canary.Buckets) == 0 || e.Canary.Requests == 0) {
		v.Why = fmt.Sprintf("%s: nothing is known of the canary in this step", g.what())
		return v
	}
	v.State, v.Why = Pass, fmt.Sprintf("%s %s, within %s", g.what(), v.Canary, v.Limit)
	if g.Max != nil {
		g.hold(&v, g.test(e, g.Max.Value, 0), fmt.Sprintf("limit %s", g.Max.Text), e, false)
	}
	if g.MaxVsStable != nil && compare {
		answer := judge.Unsure
		if e.Stable.Requests >= judge.MinExposure {
			answer = g.test(e, stable*g.MaxVsStable.Ratio+g.MaxVsStable.Plus, e.Stable.Requests)
		}
		g.hold(&v, answer, fmt.Sprintf("limit %s of stable's %s", g.MaxVsStable.Text, v.Stable), e, true)
	}
	return v
}

// test holds the canary against one limit. For a latency that is: no more requests are slower than the limit than the
// quantile leaves. reference is the stable requests that the limit was estimated from, 0 for a fixed one.
func (g Gate) test(e Evidence, limit, reference float64) judge.Answer {
	if g.Metric == MetricLatency {
		slow := judge.Above(limit, e.Bounds, e.Canary.Buckets, e.Canary.Requests)
		return judge.Share(slow, e.Canary.Requests, 1-g.Quantile, reference)
	}
	return judge.Share(e.Canary.Errors, e.Canary.Requests, limit, reference)
}

// hold makes the verdict as bad as one of its limits says. versus tells whether that limit is one against stable.
func (g Gate) hold(v *Verdict, answer judge.Answer, limit string, e Evidence, versus bool) {
	switch {
	case v.State == Fail, answer == judge.Within:
	case answer == judge.Beyond:
		v.State, v.Why = Fail, fmt.Sprintf("%s %s, %s", g.what(), v.Canary, limit)
	case v.State == Inconclusive:
	case e.Canary.Requests < judge.MinExposure:
		v.State, v.Why = Inconclusive, fmt.Sprintf("%s: %.0f canary requests in this step, %d are needed", g.what(), e.Canary.Requests, judge.MinExposure)
	case versus && e.Stable.Requests < judge.MinExposure:
		v.State, v.Why = Inconclusive, fmt.Sprintf("%s: %.0f stable requests in this step, %d are needed to compare", g.what(), e.Stable.Requests, judge.MinExposure)
	default:
		v.State, v.Why = Inconclusive, fmt.Sprintf("%s %s, %s, but %.0f requests are too few to tell it from chance", g.what(), v.Canary, limit, e.Canary.Requests)
	}
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

// value is what one track shows of the metric.
func (g Gate) value(c Counters, bounds []float64) float64 {
	switch {
	case c.Requests == 0:
		return 0
	case g.Metric == MetricErrorRate:
		return c.Errors / c.Requests
	case g.Metric == MetricLatency:
		return judge.Quantile(g.Quantile, bounds, c.Buckets, c.Requests)
	}
	return c.Requests
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
