package sim_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/sim"
)

func ids(allocs []*api.AllocationListStub) []string {
	var out []string
	for _, a := range allocs {
		out = append(out, a.ID)
	}
	slices.Sort(out)
	return out
}

func (c *cluster) expect(what string, want map[uint64]int) {
	c.t.Helper()
	if diff := cmp.Diff(want, c.versions()); diff != "" {
		c.t.Fatalf("%s: running allocations by job version (-want +got):\n%s", what, diff)
	}
}

func (c *cluster) expectDeployment(what, status, description string) *api.Deployment {
	c.t.Helper()
	d := c.deployment()
	if d == nil || d.Status != status || d.StatusDescription != description {
		c.t.Fatalf("%s: got deployment %+v, want %s (%s)", what, d, status, description)
	}
	return d
}

func TestEvaluationComesLater(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 2, 0)
	c.settled()
	c.register("1.1.0", 2, 2)
	if d := c.deployment(); d.Status != api.DeploymentStatusSuccessful || d.JobVersion != 0 {
		t.Errorf("got deployment of version %d, %s right after a registration, want the one before", d.JobVersion, d.Status)
	}
	c.pass(3 * time.Second)
	c.expect("canaries", map[uint64]int{0: 2, 1: 2})
	c.register("1.0.0", 2, 0)
	// The spec is back, and nobody has looked yet: the canaries run, and their deployment too.
	c.expect("restored a moment ago", map[uint64]int{0: 2, 1: 2})
	c.expectDeployment("restored a moment ago", "running", "Deployment is running but requires manual promotion")
	c.pass(time.Second)
	c.expect("restored", map[uint64]int{2: 2})
}

func TestNoCanariesForNewAndStoppedJobs(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 2, 2)
	c.pass(5 * time.Second)
	c.expectDeployment("new job", "successful", "Deployment completed successfully")
	if _, _, err := c.client.Jobs().Deregister("checkout-api", false, nil); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Second)
	c.expect("stopped", map[uint64]int{})
	c.register("1.1.0", 2, 2)
	c.pass(5 * time.Second)
	d := c.expectDeployment("stopped job", "successful", "Deployment completed successfully")
	if got := d.TaskGroups["api"].DesiredCanaries; got != 0 {
		t.Errorf("got %d canaries for a stopped job, want none", got)
	}
	c.expect("started again", map[uint64]int{2: 2})
}

func TestPromoteFullCanaries(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 3, 0)
	c.pass(20 * time.Second)
	c.register("1.1.0", 3, 3)
	c.pass(100 * time.Millisecond)
	_, _, err := c.client.Deployments().PromoteAll(c.deployment().ID, nil)
	if err == nil || !strings.Contains(err.Error(), `Task group "api" has 0/3 healthy allocations`) {
		t.Errorf("promote before healthy: got %v", err)
	}
	c.pass(5 * time.Second)
	c.expect("canaries beside", map[uint64]int{0: 3, 1: 3})
	c.promote()
	c.pass(300 * time.Millisecond)
	c.expect("promoted", map[uint64]int{1: 3})
	d := c.expectDeployment("promoted", "successful", "Deployment completed successfully")
	if _, _, err := c.client.Deployments().PromoteAll(d.ID, nil); err == nil || !strings.Contains(err.Error(), "can't promote terminal deployment") {
		t.Errorf("promote again: got %v", err)
	}
	job, _, err := c.client.Jobs().Info("checkout-api", nil)
	if err != nil || !*job.Stable {
		t.Errorf("got stable %v (%v) after the deployment, want true", job.Stable, err)
	}
}

func TestPromotePartialCanariesRolls(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 3, 0)
	c.pass(20 * time.Second)
	c.register("1.1.0", 3, 1)
	c.pass(5 * time.Second)
	c.promote()
	c.pass(300 * time.Millisecond)
	// One is displaced by the canary, and one is the first of the rolling update.
	c.expect("just promoted", map[uint64]int{0: 1, 1: 1})
	c.expectDeployment("just promoted", "running", "Deployment is running")
	c.pass(time.Minute)
	c.expect("rolled", map[uint64]int{1: 3})
	d := c.expectDeployment("rolled", "successful", "Deployment completed successfully")
	if diff := cmp.Diff([]int{3, 3}, []int{d.TaskGroups["api"].PlacedAllocs, d.TaskGroups["api"].HealthyAllocs}); diff != "" {
		t.Errorf("placed and healthy (-want +got):\n%s", diff)
	}
}

func TestRestoreKeepsStable(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 2, 0)
	c.settled()
	before := ids(c.running())
	c.register("1.1.0", 2, 2)
	c.pass(5 * time.Second)
	c.register("1.0.0", 2, 0)
	c.pass(300 * time.Millisecond)
	if diff := cmp.Diff(before, ids(c.running())); diff != "" {
		t.Errorf("allocations (-before +after):\n%s", diff)
	}
	c.expect("restored", map[uint64]int{2: 2})
	c.settled()
	all, _, err := c.client.Jobs().Deployments("checkout-api", true, nil)
	if err != nil || len(all) != 3 || all[1].StatusDescription != "Cancelled due to newer version of job" {
		t.Errorf("got deployments %+v (%v), want the second cancelled", all, err)
	}
}

func TestProgressDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		version     string
		after       time.Duration
		status      string
		description string
		running     map[uint64]int
	}{
		"healthy canaries wait for ever": {"1.1.0", time.Hour, "running", "Deployment is running but requires manual promotion", map[uint64]int{0: 2, 1: 1}},
		"sick, before":                   {"1.1.0-sick", 29 * time.Second, "running", "Deployment is running but requires manual promotion", map[uint64]int{0: 2, 1: 1}},
		"sick":                           {"1.1.0-sick", 31 * time.Second, "failed", "Failed due to progress deadline", map[uint64]int{0: 2}},
		"crashing":                       {"1.1.0-crash", 31 * time.Second, "failed", "Failed due to progress deadline", map[uint64]int{0: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, sim.Config{Seed: 1})
			c.register("1.0.0", 2, 0)
			c.settled()
			before := ids(c.running())
			c.register(test.version, 2, 1)
			c.pass(test.after)
			c.expectDeployment(name, test.status, test.description)
			c.expect(name, test.running)
			for _, id := range before {
				if !slices.Contains(ids(c.running()), id) {
					t.Errorf("stable allocation %s is gone", id)
				}
			}
		})
	}
}

func TestAutoRevertAndAutoPromote(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 2, 0)
	c.settled()
	job, yes := c.job("1.1.0-sick", 2, 1), true
	job.TaskGroups[0].Update.AutoRevert = &yes
	c.submit(job)
	c.pass(31 * time.Second)
	c.expect("reverted", map[uint64]int{2: 2})
	all, _, err := c.client.Jobs().Deployments("checkout-api", true, nil)
	if err != nil || len(all) < 2 || all[1].StatusDescription != "Failed due to progress deadline - rolling back to job version 0" {
		t.Errorf("got deployments %+v (%v), want the second rolled back", all, err)
	}
	c.settled()
	job = c.job("1.2.0", 2, 2)
	job.TaskGroups[0].Update.AutoPromote = &yes
	c.submit(job)
	c.pass(100 * time.Millisecond)
	c.expectDeployment("automatic", "running", "Deployment is running pending automatic promotion")
	c.settled()
	c.expect("promoted by itself", map[uint64]int{3: 2})
}

func TestLossesDuringCanary(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 2, 0)
	c.settled()
	stable := ids(c.running())
	c.register("1.1.0", 2, 2)
	c.pass(5 * time.Second)
	var canaries []string
	for _, a := range c.running() {
		if a.DeploymentStatus.Canary {
			canaries = append(canaries, a.ID)
		}
	}
	if err := c.nomad.LoseAlloc(stable[0]); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Second)
	c.expect("stable lost: replaced with its own version", map[uint64]int{0: 2, 1: 2})
	if err := c.nomad.CrashAlloc(canaries[0]); err != nil {
		t.Fatal(err)
	}
	c.pass(5 * time.Minute)
	c.expect("a healthy canary that crashes stays failed", map[uint64]int{0: 2, 1: 1})
	if got := c.deployment().TaskGroups["api"].HealthyAllocs; got != 2 {
		t.Errorf("got %d healthy in the deployment, want 2 still: it only counts up", got)
	}
	if _, err := c.client.Allocations().Stop(&api.Allocation{ID: canaries[0]}, nil); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Second)
	c.expect("stopped, it is replaced", map[uint64]int{0: 2, 1: 2})
}

func TestUnhealthyCanaryIsRescheduled(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 1, 0)
	c.settled()
	job := c.job("1.1.0-crash", 1, 1)
	deadline, delay, constant, yes := time.Minute, 5*time.Second, "constant", true
	job.TaskGroups[0].Update.ProgressDeadline = &deadline
	job.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{Delay: &delay, DelayFunction: &constant, Unlimited: &yes}
	c.submit(job)
	c.pass(18 * time.Second)
	d := c.expectDeployment("crashing", "running", "Deployment is running but requires manual promotion")
	if got := d.TaskGroups["api"]; len(got.PlacedCanaries) != 4 || got.UnhealthyAllocs != 4 {
		t.Errorf("got %d canaries placed, %d unhealthy after 18s, want 4 of both: one each 5s", len(got.PlacedCanaries), got.UnhealthyAllocs)
	}
}

