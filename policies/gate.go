package policies

import (
	"strconv"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// maxGates keeps the plan of a rollout small enough for its record.
const (
	maxGates  = 8
	maxLimits = 2 * maxGates
)

// limitsOf is how many tests gates are made of.
func limitsOf(gates []strategy.Gate) int {
	n := 0
	for _, g := range gates {
		n += strategy.Tests(g)
	}
	return n
}

// gateRule is a gate block. A disabled one removes the gate of its name.
type gateRule struct {
	gate     strategy.Gate
	disabled bool
	shadow   bool      // it is on copies of requests
	at       hcl.Range // of its label
}

var gateSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{
	{Name: "metric"},
	{Name: "quantile"},
	{Name: "max"},
	{Name: "min"},
	{Name: "max_vs_stable"},
	{Name: "enabled"},
	{Name: "promote_vs_stable"},
	{Name: "dry_run"},
	{Name: "from"},
	{Name: "query"},
	{Name: "exposure"},
	{Name: "on"},
	{Name: "by"},
}}

// decodeGates reads the gates of one policy or release.
func decodeGates(blocks hcl.Blocks) ([]gateRule, hcl.Diagnostics) {
	var rules []gateRule
	var diags hcl.Diagnostics
	seen := map[string]hcl.Range{}
	for _, block := range blocks {
		rule, d := decodeGateBlock(block)
		diags = append(diags, d...)
		if first, dup := seen[rule.gate.Name]; dup {
			diags = append(diags, fault("Duplicate gate", rule.at, "There is a gate %q already in line %d. Give this one another name.", rule.gate.Name, first.Start.Line))
			continue
		}
		seen[rule.gate.Name] = rule.at
		rules = append(rules, rule)
	}
	return rules, diags
}

// decodeGateBlock reads one gate.
func decodeGateBlock(block *hcl.Block) (gateRule, hcl.Diagnostics) {
	rule := gateRule{gate: strategy.Gate{Name: block.Labels[0]}, at: block.LabelRanges[0]}
	content, diags := block.Body.Content(gateSchema)
	attrs := content.Attributes
	if !labelLike.MatchString(rule.gate.Name) {
		diags = append(diags, fault("Invalid name", rule.at, "A gate is named with a-z, 0-9, - and _, at most 63 of them, from a letter or digit to a letter or digit."))
	}
	if attr := attrs["enabled"]; attr != nil {
		enabled, d := boolOf("enabled", attr.Expr)
		diags = append(diags, d...)
		rule.disabled = !enabled && !d.HasErrors()
	}
	d := rule.decodeMetric(block, attrs)
	diags = append(diags, d...)
	diags = append(diags, rule.decodeBy(attrs)...)
	switch rule.gate.Metric {
	case strategy.MetricErrorRate:
		d = rule.decodeErrorRate(block, attrs)
	case strategy.MetricLatency:
		d = rule.decodeLatency(block, attrs)
	case strategy.MetricRequests:
		d = rule.decodeRequests(block, attrs)
	case strategy.MetricQuery:
		d = rule.decodeQuery(block, attrs)
	case strategy.MetricCPU, strategy.MetricMemory:
		d = rule.decodeSaturation(block, attrs)
	default:
		return rule, diags
	}
	diags = append(diags, d...)
	diags = append(diags, rule.decodeOn(attrs)...)
	return rule, append(diags, rule.decodeManner(attrs)...)
}

