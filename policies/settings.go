package policies

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// The built-in defaults that stand in no shipped policy.
const defaultMaxDuration = 2 * time.Hour

// settings is what a policy says, and what a release may say for itself. What is nil was left out.
type settings struct {
	strategy    *rolloutStrategy
	gates       []gateRule
	smokes      []smokeRule
	rollback    rollbackRule
	traffic     trafficRule
	shadow      *shadowRule
	maxDuration *time.Duration
	drift       *strategy.Drift
	judgement   judgement
	places      places // of what stands outside of the strategy, the gates and the checks
	// at is where the time of the rollout is decided, for complaints about it.
	at *hcl.Range
}

// settingsSchema is the part of the schema that policies and releases have in common.
func settingsSchema() hcl.BodySchema {
	return hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "max_duration"}, {Name: "drift"}, {Name: "confidence"}, {Name: "on_inconclusive"}, {Name: "early"}, {Name: "accept"}},
		Blocks: []hcl.BlockHeaderSchema{
			{Type: "strategy", LabelNames: []string{"name"}},
			{Type: "gate", LabelNames: []string{"name"}},
			{Type: "smoke", LabelNames: []string{"name"}},
			{Type: "rollback"},
			{Type: "traffic"},
			{Type: "shadow"},
		},
	}
}

// decodeSettings reads what settingsSchema names.
func decodeSettings(content *hcl.BodyContent) (settings, hcl.Diagnostics) {
	s := settings{places: places{}}
	s.places.note("", content.Attributes, "max_duration", "drift")
	s.places.note("", content.Attributes, judgementAttributes...)
	s.places.noteAccepted(content.Attributes["accept"])
	var diags hcl.Diagnostics
	blocks := content.Blocks.ByType()

	if block, d := single(blocks["strategy"]); block != nil {
		diags = append(diags, d...)
		rollout, d := decodeStrategyBlock(block)
		s.strategy, s.at = &rollout, block.DefRange.Ptr()
		diags = append(diags, d...)
	}
	gates, d := decodeGates(blocks["gate"])
	s.gates = gates
	diags = append(diags, d...)
	s.smokes, d = decodeSmokes(blocks["smoke"])
	diags = append(diags, d...)
	if block, d := single(blocks["rollback"]); block != nil {
		diags = append(diags, d...)
		s.rollback, d = decodeRollbackBlock(block)
		maps.Copy(s.places, s.rollback.places)
		diags = append(diags, d...)
	}
	if block, d := single(blocks["traffic"]); block != nil {
		diags = append(diags, d...)
		s.traffic, d = decodeTrafficBlock(block)
		maps.Copy(s.places, s.traffic.places)
		diags = append(diags, d...)
	}
	if block, d := single(blocks["shadow"]); block != nil {
		diags = append(diags, d...)
		diags = append(diags, s.noteShadow(block)...)
	}
	if attr := content.Attributes["max_duration"]; attr != nil {
		limit, _, d := durationOf("max_duration", "2h", attr.Expr)
		diags = append(diags, d...)
		if !d.HasErrors() && limit == 0 {
			diags = append(diags, fault("Empty duration", attr.Expr.Range(), "max_duration must be above 0: a rollout needs time."))
		}
		s.maxDuration, s.at = &limit, attr.Range.Ptr()
	}
	if attr := content.Attributes["drift"]; attr != nil {
		word, d := wordOf("drift", []string{string(strategy.DriftReport), string(strategy.DriftCorrect)}, attr.Expr)
		diags = append(diags, d...)
		answer := strategy.Drift(word)
		s.drift = &answer
	}
	s.judgement, d = decodeJudgement(content.Attributes)
	return s, append(diags, d...)
}

// single is the one block there may be, or nil; those after it are refused.
func single(blocks hcl.Blocks) (*hcl.Block, hcl.Diagnostics) {
	if len(blocks) == 0 {
		return nil, nil
	}
	var diags hcl.Diagnostics
	for _, b := range blocks[1:] {
		diags = append(diags, fault("Duplicate block", b.DefRange, "There is a %s block already in line %d. Put everything into that one.", b.Type, blocks[0].DefRange.Start.Line))
	}
	return blocks[0], diags
}

// under is the plan of a release: what it says itself, completed from its policy, completed from the defaults. at is
// the place to complain at when none of its own values is to blame.
func (s settings) under(policy, standard settings, at hcl.Range) (strategy.Plan, hcl.Diagnostics) {
	rollout := cmp.Or(s.strategy, policy.strategy, standard.strategy)
	gates, copied, diags := mergeGates(policy.gates, s.gates)
	smokes, d := mergeSmokes(policy.smokes, s.smokes, at)
	diags = append(diags, d...)
	plan := strategy.Plan{
		Kind:        rollout.kind,
		Steps:       slices.Clone(rollout.steps),
		Standby:     rollout.standby,
		Smoke:       smokes,
		Canaries:    rollout.canaries,
		Gates:       gates,
		Rollback:    s.rollback.under(policy.rollback),
		MaxDuration: defaultMaxDuration,
	}
	if limit := cmp.Or(s.maxDuration, policy.maxDuration); limit != nil {
		plan.MaxDuration = *limit
	}
	s.judgement.under(policy.judgement, &plan)
	diags = append(diags, s.shadowUnder(policy, &plan, copied, at)...)
	if n := limitsOf(append(slices.Clone(plan.Gates), copied...)); n > maxLimits {
		diags = append(diags, fault("Too many limits", at, "The gates of the release have %d limits with those of its policy, at most %d are judged: max and max_vs_stable are one each, and six each of a gate by endpoint.", n, maxLimits))
	}
	if len(plan.Gates)+len(copied) > maxGates {
		diags = append(diags, fault("Too many gates", at, "The release has %d gates with those of its policy; at most %d are judged.", len(plan.Gates)+len(copied), maxGates))
	}
	return plan, append(diags, checkEnd(plan, *cmp.Or(s.at, &at))...)
}

// checkEnd refuses a plan whose time is over before it has gone through.
func checkEnd(plan strategy.Plan, at hcl.Range) hcl.Diagnostics {
	bake := plan.Bake()
	switch {
	case bake >= plan.MaxDuration:
		return faults("Rollout without end", at,
			"The steps bake for %s in all, and after max_duration = %s the rollout is aborted: it could never be promoted. Raise max_duration or shorten the bakes.",
			bake, plan.MaxDuration)
	case bake+plan.Standby >= plan.MaxDuration:
		return faults("Standby cut short", at,
			"The steps bake for %s in all and the old revision stands by for %s, but after max_duration = %s it ends. Raise max_duration or shorten the standby.",
			bake, plan.Standby, plan.MaxDuration)
	}
	return nil
}
