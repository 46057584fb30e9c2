package reconcile_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

// keptCluster is the provider of Nomad on a simulated one, which looks at a job only when something happened there since it
// last looked: nothing does in most seconds of a rollout, and to read the same again is what scenarios spend their time with.
// One look in thirty-two is made all the same, and fails the test when it finds anything else than what was kept.
type keptCluster struct {
	*nomad.Cluster
	t      testing.TB
	nomad  *sim.Nomad
	denied *denial

	mu    sync.Mutex
	looks map[lookedAt]*kept
}

type lookedAt struct {
	job     strategy.JobRef
	service string
}

// kept is what a look found.
type kept struct {
	state  strategy.ClusterState
	doings uint64
	asked  int
}

func newKeptCluster(t testing.TB, cluster *nomad.Cluster, on *sim.Nomad, denied *denial) *keptCluster {
	t.Helper()
	return &keptCluster{Cluster: cluster, t: t, nomad: on, denied: denied, looks: map[lookedAt]*kept{}}
}

// Observe looks at a job.
func (c *keptCluster) Observe(ctx context.Context, job strategy.JobRef, service string) (strategy.ClusterState, error) {
	if c.denied != nil && c.denied.interferes() {
		return c.Cluster.Observe(ctx, job, service)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	doings := c.nomad.Doings()
	last := c.looks[lookedAt{job, service}]
	same := last != nil && last.doings == doings && ctx.Err() == nil
	if same {
		last.asked++
		if last.asked%32 != 0 {
			return last.copied(), nil
		}
	}
	state, err := c.Cluster.Observe(ctx, job, service)
	if err != nil {
		delete(c.looks, lookedAt{job, service})
		return state, err
	}
	if same {
		if diff := cmp.Diff(last.state, state); diff != "" {
			c.t.Errorf("job %s is not what it was, though nothing happened (-kept +found):\n%s", job, diff)
		}
		return state, nil
	}
	now := &kept{state: state, doings: doings}
	c.looks[lookedAt{job, service}] = now
	return now.copied(), nil
}

// copied is the state with parts of its own.
func (k *kept) copied() strategy.ClusterState {
	s := k.state
	s.Condemned, s.Allocs = slices.Clone(s.Condemned), slices.Clone(s.Allocs)
	s.Counts, s.Deployment.Canaries = maps.Clone(s.Counts), maps.Clone(s.Deployment.Canaries)
	return s
}
