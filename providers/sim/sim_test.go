package sim_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

const checkoutPath = "../../examples/checkout/releases/checkout-api/checkout-api.nomad.hcl"

// start is when the simulations of these tests begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newClient is the real client on top of a simulation.
func newClient(t *testing.T, n *sim.Nomad) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: "http://sim.invalid", HttpClient: n.Client()})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	return client
}

func readCheckout(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(checkoutPath)
	if err != nil {
		t.Fatalf("read the example: %v", err)
	}
	return string(content)
}

// eventually lets a minute pass in steps until the condition holds. Queries that block run in goroutines of their own,
// which simulated time does not wait for: they get some real time at the end.
func eventually(t *testing.T, n *sim.Nomad, what string, condition func() bool) {
	t.Helper()
	for range 240 {
		if condition() {
			return
		}
		n.Advance(n.Now().Add(250 * time.Millisecond))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func TestCluster(t *testing.T) {
	jobspec := readCheckout(t)
	providertest.TestCluster(t, func(t *testing.T) providertest.ClusterHarness {
		t.Helper()
		n := sim.New(sim.Config{Start: start, Seed: 1, Namespaces: []string{"shop"}})
		t.Cleanup(func() {
			if unknown := n.Unknown(); len(unknown) > 0 {
				t.Errorf("requests that the simulation does not know: %v", unknown)
			}
		})
		client, err := api.NewClient(&api.Config{Address: "http://sim.invalid", HttpClient: n.Client()})
		if err != nil {
			t.Fatalf("make a client: %v", err)
		}
		return providertest.ClusterHarness{
			Cluster: nomad.New(client, nomad.Options{Instance: "drover"}),
			Client:  client,
			Source: func(version string, replicas int) strategy.JobSource {
				return strategy.JobSource{
					Path: "checkout-api.nomad.hcl", Jobspec: jobspec,
					Variables: fmt.Sprintf("replicas = %d\nversion = %q\n", replicas, version),
				}
			},
			Eventually: func(t *testing.T, what string, condition func() bool) {
				t.Helper()
				eventually(t, n, what, condition)
			},
		}
	})
}
