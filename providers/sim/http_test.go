package sim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/sim"
)

func TestEnforceIndex(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	enforce := func(index uint64) error {
		_, _, err := c.client.Jobs().EnforceRegister(c.job("1.0.0", 1, 0), index, nil)
		return err
	}
	refused := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "500") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want status 500 with %q", err, want)
		}
	}
	refused(enforce(7), "Enforcing job modify index 7: job does not exist")
	if err := enforce(0); err != nil {
		t.Fatal(err)
	}
	refused(enforce(0), "Enforcing job modify index 0: job already exists")
	c.settled()
	job, _, err := c.client.Jobs().Info("checkout-api", nil)
	if err != nil {
		t.Fatal(err)
	}
	refused(enforce(3), fmt.Sprintf("Enforcing job modify index 3: job exists with conflicting job modify index: %d", *job.JobModifyIndex))
	// Nothing to do: no new version, and the trap that the answer names another index than the job does.
	resp, _, err := c.client.Jobs().EnforceRegister(c.job("1.0.0", 1, 0), *job.JobModifyIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := c.client.Jobs().Info("checkout-api", nil)
	if err != nil || *again.Version != 0 || *again.JobModifyIndex != *job.JobModifyIndex {
		t.Errorf("got version %d at %d (%v), want nothing changed", *again.Version, *again.JobModifyIndex, err)
	}
	if resp.JobModifyIndex != *again.ModifyIndex || resp.JobModifyIndex == *again.JobModifyIndex {
		t.Errorf("got answer %d for a job at %d, modified at %d, want the latter", resp.JobModifyIndex, *again.JobModifyIndex, *again.ModifyIndex)
	}
}

func TestSubmissionAndScale(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	submission := &api.JobSubmission{Source: "# marker", Format: "hcl2", Variables: "a = 1"}
	if _, _, err := c.client.Jobs().RegisterOpts(c.job("1.0.0", 1, 0), &api.RegisterOptions{Submission: submission}, nil); err != nil {
		t.Fatal(err)
	}
	three := 3
	_, _, err := c.client.Jobs().Scale("checkout-api", "api", &three, "", false, nil, nil)
	if err != nil {
		t.Errorf("scale before there is a deployment: %v", err)
	}
	c.pass(time.Second)
	if _, _, err = c.client.Jobs().Scale("checkout-api", "api", &three, "", false, nil, nil); err == nil || !strings.Contains(err.Error(), "job scaling blocked due to active deployment") {
		t.Errorf("scale during a deployment: got %v", err)
	}
	for version, want := range map[int]*api.JobSubmission{0: submission, 1: submission} {
		got, _, err := c.client.Jobs().Submission("checkout-api", version, nil)
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("submission of version %d: got %+v (%v), want %+v", version, got, err, want)
		}
	}
	if _, _, err := c.client.Jobs().Submission("checkout-api", 9, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("submission of a version that is not there: got %v, want 404", err)
	}
	c.pass(20 * time.Second)
	c.expect("scaled", map[uint64]int{1: 3})
}

func TestRevert(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 1, 0)
	c.settled()
	c.register("1.1.0", 1, 1)
	c.pass(5 * time.Second)
	five := uint64(5)
	if _, _, err := c.client.Jobs().Revert("checkout-api", 0, &five, nil, "", ""); err == nil || !strings.Contains(err.Error(), "Current job has version 1; enforcing version 5") {
		t.Errorf("revert from another version: got %v", err)
	}
	if _, _, err := c.client.Jobs().Revert("checkout-api", 1, nil, nil, "", ""); err == nil || !strings.Contains(err.Error(), "can't revert to current version") {
		t.Errorf("revert to the current version: got %v", err)
	}
	if _, _, err := c.client.Jobs().Revert("checkout-api", 0, nil, nil, "", ""); err != nil {
		t.Fatal(err)
	}
	c.settled()
	c.expect("reverted", map[uint64]int{2: 1})
}

