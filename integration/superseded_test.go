package integration_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

func TestSupersededInPlacing(t *testing.T) {
	s := released(t, "unplaced-yet", quick)
	old := s.allocs()
	s.commit("1.1.0-sick", slow)
	s.enters("1.1.0-sick", strategy.Placing)
	s.until("its canaries run", func() bool { return len(s.allocs()) == 4 })

	s.commit("1.1.1", quick)
	r := s.rests("1.1.1", strategy.OutcomePromoted)

	s.steps(r)
	s.replaced(old)
	s.deployments("0 successful", "1 cancelled", "2 successful promoted")
	s.neverAsked("1.1.0-sick", time.Time{})
	s.nobodyFailed(time.Time{})
	if len(r.Condemned) > 0 {
		t.Errorf("%v was condemned, want it superseded only", r.Condemned)
	}
	s.drover.stop()
}

func TestSupersededInStandby(t *testing.T) {
	s := released(t, "overtaken", quick)
	old := s.allocs()
	s.commit("1.1.0", quick.blueGreen(forever))
	s.stands("1.1.0")
	green := s.split().Canary

	s.commit("1.1.1", quick)
	s.enters("1.1.1", strategy.Stepping)
	s.promotedOnce("1.1.0")
	if stable := s.split().Stable; !cmp.Equal(green, stable) {
		t.Errorf("1.1.1 is tried beside others than 1.1.0 (-want +got):\n%s", cmp.Diff(green, stable))
	}
	r := s.rests("1.1.1", strategy.OutcomePromoted)

	s.steps(r)
	s.replaced(old)
	s.deployments("0 successful", "1 successful promoted", "2 successful promoted")
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

func TestSupersededInPromotion(t *testing.T) {
	s := begin(t, "impatient")
	t.Parallel()
	// With one canary of two the promotion itself places one more, which takes its time.
	s.edit(`min_healthy_time  = "1s"`, `min_healthy_time  = "4s"`)
	few := quick.canary(`"50%", "100%"`)
	few.strategy = `strategy "canary" {
    weights  = ["50%", "100%"]
    bake     = "2s"
    canaries = 1
  }`
	s.release(few)
	old := s.allocs()
	s.commit("1.1.0", few)
	s.enters("1.1.0", strategy.Promoting)
	s.until("it is promoted", func() bool { return len(s.readDeployments()) == 2 && s.readDeployments()[1] == "1 running promoted" })

	s.commit("1.1.1", few)
	r := s.rests("1.1.1", strategy.OutcomePromoted)

	s.promotedOnce("1.1.0")
	s.steps(r)
	s.replaced(old)
	s.deployments("0 successful", "1 successful promoted", "2 successful promoted")
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

// TestAskedForAgainInMidRollout has a person raise the attempt of what is on trial: registered again as it is, it would be no
// change to Nomad.
func TestAskedForAgainInMidRollout(t *testing.T) {
	s := released(t, "asked-again", quick)
	old := s.allocs()
	s.commit("1.1.0", slow)
	s.bakes("1.1.0", strategy.Percent(25))
	tried := s.split().Canary

	s.lines = "attempt = 2"
	s.commit("1.1.0", quick)
	s.until("others are tried", func() bool {
		again := s.split().Canary
		return len(again) > 0 && !cmp.Equal(tried, again)
	})
	r := s.rests("1.1.0", strategy.OutcomePromoted)

	if r.Stable.Revision.Attempt != 2 {
		t.Errorf("%s is live, want the second attempt", r.Stable.Revision)
	}
	s.steps(r)
	s.replaced(old)
	s.deployments("0 successful", "1 cancelled", "2 successful", "3 successful promoted")
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

// TestServiceOrGroupIsRenamed: what runs is not left without traffic by a commit, nor ended by one.
func TestServiceOrGroupIsRenamed(t *testing.T) {
	s := released(t, "renamed", quick)
	old, edits := s.allocs(), s.edits
	for _, rename := range []struct{ old, now, says string }{
		{`name     = "renamed"`, `name     = "renamed-v2"`, `no service "renamed-v2"`},
		{`group "api"`, `group "web"`, `no group "api"`},
	} {
		s.edits = append(slices.Clone(edits), rename.old, rename.now)
		s.commit("1.1.0", quick)
		s.becomes("it is refused", func(r strategy.Rollout) bool {
			return r.Reason.Code == strategy.Refused && strings.Contains(r.Reason.Text, rename.says)
		})
		s.staysPut(3 * time.Second)
	}
	s.runs(old)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

// promotedOnce holds that a version was promoted before the one that is asked for now.
func (s *story) promotedOnce(version string) {
	s.t.Helper()
	for _, revision := range s.status().Promoted {
		if revision.Version == version {
			return
		}
	}
	s.t.Errorf("%s is not among those promoted: %v", version, s.status().Promoted)
}

func TestStepsChangeInMidRollout(t *testing.T) {
	s := released(t, "replanned", quick)
	s.commit("1.1.0", slow)
	s.bakes("1.1.0", strategy.Percent(25))

	s.commit("1.1.0", quick.canary(`"10%", "40%", "100%"`))
	r := s.rests("1.1.0", strategy.OutcomePromoted)

	var weights []string
	for _, e := range r.Timeline {
		if e.Phase == strategy.Stepping && (e.Reason.Code == strategy.StepEntered || e.Reason.Code == strategy.Replanned) {
			weights = append(weights, r.Plan.Steps[e.Step-1].Weight.String())
		}
	}
	if diff := cmp.Diff([]string{"10%", "40%", "100%"}, weights); diff != "" {
		t.Errorf("steps of the plan that were entered, the first before it changed (-want +got):\n%s", diff)
	}
	s.deployments("0 successful", "1 successful promoted")
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

func TestHoldAtIsObeyed(t *testing.T) {
	s := released(t, "held", quick)
	s.lines = `hold_at = "25%"`
	s.commit("1.1.0", quick)
	s.says(strategy.HeldByGit)
	s.bakes("1.1.0", strategy.Percent(25))
	s.staysPut(4 * time.Second) // Two bakes.

	s.lines = `hold_at = "50%"`
	s.commit("1.1.0", quick)
	s.bakes("1.1.0", strategy.Percent(50))
	s.lines = `hold_at = "5%"` // A lower one is obeyed at once.
	s.commit("1.1.0", quick)
	s.bakes("1.1.0", strategy.Percent(5))
	s.says(strategy.HeldByGit)

	s.lines = ""
	s.commit("1.1.0", quick)
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.deployments("0 successful", "1 successful promoted")
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

func TestPolicyEditedAloneStartsNothing(t *testing.T) {
	s := released(t, "edited", quick)
	old := s.allocs()

	s.commit("1.0.0", slow.blueGreen(forever, `weights = ["1%"]`))
	s.staysPut(5 * time.Second)

	s.planned(planAtRest)
	s.runs(old)
	if r := s.status(); r.Phase != strategy.Resting || r.Stable.Revision.Version != "1.0.0" {
		t.Errorf("got %s on %s, want it at rest on 1.0.0", r.Phase, r.Stable.Revision)
	}
	s.drover.stop()
}
