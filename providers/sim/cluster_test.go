package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/sim"
)

// cluster is a simulation with the example on it, driven by the real client.
type cluster struct {
	t      *testing.T
	nomad  *sim.Nomad
	client *api.Client
}

func newCluster(t *testing.T, cfg sim.Config) *cluster {
	t.Helper()
	n := sim.New(cfg)
	t.Cleanup(func() {
		if unknown := n.Unknown(); len(unknown) > 0 {
			t.Errorf("requests that the simulation does not know: %v", unknown)
		}
	})
	return &cluster{t: t, nomad: n, client: newClient(t, n)}
}

// job is the example at a version. Changes may be made to it.
func (c *cluster) job(version string, count, canary int) *api.Job {
	c.t.Helper()
	job, err := c.client.Jobs().ParseHCLOpts(&api.JobsParseRequest{
		JobHCL: readCheckout(c.t), Variables: fmt.Sprintf("version = %q\nreplicas = %d\n", version, count),
	})
	if err != nil {
		c.t.Fatalf("parse: %v", err)
	}
	job.TaskGroups[0].Update.Canary = &canary
	return job
}

func (c *cluster) submit(job *api.Job) {
	c.t.Helper()
	if _, _, err := c.client.Jobs().Register(job, nil); err != nil {
		c.t.Fatalf("register: %v", err)
	}
}

func (c *cluster) register(version string, count, canary int) {
	c.t.Helper()
	c.submit(c.job(version, count, canary))
}

func (c *cluster) pass(d time.Duration) { c.nomad.Advance(c.nomad.Now().Add(d)) }

func (c *cluster) deployment() *api.Deployment {
	c.t.Helper()
	d, _, err := c.client.Jobs().LatestDeployment("checkout-api", nil)
	if err != nil {
		c.t.Fatalf("read the deployment: %v", err)
	}
	return d
}

// settled lets time pass until nothing of the job's deployment is under way.
func (c *cluster) settled() {
	c.t.Helper()
	c.pass(5 * time.Second)
	if d := c.deployment(); d.Status != api.DeploymentStatusSuccessful {
		c.t.Fatalf("deployment is %s (%s), want successful", d.Status, d.StatusDescription)
	}
}

func (c *cluster) allocs() []*api.AllocationListStub {
	c.t.Helper()
	all, _, err := c.client.Jobs().Allocations("checkout-api", false, nil)
	if err != nil {
		c.t.Fatalf("list allocations: %v", err)
	}
	return all
}

// running is the allocations that run and should.
func (c *cluster) running() []*api.AllocationListStub {
	c.t.Helper()
	var out []*api.AllocationListStub
	for _, a := range c.allocs() {
		if a.DesiredStatus == api.AllocDesiredStatusRun && a.ClientStatus == api.AllocClientStatusRunning {
			out = append(out, a)
		}
	}
	return out
}

// versions counts what runs by the version of the job.
func (c *cluster) versions() map[uint64]int {
	c.t.Helper()
	out := map[uint64]int{}
	for _, a := range c.running() {
		out[a.JobVersion]++
	}
	return out
}

func (c *cluster) promote() {
	c.t.Helper()
	if _, _, err := c.client.Deployments().PromoteAll(c.deployment().ID, nil); err != nil {
		c.t.Fatalf("promote: %v", err)
	}
}
