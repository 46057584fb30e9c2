package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

func foreseen() (strategy.Desired, *strategy.ClusterState) {
	d := strategy.Desired{
		Release: strategy.Release{Name: "web", Source: strategy.JobSource{Path: "web.nomad.hcl"}},
		Job: strategy.JobSpec{Ref: strategy.JobRef{ID: "web"}, Groups: []strategy.GroupSpec{
			{Name: "api", Count: 10, Services: []string{"web"}, MaxParallel: 2}, {Name: "worker", Count: 2},
		}},
	}
	c := &strategy.ClusterState{Exists: true, Counts: map[string]int{"api": 10, "worker": 2}}
	for range 12 {
		c.Allocs = append(c.Allocs, strategy.Alloc{Ready: true})
	}
	return d, c
}

func TestExtra(t *testing.T) {
	d, c := foreseen()
	steps := []strategy.Step{{Weight: 2000, Bake: time.Minute}, {Weight: strategy.Full, Bake: time.Minute}}
	for name, test := range map[string]struct {
		phase    strategy.Phase
		canaries strategy.Canaries
		change   func(*strategy.ClusterState)
		want     int
	}{
		"full":     {strategy.Placing, strategy.FullCanaries, nil, 12},
		"a number": {strategy.Placing, strategy.Canaries{Number: 3}, nil, 3 + 2},
		"auto":     {strategy.Placing, strategy.Canaries{Auto: true}, nil, 2 + 1},
		"live counts": {strategy.Placing, strategy.FullCanaries, func(c *strategy.ClusterState) {
			c.Counts = map[string]int{"api": 4}
		}, 4 + 2},
		"first":        {strategy.First, strategy.Canaries{Number: 1}, func(c *strategy.ClusterState) { *c = strategy.ClusterState{} }, 12},
		"the way back": {strategy.Reversing, strategy.Canaries{Number: 1}, nil, 12},
		"under way": {strategy.Stepping, strategy.FullCanaries, func(c *strategy.ClusterState) {
			c.Deployment = strategy.Deployment{ID: "d", Canaries: map[string]int{"api": 10}}
		}, 10},
		"at rest": {strategy.Resting, strategy.FullCanaries, nil, 0},
	} {
		desired, state := d, *c
		if test.change != nil {
			test.change(&state)
		}
		r := strategy.Rollout{Phase: test.phase, Plan: strategy.Plan{Steps: steps, Canaries: test.canaries}}
		if got := r.Extra(&desired, &state); got != test.want {
			t.Errorf("%s: %d allocations more, want %d", name, got, test.want)
		}
		if got := r.Extra(&desired, nil); got != 0 {
			t.Errorf("%s: %d allocations more where nothing is known of the cluster", name, got)
		}
	}
}

func TestRegisters(t *testing.T) {
	d, _ := foreseen()
	r := strategy.Rollout{
		ID: "r1", Job: d.Job.Ref, Base: 7, Canary: strategy.Trial{Revision: strategy.Revision{Version: "2"}},
		Plan: strategy.Plan{Canaries: strategy.Canaries{Number: 3}, Steps: []strategy.Step{{Weight: 100}}},
	}
	for phase, role := range map[strategy.Phase]strategy.Role{
		strategy.Placing: strategy.RoleCanary, strategy.First: strategy.RoleFirst, strategy.Reversing: strategy.RoleReverse, strategy.Resting: "", strategy.Stepping: "",
	} {
		r.Phase = phase
		got, ok := r.Registers(d)
		if ok != (role != "") {
			t.Errorf("%s: registers %t", phase, ok)
		}
		if !ok {
			continue
		}
		want := strategy.Registration{
			Job: d.Job.Ref, Source: &d.Release.Source, ModifyIndex: 7, Canaries: r.Plan.Canaries, Steps: r.Plan.Steps,
			Marker: strategy.Marker{Rollout: "r1", Revision: r.Canary.Revision, Role: role},
		}
		if phase == strategy.Reversing {
			want.Canaries = strategy.FullCanaries
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", phase, diff)
		}
	}
}

func TestCaveats(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*strategy.Rollout, *strategy.Desired, *strategy.ClusterState)
		want   string // "" for none
	}{
		"nothing": {func(*strategy.Rollout, *strategy.Desired, *strategy.ClusterState) {}, ""},
		"count changed in Git": {func(r *strategy.Rollout, _ *strategy.Desired, c *strategy.ClusterState) {
			r.Counts, c.Counts["api"] = map[string]int{"api": 8}, 8
		}, `group "api" runs 8 allocations and the jobspec says 10: the rollout keeps 8, and Git's count is applied after it`},
		"count changed in Nomad": {func(r *strategy.Rollout, _ *strategy.Desired, c *strategy.ClusterState) {
			r.Counts, c.Counts["api"] = map[string]int{"api": 10}, 8
		}, `group "api" runs 8 allocations and the jobspec says 10: what runs stays, until Git changes its count`},
		"autoscaled": {func(_ *strategy.Rollout, d *strategy.Desired, c *strategy.ClusterState) {
			d.Job.Groups[0].Scaled, c.Counts["api"] = true, 8
		}, `group "api" runs 8 allocations and the jobspec says 10: its autoscaler's count stays`},
		"few canaries": {func(r *strategy.Rollout, _ *strategy.Desired, _ *strategy.ClusterState) {
			r.Plan.Canaries = strategy.Canaries{Number: 3}
		}, `group "api" gets 3 canaries for 10 allocations: the promotion replaces the other 7, at most max_parallel = 2 at a time`},
		"stable is not well": {func(_ *strategy.Rollout, _ *strategy.Desired, c *strategy.ClusterState) {
			c.Allocs[3].Ready = false
		}, `only 11 of 12 allocations that run are ready: compared with them a bad version may look good, and the absolute limits decide`},
		"stopped": {func(_ *strategy.Rollout, _ *strategy.Desired, c *strategy.ClusterState) {
			c.Stopped, c.Allocs = true, nil
		}, ""},
	} {
		d, c := foreseen()
		r := strategy.Rollout{Phase: strategy.Placing}
		test.change(&r, &d, c)
		if got := strings.Join(r.Caveats(d, c), "\n"); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
	}
}