func TestInPlaceChanges(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*api.Job)
		inPlace bool
	}{
		"priority": {func(j *api.Job) { p := 70; j.Priority = &p }, true},
		"tags":     {func(j *api.Job) { j.TaskGroups[0].Services[0].Tags = []string{"new"} }, true},
		"update":   {func(j *api.Job) { d := time.Minute; j.TaskGroups[0].Update.ProgressDeadline = &d }, true},
		"count":    {func(j *api.Job) { n := 3; j.TaskGroups[0].Count = &n }, true},
		"meta":     {func(j *api.Job) { j.Meta = map[string]string{"a": "b"} }, false},
		"env":      {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Env = map[string]string{"a": "b"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, sim.Config{Seed: 1})
			c.register("1.0.0", 2, 2)
			c.settled()
			before := ids(c.running())
			job := c.job("1.0.0", 2, 2)
			test.change(job)
			c.submit(job)
			c.pass(5 * time.Second)
			kept := 0
			for _, a := range c.running() {
				if slices.Contains(before, a.ID) && a.JobVersion == 1 {
					kept++
				}
			}
			if got := kept == 2; got != test.inPlace {
				t.Errorf("%d of 2 allocations were updated in place, want in place: %t", kept, test.inPlace)
			}
			want := 2
			if test.inPlace {
				want = 0
			}
			if got := c.deployment().TaskGroups["api"].DesiredCanaries; got != want {
				t.Errorf("got %d desired canaries, want %d", got, want)
			}
		})
	}
}

func TestNoRoom(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1, Nodes: 3})
	c.register("1.0.0", 2, 0)
	c.settled()
	c.register("1.1.0", 2, 2)
	c.pass(5 * time.Second)
	c.expect("no room", map[uint64]int{0: 2, 1: 1})
	evals, _, err := c.client.Jobs().Evaluations("checkout-api", nil)
	if err != nil {
		t.Fatal(err)
	}
	blocked := slices.IndexFunc(evals, func(e *api.Evaluation) bool { return e.Status == "blocked" })
	if blocked < 0 || evals[blocked].FailedTGAllocs["api"] == nil {
		t.Fatalf("got no blocked evaluation with what could not be placed")
	}
	c.nomad.SetNodes(4)
	c.pass(5 * time.Second)
	c.expect("room", map[uint64]int{0: 2, 1: 2})
}

func TestServicesFollowAllocations(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	tagged := func(version string, canary int) *api.Job {
		job := c.job(version, 1, canary)
		job.TaskGroups[0].Services[0].Tags, job.TaskGroups[0].Services[0].CanaryTags = []string{"live"}, []string{"trial"}
		return job
	}
	tags := func() map[string]int {
		list, _, err := c.client.Services().Get("checkout-api", nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int{}
		for _, s := range list {
			out[strings.Join(s.Tags, ",")]++
		}
		return out
	}
	c.submit(tagged("1.0.0", 0))
	c.pass(100 * time.Millisecond)
	if got := tags(); len(got) != 0 {
		t.Errorf("got %v before the task runs, want none", got)
	}
	c.settled()
	c.submit(tagged("1.1.0", 1))
	c.pass(5 * time.Second)
	if diff := cmp.Diff(map[string]int{"live": 1, "trial": 1}, tags()); diff != "" {
		t.Errorf("tags with a canary (-want +got):\n%s", diff)
	}
	c.promote()
	c.pass(60 * time.Millisecond)
	if diff := cmp.Diff(map[string]int{"live": 2}, tags()); diff != "" {
		t.Errorf("tags before the old one is gone (-want +got):\n%s", diff)
	}
	c.pass(20 * time.Millisecond)
	if diff := cmp.Diff(map[string]int{"live": 1}, tags()); diff != "" {
		t.Errorf("tags after (-want +got):\n%s", diff)
	}
}

func TestVersionsKept(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 1, 0)
	c.settled()
	for i := range 9 {
		c.register("2.0."+string(rune('0'+i))+"-sick", 1, 1)
		c.pass(time.Second)
		if i == 2 {
			if _, err := c.client.Jobs().TagVersion("checkout-api", 2, "keep", "", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := c.client.Jobs().TagVersion("checkout-api", 3, "keep", "", nil); err == nil || !strings.Contains(err.Error(), "already exists on a different version") {
				t.Errorf("tag on another version: got %v", err)
			}
		}
	}
	all, _, _, err := c.client.Jobs().Versions("checkout-api", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, v := range all {
		got = append(got, *v.Version)
	}
	if diff := cmp.Diff([]uint64{9, 8, 7, 6, 5, 2, 0}, got); diff != "" {
		t.Errorf("versions kept: the newest, the tagged and the stable one (-want +got):\n%s", diff)
	}
}

func TestSameSeedSameHistory(t *testing.T) {
	history := func(seed uint64) []string {
		c := newCluster(t, sim.Config{Seed: seed})
		c.register("1.0.0", 3, 0)
		c.pass(20 * time.Second)
		c.register("1.1.0", 3, 1)
		c.pass(5 * time.Second)
		c.promote()
		c.pass(time.Minute)
		var out []string
		for _, a := range c.allocs() {
			out = append(out, a.ID+" "+a.ClientStatus+" "+time.Unix(0, a.ModifyTime).UTC().String()+" "+
				strings.Join(slices.Sorted(maps.Keys(a.TaskStates)), ","))
		}
		return out
	}
	if diff := cmp.Diff(history(4), history(4)); diff != "" {
		t.Errorf("the same seed gave two histories:\n%s", diff)
	}
	if cmp.Equal(history(4), history(5)) {
		t.Error("another seed gave the same ids")
	}
}
