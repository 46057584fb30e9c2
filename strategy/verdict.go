package strategy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

// Judge asks every gate of a plan what the evidence says. compare tells whether there is a stable beside the canary to
// compare with: at weight 100%, after promotion and in a first release there is none, and absolute limits decide alone.
// Asking changes nothing, however often it is done. At most one gate fails, or those together that are to blame.
func Judge(p Plan, e Evidence, compare bool) []Verdict {
	verdicts := make([]Verdict, 0, len(p.Gates))
	found, problem := e.findings(p, compare)
	for _, g := range p.Gates {
		f, counted := found[g.Name]
		var v Verdict
		switch {
		case g.Metric == MetricRequests:
			v = g.judgeVolume(e)
		case e.Weight < g.From:
			v = Verdict{Gate: g.Name, State: Pass, Why: fmt.Sprintf("%s is not asked below %s", g.what(), g.From)}
		case g.instant():
			v = g.judgeGauge(e, p, compare)
		case g.By == ByEndpoint && problem == "":
			v = g.judgeEndpoints(e, found, compare)
		case !counted:
			v = Verdict{Gate: g.Name, Limit: g.limit(compare), Why: problem}
		default:
			v = g.judge(e, f, compare)
		}
		v.DryRun = g.DryRun
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// findings is what judge says of each counted gate, by name.
func (e Evidence) findings(p Plan, compare bool) (found map[string]judge.Finding, problem string) {
	found = map[string]judge.Finding{}
	for _, dry := range []bool{false, true} {
		ruling, err := p.rules(e.Tails, e.Burst, dry).Judge(e.record(p, dry), compare)
		if err != nil {
			problem = err.Error()
			continue
		}
		for _, f := range ruling.Findings {
			if ruling.Answer == judge.Beyond && f.Gate == ruling.Gate {
				f.Answer = judge.Beyond
			}
			found[f.Gate] = f
		}
	}
	return found, problem
}

// judge is the verdict of a counted gate.
func (g Gate) judge(e Evidence, f judge.Finding, compare bool) Verdict {
	v := Verdict{Gate: g.Name, Limit: g.limit(compare), Against: f.Evidence, For: 1, P: f.P}
	g.read(&v, e, f, compare)
	if v.Limit == "" {
		v.State, v.Why = Pass, fmt.Sprintf("%s is not asked: there is no stable beside the canary", g.what())
		return v
	}
	v.State, v.Why = Pass, fmt.Sprintf("%s %s, within %s", g.what(), v.Canary, v.Limit)
	if _, known := e.Tails[g.Name]; f.Versus != nil && g.comparesTail() && !known {
		v.For = 0
		v.State, v.Why = Inconclusive, g.what()+": "+e.Seen.learns(g, e.Bounds)
	} else if f.Versus != nil {
		limit := fmt.Sprintf("%s of stable's %s", g.MaxVsStable.Text, v.Stable)
		if f.Fixed != nil && f.Versus.Answer == judge.Beyond && f.Fixed.Canary.Share() > g.most() {
			limit = g.Max.Text + " and " + limit
		}
		g.say(&v, *f.Versus, "limit "+limit)
	}
	if f.Fixed != nil && v.State != Fail {
		g.say(&v, *f.Fixed, "limit "+g.Max.Text)
	}
	return v
}

// most is the fixed limit as a share of requests.
func (g Gate) most() float64 {
	if g.Metric == MetricLatency {
		return 1 - g.Quantile
	}
	return g.Max.Value
}

// read puts what both tracks show into the verdict.
func (g Gate) read(v *Verdict, e Evidence, f judge.Finding, compare bool) {
	reading := f.Versus
	if reading == nil {
		reading = f.Fixed
	}
	if reading != nil {
		v.Samples = reading.Canary.Exposure
	}
	if g.Metric == MetricLatency || (g.Metric == MetricErrorRate && e.Canary.Requests > 0 && g.By == "") {
		// What people want to know is how it is now: in the present step. The verdict rests on all of the rollout.
		v.Canary = g.shown(e.Canary, e.Bounds)
		if compare {
			v.Stable = g.shown(e.Stable, e.Bounds)
		}
		return
	}
	if reading == nil {
		return
	}
	if reading.Canary.Exposure > 0 {
		v.Canary = g.format(reading.Canary.Share())
	}
	if reading.Stable.Exposure > 0 && compare {
		v.Stable = g.format(reading.Stable.Share())
	}
}

// shown is what a track shows of the metric; "" when it shows nothing.
func (g Gate) shown(c Counters, bounds []float64) string {
	if g.Metric == MetricLatency {
		c, bounds = c.timed(bounds)
	}
	switch {
	case c.Requests == 0 || (g.Metric == MetricLatency && len(c.Buckets) == 0):
		return ""
	case g.Metric == MetricLatency:
		return g.format(judge.Quantile(g.Quantile, bounds, c.Buckets, c.Requests))
	}
	return g.format(c.Errors / c.Requests)
}

// say makes the verdict as bad as what one limit says.
func (g Gate) say(v *Verdict, r judge.Reading, limit string) {
	if r.Answer != judge.Beyond && v.State != Pass {
		return // What an earlier limit says stands.
	}
	what := strings.TrimSpace(g.what() + " " + v.Canary)
	v.For = math.Min(v.For, r.Support)
	v.State, v.Forecast = Inconclusive, ""
	switch r.Why {
	case judge.NotAsked, judge.Proven:
		v.State, v.For = Pass, 1
	case judge.Exceeded, judge.Together:
		v.State, v.Why = Fail, fmt.Sprintf("%s, %s", what, limit)
	case judge.NoTraffic:
		v.Why = g.what() + ": the canary has had no requests in this step"
	case judge.NoStable:
		v.Why = g.what() + ": stable has had no requests in this step to compare with"
	case judge.StableOver:
		v.Why = fmt.Sprintf("%s, %s, but stable is over it too: that is no fault of the canary", what, limit)
	case judge.Doubtful:
		v.Why = fmt.Sprintf("%s, %s: it passed before, but this step speaks against it", what, limit)
	case judge.TooLittle:
		v.Why = fmt.Sprintf("%s, %s: too few requests to tell", what, limit)
		if v.Forecast = forecast(r.Left); v.Forecast == "" {
			v.Why = fmt.Sprintf("%s, %s: not shown to be beyond it yet, and at these rates it would never pass", what, limit)
		}
	}
	if v.Forecast != "" {
		v.Why += ", " + v.Forecast
	}
}

// forecast says how much more traffic a gate needs to pass.
func forecast(left *judge.Left) string {
	switch {
	case left == nil:
		return ""
	case left.Time > 100*24*time.Hour:
		return "and at this traffic it would never pass"
	}
	return fmt.Sprintf("about %s more of the canary are needed (%s)", rounded(left.Exposure), left.Time.Round(time.Second))
}

// rounded is a number as people say it: two digits of it.
func rounded(n float64) string {
	if n < 10 {
		return strconv.FormatFloat(math.Ceil(n), 'f', 0, 64)
	}
	unit := math.Pow(10, math.Floor(math.Log10(n))-1)
	return strconv.FormatFloat(math.Ceil(n/unit)*unit, 'f', 0, 64)
}

func (g Gate) judgeVolume(e Evidence) Verdict {
	need := 0.0
	if g.Min != nil {
		need = g.Min.Value
	}
	v := Verdict{Gate: g.Name, Limit: fmt.Sprintf("at least %.0f", need), Canary: fmt.Sprintf("%.0f", e.Total), Samples: e.Total, State: Pass, For: 1}
	v.Why = fmt.Sprintf("the canary took %.0f requests, %.0f are needed", e.Total, need)
	if e.Total < need {
		v.State, v.For = Inconclusive, e.Total/need
		v.Why = fmt.Sprintf("the canary took %.0f of the %.0f requests that are needed", e.Total, need)
	}
	return v
}

func (g Gate) what() string {
	switch g.Metric {
	case MetricErrorRate:
		if g.By != "" && g.By != ByEndpoint {
			return "error rate of " + g.By
		}
		return "error rate"
	case MetricLatency:
		return "p" + strconv.FormatFloat(g.Quantile*100, 'f', -1, 64) + " latency"
	case MetricRequests:
		return "requests"
	case MetricQuery:
		return g.Name
	case MetricCPU:
		return "use of the processor"
	case MetricMemory:
		return "use of memory"
	}
	return string(g.Metric)
}

func (g Gate) limit(compare bool) string {
	var parts []string
	if g.Max != nil {
		parts = append(parts, g.Max.Text)
	}
	if g.Min != nil && g.Metric == MetricQuery {
		parts = append(parts, "at least "+g.Min.Text)
	}
	if g.MaxVsStable != nil && compare {
		parts = append(parts, g.MaxVsStable.Text+" of stable")
	}
	return strings.Join(parts, ", ")
}

func (g Gate) format(value float64) string {
	switch g.Metric {
	case MetricErrorRate, MetricCPU, MetricMemory:
		return strconv.FormatFloat(value*100, 'f', 2, 64) + "%"
	case MetricLatency:
		if math.IsInf(value, 1) {
			return "beyond the last bucket"
		}
		return time.Duration(value * float64(time.Second)).Round(100 * time.Microsecond).String()
	case MetricRequests:
		return fmt.Sprintf("%.0f", value)
	case MetricQuery:
		if g.Query != nil && !g.Query.Instant {
			return strconv.FormatFloat(value*100, 'f', 2, 64) + "%"
		}
	}
	return number(value)
}
