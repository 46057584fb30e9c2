package github_test

import (
	"fmt"
	"testing"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
)

// states is the findings by what they are of.
func states(findings []github.Finding) map[string]github.FindingState {
	all := map[string]github.FindingState{}
	for _, f := range findings {
		all[f.What] = f.State
	}
	return all
}

func TestExamine(t *testing.T) {
	d := newDesk(t)
	for what, state := range states(d.forge.Examine(t.Context(), false)) {
		if state != github.Well {
			t.Errorf("%s is %s, want it well", what, state)
		}
	}
	if len(d.hub.Issues())+len(d.hub.Pulls()) > 0 {
		t.Error("looking changed something")
	}

	if err := d.hub.Protect(true); err != nil {
		t.Fatal(err)
	}
	found := states(d.forge.Examine(t.Context(), true))
	for what, want := range map[string]github.FindingState{"protection of main": github.Doubt, "webhook": github.Doubt} {
		if found[what] != want {
			t.Errorf("%s is %q, want %q", what, found[what], want)
		}
	}

	d.hub.Let(githubtest.Bot, "read")
	found = states(d.newForge(t, github.Config{}).Examine(t.Context(), false))
	for _, what := range []string{"contents: write, for reverts", "commit statuses: write", "pull requests: write"} {
		if found[what] != github.Missing {
			t.Errorf("%s is %q, want it missing", what, found[what])
		}
	}

	d.hub.SetToken("another")
	found = states(d.newForge(t, github.Config{}).Examine(t.Context(), false))
	if fmt.Sprint(found) != "map[identity:missing]" {
		t.Errorf("with a token that is not let in: %v, want the identity missing", found)
	}
}
