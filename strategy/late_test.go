package strategy_test

import (
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// TestLateCanariesOfACondemnedRollout end once more, and nothing is said twice.
func TestLateCanariesOfACondemnedRollout(t *testing.T) {
	w := newWorld("a", false)
	w.register("b", strategy.Marker{Rollout: "r", Revision: revision("b"), Role: strategy.RoleCanary})
	end := strategy.Outcome{Kind: strategy.OutcomeCondemned, Revision: revision("b")}
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Resting, ID: "r", Since: w.now, Seen: w.now, Plan: w.plan,
		Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("b"), Service: service},
		Last: end, Condemned: []strategy.Revision{revision("b")},
	}
	for range 20 {
		var actions []strategy.Action
		w.pass()
		r, actions, _ = strategy.Advance(r, w.observe(), w.now)
		for _, a := range actions {
			w.perform(a)
		}
	}
	if r.Phase != strategy.Resting || len(r.Outbox) > 0 || len(r.Incidents) > 0 {
		t.Errorf("got %s, to be said %+v", r.Phase, r.Outbox)
	}
}
