package integration_test

import (
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestForcedBranchWaitsForPerson has somebody rewrite the branch, so that it asks for another version.
func TestForcedBranchWaitsForPerson(t *testing.T) {
	s := released(t, "forced", quick)
	old := s.allocs()
	s.write("1.1.0", quick)
	s.shop.git(s.shop.clone, "add", "-A")
	s.shop.git(s.shop.clone, "commit", "-q", "--amend", "-m", "Release forced 1.1.0, and nothing before")
	s.shop.git(s.shop.clone, "push", "-q", "--force", "origin", "main")

	s.says(strategy.ForcedHead)
	s.staysPut(3 * time.Second)
	s.runs(old)
	contains(t, "drover status", s.drive(0, "status", s.name), "force-pushed", "drover accept-head")

	s.drive(0, "accept-head")
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.replaced(old)
	s.nobodyFailed(time.Time{})
	s.drover.stop()
}
