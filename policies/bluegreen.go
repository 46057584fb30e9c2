package policies

import (
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// defaultStandby is how long the old revision is kept beside the new one where blue-green says nothing of it.
const defaultStandby = 10 * time.Minute

var blueGreenSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "bake"}, {Name: "standby"}, {Name: "weights"}, {Name: "step_bake"}, {Name: "canaries"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "step"}},
}

// decodeBlueGreen reads a strategy that switches all traffic at once: perhaps some steps before, and then the switch,
// which is the last step, with its bake.
func decodeBlueGreen(block *hcl.Block) (rolloutStrategy, hcl.Diagnostics) {
	s := rolloutStrategy{kind: strategy.KindBlueGreen, standby: defaultStandby}
	content, diags := block.Body.Content(blueGreenSchema)
	attrs := content.Attributes
	s.places = placesOf(content)
	var bake time.Duration
	var d hcl.Diagnostics
	if attr := attrs["bake"]; attr == nil {
		diags = append(diags, fault("Missing bake", block.DefRange, "A blue-green strategy needs the time that the new revision is observed with all traffic: bake = \"5m\"."))
	} else {
		bake, _, d = durationOf("bake", "5m", attr.Expr)
		diags = append(diags, d...)
	}
	if attr := attrs["standby"]; attr != nil {
		s.standby, _, d = durationOf("standby", "1h", attr.Expr)
		diags = append(diags, d...)
	}
	before, d := decodeBeforeSwitch(content, bake)
	diags = append(diags, d...)
	s.steps = append(before, strategy.Step{Weight: strategy.Full, Bake: bake})
	if attr := attrs["canaries"]; attr != nil {
		canaries, d := canariesOf(attr.Expr)
		if !d.HasErrors() && !canaries.IsFull() {
			d = faults("Unfitting attribute", attr.Expr.Range(),
				"In blue-green the new revision takes all traffic while the old one stands by, so that it needs as many allocations: canaries is always \"full\". Leave it out, or use strategy \"canary\".")
		}
		diags = append(diags, d...)
	}
	return s, diags
}

// decodeBeforeSwitch reads the steps before the switch: none, a list of weights, or step blocks.
func decodeBeforeSwitch(content *hcl.BodyContent, bake time.Duration) ([]strategy.Step, hcl.Diagnostics) {
	weights, stepBake := content.Attributes["weights"], content.Attributes["step_bake"]
	rise := rising{beforeSwitch: true}
	switch {
	case len(content.Blocks) > 0:
		diags := saidTwice(weights, stepBake)
		steps, d := decodeSteps(content.Blocks, rise)
		return steps, append(diags, d...)
	case stepBake != nil && weights == nil:
		return nil, faults("Missing steps", stepBake.Range, "step_bake is the bake of the weights before the switch, and there are none: write weights = [10, 50], or leave step_bake out.")
	case weights == nil:
		return nil, nil
	}
	var diags hcl.Diagnostics
	if stepBake != nil {
		bake, _, diags = durationOf("step_bake", "5m", stepBake.Expr)
	}
	steps, d := weightList(weights.Expr, bake, rise)
	return steps, append(diags, d...)
}
