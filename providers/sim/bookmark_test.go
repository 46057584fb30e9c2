package sim_test

import (
	"testing"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
)

func TestBookmark(t *testing.T) {
	providertest.TestBookmark(t, func(t *testing.T) (bookmark, other reconcile.Bookmark) {
		t.Helper()
		n := sim.New(sim.Config{})
		return nomad.NewLedger(newClient(t, n), "drover", "default"), nomad.NewLedger(newClient(t, n), "drover", "default")
	})
}
