package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// forever is longer than any story waits.
const forever = "1h"

// smoking is a policy whose canaries must answer a smoke check.
func smoking(p policy, status string) policy {
	p.more = `smoke "health" {
    path   = "/healthz"
    status = ` + status + `
    header = { X-Version = "1.1.0" }
  }`
	return p
}

func TestBlueGreenIsPromotedAfterStandby(t *testing.T) {
	s := released(t, "green", quick)
	old := s.allocs()
	s.commit("1.1.0", smoking(quick, "200").blueGreen("3s", `weights = ["25%"]`))

	s.stands("1.1.0")
	both := s.allocs()
	for _, id := range old {
		if !slices.Contains(both, id) {
			t.Errorf("allocation %s of 1.0.0 does not stand by", id)
		}
	}
	r := s.rests("1.1.0", strategy.OutcomePromoted)

	s.steps(r)
	stood := slices.ContainsFunc(r.Timeline, func(e strategy.Event) bool { return e.Phase == strategy.Standby && e.Weight == strategy.Full })
	if !stood || len(r.Plan.Steps) != 2 || r.Plan.Steps[1].Weight != strategy.Full {
		t.Errorf("want a step at 25%%, the switch and the standby, got %+v", r.Timeline)
	}
	s.replaced(old)
	s.deployments("0 successful", "1 successful promoted")
	s.keeps(1)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

func TestFailedSmokeCheckGetsNoTraffic(t *testing.T) {
	s := released(t, "smoke", quick)
	good, old := s.shop.head(), s.allocs()
	failed := s.commit("1.1.0", smoking(slow, "204").blueGreen(forever))

	r := s.rests("1.0.0", strategy.OutcomeCondemned)

	if r.Last.Reason.Code != strategy.SmokeFailed || !strings.Contains(r.Last.Reason.Text, "200") {
		t.Errorf("rolled back for %q: %s, want the smoke check and the status that it got", r.Last.Reason.Code, r.Last.Reason.Text)
	}
	s.runs(old)
	s.reverted(failed, good)
	s.neverAsked("1.1.0", time.Time{})
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

func TestSwitchIsTakenBackInBake(t *testing.T) {
	s := released(t, "switched", quick)
	good, old := s.shop.head(), s.allocs()
	failed := s.commit("1.2.0", slow.blueGreen(forever))

	s.until("users see 1.2.0", func() bool { return s.users.answered("1.2.0", time.Time{}) > 0 })
	closed := s.closes()
	r := s.rests("1.0.0", strategy.OutcomeCondemned)

	if r.Last.Reason.Code != strategy.GateFailed {
		t.Errorf("rolled back for %q, want a failed gate", r.Last.Reason.Text)
	}
	s.only("1.0.0", closed)
	s.runs(old)
	s.reverted(failed, good)
	s.deployments("0 successful", "1 cancelled", "2 successful")
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.drover.stop()
}

func TestGateFailsInStandby(t *testing.T) {
	s := released(t, "late", quick)
	good, old := s.shop.head(), s.allocs()
	failed := s.commit("1.1.0", quick.blueGreen(forever))
	s.stands("1.1.0")

	broken := time.Now()
	s.breakCanaries()
	s.until("users see it fail", func() bool {
		n, _ := s.users.count(broken, time.Time{}, func(a answer) bool { return a.failed })
		return n > 0
	})
	closed := s.closes()
	r := s.rests("1.0.0", strategy.OutcomeCondemned)

	if r.Last.Reason.Code != strategy.GateFailed {
		t.Errorf("rolled back for %q, want a failed gate", r.Last.Reason.Text)
	}
	s.only("1.0.0", closed)
	s.runs(old)
	s.reverted(failed, good)
	s.nobodyFailed(time.Time{}, "1.1.0")
	s.nobodyFailed(closed)

	// It was not the version's fault, says the person, and asks for it once more.
	s.shop.pull()
	s.lines = "attempt = 2"
	s.commit("1.1.0", quick)
	r = s.rests("1.1.0", strategy.OutcomePromoted)
	if r.Stable.Revision.Attempt != 2 {
		t.Errorf("got attempt %d, want 2", r.Stable.Revision.Attempt)
	}
	s.steps(r)
	s.replaced(old)
	s.nobodyFailed(closed)
	s.drover.stop()
}

// breakCanaries has every canary answer 500 from now on.
func (s *story) breakCanaries() {
	s.t.Helper()
	canaries := s.split().Canary
	if len(canaries) == 0 {
		s.t.Fatal("there is no canary to break")
	}
	for _, c := range canaries {
		response, err := http.Post("http://"+c.Address+"/break", "", nil)
		if err != nil {
			s.t.Fatalf("break a canary: %v", err)
		}
		response.Body.Close()
	}
}

func TestPersonGoesBackInStandby(t *testing.T) {
	s := released(t, "regret", quick)
	old := s.allocs()
	s.commit("1.1.0", quick.blueGreen(forever))
	s.stands("1.1.0")

	s.shop.revert()
	closed := s.closes()
	s.rests("1.0.0", strategy.OutcomeWithdrawn)

	s.only("1.0.0", closed)
	s.runs(old)
	s.deployments("0 successful", "1 cancelled", "2 successful")
	s.staysPut(2 * time.Second)
	s.nobodyFailed(time.Time{})
	s.planned(planAtRest)
	s.drover.stop()
}

func TestCanaryThatDiesInStandbyIsReplaced(t *testing.T) {
	s := released(t, "mortal", quick)
	old := s.allocs()
	s.commit("1.1.0", quick.blueGreen("10s"))
	s.stands("1.1.0")

	victim := s.split().Canary[0].Alloc
	if err := s.agent.Client().Allocations().Signal(&api.Allocation{ID: victim}, s.query(), "server", "SIGKILL"); err != nil {
		t.Fatalf("kill a canary: %v", err)
	}
	s.until("another canary serves", func() bool {
		canaries := s.split().Canary
		return len(canaries) == 2 && !slices.ContainsFunc(canaries, func(e strategy.Endpoint) bool { return e.Alloc == victim })
	})
	s.rests("1.1.0", strategy.OutcomePromoted)

	s.replaced(old)
	s.deployments("0 successful", "1 successful promoted")
	s.onlyUnderWayFailed()
	s.drover.stop()
}
