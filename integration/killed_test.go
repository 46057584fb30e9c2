package integration_test

import (
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

// TestLedgerLostWhileAway takes the record away while Drover is down.
func TestLedgerLostWhileAway(t *testing.T) {
	s := beginWith(t, "away", []strategy.Phase{strategy.Stepping, strategy.Restoring})
	s.forgets = true
	s.disturb = func(strategy.Phase) {
		s.drover.kill()
		s.forget()
		s.drover.start()
	}
	s.travel()
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
