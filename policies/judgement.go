package policies

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/drover-dev/drover/strategy"
)

// judgement is how a policy or a release wants its gates judged. What is nil was left out.
type judgement struct {
	confidence     *float64
	onInconclusive *strategy.OnInconclusive
	early          *bool
	accepted       map[string]string // reasons by the code of a finding
}

// judgementAttributes are the attributes of one value each that decodeJudgement reads.
var judgementAttributes = []string{"confidence", "on_inconclusive", "early"}

func decodeJudgement(attrs hcl.Attributes) (judgement, hcl.Diagnostics) {
	var j judgement
	var diags hcl.Diagnostics
	if attr := attrs["confidence"]; attr != nil {
		share, text, d := shareOf("confidence", "95%", attr.Expr)
		if !d.HasErrors() && (share < 0.5 || share >= 1) {
			d = faults("Confidence out of range", attr.Expr.Range(),
				"confidence = %q: write at least 50%% and less than 100%%. With \"95%%\" a healthy canary is rolled back by chance in at most 5 of 100 rollouts.", text)
		}
		diags = append(diags, d...)
		j.confidence = &share
	}
	if attr := attrs["on_inconclusive"]; attr != nil {
		words := []string{string(strategy.ExtendBake), string(strategy.HoldInconclusive), string(strategy.PromoteInconclusive), string(strategy.RejectInconclusive)}
		word, d := wordOf("on_inconclusive", words, attr.Expr)
		diags = append(diags, d...)
		answer := strategy.OnInconclusive(word)
		j.onInconclusive = &answer
	}
	if attr := attrs["early"]; attr != nil {
		early, d := boolOf("early", attr.Expr)
		diags = append(diags, d...)
		j.early = &early
	}
	if attr := attrs["accept"]; attr != nil {
		var d hcl.Diagnostics
		j.accepted, d = acceptedOf(attr.Expr)
		diags = append(diags, d...)
	}
	return j, diags
}

// acceptedOf is the findings that are meant, each with its reason.
func acceptedOf(expr hcl.Expression) (map[string]string, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return nil, diags
	}
	const example = `accept = { DRV013 = "an internal service with ten users" }`
	if v.IsNull() || !v.Type().IsObjectType() {
		return nil, hcl.Diagnostics{wrongType("accept", "codes of findings, each with the reason: "+example, v, expr.Range())}
	}
	accepted := map[string]string{}
	for code, reason := range v.AsValueMap() {
		switch {
		case !slices.Contains(strategy.FindingCodes(), code):
			diags = append(diags, fault("Unknown finding", expr.Range(), "There is no finding %q.%s", code, strategy.DidYouMean(code, strategy.FindingCodes())))
		case reason.IsNull() || reason.Type() != cty.String || strings.TrimSpace(reason.AsString()) == "":
			diags = append(diags, fault("Missing reason", expr.Range(), "Say why %s is accepted, for those who read it later: %s.", code, example))
		default:
			accepted[code] = reason.AsString()
		}
	}
	return accepted, diags
}

// under puts the judgement of a release over that of its policy, into the plan.
func (j judgement) under(policy judgement, plan *strategy.Plan) {
	if c := cmp.Or(j.confidence, policy.confidence); c != nil {
		plan.Confidence = *c
	}
	if o := cmp.Or(j.onInconclusive, policy.onInconclusive); o != nil {
		plan.OnInconclusive = *o
	}
	if e := cmp.Or(j.early, policy.early); e != nil {
		plan.Early = *e
	}
	for _, from := range []judgement{policy, j} {
		for code, reason := range from.accepted {
			if plan.Accepted == nil {
				plan.Accepted = map[string]string{}
			}
			plan.Accepted[code] = reason
		}
	}
}

// decodeManner reads the attributes that every gate may have besides its limits.
func (r *gateRule) decodeManner(attrs hcl.Attributes) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if attr := attrs["dry_run"]; attr != nil {
		dry, d := boolOf("dry_run", attr.Expr)
		diags = append(diags, d...)
		r.gate.DryRun = dry
	}
	if attr := attrs["from"]; attr != nil {
		from, d := weightOf("from", attr.Expr)
		if !d.HasErrors() && r.gate.Metric == strategy.MetricRequests {
			d = faults("Unfitting threshold", attr.NameRange, "from means nothing for the metric %q, which counts over the whole rollout. Leave it out.", r.gate.Metric)
		}
		diags = append(diags, d...)
		r.gate.From = from
	}
	return diags
}

