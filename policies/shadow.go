package policies

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/drover-dev/drover/strategy"
)

// shadowRule is a shadow block. What is nil was left out.
type shadowRule struct {
	percent *strategy.Weight
	bake    *time.Duration
	methods *[]string
	places  places
	at      hcl.Range
}

const defaultShadowBake = 5 * time.Minute

var (
	shadowSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "percent", Required: true}, {Name: "bake"}, {Name: "methods"}}}
	// safeMethods ask for nothing to be changed.
	safeMethods = []string{"GET", "HEAD", "OPTIONS"}
	// copiedMethods may be copied at all. The others do not name what they change.
	copiedMethods = append(slices.Clone(safeMethods), "POST", "PUT", "PATCH", "DELETE")
)

// decodeShadowBlock reads which requests are copied to the canary before it gets any.
func decodeShadowBlock(block *hcl.Block) (*shadowRule, hcl.Diagnostics) {
	s := &shadowRule{places: places{}, at: block.DefRange}
	content, diags := block.Body.Content(shadowSchema)
	s.places.note("shadow.", content.Attributes, "percent", "bake", "methods")
	if attr := content.Attributes["percent"]; attr != nil {
		percent, d := percentOf("percent", attr.Expr)
		diags = append(diags, d...)
		s.percent = &percent
	}
	if attr := content.Attributes["bake"]; attr != nil {
		bake, _, d := durationOf("bake", "5m", attr.Expr)
		diags = append(diags, d...)
		s.bake = &bake
	}
	if attr := content.Attributes["methods"]; attr != nil {
		methods, d := methodsOf(attr.Expr)
		diags = append(diags, d...)
		s.methods = &methods
	}
	return s, diags
}

// methodsOf is a list of methods that may be copied.
func methodsOf(expr hcl.Expression) ([]string, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return nil, diags
	}
	const example = `a list of methods such as ["GET", "HEAD"]`
	if v.IsNull() || (!v.Type().IsTupleType() && !v.Type().IsListType()) || v.LengthInt() == 0 {
		return nil, hcl.Diagnostics{wrongType("methods", example, v, expr.Range())}
	}
	var methods []string
	for _, m := range v.AsValueSlice() {
		switch {
		case m.IsNull() || m.Type() != cty.String:
			diags = append(diags, wrongType("methods", example, m, expr.Range()))
		case !slices.Contains(copiedMethods, m.AsString()):
			diags = append(diags, fault("Unknown method", expr.Range(), "%q cannot be copied.%s", m.AsString(), strategy.DidYouMean(m.AsString(), copiedMethods)))
		default:
			methods = append(methods, m.AsString())
		}
	}
	return methods, diags
}

// shadowUnder puts the shadow of a release in the place of its policy's, into the plan, with the gates that are on it.
func (s settings) shadowUnder(policy settings, plan *strategy.Plan, gates []strategy.Gate, at hcl.Range) hcl.Diagnostics {
	rule := s.shadow
	if rule == nil {
		rule = policy.shadow
	}
	if rule == nil || rule.percent == nil || *rule.percent == 0 {
		if len(gates) > 0 && rule == nil {
			return faults("Gate without a shadow", at, "Gate %q is on copies of requests, and nothing is copied: add shadow { percent = 10 }.", gates[0].Name)
		}
		return nil
	}
	shadow := &strategy.ShadowPlan{Percent: *rule.percent, Bake: defaultShadowBake, Methods: slices.Clone(safeMethods), Gates: gates}
	if rule.bake != nil {
		shadow.Bake = *rule.bake
	}
	if rule.methods != nil {
		shadow.Methods = *rule.methods
	}
	plan.Shadow = shadow
	return nil
}

// decodeOn reads what a gate is asked about: users' requests, or copies of them.
func (r *gateRule) decodeOn(attrs hcl.Attributes) hcl.Diagnostics {
	attr := attrs["on"]
	if attr == nil {
		return nil
	}
	word, diags := wordOf("on", []string{onTraffic, onShadow}, attr.Expr)
	r.shadow = word == onShadow
	if !r.shadow || diags.HasErrors() {
		return diags
	}
	switch r.gate.Metric {
	case strategy.MetricErrorRate, strategy.MetricLatency, strategy.MetricRequests:
	case strategy.MetricQuery, strategy.MetricCPU, strategy.MetricMemory:
		diags = append(diags, fault("Unfitting threshold", attr.NameRange, "The router counts what becomes of copies, and nobody else: a gate on them measures error_rate, latency or requests."))
	}
	if from := attrs["from"]; from != nil {
		diags = append(diags, fault("Unfitting threshold", from.NameRange, "from is a weight, and there is none while requests are copied. Leave it out."))
	}
	return diags
}

// What gates are on.
const (
	onTraffic = "traffic"
	onShadow  = "shadow"
)

// noteShadow keeps where the shadow was written.
func (s *settings) noteShadow(block *hcl.Block) hcl.Diagnostics {
	rule, diags := decodeShadowBlock(block)
	s.shadow = rule
	maps.Copy(s.places, rule.places)
	return diags
}