// decodeMetric reads what a gate measures. One with a query measures that.
func (r *gateRule) decodeMetric(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	metric := attrs["metric"]
	if metric == nil && attrs["query"] != nil {
		r.gate.Metric = strategy.MetricQuery
		return nil
	}
	if metric == nil {
		if r.disabled {
			return nil
		}
		return faults("Missing metric", block.DefRange, "A gate needs what it measures: metric = \"error_rate\", \"latency\", \"requests\", \"cpu\" or \"memory\", or a query.")
	}
	var words []string
	for _, m := range []strategy.Metric{strategy.MetricErrorRate, strategy.MetricLatency, strategy.MetricRequests, strategy.MetricCPU, strategy.MetricMemory, strategy.MetricQuery} {
		words = append(words, string(m))
	}
	word, diags := wordOf("metric", words, metric.Expr)
	r.gate.Metric = strategy.Metric(word)
	if r.gate.Metric != strategy.MetricQuery {
		diags = append(diags, r.refuse(attrs, "query", "exposure")...)
	}
	return diags
}

// decodeBy reads of what a gate is asked.
func (r *gateRule) decodeBy(attrs hcl.Attributes) hcl.Diagnostics {
	attr := attrs["by"]
	if attr == nil {
		return nil
	}
	if r.gate.Metric != strategy.MetricErrorRate {
		return faults("Unfitting attribute", attr.NameRange, "by goes with metric = \"error_rate\": only requests and errors are counted by endpoint. Leave it out.")
	}
	if attrs["on"] != nil {
		return faults("Unfitting attribute", attr.NameRange, "Copies are not counted by endpoint. Leave by out.")
	}
	var diags hcl.Diagnostics
	r.gate.By, diags = wordOf("by", []string{strategy.ByEndpoint}, attr.Expr)
	return diags
}

func (r *gateRule) decodeErrorRate(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	return append(r.refuse(attrs, "quantile", "min"), r.decodeShares(block, attrs)...)
}

// decodeShares reads the limits of a gate on a share of requests.
func (r *gateRule) decodeShares(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if attr := attrs["max"]; attr != nil {
		share, text, d := shareOf("max", "1%", attr.Expr)
		if !d.HasErrors() && (share == 0 || share == 1) {
			d = faults("Limit out of range", attr.Expr.Range(), "max = %q decides nothing: nobody can show that no request ever fails, and every canary fails at most all of them. Write a limit between, such as \"0.1%%\".", text)
		}
		diags = append(diags, d...)
		r.gate.Max = &strategy.Bound{Value: share, Text: text}
	}
	if attr := attrs["max_vs_stable"]; attr != nil {
		tolerance, d := toleranceOf(attr.Expr, true)
		diags = append(diags, d...)
		r.gate.MaxVsStable = &tolerance
	}
	diags = append(diags, r.decodePromote(attrs)...)
	return append(diags, r.needsThreshold(block, `max = "1%" or max_vs_stable = "1.5x"`)...)
}

func (r *gateRule) decodeLatency(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	diags := r.refuse(attrs, "min")
	if attr := attrs["quantile"]; attr == nil {
		diags = append(diags, fault("Missing quantile", block.DefRange, "A latency gate needs the quantile that it measures: quantile = 0.95."))
	} else {
		q, d := numberOf("quantile", "a number between 0 and 1, such as 0.95", attr.Expr)
		diags = append(diags, d...)
		if !d.HasErrors() && (q <= 0 || q >= 1) {
			diags = append(diags, fault("Quantile out of range", attr.Expr.Range(), "quantile must be above 0 and below 1: write 0.95 for the time within which 95%% are answered."))
		}
		r.gate.Quantile = q
	}
	if attr := attrs["max"]; attr != nil {
		limit, text, d := durationOf("max", "300ms", attr.Expr)
		diags = append(diags, d...)
		if !d.HasErrors() && limit == 0 {
			diags = append(diags, fault("Empty duration", attr.Expr.Range(), "max must be above 0: no answer takes no time."))
		}
		r.gate.Max = &strategy.Bound{Value: limit.Seconds(), Text: text}
	}
	if attr := attrs["max_vs_stable"]; attr != nil {
		tolerance, d := toleranceOf(attr.Expr, false)
		diags = append(diags, d...)
		r.gate.MaxVsStable = &tolerance
	}
	diags = append(diags, r.decodePromote(attrs)...)
	return append(diags, r.needsThreshold(block, `max = "300ms" or max_vs_stable = "+20%"`)...)
}