// decodePromote reads the margin that a gate is shown to be within before it passes. It has to leave room above the one that
// it fails for.
func (r *gateRule) decodePromote(attrs hcl.Attributes) hcl.Diagnostics {
	attr := attrs["promote_vs_stable"]
	if attr == nil {
		return nil
	}
	if r.gate.MaxVsStable == nil {
		return faults("Unfitting threshold", attr.NameRange, "promote_vs_stable goes with max_vs_stable, than which it is wider. Give the gate that too, or leave this out.")
	}
	text, diags := quantity("promote_vs_stable", "a limit against the stable track", "2x+1pp", attr.Expr)
	if diags.HasErrors() {
		return diags
	}
	rollback := *r.gate.MaxVsStable
	promote, ok := wider(rollback, text, r.gate.Metric != strategy.MetricLatency)
	switch {
	case !ok && r.gate.Metric == strategy.MetricLatency:
		return faults("Invalid tolerance", attr.Expr.Range(), "promote_vs_stable = %q is not a limit against stable: write \"1.5x\" or \"+50%%\".", text)
	case !ok:
		return faults("Invalid tolerance", attr.Expr.Range(), "promote_vs_stable = %q is not a limit against stable: write \"2x\", \"+1pp\", or both as in \"2x+1pp\".", text)
	case promote.Ratio <= rollback.Ratio && (promote.Plus <= rollback.Plus || r.gate.Metric == strategy.MetricLatency):
		return faults("Tolerance out of range", attr.Expr.Range(),
			"promote_vs_stable = %q is no wider than max_vs_stable = %q: a canary between the two could neither pass nor fail. Widen it, or leave it out.", text, rollback.Text)
	case promote.Plus >= 1:
		return faults("Tolerance out of range", attr.Expr.Range(), "promote_vs_stable = %q allows every request to fail: write less than 100pp.", text)
	}
	r.gate.Promote = &promote
	return nil
}

// wider reads "2x", "+1pp", "2x+1pp" and "+50%". What is left out is as by default.
func wider(rollback strategy.Tolerance, text string, points bool) (strategy.Tolerance, bool) {
	promote := rollback.Promotion()
	promote.Text = text
	ratio, pp := text, ""
	if i := strings.LastIndex(text, "+"); points && i >= 0 && strings.HasSuffix(text, "pp") {
		ratio, pp = strings.TrimSpace(text[:i]), text[i:]
	}
	if pp != "" {
		v, ok := matched(plusPoints, pp)
		if !ok {
			return promote, false
		}
		promote.Plus = v / 100
	}
	if ratio == "" {
		return promote, pp != ""
	}
	if v, ok := matched(timesStable, ratio); ok {
		promote.Ratio = v
		return promote, true
	}
	v, ok := matched(plusPercent, ratio)
	promote.Ratio = 1 + v/100
	return promote, ok
}

// queryOf is a query with the places for what Drover puts in: ${allocs} is a pattern of allocation ids, ${range} is a time.
func queryOf(name string, expr hcl.Expression) (string, hcl.Diagnostics) {
	v, diags := expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"allocs": cty.StringVal("${allocs}"), "range": cty.StringVal("${range}")}})
	if diags.HasErrors() {
		return "", faults("Invalid query", expr.Range(), "%s is a query in quotes; in it Drover puts ${allocs}, a pattern of allocation ids, and ${range}, a time such as 60s. Of anything else with a $ before it write $${…}.", name)
	}
	if v.IsNull() || v.Type() != cty.String || strings.TrimSpace(v.AsString()) == "" {
		return "", faults("Invalid query", expr.Range(), "%s must be a query in quotes.", name)
	}
	const most = 2000
	if len(v.AsString()) > most {
		return "", faults("Invalid query", expr.Range(), "%s has more than %d characters: make it a recording rule, and ask for that.", name, most)
	}
	return v.AsString(), nil
}
