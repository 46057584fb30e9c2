package policies_test

import (
	"strings"
	"testing"

	"github.com/drover-dev/drover/policies"
)

// TestUnknownNames holds that a name that is not known is answered with the one that was meant, the block that it belongs
// into, or all that there are.
func TestUnknownNames(t *testing.T) {
	release := "release \"web\" {\n  version = \"1\"\n  jobspec = \"web.nomad.hcl\"\n  %s\n}\n"
	for line, want := range map[string]string{
		`polciy = "builtin/fast"`:                 `An argument named "polciy" is not expected here. Did you mean "policy"?`,
		`max = "3h"`:                              `An argument named "max" is not expected here. It belongs into a gate block.`,
		`weights = [5, 100]`:                      `An argument named "weights" is not expected here. It belongs into a strategy block.`,
		`routr "edge" {}`:                         `Blocks of type "routr" are not expected here. What may stand here is "accept", "attempt", `,
		`gates "errors" {}`:                       `Blocks of type "gates" are not expected here. Did you mean "gate"?`,
		`traffic = {}`:                            `An argument named "traffic" is not expected here. Did you mean to define a block of type "traffic"?`,
		`version {}`:                              `Blocks of type "version" are not expected here. Did you mean to define argument "version"?`,
		`traffic { rooter = "e" }`:                `An argument named "rooter" is not expected here. Did you mean "router"?`,
		`traffic { zone = "e" }`:                  `An argument named "zone" is not expected here. What may stand here is "connection_drain", "router", "service" or "sessions".`,
		`gate "errors" { metric = "error-rate" }`: `metric must be "error_rate", "latency", "requests", "cpu", "memory" or "query". Did you mean "error_rate"?`,
		`policy = "builtin/standrad"`:             `There is no policy "builtin/standrad". Did you mean "builtin/standard"?`,
		"policy = \"builtin/standard\"\n  gate \"error\" { enabled = false }": `There is no gate "error" in the policy to be disabled. Did you mean "errors"?`,
	} {
		tree := treeOf("web.nomad.hcl", "job \"web\" {}\n", "release.hcl", strings.Replace(release, "%s", line, 1))
		_, mistakes := policies.Load(tree, policies.Options{})
		if !strings.Contains(details(mistakes), want) && (len(mistakes) == 0 || !strings.Contains(mistakes[0].Text, want)) {
			t.Errorf("%s\nwant %s\ngot  %s", line, want, details(mistakes))
		}
	}
	json := treeOf("web.nomad.hcl", "job \"web\" {}\n", "release.hcl.json", `{"release": {"web": {"version": "1", "jobspec": "web.nomad.hcl", "weights": [5], "polciy": "builtin/fast"}}}`)
	_, mistakes := policies.Load(json, policies.Options{})
	for _, want := range []string{`named "weights". It belongs into a strategy block.`, `named "polciy". Did you mean "policy"?`} {
		found := false
		for _, m := range mistakes {
			found = found || strings.Contains(m.Text, want)
		}
		if !found {
			t.Errorf("in JSON: want %s\ngot %s", want, details(mistakes))
		}
	}
}
