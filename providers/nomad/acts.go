package nomad

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Promote promotes all groups of a deployment. One that is promoted or successful already is no error.
func (c *Cluster) Promote(ctx context.Context, job strategy.JobRef, deployment string) error {
	_, _, err := c.client.Deployments().PromoteAll(deployment, write(ctx, job.Namespace))
	if err == nil {
		return nil
	}
	if statusOf(err) != 0 {
		now, _, lookErr := c.client.Deployments().Info(deployment, query(ctx, job.Namespace))
		if lookErr == nil && isPromoted(now) && now.Status != api.DeploymentStatusFailed && now.Status != api.DeploymentStatusCancelled {
			return nil
		}
	}
	return fmt.Errorf("promote deployment %s of job %s: %w", deployment, job, err)
}

// Stop stops the job and keeps it, so that it can be started again. A job that is stopped or gone already is no
// error; strategy.ErrConflict says that it is no longer at modifyIndex.
func (c *Cluster) Stop(ctx context.Context, job strategy.JobRef, modifyIndex uint64) error {
	all, err := c.history(ctx, job)
	if err != nil {
		return fmt.Errorf("stop job %s: %w", job, err)
	}
	if len(all) == 0 || all.live().stopped() {
		return nil
	}
	if index := all.live().modifyIndex(); index != modifyIndex {
		return fmt.Errorf("stop job %s: it is at index %d, not %d: %w", job, index, modifyIndex, strategy.ErrConflict)
	}
	if _, _, err := c.client.Jobs().Deregister(job.ID, false, write(ctx, job.Namespace)); err != nil {
		return fmt.Errorf("stop job %s: %w", job, err)
	}
	return nil
}

// Replace stops an allocation, so that Nomad places another for it: one that failed as well as one that runs. It
// returns when Nomad has taken the request, not when the other is placed. Stopping one that is stopping or complete has no
// effect, and one that Nomad does not know any more is no error.
func (c *Cluster) Replace(ctx context.Context, job strategy.JobRef, alloc string) error {
	_, err := c.client.Allocations().Stop(&api.Allocation{ID: alloc}, query(ctx, job.Namespace))
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("replace allocation %s of job %s: %w", alloc, job, err)
	}
	return nil
}

// longestWait bounds a blocking query, so that a change that does not move the index waited for is seen soon enough.
const longestWait = 30 * time.Second

// Watch blocks until the job's allocations changed after index, or half a minute has passed, and returns the new
// index. An index of 0 returns at once. It returns 0 when the server counts anew.
func (c *Cluster) Watch(ctx context.Context, job strategy.JobRef, index uint64) (uint64, error) {
	options := query(ctx, job.Namespace)
	options.WaitIndex, options.WaitTime = index, longestWait
	_, meta, err := c.client.Jobs().Allocations(job.ID, false, options)
	if err != nil {
		return index, fmt.Errorf("watch job %s: %w", job, err)
	}
	if meta.LastIndex < index {
		return 0, nil
	}
	return meta.LastIndex, nil
}
