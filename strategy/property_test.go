package strategy_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/drover-dev/drover/strategy"
)

// TestProperties walks at random much further than the exploration can: any number of disturbances, one after another.
// Every decision is held against the same safety properties, and in the end the world must come to rest.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := state{w: newWorld("b", rapid.Bool().Draw(r, "no job yet")), r: strategy.Rollout{Release: "web"}}
		if rapid.Bool().Draw(r, "blue-green") {
			s.w.plan = blueGreen()
		}
		if rapid.Bool().Draw(r, "connection drain") {
			s.w.plan.Drain, s.w.plan.Shadow = draining().Drain, draining().Shadow
		}
		for range rapid.IntRange(1, 60).Draw(r, "ticks") {
			possible := slices.DeleteFunc(events(), func(e event) bool { return !e.can(s.w) })
			if rapid.IntRange(0, 3).Draw(r, "calm") == 0 {
				e := rapid.SampledFrom(possible).Draw(r, "event")
				s.trail = append(s.trail, e.name)
				e.do(s.w)
			}
			s.look(r, rapid.SampledFrom([]int{99, 99, 99, 1, 0}).Draw(r, "performed"))
			s.w.pass()
		}
		if s.w.ask == "" {
			s.w.ask = "a"
		}
		s.quiet(r, map[string]bool{})
	})
}

// TestCondemnedIsNeverTriedAgain drives a bad revision until it is condemned, and then looks for a long time.
func TestCondemnedIsNeverTriedAgain(t *testing.T) {
	s := state{w: newWorld("b", false), r: strategy.Rollout{Release: "web"}}
	s.w.quality = faulty
	run := func(ticks int) {
		for range ticks {
			s.look(t, 99)
			s.w.pass()
		}
	}
	run(12)
	if !s.r.IsCondemned(revision("b")) || s.r.Phase != strategy.Resting || s.r.Stable.Revision.Version != "a" {
		t.Fatalf("got %s on %s (condemned: %v), want to rest on a, b condemned", s.r.Phase, s.r.Stable.Revision, s.r.Condemned)
	}
	versions := len(s.w.specs)
	s.w.quality = fine
	run(100)
	if len(s.w.specs) != versions {
		t.Errorf("%d job versions were registered since b was condemned", len(s.w.specs)-versions)
	}
	if s.r.Reason.Code != strategy.AlreadyCondemned {
		t.Errorf("got reason %q: %s", s.r.Reason.Code, s.r.Reason.Text)
	}
	s.w.ask = "c"
	run(14)
	if s.r.Stable.Revision.Version != "c" || s.r.Last.Kind != strategy.OutcomePromoted {
		t.Errorf("got %s on %s, want c promoted: %s", s.r.Phase, s.r.Stable.Revision, s.r.Reason.Text)
	}
}

// TestDeliveredTellsLaterTasks proves that the issue learns what became of the revert.
func TestDeliveredTellsLaterTasks(t *testing.T) {
	revert, issue, other := strategy.Task{Kind: strategy.TaskRevert, Rollout: "r1"}, strategy.Task{Kind: strategy.TaskIssue, Rollout: "r1"}, strategy.Task{Kind: strategy.TaskIssue, Rollout: "r2"}
	before := strategy.Rollout{Outbox: []strategy.Task{revert, issue, other}}
	after := before.Delivered(revert, "reverted by abc")
	if len(before.Outbox) != 3 || before.Outbox[1].Result != "" {
		t.Error("the rollout given was changed")
	}
	if len(after.Outbox) != 2 || after.Outbox[0].Result != "reverted by abc" || after.Outbox[1].Result != "" {
		t.Errorf("got %+v", after.Outbox)
	}
}
