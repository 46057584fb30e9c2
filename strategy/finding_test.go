package strategy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

func steps(bake time.Duration, percents ...int) (list []strategy.Step) {
	for _, p := range percents {
		list = append(list, strategy.Step{Weight: strategy.Percent(p), Bake: bake})
	}
	return list
}

func TestFindings(t *testing.T) {
	dry := errorGate
	dry.DryRun = true
	sound := strategy.Plan{Steps: steps(5*time.Minute, 5, 50, 100), Gates: []strategy.Gate{errorGate, volumeGate}, Rollback: strategy.Rollback{Commit: strategy.CommitPush}}
	if got := sound.Findings(); len(got) != 0 {
		t.Errorf("a sound plan: got %v", got)
	}
	seen := map[string]bool{}
	for _, test := range []struct {
		name   string
		change func(*strategy.Plan)
		want   string
	}{
		{"no gates", func(p *strategy.Plan) { p.Gates = nil }, "DRV010"},
		{"nothing that can fail", func(p *strategy.Plan) { p.Gates = []strategy.Gate{dry, volumeGate, cpuGate} }, "DRV011"},
		{"a short bake", func(p *strategy.Plan) { p.Steps = steps(time.Second, 5, 100) }, "DRV012"},
		{"a bake too short for a query", func(p *strategy.Plan) { p.Steps, p.Gates = steps(time.Minute, 5, 100), append(p.Gates, callsGate) }, "DRV012"},
		{"a large beginning", func(p *strategy.Plan) { p.Steps = steps(5*time.Minute, 20, 100) }, "DRV013"},
		{"never compared", func(p *strategy.Plan) { p.Steps, p.Gates = steps(5*time.Minute, 100), append(p.Gates, pointsGate) }, "DRV014"},
		{"compared from 100% on", func(p *strategy.Plan) { late := pointsGate; late.From = strategy.Full; p.Gates = append(p.Gates, late) }, "DRV014"},
		{"unproven", func(p *strategy.Plan) { p.OnInconclusive = strategy.PromoteInconclusive }, "DRV015"},
		{"no revert", func(p *strategy.Plan) { p.Rollback.Commit = strategy.CommitNone }, "DRV016"},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan := sound
			plan.Gates = slices.Clone(sound.Gates)
			test.change(&plan)
			got := plan.Findings()
			codes := []string{}
			for _, f := range got {
				codes = append(codes, f.Code)
				if f.Remedy == "" || !strings.Contains(f.String(), "accept = { "+f.Code) {
					t.Errorf("got %q", f)
				}
			}
			if !slices.Contains(codes, test.want) {
				t.Errorf("got %v, want %s", got, test.want)
			}
			seen[test.want] = true
			plan.Accepted = map[string]string{test.want: "it is meant"}
			if slices.ContainsFunc(plan.Findings(), func(f strategy.Finding) bool { return f.Code == test.want }) {
				t.Error("it was accepted, and is said all the same")
			}
		})
	}
	for _, code := range strategy.FindingCodes() {
		if !seen[code] {
			t.Errorf("%s is not tested", code)
		}
	}
}
