package nomad

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Scale sets the count of one group of a job that rests; one that has it already is left alone, since Nomad makes a new
// version even then. strategy.ErrConflict says that the job was changed meanwhile, or that a deployment of it is under
// way, for whose time Nomad refuses to scale.
func (c *Cluster) Scale(ctx context.Context, job strategy.JobRef, group string, count int) error {
	failed := func(err error) error { return fmt.Errorf("scale group %q of job %s to %d: %w", group, job, count, err) }
	all, err := c.history(ctx, job)
	if err != nil {
		return failed(err)
	}
	if len(all) == 0 || all.live().stopped() {
		return failed(fmt.Errorf("the job does not run: %w", strategy.ErrConflict))
	}
	if live, known := counts(all.live().job)[group]; known && live == count {
		return nil
	}
	wanted := int64(count)
	request := &api.ScalingRequest{
		Count: &wanted, Target: map[string]string{"Group": group}, Message: c.instance + ": as Git asks",
		JobModifyIndex: all.live().modifyIndex(),
	}
	if _, _, err := c.client.Jobs().ScaleWithRequest(job.ID, request, write(ctx, job.Namespace)); err != nil {
		body := bodyOf(err)
		if strings.Contains(body, api.RegisterEnforceIndexErrPrefix) || strings.Contains(body, "active deployment") {
			return failed(fmt.Errorf("%s: %w", body, strategy.ErrConflict))
		}
		return failed(err)
	}
	return nil
}
