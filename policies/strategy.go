package policies

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/drover-dev/drover/strategy"
)

// maxSteps keeps the plan of a rollout small enough for its record.
const maxSteps = 50

// rolloutStrategy is a strategy block.
type rolloutStrategy struct {
	kind     strategy.Kind
	steps    []strategy.Step
	standby  time.Duration
	canaries strategy.Canaries
	places   places
}

// decodeStrategyBlock reads a strategy, each kind of which has a schema of its own.
func decodeStrategyBlock(block *hcl.Block) (rolloutStrategy, hcl.Diagnostics) {
	var s rolloutStrategy
	var diags hcl.Diagnostics
	switch name := block.Labels[0]; strategy.Kind(name) {
	case strategy.KindCanary:
		s, diags = decodeCanary(block)
	case strategy.KindBlueGreen:
		s, diags = decodeBlueGreen(block)
	default:
		known := []string{string(strategy.KindCanary), string(strategy.KindBlueGreen)}
		return s, faults("Unknown strategy", block.LabelRanges[0], "There is no strategy %q: write %s.%s", name, quoted(known), strategy.DidYouMean(name, known))
	}
	s.places["strategy"] = block.LabelRanges[0]
	if len(s.steps) > maxSteps {
		diags = append(diags, fault("Too many steps", block.DefRange, "There are %d steps; a strategy has at most %d.", len(s.steps), maxSteps))
	}
	return s, diags
}

var canarySchema = &hcl.BodySchema{
	// What only blue-green has is read to be refused with the reason.
	Attributes: []hcl.AttributeSchema{{Name: "weights"}, {Name: "bake"}, {Name: "canaries"}, {Name: "standby"}, {Name: "step_bake"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "step"}},
}

// decodeCanary reads a strategy of rising weights, written with weights and one bake, or with a block for each step.
func decodeCanary(block *hcl.Block) (rolloutStrategy, hcl.Diagnostics) {
	s := rolloutStrategy{kind: strategy.KindCanary}
	content, diags := block.Body.Content(canarySchema)
	s.places = placesOf(content)
	weights, bake := content.Attributes["weights"], content.Attributes["bake"]
	var d hcl.Diagnostics
	switch {
	case len(content.Blocks) > 0:
		diags = append(diags, saidTwice(weights, bake)...)
		s.steps, d = decodeSteps(content.Blocks, rising{})
	case weights == nil:
		d = faults("Missing steps", block.DefRange, "A strategy needs weights = [5, 25, 50, 100] with bake = \"5m\", or step blocks.")
	default:
		s.steps, d = decodeWeights(block, weights, bake)
	}
	diags = append(diags, d...)
	if attr := content.Attributes["canaries"]; attr != nil {
		s.canaries, d = canariesOf(attr.Expr)
		diags = append(diags, d...)
	}
	if attr := content.Attributes["standby"]; attr != nil {
		diags = append(diags, fault("Unfitting attribute", attr.NameRange,
			"A canary strategy has no standby: the old revision ends when the new one is promoted. To keep it beside the new one for a while, use strategy \"blue-green\"."))
	}
	if attr := content.Attributes["step_bake"]; attr != nil {
		diags = append(diags, fault("Unfitting attribute", attr.NameRange, "In strategy \"canary\" bake is that of every step. Leave step_bake out, or write step blocks."))
	}
	return s, diags
}

// placesOf is where the attributes of a strategy stand, and the first of its step blocks.
func placesOf(content *hcl.BodyContent) places {
	p := places{}
	p.note("", content.Attributes, "weights", "bake", "canaries", "standby", "step_bake")
	if len(content.Blocks) > 0 {
		p["step"] = content.Blocks[0].DefRange
	}
	return p
}

// saidTwice refuses the attributes that step blocks stand in for.
func saidTwice(attrs ...*hcl.Attribute) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, attr := range attrs {
		if attr != nil {
			diags = append(diags, fault("Steps said twice", attr.Range, "With step blocks each step has its own weight and bake. Leave out %s, or the step blocks.", attr.Name))
		}
	}
	return diags
}

