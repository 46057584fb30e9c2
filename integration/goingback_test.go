package integration_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// wentBack holds that a rollout was one in reverse: no steps, and never less than the full capacity ready.
func (s *story) wentBack(r strategy.Rollout) {
	s.t.Helper()
	var phases []strategy.Phase
	for _, e := range r.Timeline {
		phases = append(phases, e.Phase)
	}
	if diff := cmp.Diff([]strategy.Phase{strategy.Reversing, strategy.Resting}, phases); diff != "" {
		s.t.Errorf("phases of the way back (-want +got):\n%s\n%+v", diff, r.Timeline)
	}
}

// TestBackAndForth has a person change the mind twice about a version that was good.
func TestBackAndForth(t *testing.T) {
	s := released(t, "undecided", quick)
	s.commit("1.1.0", quick)
	s.rests("1.1.0", strategy.OutcomePromoted)
	live := s.allocs()

	asked := time.Now()
	s.shop.revert()
	s.wentBack(s.rests("1.0.0", strategy.OutcomePromoted))
	back := time.Now()
	s.replaced(live)
	s.deployments("0 successful", "1 successful promoted", "2 successful promoted")
	s.keeps(2)
	live = s.allocs()

	s.shop.revert()
	s.wentBack(s.rests("1.1.0", strategy.OutcomePromoted))
	forth := time.Now()
	s.replaced(live)
	s.deployments("0 successful", "1 successful promoted", "2 successful promoted", "3 successful promoted")
	s.keeps(3)

	s.until("users see 1.1.0", func() bool { return s.users.answered("1.1.0", forth) > 20 })
	s.only("1.1.0", forth)
	if n, _ := s.users.count(back, forth, func(a answer) bool { return a.version == "1.0.0" }); n == 0 {
		t.Error("nobody saw 1.0.0 while it was back")
	}
	s.nobodyFailed(asked)
	s.nobodyFailed(time.Time{})
	s.planned(planAtRest)
	if diff := cmp.Diff([]string{person, person, person, person}, s.shop.authors()); diff != "" {
		t.Errorf("authors of the commits (-want +got):\n%s", diff)
	}
	s.drover.stop()
}

// TestPersonReverts has drover rollback make the commit that a person would.
func TestRollbackByCommand(t *testing.T) {
	s := released(t, "recalled", quick)
	good := s.shop.head()
	failed := s.commit("1.1.0", quick)
	s.rests("1.1.0", strategy.OutcomePromoted)

	contains(t, "drover rollback", s.drive(0, "rollback", s.name), "reverted by")
	s.wentBack(s.rests("1.0.0", strategy.OutcomePromoted))

	s.reverted(failed, good)
	s.nobodyFailed(time.Time{})

	// In mid-rollout it is the same commit, and the canaries go.
	s.shop.pull()
	s.commit("1.2.1", slow)
	s.bakes("1.2.1", strategy.Percent(25))
	s.drive(0, "rollback", s.name)
	closed := s.closes()
	s.rests("1.0.0", strategy.OutcomeWithdrawn)
	s.neverAsked("1.2.1", closed)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}
