package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/drover-dev/drover"

// strategyMayImport is the standard library as far as the pure heart needs it: no clock is read with it, nothing opened.
var strategyMayImport = []string{"cmp", "errors", "fmt", "maps", "math", "reflect", "slices", "sort", "strconv", "strings", "time"}

// listed is a package as go list describes it.
type listed struct {
	ImportPath string
	Imports    []string // without those of tests
}

// packages is every package of the module.
func packages(t *testing.T) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var all []listed
	for decoder := json.NewDecoder(output); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read what go list says: %v", err)
		}
		all = append(all, p)
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(all) < 10 {
		t.Fatalf("go list names %d packages, want all of the module", len(all))
	}
	return all
}

// refusal says why a package of the module may not import another, or "".
func refusal(from, imported string) string {
	from, fromOurs := strings.CutPrefix(from, module+"/")
	to, ours := strings.CutPrefix(imported, module+"/")
	if !fromOurs {
		return ""
	}
	switch within := func(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }; {
	case within(from, "strategy") && !(ours && within(to, "strategy")) && !slices.Contains(strategyMayImport, imported):
		return "strategy is pure: what it may import is listed in this test and in .golangci.yml"
	case !ours:
		return ""
	case within(to, "cmd") && provider(from) == "":
		return "nothing imports a command"
	case within(from, "reconcile") && !within(to, "reconcile") && !within(to, "strategy"):
		return "reconcile imports strategy alone: declare the interface that is needed there"
	case within(from, "policies") && !within(to, "policies") && !within(to, "strategy"):
		return "policies imports strategy alone"
	case provider(from) == "", provider(from) == "providertest", within(to, "strategy"), provider(from) == provider(to):
		return ""
	}
	return "a provider imports strategy and its own client, and nothing else of the module"
}

// provider is which provider a package belongs to, "" for none.
func provider(path string) string {
	rest, ok := strings.CutPrefix(path, "providers/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// TestImports holds the package map: cmd -> reconcile, policies, providers -> strategy.
func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if why := refusal(p.ImportPath, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

// TestRefusal shows that the test above would notice.
func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		from, imported string
		allowed        bool
	}{
		{"strategy", "time", true},
		{"strategy", module + "/strategy/judge", true},
		{"strategy/judge", "math", true},
		{"strategy", "os", false},
		{"strategy/judge", "log/slog", false},
		{"strategy", "github.com/google/go-cmp/cmp", false},
		{"strategy", module + "/policies", false},
		{"reconcile", "net/http", true},
		{"reconcile", module + "/strategy", true},
		{"reconcile", module + "/providers/nomad", false},
		{"reconcile", module + "/policies", false},
		{"policies", module + "/strategy", true},
		{"policies", module + "/reconcile", false},
		{"providers/nomad", "github.com/hashicorp/nomad/api", true},
		{"providers/nomad", module + "/strategy", true},
		{"providers/nomad", module + "/providers/nomad/nomadagent", true},
		{"providers/nomad", module + "/providers/proxy", false},
		{"providers/nomad", module + "/providers/nomadic", false},
		{"providers/nomad", module + "/reconcile", false},
		{"providers/nomad", module + "/policies", false},
		{"providers/nomad", module + "/cmd/drover", false},
		{"providers/providertest", module + "/reconcile", true},
		{"cmd/drover", module + "/providers/nomad", true},
		{"cmd/drover", module + "/policies", true},
		{"examples", module + "/cmd/drover", false},
		{"reconcile", module + "/cmd/drover", false},
	} {
		if why := refusal(module+"/"+c.from, c.imported); (why == "") != c.allowed {
			t.Errorf("%s imports %s: got %q, want allowed: %t", c.from, c.imported, why, c.allowed)
		}
	}
}
