package reconcile_test

import (
	"context"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/strategy"
)

type shim struct {
	*nomad.Cluster
	w *world
}

func (s shim) MarkBad(_ context.Context, job strategy.JobRef, v uint64, r strategy.Revision) error {
	s.w.shimBad = append(s.w.shimBad, r)
	return nil
}

func (s shim) Scale(_ context.Context, job strategy.JobRef, group string, n int) error {
	_, _, err := s.w.client.Jobs().Scale(job.ID, group, &n, "by drover", false, nil, nil)
	return err
}

func (s shim) Observe(ctx context.Context, job strategy.JobRef, service string) (strategy.ClusterState, error) {
	c, err := s.Cluster.Observe(ctx, job, service)
	c.Condemned = s.w.shimBad
	c.Counts = map[string]int{}
	if j, _, err := s.w.client.Jobs().Info(job.ID, nil); err == nil {
		for _, g := range j.TaskGroups {
			c.Counts[*g.Name] = *g.Count
		}
	}
	return c, err
}
