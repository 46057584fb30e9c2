package strategy_test

import (
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestDeadlineOfPlacing holds that the deadline runs from the moment that Nomad has the registration: the time that a
// router was away before is not the revision's fault.
func TestDeadlineOfPlacing(t *testing.T) {
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	seen := start.Add(time.Hour)
	for phase, role := range map[strategy.Phase]strategy.Role{strategy.Placing: strategy.RoleCanary, strategy.First: strategy.RoleFirst} {
		revision := strategy.Revision{Version: "2", Attempt: 1, Digest: "b"}
		r := strategy.Rollout{
			Release: "web", Job: strategy.JobRef{Namespace: "default", ID: "web"}, Phase: phase, Since: start, Seen: seen.Add(-time.Second), ID: "r1",
			Canary: strategy.Trial{Revision: revision, Service: "web"}, Plan: strategy.Plan{Steps: []strategy.Step{{Weight: strategy.Full, Bake: time.Minute}}, MaxDuration: 2 * time.Hour},
		}
		o := strategy.Observation{
			Desired: &strategy.Desired{Release: strategy.Release{Name: "web"}, Revision: revision, Service: "web"},
			Cluster: &strategy.ClusterState{
				Exists: true, Version: 1, Count: 1, Counts: map[string]int{"web": 1}, ProgressDeadline: time.Minute,
				Marker: strategy.Marker{Rollout: "r1", Role: role, Revision: revision}, Revision: revision,
				Deployment: strategy.Deployment{ID: "d", Status: strategy.DeploymentRunning, Canaries: map[string]int{"web": 1}},
				Allocs:     []strategy.Alloc{{ID: "a1", Group: "web", Canary: true, Fresh: true}},
			},
			Traffic: &strategy.TrafficState{},
		}
		next, _, why := strategy.Advance(r, o, seen)
		if next.Phase != phase || !next.Registered {
			t.Errorf("%s: as soon as it was registered it is %s: %s", phase, next.Phase, why.Text)
		}
		late, _, _ := strategy.Advance(next, o, seen.Add(10*time.Minute))
		if late.Phase == phase && late.Ending == nil {
			t.Errorf("%s: ten minutes later it is still there", phase)
		}
	}
}

// TestBlame holds that canaries that run and are never healthy are not called crashed, and that one that did crash is
// what is said, whatever the others are.
func TestBlame(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	revision := strategy.Revision{Version: "2", Attempt: 1, Digest: "b"}
	for name, test := range map[string]struct {
		faults []strategy.Fault
		want   strategy.ReasonCode
	}{
		"both are unhealthy":            {[]strategy.Fault{strategy.FaultHealth, strategy.FaultHealth}, strategy.CanaryUnready},
		"one crashed":                   {[]strategy.Fault{strategy.FaultNone, strategy.FaultTask}, strategy.CanaryCrashed},
		"one is unhealthy, one crashed": {[]strategy.Fault{strategy.FaultHealth, strategy.FaultTask}, strategy.CanaryCrashed},
	} {
		r := strategy.Rollout{
			Release: "web", Job: strategy.JobRef{Namespace: "default", ID: "web"}, Phase: strategy.Placing, Since: now, Seen: now.Add(-time.Second), ID: "r1", Registered: true,
			Stable: strategy.Installed{Revision: strategy.Revision{Version: "1", Attempt: 1, Digest: "a"}},
			Canary: strategy.Trial{Revision: revision, Service: "web"}, Plan: strategy.Plan{Steps: []strategy.Step{{Weight: strategy.Full, Bake: time.Minute}}, MaxDuration: 2 * time.Hour},
		}
		o := strategy.Observation{
			Desired: &strategy.Desired{Release: strategy.Release{Name: "web"}, Revision: revision, Service: "web"},
			Cluster: &strategy.ClusterState{
				Exists: true, Version: 1, Count: 2, Counts: map[string]int{"web": 2}, ProgressDeadline: time.Minute,
				Marker: strategy.Marker{Rollout: "r1", Role: strategy.RoleCanary, Revision: revision}, Revision: revision,
				Deployment: strategy.Deployment{ID: "d", Status: strategy.DeploymentRunning, Canaries: map[string]int{"web": 2}},
			},
			Traffic: &strategy.TrafficState{},
		}
		for i, fault := range test.faults {
			o.Cluster.Allocs = append(o.Cluster.Allocs, strategy.Alloc{ID: string(rune('a' + i)), Group: "web", Canary: true, Fresh: true, Fault: fault, Why: "so"})
		}
		next, _, why := strategy.Advance(r, o, now)
		if next.Ending == nil || next.Ending.Kind != strategy.OutcomeCondemned || next.Ending.Reason.Code != test.want {
			t.Errorf("%s: it is %s: %s, ending with %+v, want it condemned for %s", name, next.Phase, why.Text, next.Ending, test.want)
		}
	}
}