func (r *gateRule) decodeRequests(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	diags := r.refuse(attrs, "quantile", "max", "max_vs_stable", "promote_vs_stable")
	attr := attrs["min"]
	if attr == nil {
		return append(diags, r.needsThreshold(block, "min = 500")...)
	}
	n, d := countOf("min", attr.Expr)
	r.gate.Min = &strategy.Bound{Value: float64(n), Text: strconv.Itoa(n)}
	return append(diags, d...)
}

// refuse complains of attributes that do not go with the gate's metric.
func (r *gateRule) refuse(attrs hcl.Attributes, names ...string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range names {
		if attr := attrs[name]; attr != nil {
			diags = append(diags, fault("Unfitting threshold", attr.NameRange, "%s means nothing for the metric %q. Leave it out, or measure another metric.", name, r.gate.Metric))
		}
	}
	return diags
}

// needsThreshold refuses a gate that could never fail.
func (r *gateRule) needsThreshold(block *hcl.Block, example string) hcl.Diagnostics {
	if r.gate.Max != nil || r.gate.Min != nil || r.gate.MaxVsStable != nil || r.disabled {
		return nil
	}
	return faults("Missing threshold", block.DefRange, "A gate on %q needs %s: without one it decides nothing.", r.gate.Metric, example)
}

// toleranceOf is a limit against stable: "1.5x", "+20%", and "+0.5pp" where the metric is itself a percentage.
func toleranceOf(expr hcl.Expression, points bool) (strategy.Tolerance, hcl.Diagnostics) {
	text, diags := quantity("max_vs_stable", "a limit against the stable track", "1.5x", expr)
	if diags.HasErrors() {
		return strategy.Tolerance{}, diags
	}
	forms := `"1.5x" (times that of stable) or "+20%" (of that of stable more)`
	if points {
		forms += ` or "+0.5pp" (percentage points more)`
	}
	if ratio, ok := matched(timesStable, text); ok {
		if ratio < 1 {
			return strategy.Tolerance{}, faults("Tolerance out of range", expr.Range(), "max_vs_stable = %q asks the canary to be better than stable: write 1x or more.", text)
		}
		return strategy.Tolerance{Ratio: ratio, Text: text}, nil
	}
	if percent, ok := matched(plusPercent, text); ok {
		return strategy.Tolerance{Ratio: 1 + percent/100, Text: text}, nil
	}
	if pp, ok := matched(plusPoints, text); ok {
		switch {
		case !points:
			return strategy.Tolerance{}, faults("Invalid tolerance", expr.Range(), "Percentage points are for the error rate only. Write %s.", forms)
		case pp >= 100:
			return strategy.Tolerance{}, faults("Tolerance out of range", expr.Range(), "max_vs_stable = %q allows every request to fail: write less than 100pp.", text)
		}
		return strategy.Tolerance{Ratio: 1, Plus: pp / 100, Text: text}, nil
	}
	return strategy.Tolerance{}, faults("Invalid tolerance", expr.Range(), "max_vs_stable = %q is not a limit against stable: write %s.", text, forms)
}

func (r gateRule) name() string { return r.gate.Name }
func (r gateRule) off() bool    { return r.disabled }

// mergeGates is the gates of a policy with those of a release put over them: those on users' requests, and those on copies.
func mergeGates(policy, release []gateRule) (gates, copied []strategy.Gate, diags hcl.Diagnostics) {
	merged, strays := overlay(policy, release)
	for _, rule := range strays {
		diags = append(diags, fault("Unknown gate", rule.at, "There is no gate %q in the policy to be disabled.%s", rule.gate.Name, strategy.DidYouMean(rule.gate.Name, namesOf(policy))))
	}
	for _, rule := range merged {
		if rule.shadow {
			copied = append(copied, rule.gate)
			continue
		}
		gates = append(gates, rule.gate)
	}
	return gates, copied, diags
}