func TestPlan(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	plan := func(job *api.Job) (string, api.DesiredUpdates) {
		t.Helper()
		resp, _, err := c.client.Jobs().Plan(job, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Diff.Type, *resp.Annotations.DesiredTGUpdates["api"]
	}
	if kind, counts := plan(c.job("1.0.0", 2, 2)); kind != "Added" || counts != (api.DesiredUpdates{Place: 2}) {
		t.Errorf("new job: got %s %+v, want 2 placed", kind, counts)
	}
	c.register("1.0.0", 2, 2)
	c.settled()
	if kind, counts := plan(c.job("1.0.0", 2, 2)); kind != "None" || counts != (api.DesiredUpdates{Ignore: 2}) {
		t.Errorf("same job: got %s %+v, want 2 ignored", kind, counts)
	}
	if kind, counts := plan(c.job("1.1.0", 2, 2)); kind != "Edited" || counts != (api.DesiredUpdates{Ignore: 2, Canary: 2}) {
		t.Errorf("new version: got %s %+v, want 2 canaries", kind, counts)
	}
	if kind, counts := plan(c.job("1.1.0", 2, 0)); kind != "Edited" || counts != (api.DesiredUpdates{Ignore: 1, DestructiveUpdate: 1}) {
		t.Errorf("new version, no canaries: got %s %+v, want 1 replaced", kind, counts)
	}
	c.register("1.1.0", 2, 2)
	c.pass(5 * time.Second)
	if kind, counts := plan(c.job("1.2.0", 2, 2)); kind != "Edited" || counts != (api.DesiredUpdates{Ignore: 2, Canary: 2, Stop: 2}) {
		t.Errorf("another version over canaries: got %s %+v, want 2 stopped and 2 canaries", kind, counts)
	}
	c.expect("planned only", map[uint64]int{0: 2, 1: 2})
}

func TestBlockingQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(sim.Config{Start: time.Now(), Seed: 1})
		client, err := api.NewClient(&api.Config{Address: "http://sim.invalid", HttpClient: n.Client()})
		if err != nil {
			t.Fatal(err)
		}
		type result struct {
			at  time.Time
			err error
		}
		ask := func(ctx context.Context, wait time.Duration) chan result {
			_, meta, err := client.Variables().List(nil)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan result, 1)
			go func() {
				q := (&api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: wait}).WithContext(ctx)
				_, _, err := client.Variables().List(q)
				done <- result{n.Now(), err}
			}()
			synctest.Wait()
			return done
		}
		begin := n.Now()
		waited := ask(t.Context(), 20*time.Second)
		n.Advance(begin.Add(19 * time.Second))
		synctest.Wait()
		select {
		case r := <-waited:
			t.Fatalf("answered at %s, before the wait was over", r.at)
		default:
		}
		n.Advance(begin.Add(20 * time.Second))
		if r := <-waited; r.err != nil || !r.at.Equal(begin.Add(20*time.Second)) {
			t.Errorf("got an answer at %s (%v), want one when the wait is over", r.at, r.err)
		}
		changed := ask(t.Context(), time.Hour)
		if _, _, err := client.Variables().Create(&api.Variable{Path: "a", Items: api.VariableItems{"k": "v"}}, nil); err != nil {
			t.Fatal(err)
		}
		if r := <-changed; r.err != nil {
			t.Errorf("got %v, want an answer by the change", r.err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := ask(ctx, time.Hour)
		cancel()
		if r := <-ended; !errors.Is(r.err, context.Canceled) {
			t.Errorf("got %v, want canceled", r.err)
		}
		cut := ask(t.Context(), time.Hour)
		n.Unavailable(true)
		if r := <-cut; !errors.Is(r.err, syscall.ECONNREFUSED) {
			t.Errorf("got %v, want a refused connection", r.err)
		}
	})
}

