package main

import (
	"path/filepath"
	"testing"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

// TestExamplesAreSound: what stands in the examples with a balancer is read without a mistake, and its router can do what the
// release asks. Stories release them on a real Nomad.
func TestExamplesAreSound(t *testing.T) {
	for _, example := range []string{"canary-haproxy", "blue-green-nginx"} {
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
			const replicas = 3
			_, refusals := releases[0].Plan.On("edge", can.routers[""].Router.Abilities(), strategy.Exact, replicas)
			if len(refusals) > 0 {
				t.Errorf("refused: %q", refusals)
			}
		})
	}
}
