package policies_test

import (
	"strings"
	"testing"

	"github.com/drover-dev/drover/policies"
)

// TestUnused finds the policy that no release refers to, and none that was accepted or that may be meant by what is broken.
func TestUnused(t *testing.T) {
	const used, stray, meant = "policy \"used\" {}\n", "\npolicy \"stray\" {}\n", "policy \"meant\" {\n  accept = { DRV023 = \"for next week\" }\n}\n"
	release := "release \"web\" {\n  version = \"1\"\n  jobspec = \"web.nomad.hcl\"\n  policy = \"used\"\n}\n"
	files := []string{"policies/a.hcl", used + stray, "policies/b.hcl", meant, "web.nomad.hcl", "job \"web\" {}\n", "release.hcl", release}
	got := policies.Unused(treeOf(files...))
	if len(got) != 1 || got[0].Name != "stray" || got[0].Path != "policies/a.hcl" || got[0].Line != 3 || !strings.HasPrefix(got[0].Finding.String(), "DRV023: ") {
		t.Errorf("got %+v", got)
	}
	files[len(files)-1] = strings.Replace(release, "policy =", "polcy =", 1)
	if got := policies.Unused(treeOf(files...)); got != nil {
		t.Errorf("with a broken release: %+v", got)
	}
}
