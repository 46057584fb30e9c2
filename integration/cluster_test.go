package integration_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

// checkoutJobspec is the jobspec of the demo, and its path in the release repository.
const (
	checkoutJobspec = "../examples/checkout/releases/checkout-api/checkout-api.nomad.hcl"
	checkoutPath    = "releases/checkout-api/checkout-api.nomad.hcl"
)

// checkout is the demo's job at a version.
func checkout(t *testing.T) func(version string, replicas int) strategy.JobSource {
	t.Helper()
	jobspec, err := os.ReadFile(checkoutJobspec)
	if err != nil {
		t.Fatalf("read the demo's jobspec: %v", err)
	}
	return func(version string, replicas int) strategy.JobSource {
		return strategy.JobSource{
			Path:      checkoutPath,
			Jobspec:   string(jobspec),
			Variables: fmt.Sprintf("binary = %s\nreplicas = %d\nversion = %s\n", strconv.Quote(service), replicas, strconv.Quote(version)),
		}
	}
}

// eventually polls a condition on a real server, within a deadline that leaves room for a loaded machine.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("never came true: %s", what)
		case <-ticker.C:
		}
	}
}

func TestNomadCluster(t *testing.T) {
	t.Parallel()
	providertest.TestCluster(t, func(t *testing.T) providertest.ClusterHarness {
		t.Helper()
		purge := func() {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := agent.Purge(ctx, "checkout-api"); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
		purge()
		t.Cleanup(purge)
		if _, err := agent.Client().Namespaces().Register(&api.Namespace{Name: "shop"}, nil); err != nil {
			t.Fatalf("make the namespace: %v", err)
		}
		return providertest.ClusterHarness{
			Cluster:    nomad.New(agent.Client(), nomad.Options{Instance: "drover"}),
			Client:     agent.Client(),
			Source:     checkout(t),
			Eventually: eventually,
		}
	})
}
