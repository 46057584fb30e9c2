package providertest

import (
	"errors"
	"strings"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// plan asks for the plan of a registration, and sees to it that nothing is changed.
func (c *clusterCase) plan(t *testing.T, r strategy.Registration) strategy.JobPlan {
	t.Helper()
	before := c.observe(t)
	plan, err := c.Cluster.Plan(c.ctx, r)
	if err != nil {
		t.Fatalf("plan %s: %v", r.Marker.Revision, err)
	}
	if after := c.observe(t); after.Version != before.Version || after.ModifyIndex != before.ModifyIndex || after.Exists != before.Exists {
		t.Errorf("got version %d at %d after a plan, want %d at %d", after.Version, after.ModifyIndex, before.Version, before.ModifyIndex)
	}
	if len(plan.Warnings)+len(plan.Unplaced) > 0 {
		t.Errorf("got warnings %q, unplaced %q, want none", plan.Warnings, plan.Unplaced)
	}
	return plan
}

func clusterPlan(t *testing.T, c *clusterCase) {
	fresh := c.plan(t, c.registration(t, strategy.RoleFirst, "1.0.0", 2))
	contains(t, fresh.Diff, `+   Job: "checkout-api"`, `+   Task Group: "api" (2 create)`, `  +   Task: "server"`)

	c.install(t, "1.0.0", 2)
	if same := c.plan(t, c.registration(t, strategy.RoleFirst, "1.0.0", 2)); same.Diff != "" {
		t.Errorf("got a diff of what is live, want none:\n%s", same.Diff)
	}
	r := c.registration(t, strategy.RoleCanary, "1.1.0", 5)
	changed := c.plan(t, r)
	contains(t, changed.Diff,
		`+/- Job: "checkout-api"`,
		`+/- Task Group: "api" (2 canary, 2 ignore)`,
		`  +/- Update {`,
		`    +/- Canary: "0" => "2"`,
		`  +/- Task: "server" (forces create/destroy update)`,
		`    +/- Config {`,
		`      +/- args[1]: "1.0.0" => "1.1.0"`,
	)
	if strings.Contains(changed.Diff, "Count") {
		t.Errorf("the count is in the diff, but a rollout registers the live one:\n%s", changed.Diff)
	}
	c.canaries(t, "1.1.0", 2)
	if underWay := c.plan(t, c.registration(t, strategy.RoleCanary, "1.1.0", 2)); underWay.Diff != "" {
		t.Errorf("got a diff of the rollout under way, want none:\n%s", underWay.Diff)
	}
}

func clusterPlanInvalid(t *testing.T, c *clusterCase) {
	r := c.registration(t, strategy.RoleFirst, "1.0.0", 1)
	r.Source.Jobspec = replaceOnce(t, r.Source.Jobspec, `driver = "raw_exec"`, `driver = ""`)
	if _, err := c.Cluster.Plan(c.ctx, r); !errors.Is(err, strategy.ErrInvalid) {
		t.Errorf("got error %v, want strategy.ErrInvalid", err)
	}
	other := c.registration(t, strategy.RoleFirst, "1.0.0", 1)
	other.Job.ID = "another"
	if _, err := c.Cluster.Plan(c.ctx, other); !errors.Is(err, strategy.ErrInvalid) {
		t.Errorf("plan under another name: got error %v, want strategy.ErrInvalid", err)
	}
}
