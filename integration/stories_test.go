package integration_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// Exit codes of drover plan.
const (
	planAtRest  = 0
	planChanges = 2
)

func TestGoodVersionIsPromoted(t *testing.T) {
	t.Parallel()
	s := begin(t, "promoted")
	s.commit("1.0.0", quick)
	s.planned(planChanges)
	s.runProxy()
	s.drover.start()
	s.rests("1.0.0", strategy.OutcomePromoted)
	s.planned(planAtRest)
	s.users = newUsers(t, "http://"+s.edge+"/")
	old := s.allocs()

	s.drover.stop() // A plan made while Drover acts on it would be out of date.
	s.commit("1.1.0", quick)
	s.planned(planChanges)
	s.drover.start()
	r := s.rests("1.1.0", strategy.OutcomePromoted)

	s.steps(r)
	s.replaced(old)
	s.deployments("0 successful", "1 successful promoted")
	s.keeps(1)
	rested := time.Now()
	s.until("users see 1.1.0", func() bool { return s.users.answered("1.1.0", rested) > 20 })
	s.neverAsked("1.0.0", rested)
	s.nobodyFailed(time.Time{})
	s.planned(planAtRest)
	if diff := cmp.Diff([]string{person, person}, s.shop.authors()); diff != "" {
		t.Errorf("authors of the commits (-want +got):\n%s", diff)
	}
	s.drover.stop()
}

func TestFailedGateIsRolledBack(t *testing.T) {
	s := released(t, "failing", quick)
	good, old := s.shop.head(), s.allocs()

	asked := time.Now()
	failed := s.commit("1.2.0", quick)
	s.bakes("1.2.0", strategy.Percent(25))
	closed := s.closes()
	r := s.rests("1.0.0", strategy.OutcomeCondemned)

	if r.Last.Reason.Code != strategy.GateFailed {
		t.Errorf("rolled back for %q, want a failed gate", r.Last.Reason.Text)
	}
	s.shared("1.2.0", strategy.Percent(25), asked, closed)
	s.runs(old)
	s.reverted(failed, good)
	s.deployments("0 successful", "1 cancelled", "2 successful")
	s.keeps(0)
	s.planned(planAtRest)

	// Asked for once more, it is refused: by the Drover that condemned it, and by one that only has its record.
	s.shop.pull()
	s.commit("1.2.0", quick)
	condemned := func(r strategy.Rollout) bool { return r.Reason.Code == strategy.AlreadyCondemned }
	s.becomes("1.2.0 is refused", condemned)
	s.staysPut(5 * time.Second)
	s.drover.stop()
	s.drover.start()
	s.staysPut(5 * time.Second)
	s.becomes("1.2.0 is still refused", condemned)
	s.runs(old)
	s.neverAsked("1.2.0", closed)
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.drover.stop()
}

func TestCrashingCanaryIsRolledBack(t *testing.T) {
	testUnhealthyCanary(t, "crashing", "1.1.0-crash", strategy.CanaryCrashed)
}

func TestSickCanaryIsRolledBack(t *testing.T) {
	testUnhealthyCanary(t, "sick", "1.1.0-sick", strategy.CanaryUnready)
}

// testUnhealthyCanary is the story of a version that never gets healthy.
func testUnhealthyCanary(t *testing.T, name, version string, why strategy.ReasonCode) {
	t.Helper()
	s := released(t, name, quick)
	hasty := policy{bake: quick.bake, deadline: "6s"}
	good, old := s.shop.head(), s.allocs()

	failed := s.commit(version, hasty)
	r := s.rests("1.0.0", strategy.OutcomeCondemned)

	if r.Last.Reason.Code != why {
		t.Errorf("rolled back as %q (%s), want %q", r.Last.Reason.Code, r.Last.Reason.Text, why)
	}
	s.runs(old)
	s.reverted(failed, good)
	s.neverAsked(version, time.Time{})
	s.nobodyFailed(time.Time{})
	s.staysPut(2 * time.Second)
	s.planned(planAtRest)
	s.drover.stop()
}

func TestRevertByPersonEndsRollout(t *testing.T) {
	s := released(t, "withdrawn", quick)
	old := s.allocs()
	s.commit("1.1.0", slow)
	s.bakes("1.1.0", strategy.Percent(25))

	s.shop.revert()
	closed := s.closes()
	s.rests("1.0.0", strategy.OutcomeWithdrawn)

	s.runs(old)
	s.deployments("0 successful", "1 cancelled", "2 successful")
	s.staysPut(2 * time.Second)
	s.neverAsked("1.1.0", closed)
	s.nobodyFailed(time.Time{})
	s.planned(planAtRest)
	if diff := cmp.Diff([]string{person, person, person}, s.shop.authors()); diff != "" {
		t.Errorf("authors of the commits (-want +got):\n%s", diff)
	}
	s.drover.stop()
}

func TestNewerCommitSupersedesRollout(t *testing.T) {
	s := released(t, "superseded", quick)
	old := s.allocs()
	s.commit("1.1.0", slow)
	s.bakes("1.1.0", strategy.Percent(25))
	canaries := slices.DeleteFunc(s.allocs(), func(id string) bool { return slices.Contains(old, id) })

	s.commit("1.1.1", quick)
	closed := s.closes()
	s.bakes("1.1.1", strategy.Percent(25))
	for _, id := range s.allocs() {
		if slices.Contains(canaries, id) {
			t.Errorf("allocation %s of 1.1.0 runs beside 1.1.1", id)
		}
	}
	r := s.rests("1.1.1", strategy.OutcomePromoted)

	s.steps(r)
	s.replaced(old)
	s.deployments("0 successful", "1 cancelled", "2 successful promoted")
	s.keeps(2)
	s.neverAsked("1.1.0", closed)
	s.nobodyFailed(time.Time{})
	s.planned(planAtRest)
	s.drover.stop()
}

func TestKilledDroverCarriesOn(t *testing.T) {
	// Long enough for a kill in mid-step to be one.
	steady := policy{bake: "4s", deadline: "60s"}
	s := released(t, "killed", steady)
	s.commit("1.1.0", steady)

	s.bakes("1.1.0", strategy.Percent(50))
	s.drover.kill()
	s.drover.start()
	s.steps(s.rests("1.1.0", strategy.OutcomePromoted))
	s.deployments("0 successful", "1 successful promoted")
	s.nobodyFailed(time.Time{})
	good, live := s.shop.head(), s.allocs()

	// The next one is killed between its revert and the record of it, or as near to that as can be hit.
	failed := s.commit("1.2.0", steady)
	s.until("a revert is pushed", func() bool { return s.shop.head() != failed })
	s.drover.kill()
	s.drover.start()
	s.rests("1.1.0", strategy.OutcomeCondemned)
	s.staysPut(3 * time.Second)
	s.reverted(failed, good)
	s.runs(live)
	s.deployments("0 successful", "1 successful promoted", "2 cancelled", "3 successful")
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.drover.stop()
}
