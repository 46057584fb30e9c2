package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestFirstContact has Drover come to a job that somebody has run by hand, with more allocations than Git asks for.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	s := begin(t, "contact")
	s.replicas = 3
	s.byHand("1.0.0", quick)
	s.until("it runs", func() bool { return len(s.allocs()) == 3 })
	old := s.allocs()

	s.replicas = 2
	s.commit("1.0.0", quick)
	s.runProxy()
	s.drover.start()
	r := s.says(strategy.UpToDate)
	if r.Phase != strategy.Resting || r.Stable.Revision.Version != "1.0.0" {
		t.Errorf("got %s on %s, want it to rest on 1.0.0 as it was found", r.Phase, r.Stable.Revision)
	}
	s.welcome()
	s.staysPut(3 * time.Second)
	s.runs(old)
	s.planned(planAtRest)

	s.commit("1.1.0", quick)
	s.steps(s.rests("1.1.0", strategy.OutcomePromoted))
	s.replaced(old) // With the counts that are live.
	s.deployments("0 successful", "1 successful promoted")
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

// TestFirstContactWithBadVersion rolls back to what somebody has run by hand.
func TestFirstContactWithBadVersion(t *testing.T) {
	t.Parallel()
	s := begin(t, "stranger")
	s.byHand("1.0.0", quick)
	s.until("it runs", func() bool { return len(s.allocs()) == 2 })
	old := s.allocs()

	s.commit("1.0.0", quick)
	good := s.shop.head()
	failed := s.commit("1.2.0", quick)
	s.runProxy()
	s.drover.start()
	s.enters("1.2.0", strategy.Placing)
	s.until("there is a split", func() bool {
		response, err := http.Get("http://" + s.edge + "/")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	s.welcome()
	s.rests("1.0.0", strategy.OutcomeCondemned)

	s.runs(old)
	s.reverted(failed, good)
	s.deployments("0 successful", "1 cancelled", "2 successful")
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.drover.stop()
}

// changes waits until another job of the same version is live.
func (s *story) changes(from strategy.Revision) strategy.Rollout {
	s.t.Helper()
	return s.becomes("the changed job is live", func(r strategy.Rollout) bool {
		return r.Phase == strategy.Resting && r.Stable.Revision.Version == from.Version && r.Stable.Revision != from && r.Last.Kind == strategy.OutcomePromoted
	})
}

// TestChangeInPlace changes what Nomad changes without new allocations: there is nothing to be tried.
func TestChangeInPlace(t *testing.T) {
	s := released(t, "in-place", quick)
	old, before := s.allocs(), s.status().Stable.Revision

	s.edit(`provider = "nomad"`, "provider = \"nomad\"\n      tags     = [\"blue\"]")
	s.drover.stop() // Once it has begun, there is nothing to plan any more.
	s.commit("1.0.0", quick)
	s.planned(planChanges)
	s.drover.start()
	s.changes(before)

	s.runs(old)
	s.deployments("0 successful", "1 successful")
	s.keeps(1)
	registrations, _, err := s.agent.Client().Services().Get(s.name, s.query())
	if err != nil || len(registrations) != 2 || !slices.Contains(registrations[0].Tags, "blue") {
		t.Errorf("got the registrations %+v (%v), want two with the tag", registrations, err)
	}
	s.nobodyFailed(time.Time{})
	s.planned(planAtRest)
	s.drover.stop()
}

// TestCountIsAppliedAtRest changes the count in Git: no revision, no rollout.
func TestCountIsAppliedAtRest(t *testing.T) {
	s := released(t, "counted", quick)
	old := s.allocs()

	s.replicas = 3
	s.commit("1.0.0", slow)
	s.until("three run", func() bool { return len(s.allocs()) == 3 })
	for _, id := range old {
		if !slices.Contains(s.allocs(), id) {
			t.Errorf("allocation %s was replaced", id)
		}
	}
	s.staysPut(3 * time.Second)

	// What a person changes by hand stays until Git's own count changes.
	s.scaleTo(4)
	s.until("four run", func() bool { return len(s.allocs()) == 4 })
	s.commit("1.0.0", quick)
	s.staysPut(3 * time.Second)
	s.replicas = 2
	s.commit("1.0.0", quick)
	s.until("two run", func() bool { return len(s.allocs()) == 2 })
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

// scaleTo is what a person or an autoscaler does.
func (s *story) scaleTo(count int) {
	s.t.Helper()
	s.until("Nomad scales the job by hand", func() bool {
		_, _, err := s.jobs().Scale(s.name, "api", &count, "by hand", false, nil, nil)
		if err != nil && !strings.Contains(err.Error(), "blocked due to active deployment") {
			s.t.Fatalf("scale by hand: %v", err)
		}
		return err == nil
	})
}

// TestScaledJob keeps what an autoscaler did.
func TestScaledJob(t *testing.T) {
	t.Parallel()
	s := begin(t, "scaled")
	s.edit("    count = var.replicas\n", "    count = var.replicas\n\n    scaling {\n      min = 1\n      max = 5\n    }\n")
	s.release(quick)
	s.scaleTo(3)
	s.until("three run", func() bool { return len(s.allocs()) == 3 })
	old := s.allocs()

	s.drover.stop() // As above.
	s.commit("1.1.0", quick.blueGreen("5s"))
	s.planned(planChanges, "DRV021: Nomad refuses to scale group \"api\"")
	s.drover.start()
	s.stands("1.1.0")
	four := 4
	if _, _, err := s.jobs().Scale(s.name, "api", &four, "by hand", false, nil, nil); err == nil {
		t.Error("Nomad scaled the job in mid-rollout, want it refused")
	}
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.replaced(old)

	s.replicas = 1 // The autoscaler's, not Git's.
	s.commit("1.1.0", quick)
	s.staysPut(3 * time.Second)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}
