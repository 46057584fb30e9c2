package integration_test

import (
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

func TestPauseAndResume(t *testing.T) {
	s := released(t, "paused", quick)
	steady := policy{bake: "4s", deadline: "60s"}
	contains(t, "drover pause at rest", s.drive(1, "pause", s.name), "nothing to pause")
	s.commit("1.1.0", steady)
	s.bakes("1.1.0", strategy.Percent(25))

	contains(t, "drover pause", s.drive(0, "pause", s.name), "paused by")
	s.drover.kill() // A pause is in the record.
	s.drover.start()
	s.says(strategy.PausedByPerson)
	paused := time.Now()
	s.staysPut(8 * time.Second) // Two bakes.
	if r := s.status(); r.Weight != strategy.Percent(25) || r.Phase != strategy.Stepping {
		t.Errorf("got %s at %s, want it paused at 25%%", r.Phase, r.Weight)
	}
	s.shared("1.1.0", strategy.Percent(25), paused, time.Time{})

	// Who was killed leads on paper until its lock runs out.
	s.until("the daemon leads again and obeys", func() bool {
		code, _, _ := command(t, "resume", "-config", s.config, s.name)
		return code == 0
	})
	s.steps(s.rests("1.1.0", strategy.OutcomePromoted))
	s.deployments("0 successful", "1 successful promoted")
	s.nobodyFailed(time.Time{})
	s.replays()
	s.drover.stop()
	contains(t, "drover pause without a daemon", s.drive(1, "pause", s.name), "no drover answers")
}

func TestAbortAndRetry(t *testing.T) {
	s := released(t, "aborted", quick)
	old := s.allocs()
	contains(t, "drover abort at rest", s.drive(1, "abort", s.name), "no rollout")
	s.commit("1.1.0", quick.blueGreen("2s", `weights   = ["25%"]`, `step_bake = "20s"`))
	s.bakes("1.1.0", strategy.Percent(25))

	s.drive(0, "abort", s.name)
	closed := s.closes()
	s.rests("1.0.0", strategy.OutcomeParked)
	s.runs(old)
	s.deployments("0 successful", "1 cancelled", "2 successful")
	contains(t, "the reason", s.says(strategy.AlreadyParked).Reason.Text, "aborted by")
	s.staysPut(3 * time.Second)
	s.neverAsked("1.1.0", closed)
	contains(t, "drover status", s.drive(0, "status", s.name), "drover retry "+s.name)

	s.drive(0, "retry", s.name)
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.replaced(old)
	s.deployments("0 successful", "1 cancelled", "2 successful", "3 successful promoted")
	contains(t, "drover retry at rest", s.drive(1, "retry", s.name), "nothing is parked")
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

func TestAbortInStandby(t *testing.T) {
	s := released(t, "stood-down", quick)
	old := s.allocs()
	s.commit("1.1.0", quick.blueGreen(forever))
	s.stands("1.1.0")

	s.drive(0, "abort", s.name)
	closed := s.closes()
	s.rests("1.0.0", strategy.OutcomeParked)
	s.only("1.0.0", closed)
	s.runs(old)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}
