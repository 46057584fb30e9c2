package integration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// worker is a group without a service, and admin a second service of the group that has the first.
const (
	worker = `
  group "worker" {
    task "sleep" {
      driver = "raw_exec"

      config {
        command = "sleep"
        args    = ["3600"]
      }

      env {
        VERSION = var.version
      }
    }

    update {
      min_healthy_time  = "1s"
      healthy_deadline  = "60s"
      progress_deadline = "90s"
    }
  }
`
	admin = `    service {
      name     = "admin-of-the-shop"
      provider = "nomad"
      port     = "http"
    }

    update {`
)

func TestSeveralGroupsAndServices(t *testing.T) {
	t.Parallel()
	s := begin(t, "several")
	s.edit("\n  group \"api\" {", worker+"\n  group \"api\" {")
	s.edit("    update {\n      min_healthy_time  = \"1s\"\n      healthy_deadline  = \"60s\"\n      progress_deadline = \"90s\"\n    }\n\n    restart", admin+"\n      min_healthy_time  = \"1s\"\n      healthy_deadline  = \"60s\"\n      progress_deadline = \"90s\"\n    }\n\n    restart")
	s.commit("1.0.0", quick)
	contains(t, "drover plan", s.drive(1, "plan", s.name), "several services", "admin-of-the-shop", "traffic { service")

	s.lines = "traffic {\n    service = \"" + s.name + "\"\n  }"
	s.release(quick)
	old := s.allocs()
	s.commit("1.1.0", quick)
	s.bakes("1.1.0", strategy.Percent(25))
	if n := len(s.allocs()); n != 6 {
		t.Errorf("got %d allocations in mid-rollout, want a canary for each of the three", n)
	}
	s.steps(s.rests("1.1.0", strategy.OutcomePromoted))
	s.replaced(old)

	// A canary of the group that takes no traffic ends a rollout as well.
	live := s.allocs()
	s.edit(`command = "sleep"`, `command = "false"`)
	s.commit("1.1.1", policy{bake: "2s", deadline: "60s"})
	r := s.rests("1.1.0", strategy.OutcomeCondemned)
	if r.Last.Reason.Code != strategy.CanaryCrashed || !strings.Contains(r.Last.Reason.Text, `group "worker"`) {
		t.Errorf("rolled back for %q, want the crash in group worker", r.Last.Reason.Text)
	}
	s.runs(live)
	s.neverAsked("1.1.1", time.Time{})
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}

func TestSingleAllocation(t *testing.T) {
	t.Parallel()
	s := begin(t, "single")
	s.replicas = 1
	s.release(quick)
	old := s.allocs()
	s.drover.stop() // A plan made while Drover acts on it would be out of date.
	s.commit("1.1.0", quick)
	s.planned(planChanges, "doubles")
	s.drover.start()
	s.steps(s.rests("1.1.0", strategy.OutcomePromoted))
	s.replaced(old)
	s.nobodyFailed(time.Time{})

	live := s.allocs()
	s.commit("1.2.0", quick)
	s.rests("1.1.0", strategy.OutcomeCondemned)
	s.runs(live)
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.drover.stop()
}

func TestOtherNamespace(t *testing.T) {
	t.Parallel()
	s := begin(t, "elsewhere")
	s.namespace = "elsewhere"
	if _, err := s.agent.Client().Namespaces().Register(&api.Namespace{Name: s.namespace}, nil); err != nil {
		t.Fatalf("make the namespace: %v", err)
	}
	s.lines = `namespace = "elsewhere"`
	s.release(quick)
	good, old := s.shop.head(), s.allocs()
	failed := s.commit("1.2.0", quick)
	s.rests("1.0.0", strategy.OutcomeCondemned)
	s.runs(old)
	s.reverted(failed, good)

	s.shop.pull()
	s.commit("1.2.1", quick)
	s.steps(s.rests("1.2.1", strategy.OutcomePromoted))
	s.replaced(old)
	s.deployments("0 successful", "1 cancelled", "2 successful", "3 successful promoted")
	s.keeps(3)
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.planned(planAtRest)
	s.drover.stop()
}

func TestJobThatCannotHaveCanaries(t *testing.T) {
	s := released(t, "refused", quick)
	old := s.allocs()
	volume := "    volume \"data\" {\n      type            = \"csi\"\n      source          = \"data\"\n      per_alloc       = true\n" +
		"      attachment_mode = \"file-system\"\n      access_mode     = \"multi-node-multi-writer\"\n    }\n\n    restart {"
	for _, test := range []struct{ old, now, why string }{
		{"    update {", "    update {\n      max_parallel      = 0", "max_parallel = 0"},
		{"    restart {", volume, "per_alloc"},
		{`provider = "nomad"`, `provider = "consul"`, `provider "consul"`},
	} {
		s.edits = []string{test.old, test.now}
		s.commit("1.1.0", quick)
		contains(t, "drover plan", s.drive(1, "plan", s.name), test.why)
		r := s.becomes("it is refused: "+test.why, func(r strategy.Rollout) bool {
			return r.Reason.Code == strategy.Refused && strings.Contains(r.Reason.Text, test.why)
		})
		if r.Phase != strategy.Resting {
			t.Errorf("%s: got %s, want it to rest", test.why, r.Phase)
		}
		contains(t, "drover status", s.drive(0, "status", s.name), test.why)
	}
	s.staysPut(2 * time.Second)
	s.runs(old)

	s.edits = nil
	s.commit("1.1.0", quick)
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}
