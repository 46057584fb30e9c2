package integration_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
	"github.com/drover-dev/drover/strategy"
)

// TestNodeDrainInMidRollout drains the node that the canaries are on.
func TestNodeDrainInMidRollout(t *testing.T) {
	t.Parallel()
	home := ownAgent(t, nomadagent.Start)
	away := ownAgent(t, func(ctx context.Context, _, _ string) (*nomadagent.Agent, error) {
		return home.Join(ctx, filepath.Join(t.TempDir(), "away"))
	})
	s := beginOn(t, home, "drained")
	s.eligible(away, false)
	s.release(patient)
	old := s.allocs()
	s.eligible(away, true)
	s.eligible(home, false)

	s.commit("1.1.0", patient.canary(`"50%", "100%"`))
	s.bakes("1.1.0", strategy.Percent(50))
	for _, e := range s.split().Canary {
		if node := s.nodeOf(e.Alloc); node != away.Node {
			t.Fatalf("canary %s is on node %s, want it on the other one, %s", e.Alloc, node, away.Node)
		}
	}
	s.eligible(home, true)
	nodes := home.Client().Nodes()
	if _, err := nodes.UpdateDrain(away.Node, &api.DrainSpec{Deadline: time.Minute}, false, nil); err != nil {
		t.Fatalf("drain the node: %v", err)
	}
	r := s.rests("1.1.0", strategy.OutcomePromoted)
	s.steps(r)
	s.replaced(old)
	for _, id := range s.allocs() {
		if node := s.nodeOf(id); node != home.Node {
			t.Errorf("allocation %s is on node %s, want it moved to %s", id, node, home.Node)
		}
	}
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

// eligible says whether a node takes new allocations.
func (s *story) eligible(node *nomadagent.Agent, may bool) {
	s.t.Helper()
	if _, err := s.agent.Client().Nodes().ToggleEligibility(node.Node, may, nil); err != nil {
		s.t.Fatalf("set the eligibility of node %s: %v", node.Node, err)
	}
}

func (s *story) nodeOf(alloc string) string {
	s.t.Helper()
	found, _, err := s.agent.Client().Allocations().Info(alloc, s.query())
	if err != nil {
		s.t.Fatalf("read allocation %s: %v", alloc, err)
	}
	return found.NodeID
}

// TestNoCapacity asks for canaries that no node takes: it is said, and after the deadline the rollout is parked. It was
// not the version's fault.
func TestNoCapacity(t *testing.T) {
	s := released(t, "crowded", quick)
	old, head := s.allocs(), s.shop.head()
	edits := s.edits
	s.edit("      memory = 64", "      memory = 1000000")
	s.edit(`progress_deadline = "90s"`, `progress_deadline = "15s"`)
	s.commit("1.1.0", policy{bake: "2s", deadline: "10s"})

	r := s.says(strategy.Unplaced)
	contains(t, "the hold", r.Hold.Reason.Text, "cannot be placed", "memory")
	s.rests("1.0.0", strategy.OutcomeParked)
	contains(t, "drover status", s.drive(0, "status", s.name), "memory", "drover retry "+s.name)
	s.runs(old)
	s.staysPut(2 * time.Second)
	s.neverAsked("1.1.0", time.Time{})
	if slices.Contains(s.shop.authors(), "Drover") {
		t.Errorf("Git was reverted since %s, want it left alone", head)
	}

	s.edits = edits
	s.commit("1.1.0", quick)
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}
