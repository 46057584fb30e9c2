package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

func TestPlanOnRouter(t *testing.T) {
	steps := func(weights ...int) (all []strategy.Step) {
		for _, w := range weights {
			all = append(all, strategy.Step{Weight: strategy.Percent(w), Bake: time.Minute})
		}
		return all
	}
	half := func(w strategy.Weight, _, _ int) strategy.Weight {
		return w / strategy.Percent(1) * strategy.Percent(1)
	}
	all := strategy.Abilities{Kind: "proxy", Counts: true, Latency: true}
	counts := strategy.Abilities{Kind: "haproxy", Static: true, Counts: true}
	deaf := strategy.Abilities{Kind: "nginx", Static: true}
	users := strategy.Abilities{Kind: "proxy", Counts: true, Latency: true, Sessions: true, Copies: true, Copied: true}
	blind := strategy.Abilities{Kind: "proxy", Counts: true, Copies: true}
	copied := &strategy.ShadowPlan{Percent: strategy.Percent(10), Bake: time.Minute, Gates: []strategy.Gate{{Name: "c", Metric: strategy.MetricErrorRate}}}
	slowCopies := &strategy.ShadowPlan{Percent: strategy.Percent(10), Bake: time.Minute, Gates: []strategy.Gate{{Name: "c", Metric: strategy.MetricLatency}}}
	none := strategy.Abilities{Kind: "none", Replicas: true}
	gate := func(m strategy.Metric, q *strategy.Query) []strategy.Gate {
		return []strategy.Gate{{Name: "g", Metric: m, Query: q}}
	}
	for name, c := range map[string]struct {
		plan   strategy.Plan
		on     strategy.Abilities
		shares strategy.Shares
		steps  int    // that are left
		refuse string // part of the refusal; "" for none
	}{
		"all":                     {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricLatency, nil)}, on: all, steps: 2},
		"latency unknown":         {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricLatency, nil)}, on: counts, steps: 2, refuse: `gate "g" needs latencies, and router "edge" (haproxy) measures none`},
		"errors known":            {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricErrorRate, nil)}, on: counts, steps: 2},
		"errors unknown":          {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricErrorRate, nil)}, on: deaf, steps: 2, refuse: "needs requests by track"},
		"volume unknown":          {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricRequests, nil)}, on: deaf, steps: 2, refuse: "needs requests by track"},
		"events without exposure": {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricQuery, &strategy.Query{Text: "q"})}, on: deaf, steps: 2, refuse: "exposure of its own"},
		"events with exposure":    {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricQuery, &strategy.Query{Text: "q", Exposure: "e"})}, on: deaf, steps: 2},
		"sticky":                  {plan: strategy.Plan{Steps: steps(5, 100), Sticky: true}, on: users, steps: 2},
		"sticky unknown":          {plan: strategy.Plan{Steps: steps(5, 100), Sticky: true}, on: counts, steps: 2, refuse: `sessions = "sticky" asks router "edge" (haproxy) for what it cannot do`},
		"copies":                  {plan: strategy.Plan{Steps: steps(5, 100), Shadow: copied}, on: users, steps: 2},
		"copies unknown":          {plan: strategy.Plan{Steps: steps(5, 100), Shadow: copied}, on: all, steps: 2, refuse: `shadow asks router "edge" (proxy) for what it cannot do`},
		"copies to configure":     {plan: strategy.Plan{Steps: steps(5, 100), Shadow: copied}, on: strategy.Abilities{Kind: "nginx", Counts: true, CopiesWith: `copies = "a:1"`}, steps: 2, refuse: `give its block in drover.hcl copies = "a:1"`},
		"sessions to configure":   {plan: strategy.Plan{Steps: steps(5, 100), Sticky: true}, on: strategy.Abilities{Kind: "template", Static: true, SessionsWith: "sticky = true"}, steps: 2, refuse: "give its block in drover.hcl sticky = true"},
		"copies not counted":      {plan: strategy.Plan{Steps: steps(5, 100), Shadow: copied}, on: blind, steps: 2, refuse: `gate "c" is on copies of requests`},
		"latency of copies":       {plan: strategy.Plan{Steps: steps(5, 100), Shadow: slowCopies}, on: blind, steps: 2, refuse: `gate "c" needs latencies`},
		"value":                   {plan: strategy.Plan{Steps: steps(5, 100), Gates: gate(strategy.MetricQuery, &strategy.Query{Text: "q", Instant: true})}, on: deaf, steps: 2},
		"too fine":                {plan: strategy.Plan{Steps: []strategy.Step{{Weight: 10}, {Weight: strategy.Full}}}, on: counts, shares: half, steps: 2, refuse: "step 1 asks for 0.1%, and router \"edge\" (haproxy) has no levels that fine for 4 stable and 4 canary servers: 1% is the least"},
		"replicas":                {plan: strategy.Plan{Steps: steps(20, 50, 100), Canaries: strategy.Canaries{Number: 1}}, on: none, steps: 2},
		"replicas, auto":          {plan: strategy.Plan{Steps: steps(25, 100), Canaries: strategy.Canaries{Auto: true}}, on: none, steps: 1},
		"replicas, too many":      {plan: strategy.Plan{Steps: steps(10, 100), Canaries: strategy.Canaries{Number: 1}}, on: none, steps: 1, refuse: "1 of 5 allocations are canaries and get 20%: raise the weight to 20%, or name"},
		"replicas, full":          {plan: strategy.Plan{Steps: steps(25, 100)}, on: none, steps: 1, refuse: "4 of 8 allocations are canaries and get 50%: set canaries = 1"},
		"replicas, switch":        {plan: strategy.Plan{Kind: strategy.KindBlueGreen, Steps: steps(100)}, on: none, steps: 1, refuse: "cannot switch"},
		"replicas, standby":       {plan: strategy.Plan{Steps: steps(50, 100), Standby: time.Hour}, on: none, steps: 1, refuse: "cannot switch"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.shares == nil {
				c.shares = strategy.Exact
			}
			fitted, problems := c.plan.On("edge", c.on, c.shares, 4)
			if len(fitted.Steps) != c.steps {
				t.Errorf("got %d steps, want %d", len(fitted.Steps), c.steps)
			}
			said := strings.Join(problems, "; ")
			if (c.refuse == "") != (said == "") || !strings.Contains(said, c.refuse) {
				t.Errorf("refusals: %q, want %q", said, c.refuse)
			}
		})
	}
}
