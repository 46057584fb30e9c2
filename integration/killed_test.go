package integration_test

import (
	"slices"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// TestKilledInEveryPhase kills Drover in each phase and starts it again.
func TestKilledInEveryPhase(t *testing.T) {
	t.Parallel()
	s := begin(t, "kill")
	j := &journey{story: s, at: phases, disturb: func(strategy.Phase) {
		s.drover.kill()
		s.drover.start()
	}}
	j.travel()
}

// TestLedgerLostWhileAway takes the record away while Drover is down. After that nobody knows what was promoted before the
// version that runs: going back there is an ordinary rollout, so a way back is lost on a journey of its own.
func TestLedgerLostWhileAway(t *testing.T) {
	t.Parallel()
	journeys := map[string][]strategy.Phase{"away": {strategy.Stepping, strategy.Restoring}}
	if *torture {
		there := slices.Index(phases, strategy.Reversing)
		journeys = map[string][]strategy.Phase{"away": phases[:there], "away-back": phases[there:]}
	}
	for name, at := range journeys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &journey{story: begin(t, name), at: at, forgets: true}
			j.disturb = func(strategy.Phase) {
				j.drover.kill()
				j.forget()
				j.drover.start()
			}
			j.travel()
		})
	}
}

// TestLedgerLostWhileRunning takes it away under Drover's hands: it knows what the record said.
func TestLedgerLostWhileRunning(t *testing.T) {
	s := beginWith(t, "bereft", []strategy.Phase{strategy.Standby, strategy.Reversing})
	s.disturb = func(strategy.Phase) { s.forget() }
	s.travel()
}

// beginWith begins a journey that is disturbed in the given phases, and with -torture in every one.
func beginWith(t *testing.T, name string, at []strategy.Phase) *journey {
	t.Helper()
	t.Parallel()
	if *torture {
		at = phases
	}
	return &journey{story: begin(t, name), at: at}
}

// forget deletes every record of the instance.
func (s *story) forget() {
	s.t.Helper()
	variables := s.agent.Client().Variables()
	list, _, err := variables.PrefixList(s.name+"/releases/", nil)
	if err != nil {
		s.t.Fatalf("list the variables: %v", err)
	}
	if len(list) == 0 {
		s.t.Fatal("there is no variable to be lost")
	}
	for _, v := range list {
		if _, err := variables.Delete(v.Path, nil); err != nil {
			s.t.Fatalf("delete the variable %s: %v", v.Path, err)
		}
	}
}
