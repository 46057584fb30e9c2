package strategy

import (
	"math"

	"github.com/drover-dev/drover/strategy/judge"
)

// Need is how much traffic a gate needs to pass a canary that is as good as the stable.
type Need struct {
	Gate     string
	Requests float64 // of the canary; +Inf when it would never pass
	// RPS is the requests a second of the whole release with which it passes within the bake of the first step that asks it.
	RPS float64
}

// steepness is how fast the tail of latencies falls where nothing is known of it: that of usual services, near p95.
const steepness = 3.6

// Needs tells what the gates of a plan need while both tracks fail at this rate, which is the share of requests. Half of all
// rollouts need a little more. Gates with a query of their own, those on the machine and those by endpoint are left out.
func (p Plan) Needs(errorRate float64) []Need {
	var needs []Need
	for _, g := range p.Gates {
		step, asked := p.firstStep(g)
		if !asked || g.DryRun || g.By == ByEndpoint {
			continue
		}
		share := step.Weight.Share()
		n := Need{Gate: g.Name}
		before := 0.0 // requests of the stable that have to be seen first
		switch g.Metric {
		case MetricRequests:
			n.Requests = g.Min.Value
		case MetricErrorRate:
			n.Requests = p.needs(g.rule(p, nil), share, errorRate)
		case MetricLatency:
			rule := g.rule(p, nil)
			if g.MaxVsStable != nil {
				before = judge.TailEvents / (1 - g.Quantile)
				rule = g.rule(p, map[string]tail{g.Name: {Ratio: math.Pow(g.MaxVsStable.Ratio, steepness)}})
			}
			n.Requests = p.needs(rule, share, 1-g.Quantile)
			if g.MaxVsStable == nil || g.Max == nil {
				break
			}
			// A service that is usually faster than its limit: half as many are slower.
			fixed := rule
			fixed.MaxVsStable, fixed.Promote = nil, nil
			rule.Max = 0
			n.Requests = math.Max(p.needs(rule, share, 1-g.Quantile), p.needs(fixed, share, (1-g.Quantile)/2))
		case MetricQuery, MetricCPU, MetricMemory:
			continue
		}
		if share < 1 {
			before /= 1 - share
		}
		n.RPS = (before + n.Requests/share) / step.Bake.Seconds()
		needs = append(needs, n)
	}
	return needs
}

// firstStep is the first step with a bake in which a gate is asked.
func (p Plan) firstStep(g Gate) (Step, bool) {
	for _, s := range p.Steps {
		if s.Weight >= g.From && s.Bake > 0 {
			return s, true
		}
	}
	return Step{}, false
}

// needs is the canary requests that a gate needs to pass at a share of the traffic.
func (p Plan) needs(rule judge.Gate, share, rate float64) float64 {
	n := 0.0
	if share < 1 && rule.MaxVsStable != nil {
		n = judge.RequestsToPass(rule, p.level(), share, rate)
	}
	if rule.Max > 0 {
		rule.MaxVsStable = nil
		n = math.Max(n, judge.RequestsToPass(rule, p.level(), 1, rate))
	}
	return n
}
