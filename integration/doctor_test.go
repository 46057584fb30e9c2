package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
)

// TestDoctorNamesWhatATokenMayNot: with the policy of the example nothing is missing, and what is taken out of it is named.
func TestDoctorNamesWhatATokenMayNot(t *testing.T) {
	t.Parallel()
	own := ownAgent(t, nomadagent.StartWithACL)
	policy, err := os.ReadFile("../examples/nomad/drover.policy.hcl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	repository := newShop(t, dir)
	repository.write("README.md", "Releases.\n")
	repository.push("Begin")
	config := filepath.Join(dir, "drover.hcl")
	text := fmt.Sprintf("git {\n  url = %q\n}\n\nnomad {\n  address    = %q\n  token_file = \"token\"\n}\n", filepath.Join(dir, "shop.git"), own.Address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	examine := func(rules string) (code int, out string) {
		t.Helper()
		if _, err := own.Client().ACLPolicies().Upsert(&api.ACLPolicy{Name: "drover", Rules: rules}, nil); err != nil {
			t.Fatal(err)
		}
		token, _, err := own.Client().ACLTokens().Create(&api.ACLToken{Name: "drover", Type: "client", Policies: []string{"drover"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token.SecretID), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, said := command(t, "doctor", "-config", config)
		return code, out + said
	}
	open := filepath.Join(dir, "open.hcl")
	if err := os.WriteFile(open, fmt.Appendf(nil, "git {\n  url = %q\n}\n\nnomad {\n  address = %q\n}\n", filepath.Join(dir, "shop.git"), agent.Address), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, said := command(t, "doctor", "-config", open); code != 0 || !strings.Contains(out, "warning  nomad token: ACLs are off") ||
		!strings.Contains(out, "ok       promote-deployment in namespace default: may") {
		t.Errorf("without ACLs the exit code is %d, and it does not say that they are off:\n%s%s", code, out, said)
	}

	code, out := examine(string(policy))
	for _, part := range []string{"ok       nomad token: it has the policies drover", "ok       register-job in namespace default: may", "ok       alloc-lifecycle in namespace default: may", "ok       ledger: 0 records can be read"} {
		if !strings.Contains(out, part) {
			t.Errorf("it does not say %q", part)
		}
	}
	if code != 0 || strings.Contains(out, "missing  ") || t.Failed() {
		t.Errorf("with the example's policy the exit code is %d:\n%s", code, out)
	}

	for _, capability := range []string{
		"parse-job", "read-job", "register-job", "promote-deployment", "deregister-job", "tag-job-version", "scale-job", "alloc-lifecycle",
	} {
		code, out := examine(strings.Replace(string(policy), fmt.Sprintf("    %q,", capability), "    #", 1))
		if want := "missing  " + capability + " in namespace default: "; code != 1 || !strings.Contains(out, want) || strings.Count(out, "missing  ") != 1 {
			t.Errorf("without %s the exit code is %d, want 1 and one line %q:\n%s", capability, code, want, out)
		}
	}
	code, out = examine(strings.Replace(string(policy), `["list", "read", "write"]`, `["list", "read"]`, 1))
	if code != 1 || !strings.Contains(out, "missing  variables: write, ledger: ") || !strings.Contains(out, "missing  variables: write, leader lock: ") {
		t.Errorf("without write on its variables the exit code is %d:\n%s", code, out)
	}
	if jobs, _, err := own.Client().Jobs().List(nil); err != nil || len(jobs) > 0 {
		t.Errorf("it left the jobs %v, %v", jobs, err)
	}
	if evals, _, err := own.Client().Evaluations().List(nil); err != nil || len(evals) > 0 {
		t.Errorf("it left %d evaluations, %v", len(evals), err)
	}
}
