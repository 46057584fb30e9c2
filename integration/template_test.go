package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/rendered"
	"github.com/drover-dev/drover/strategy"
)

// TestTemplateRouter holds the jobs of examples/template to the suite of routers: each balancer as a real job that renders
// the splits from its variable.
func TestTemplateRouter(t *testing.T) {
	for _, balancer := range []string{"nginx", "haproxy"} {
		t.Run(balancer, func(t *testing.T) {
			t.Parallel()
			b := startEdgeJob(t, balancer)
			providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
				t.Helper()
				return b.harness(t)
			})
		})
	}
}

// edgeJob is a job of examples/template.
type edgeJob struct {
	job          string
	edge, status string
	items        *nomad.Items
}

func startEdgeJob(t *testing.T, name string) *edgeJob {
	t.Helper()
	b := &edgeJob{job: "edge-" + name, edge: freeAddress(t), status: freeAddress(t), items: nomad.NewItems(agent.Client(), "default")}
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
	router, err := rendered.New(rendered.Options{Name: "edge", Job: b.job, Variables: b.items, Status: []string{"http://" + b.status + "/drover"}})
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
	if err := router.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	behaviors := map[strategy.Endpoint]*atomic.Pointer[providertest.Behavior]{}
	return providertest.RouterHarness{
		Router: router, Drawn: true,
		Start: func(_, alloc string) strategy.Endpoint {
			behavior := &atomic.Pointer[providertest.Behavior]{}
			behavior.Store(&providertest.Behavior{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if behavior.Load().Fail {
					w.WriteHeader(http.StatusInternalServerError)
				}
				_, _ = io.WriteString(w, alloc)
			}))
			t.Cleanup(server.Close)
			e := strategy.Endpoint{Alloc: alloc, Address: strings.TrimPrefix(server.URL, "http://")}
			behaviors[e] = behavior
			return e
		},
		Behave: func(e strategy.Endpoint, b providertest.Behavior) { behaviors[e].Store(&b) },
		Settle: func() { time.Sleep(50 * time.Millisecond) },
		Send: func(release string, n int) map[string]int {
			answers := map[string]int{}
			for range n {
				answers[ask(t, client, b.edge, release)]++
			}
			return answers
		},
	}
}

// ask makes a request of a release, and returns the allocation that answered; "" for a page of the balancer's own.
func ask(t *testing.T, client *http.Client, edge, release string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+edge+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = release
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("ask the balancer: %v", err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	if strings.ContainsAny(string(said), "<\n ") {
		return ""
	}
	return string(said)
}
