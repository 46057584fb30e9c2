package github_test

import (
	"fmt"
	"testing"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/providertest"
)

// harness is the suite's view of a desk.
type harness struct {
	*desk
	made int
}

func (h *harness) Process(t *testing.T) providertest.WholeForge {
	t.Helper()
	return h.newForge(t, github.Config{})
}

func (h *harness) Commit(t *testing.T) string {
	t.Helper()
	h.made++
	return h.remote.Commit(t, "Push", providertest.Files{fmt.Sprintf("pushed-%d", h.made): "x"})
}

func (h *harness) Pull(t *testing.T) int {
	t.Helper()
	h.made++
	branch := fmt.Sprintf("branch-%d", h.made)
	h.remote.Branch(t, "refs/heads/"+branch, h.remote.Tip(t), "On "+branch, providertest.Files{branch: "x"})
	number, err := h.hub.Open(githubtest.Person, branch, "Change "+branch)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func (h *harness) Merge(t *testing.T, number int) string {
	t.Helper()
	sha, err := h.hub.Merge(githubtest.Person, number, "rebase")
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func TestConformance(t *testing.T) {
	providertest.RunForge(t, func(t *testing.T) providertest.ForgeHarness {
		t.Helper()
		return &harness{desk: newDesk(t)}
	})
}
