package main

import (
	"path/filepath"
	"testing"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// TestExamplesAreSound: what stands in the examples with a balancer is read without a mistake, and its router can do what the
// release asks, with what Prometheus counts in its place. Stories release them on a real Nomad.
func TestExamplesAreSound(t *testing.T) {
	for _, example := range []string{"canary-haproxy", "canary-traefik", "blue-green-nginx"} {
		t.Run(example, func(t *testing.T) {
			dir := filepath.Join("..", "..", "examples", example)
			can, err := readAbilities(filepath.Join(dir, "drover.hcl"))
			if err != nil {
				t.Fatal(err)
			}
			tree, err := readTree(dir)
			if err != nil {
				t.Fatal(err)
			}
			releases, mistakes := policies.Load(tree, policies.Options{Path: "releases"})
			if len(mistakes) > 0 || len(releases) != 1 {
				t.Fatalf("%d releases, mistakes %+v", len(releases), mistakes)
			}
			job := strategy.JobSpec{Groups: []strategy.GroupSpec{{Name: "api", Count: 3, Services: []string{"checkout-api"}}}}
			if _, _, refusals := reconcile.Fit(releases[0], job, can.routers); len(refusals) > 0 {
				t.Errorf("refused: %q", refusals)
			}
		})
	}
}
