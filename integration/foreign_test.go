package integration_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestJobRunByHandInMidRollout has somebody run another version with `nomad job run` while a canary bakes: Nomad throws
// the canaries away, and whose job it is now is for people to say.
func TestJobRunByHandInMidRollout(t *testing.T) {
	s := released(t, "meddled", quick)
	s.commit("1.1.0", slow)
	s.bakes("1.1.0", strategy.Percent(25))

	s.byHand("1.0.5", quick)
	s.says(strategy.ForeignRegistration)
	closed := s.closes()
	s.until("users see 1.0.5", func() bool { return s.users.answered("1.0.5", closed) > 20 })
	s.neverAsked("1.1.0", closed)
	version := s.jobVersion()
	s.staysPut(3 * time.Second)
	contains(t, "drover status", s.drive(0, "status", s.name), "registered by somebody else", "drover retry "+s.name)

	// A commit goes on from what runs.
	s.commit("1.1.1", quick)
	r := s.rests("1.1.1", strategy.OutcomePromoted)
	s.steps(r)
	if got := s.jobVersion(); got != version+1 {
		t.Errorf("job version %d is live, want just one after %d", got, version)
	}
	s.nobodyFailed(closed)
	s.nobodyFailed(time.Time{})
	s.planned(planAtRest)
	s.drover.stop()
}

// TestJobRunByHandInStandby takes the canaries away that have all traffic.
func TestJobRunByHandInStandby(t *testing.T) {
	s := released(t, "barged", quick)
	s.commit("1.1.0", quick.blueGreen(forever))
	s.stands("1.1.0")

	s.byHand("1.0.5", quick)
	s.says(strategy.ForeignRegistration)
	closed := s.closes()
	s.until("users see 1.0.5", func() bool { return s.users.answered("1.0.5", closed) > 20 })

	// So does retry.
	s.drive(0, "retry", s.name)
	s.enters("1.1.0", strategy.Standby)
	s.drive(0, "abort", s.name)
	s.becomes("it is parked", func(r strategy.Rollout) bool {
		return r.Phase == strategy.Resting && r.Last.Kind == strategy.OutcomeParked
	})
	back := time.Now()
	s.until("users see 1.0.5 again", func() bool { return s.users.answered("1.0.5", back) > 20 })
	s.only("1.0.5", back)
	s.nobodyFailed(closed)
	s.onlyUnderWayFailed()
	s.drover.stop()
}

// TestJobStoppedByHand stops the job in mid-rollout: it stays so, until Git asks for something else.
func TestJobStoppedByHand(t *testing.T) {
	s := released(t, "halted", quick)
	s.commit("1.1.0", slow)
	s.bakes("1.1.0", strategy.Percent(25))

	if _, _, err := s.jobs().Deregister(s.name, false, nil); err != nil {
		t.Fatalf("stop the job: %v", err)
	}
	s.becomes("the rollout has ended", func(r strategy.Rollout) bool { return r.Phase == strategy.Resting })
	s.until("nothing runs", func() bool { return len(s.allocs()) == 0 })
	s.staysPut(3 * time.Second)
	contains(t, "drover status", s.drive(0, "status", s.name), "stopped")

	s.commit("1.1.1", quick)
	r := s.rests("1.1.1", strategy.OutcomePromoted)
	if n := len(s.allocs()); n != 2 {
		t.Errorf("got %d allocations, want 2", n)
	}
	first := slices.ContainsFunc(r.Timeline, func(e strategy.Event) bool { return e.Phase == strategy.First })
	if !first {
		t.Errorf("want a first release, since nothing ran, got %+v", r.Timeline)
	}
	now := time.Now()
	s.until("users see 1.1.1", func() bool { return s.users.answered("1.1.1", now) > 20 })
	s.nobodyFailed(now)
	s.drover.stop()
}

// TestJobRunByHandAtRest is reported, and put back only when the release says so.
func TestJobRunByHandAtRest(t *testing.T) {
	s := released(t, "drifted", quick)
	s.byHand("1.0.5", quick)
	s.until("1.0.5 runs alone", func() bool {
		n, now := 0, time.Now().Add(-time.Second)
		n, _ = s.users.count(now, time.Time{}, func(a answer) bool { return a.version != "1.0.5" })
		return n == 0 && s.users.answered("1.0.5", now) > 20
	})
	s.says(strategy.ChangedByOther)
	s.staysPut(3 * time.Second)

	s.lines = `drift = "correct"`
	s.commit("1.0.0", quick)
	r := s.becomes("it is corrected", func(r strategy.Rollout) bool {
		return r.Phase == strategy.Resting && r.Last.Kind == strategy.OutcomePromoted && len(r.Timeline) > 0 && r.Timeline[0].Reason.Code == strategy.Correcting
	})
	s.wentBack(r)
	back := time.Now()
	s.until("users see 1.0.0", func() bool { return s.users.answered("1.0.0", back) > 20 })
	s.only("1.0.0", back)
	s.nobodyFailed(back)
	s.drover.stop()
}
