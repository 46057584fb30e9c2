package strategy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestTrafficBeforeOldAllocationsEnd has a promotion with fewer canaries than allocations: Nomad ends at once as many
// old ones as there are canaries, and as many as it replaces at a time. When that is all, they must have no share left.
func TestTrafficBeforeOldAllocationsEnd(t *testing.T) {
	for _, test := range []struct {
		old, fresh, parallel int
		promoted             bool
		want                 strategy.Weight
	}{
		{old: 2, fresh: 1, parallel: 1, want: strategy.Full},
		{old: 2, fresh: 1, want: strategy.Full}, // not known: Nomad's default of one
		{old: 3, fresh: 1, parallel: 1, want: strategy.Percent(30)},
		{old: 3, fresh: 1, parallel: 2, want: strategy.Full},
		{old: 4, fresh: 4, parallel: 1, want: strategy.Full},
		{old: 2, fresh: 2, parallel: 1, promoted: true, want: strategy.Percent(50)},
		{old: 1, fresh: 3, parallel: 1, promoted: true, want: strategy.Full},
		{old: 2, fresh: 2, parallel: 2, promoted: true, want: strategy.Full},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			r, o := promotion(test.old, test.fresh)
			o.Cluster.MaxParallel, o.Cluster.Deployment.Promoted = test.parallel, test.promoted
			if test.promoted {
				o.Cluster.Deployment.Canaries = nil
				for i := range o.Cluster.Allocs {
					o.Cluster.Allocs[i].Canary = false
				}
			}
			_, actions, why := strategy.Advance(r, o, r.Seen.Add(time.Second))
			var got *strategy.Split
			for _, a := range actions {
				if a.Kind == strategy.ActSetSplit {
					got = a.Split
				}
			}
			if got == nil || got.Weight != test.want {
				t.Errorf("got the split %+v (%s), want weight %s", got, why.Text, test.want)
			}
		})
	}
}

// promotion is a rollout that is being promoted, with so many ready allocations of the old revision and the new one.
func promotion(old, fresh int) (strategy.Rollout, strategy.Observation) {
	w := newWorld("b", false)
	w.allocs, w.split = nil, strategy.Split{}
	for range old {
		w.place("a", false)
	}
	w.each(func(a *strategy.Alloc) { a.Fresh = false })
	for range fresh {
		w.place("b", true)
	}
	w.each(func(a *strategy.Alloc) { a.Ready = true })
	o := w.observe()
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Promoting, ID: "r", Weight: strategy.Percent(30), Since: w.now, Seen: w.now, Registered: true,
		Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("b"), Service: service}, Plan: w.plan,
	}
	o.Cluster.Marker = strategy.Marker{Rollout: r.ID, Revision: r.Canary.Revision, Role: strategy.RoleCanary}
	o.Cluster.Revision, o.Cluster.Count = r.Canary.Revision, old
	o.Cluster.Deployment = strategy.Deployment{ID: "d1", Status: strategy.DeploymentRunning, Canaries: map[string]int{"g": fresh}}
	return r, o
}