// decodeWeights reads the short form: a list of weights, and one bake for all of them.
func decodeWeights(block *hcl.Block, weights, bake *hcl.Attribute) ([]strategy.Step, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	var pause time.Duration
	if bake == nil {
		diags = append(diags, fault("Missing bake", block.DefRange, "A strategy with weights needs the time that each of them is observed: bake = \"5m\"."))
	} else {
		var d hcl.Diagnostics
		pause, _, d = durationOf("bake", "5m", bake.Expr)
		diags = append(diags, d...)
	}
	steps, d := weightList(weights.Expr, pause, rising{})
	if len(steps) == 0 && !d.HasErrors() {
		d = faults("Missing steps", weights.Expr.Range(), "A strategy needs at least one weight, such as [5, 25, 50, 100].")
	}
	return steps, append(diags, d...)
}

// weightList reads a list of weights, each of them a step with the given bake.
func weightList(expr hcl.Expression, bake time.Duration, rise rising) ([]strategy.Step, hcl.Diagnostics) {
	items, d := hcl.ExprList(expr)
	if d.HasErrors() {
		return nil, faults("Wrong type", expr.Range(), "weights must be a list such as [5, 25, 50].")
	}
	var diags hcl.Diagnostics
	var steps []strategy.Step
	for _, item := range items {
		w, d := weightOf("weight", item)
		if !d.HasErrors() {
			d = rise.next(w, item.Range())
		}
		diags = append(diags, d...)
		steps = append(steps, strategy.Step{Weight: w, Bake: bake})
	}
	return steps, diags
}

var stepSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "weight"}, {Name: "bake"}}}

// decodeSteps reads the long form: a block for each step.
func decodeSteps(blocks hcl.Blocks, rise rising) ([]strategy.Step, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	var steps []strategy.Step
	for _, block := range blocks {
		step, at, d := decodeStepBlock(block)
		if !d.HasErrors() {
			d = append(d, rise.next(step.Weight, at)...)
		}
		diags = append(diags, d...)
		steps = append(steps, step)
	}
	return steps, diags
}

// decodeStepBlock reads one step. The range is that of its weight.
func decodeStepBlock(block *hcl.Block) (strategy.Step, hcl.Range, hcl.Diagnostics) {
	var step strategy.Step
	content, diags := block.Body.Content(stepSchema)
	at := block.DefRange
	if attr := content.Attributes["weight"]; attr == nil {
		diags = append(diags, fault("Missing weight", block.DefRange, "A step needs the share of traffic for the canary: weight = \"25%%\"."))
	} else {
		var d hcl.Diagnostics
		at = attr.Expr.Range()
		step.Weight, d = weightOf("weight", attr.Expr)
		diags = append(diags, d...)
	}
	if attr := content.Attributes["bake"]; attr == nil {
		diags = append(diags, fault("Missing bake", block.DefRange, "A step needs the time that it is observed before the next: bake = \"5m\"."))
	} else {
		var d hcl.Diagnostics
		step.Bake, _, d = durationOf("bake", "5m", attr.Expr)
		diags = append(diags, d...)
	}
	return step, at, diags
}

// rising holds that each weight is above the one before, and that those before a switch are not the switch.
type rising struct {
	last         strategy.Weight
	beforeSwitch bool
}

func (r *rising) next(w strategy.Weight, at hcl.Range) hcl.Diagnostics {
	if r.beforeSwitch && w >= strategy.Full {
		return faults("Weight out of range", at, "In blue-green the steps before the switch are below 100%%; all traffic is switched after the last of them by itself. Leave %s out.", w)
	}
	if w <= r.last {
		return faults("Weights not rising", at, "%s comes after %s; every weight must be above the one before it.", w, r.last)
	}
	r.last = w
	return nil
}

// canariesOf is "full", "auto" or a number.
func canariesOf(expr hcl.Expression) (strategy.Canaries, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return strategy.Canaries{}, diags
	}
	if !v.IsNull() && v.Type() == cty.Number {
		n, diags := countOf("canaries", expr)
		return strategy.Canaries{Number: n}, diags
	}
	word, diags := wordOf("canaries, where it is no number,", []string{"full", "auto"}, expr)
	return strategy.Canaries{Auto: word == "auto"}, diags
}