func TestUnavailableAndUnknown(t *testing.T) {
	n := sim.New(sim.Config{Start: start})
	client := newClient(t, n)
	n.Unavailable(true)
	if _, _, err := client.Jobs().List(nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("list while unavailable: got %v, want a refused connection", err)
	}
	server := httptest.NewRecorder()
	n.ServeHTTP(server, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/jobs", nil))
	if server.Code != http.StatusInternalServerError {
		t.Errorf("got status %d while unavailable, want 500", server.Code)
	}
	n.Unavailable(false)
	if _, _, err := client.Jobs().List(nil); err != nil {
		t.Errorf("list when available again: %v", err)
	}
	if _, _, err := client.Jobs().Info("nobody", nil); err == nil || !strings.Contains(err.Error(), "404 (job not found)") {
		t.Errorf("absent job: got %v, want 404", err)
	}
	if got := n.Unknown(); len(got) != 0 {
		t.Errorf("got unknown requests %v, want none", got)
	}
	if _, err := client.Raw().Query("/v1/nowhere", nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("unknown path: got %v, want 404", err)
	}
	if diff := cmp.Diff([]string{"GET /v1/nowhere"}, n.Unknown()); diff != "" {
		t.Errorf("unknown requests (-want +got):\n%s", diff)
	}
	if got := n.Requests(); len(got) != 5 || got[1] != "GET /v1/jobs" {
		t.Errorf("got journal %v, want all five requests", got)
	}
}

func TestVariables(t *testing.T) {
	n := sim.New(sim.Config{Start: start})
	vars := newClient(t, n).Variables()
	item := api.VariableItems{"k": "v"}
	first, _, err := vars.CheckedCreate(&api.Variable{Path: "drover/a", Items: item}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var conflict api.ErrCASConflict
	if _, _, err := vars.CheckedCreate(&api.Variable{Path: "drover/a", Items: item}, nil); !errors.As(err, &conflict) ||
		conflict.Conflict.ModifyIndex != first.ModifyIndex || !cmp.Equal(conflict.Conflict.Items, item) {
		t.Errorf("create again: got %v, want a conflict with the current variable", err)
	}
	first.Items = api.VariableItems{"k": "w"}
	second, _, err := vars.CheckedUpdate(first, nil)
	if err != nil || second.ModifyIndex <= first.ModifyIndex || second.CreateIndex != first.CreateIndex {
		t.Errorf("update: got %+v (%v), want a newer index", second, err)
	}
	if _, _, err := vars.CheckedUpdate(first, nil); !errors.As(err, &conflict) {
		t.Errorf("update with the old index: got %v, want a conflict", err)
	}
	if _, err := vars.CheckedDelete("drover/a", first.ModifyIndex, nil); !errors.As(err, &conflict) {
		t.Errorf("delete with the old index: got %v, want a conflict", err)
	}
	for name, bad := range map[string]*api.Variable{
		"64KiB":          {Path: "drover/b", Items: api.VariableItems{"k": strings.Repeat("x", 64<<10-1)}},
		"invalid path":   {Path: "drover/b.c", Items: item},
		"nomad/jobs":     {Path: "nomad/other", Items: item},
		"required Items": {Path: "drover/b"},
	} {
		if _, _, err := vars.Create(bad, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	if _, _, err := vars.Create(&api.Variable{Path: "nomad/jobs/web", Items: item}, nil); err != nil {
		t.Errorf("write below nomad/jobs: %v", err)
	}
	list, _, err := vars.PrefixList("drover/", nil)
	if err != nil || len(list) != 1 || list[0].Path != "drover/a" {
		t.Errorf("got list %+v (%v), want the one below the prefix", list, err)
	}
	if _, err := vars.CheckedDelete("drover/a", second.ModifyIndex, nil); err != nil {
		t.Errorf("delete: %v", err)
	}
	if gone, _, err := vars.Peek("drover/a", nil); err != nil || gone != nil {
		t.Errorf("got %+v (%v) after the delete, want nothing", gone, err)
	}
}

func TestSetBehaviour(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	c.register("1.0.0", 1, 0)
	c.settled()
	id := c.running()[0].ID
	status := func() string {
		checks, err := c.client.Allocations().Checks(id, nil)
		if err != nil || len(checks) != 1 {
			t.Fatalf("got checks %v (%v), want one", checks, err)
		}
		for _, check := range checks {
			return check.Status
		}
		return ""
	}
	if got := status(); got != "success" {
		t.Errorf("got check %q of a sound task, want success", got)
	}
	c.nomad.SetBehaviour(func(sim.Task) sim.Behaviour { return sim.Behaviour{Sick: true} })
	if got := status(); got != "failure" {
		t.Errorf("got check %q of a sick task, want failure", got)
	}
	if got := len(c.running()); got != 1 {
		t.Errorf("%d allocations run, want 1: a failing check stops none", got)
	}
	var seen sim.Task
	c.nomad.SetBehaviour(func(task sim.Task) sim.Behaviour {
		seen = task
		return sim.Behaviour{Crash: true}
	})
	if got := len(c.running()); got != 0 {
		t.Errorf("%d allocations run after a crash, want none", got)
	}
	if seen.Version != "1.0.0" || seen.Job != "checkout-api" || seen.Command != "checkout" || seen.Driver != "raw_exec" {
		t.Errorf("got task %+v, want the example's", seen)
	}
	c.nomad.SetBehaviour(nil)
	c.pass(40 * time.Second)
	c.expect("rescheduled", map[uint64]int{0: 1})
}

func TestRestartPolicy(t *testing.T) {
	c := newCluster(t, sim.Config{Seed: 1})
	job := c.job("1.0.0", 1, 0)
	attempts, delay := 2, 3*time.Second
	job.TaskGroups[0].RestartPolicy.Attempts, job.TaskGroups[0].RestartPolicy.Delay = &attempts, &delay
	c.submit(job)
	c.settled()
	id := c.running()[0].ID
	for i := range 3 {
		if err := c.nomad.CrashAlloc(id); err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		if err := c.nomad.CrashAlloc(id); err == nil {
			t.Error("a task that does not run crashed")
		}
		c.pass(3 * time.Second)
	}
	a, _, err := c.client.Allocations().Info(id, nil)
	if err != nil || a.ClientStatus != "failed" || a.TaskStates["server"].Restarts != 2 {
		t.Errorf("got %s after %d restarts (%v), want failed after 2", a.ClientStatus, a.TaskStates["server"].Restarts, err)
	}
}
