package policies_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drover-dev/drover/policies"
)

// needsTable is how many requests a second each shipped policy takes, as the manual says it.
func needsTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(policies.Builtin())) {
		tree := treeOf("web.nomad.hcl", "job \"web\" {}\n", "release.hcl", fmt.Sprintf("release \"web\" {\n  version = \"1\"\n  jobspec = \"web.nomad.hcl\"\n  policy = %q\n}\n", name))
		releases, mistakes := policies.Load(tree, policies.Options{})
		if len(releases) != 1 {
			t.Fatalf("%s: %s", name, details(mistakes))
		}
		if findings := releases[0].Plan.Findings(); len(findings) > 0 {
			t.Errorf("%s: %v", name, findings)
		}
		rps := 0.0
		for _, need := range releases[0].Plan.Needs(0.001) {
			rps = max(rps, need.RPS)
		}
		if math.IsInf(rps, 0) {
			t.Errorf("%s never passes a healthy version", name)
		}
		const bakes = 4 // one, and three that extend it
		fmt.Fprintf(&b, "| `%s` | %s/s | %s/s |\n", name, people(rps), people(rps/bakes))
	}
	return b.String()
}

// people round up to two digits.
func people(v float64) string {
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return strconv.FormatFloat(math.Ceil(v/unit)*unit, 'g', 3, 64)
}

// TestManualSaysWhatPoliciesNeed computes the table of the manual.
func TestManualSaysWhatPoliciesNeed(t *testing.T) {
	manual, err := os.ReadFile("../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := needsTable(t); !strings.Contains(string(manual), want) {
		t.Errorf("docs/releases.md does not have the table as it is computed:\n%s", want)
	}
}
