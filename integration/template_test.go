package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/rendered"
	"github.com/drover-dev/drover/reconcile"
)

// TestTemplateRouter holds the jobs of examples/template to the suite of routers: each balancer as a real job that renders
// the splits from its variable.
func TestTemplateRouter(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]string{"nginx": "NGINX", "haproxy": "HAProxy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startEdgeJob(t, name, with)
			providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
				t.Helper()
				return b.harness(t)
			})
		})
	}
}

// edgeJob is a job of examples/template.
type edgeJob struct {
	name, with   string // of the balancer's task, and as it calls itself
	job          string
	edge, status string
	items        *nomad.Items
}

func startEdgeJob(t *testing.T, name, with string) *edgeJob {
	t.Helper()
	b := &edgeJob{name: name, with: with, job: "edge-" + name, edge: freeAddress(t), status: freeAddress(t), items: nomad.NewItems(agent.Client(), "default")}
	if err := b.router(t).Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join("..", "examples", "template", name+".nomad.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	job, err := agent.Client().Jobs().ParseHCLOpts(&api.JobsParseRequest{
		JobHCL: string(source), Canonicalize: true, Variables: fmt.Sprintf("listen = %q\nstatus = %q\n", b.edge, b.status),
	})
	if err != nil {
		t.Fatalf("parse the job: %v", err)
	}
	job.ID, job.Name = &b.job, &b.job
	job.Constrain(api.NewConstraint("${node.unique.id}", "=", agent.Node))
	if _, _, err := agent.Client().Jobs().Register(job, nil); err != nil {
		t.Fatalf("run the job: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", name, taskLog(agent, b.job, name))
		}
		if _, _, err := agent.Client().Jobs().Deregister(b.job, true, nil); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	deadline := time.Now().Add(patience)
	for !b.answers() {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer after %s", name, patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return b
}

func (b *edgeJob) answers() bool {
	response, err := http.Get("http://" + b.status + "/drover")
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func (b *edgeJob) router(t *testing.T) *rendered.Router {
	t.Helper()
	router, err := rendered.New(rendered.Options{Name: "edge", Job: b.job, Variables: b.items, Sticky: true, Status: []string{"http://" + b.status + "/drover"}})
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// harness is a router that knows no split, with services and users of its own.
func (b *edgeJob) harness(t *testing.T) providertest.RouterHarness {
	t.Helper()
	if _, err := agent.Client().Variables().Delete("nomad/jobs/"+b.job, nil); err != nil {
		t.Fatal(err)
	}
	router := b.router(t)
	if err := router.Prepare(t.Context(), strings.Repeat("long", 15)); err != nil { // NGINX has tables that names must fit into.
		t.Fatal(err)
	}
	services, users := providertest.NewServices(t), providertest.NewUsers(t, b.edge)
	return providertest.RouterHarness{
		With: b.with, Router: router, Start: services.Start, Behave: services.Behave, Send: users.Send, NewUser: users.NewUser,
		Settle: func() { time.Sleep(50 * time.Millisecond) },
		Edge:   b.edge, Restart: func() { b.restart(t) }, Again: func() reconcile.Router { return b.router(t) },
		Drawn: true, Brief: true, Changes: 18, // Each takes half a second.
	}
}

// restart has Nomad start the balancer anew, and waits until it answers again.
func (b *edgeJob) restart(t *testing.T) {
	t.Helper()
	stubs, _, err := agent.Client().Jobs().Allocations(b.job, false, nil)
	if err != nil || len(stubs) != 1 {
		t.Fatalf("find the allocation of %s: %d of them, %v", b.job, len(stubs), err)
	}
	before := stubs[0].TaskStates[b.name].LastRestart
	if err := agent.Client().Allocations().Restart(&api.Allocation{ID: stubs[0].ID}, b.name, nil); err != nil {
		t.Fatalf("start %s anew: %v", b.job, err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		alloc, _, err := agent.Client().Allocations().Info(stubs[0].ID, nil)
		if err != nil {
			t.Fatalf("look at %s: %v", b.job, err)
		}
		if state := alloc.TaskStates[b.name]; state.State == "running" && state.LastRestart.After(before) && b.answers() {
			return
		}
	}
	t.Fatalf("%s is not back after %s", b.job, patience)
}
