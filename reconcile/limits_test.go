package reconcile_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestOneCommitOfManyReleases merges one commit that touches 200 releases, three of which are bad: no more than ten are in
// a rollout at a time, the three are reverted one after the other, and once they have failed nothing else of that commit
// begins. What a person commits again goes on.
func TestOneCommitOfManyReleases(t *testing.T) {
	many := 200
	if testing.Short() {
		many = 40
	}
	w := newWorld(t, 40*float64(many))
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	files, next := map[string]string{}, map[string]string{}
	name := func(n int) string { return fmt.Sprintf("api-%03d", n) }
	bad := map[int]bool{4: true, 9: true, 14: true}
	for n := range many {
		maps.Copy(files, releaseFiles(t, name(n), "1.0.0"))
		version := "1.1.0"
		if bad[n] {
			version = "1.2.0"
		}
		next[releasePath(name(n))] = releaseText(name(n), version, "")
	}
	w.limits.MaxActive = many
	w.restart()
	w.repo.commit(person, "Release everything", files)
	rest := func() bool {
		for n := range many {
			if !w.rests(name(n)) || w.rollout(name(n)).Stable.Revision.IsZero() {
				return false
			}
		}
		return true
	}
	if err := w.until(5*time.Minute, rest); err != nil {
		t.Fatalf("release everything: %v", err)
	}
	w.limits.MaxActive = 0
	w.restart()
	touched := w.repo.commit(person, "Upgrade everything", next)
	most := 0
	err := w.until(20*time.Minute, func() bool {
		active, waiting := 0, 0
		for n := range many {
			r := w.rollout(name(n))
			if !r.AtRest() {
				active++
			}
			if r.Reason.Code == strategy.LimitReached || len(r.Outbox) > 0 {
				waiting++
			}
		}
		most = max(most, active)
		failed := len(w.repo.drover)
		return failed == len(bad) && active == 0 && w.failed == nil
	})
	if err != nil {
		t.Fatalf("upgrade everything: %v", err)
	}
	if most > 10 {
		t.Errorf("%d rollouts were under way at once, want at most 10", most)
	}
	promoted, held := 0, 0
	for n := range many {
		r := w.rollout(name(n))
		switch {
		case bad[n]:
			if r.Stable.Revision.Version != "1.0.0" || r.Last.Kind != strategy.OutcomeCondemned {
				t.Errorf("%s rests on %s, last %s, want 1.0.0 with 1.2.0 condemned", name(n), r.Stable.Revision, r.Last.Kind)
			}
		case r.Stable.Revision.Version == "1.1.0":
			promoted++
		case r.Reason.Code == strategy.LimitReached:
			held++
		default:
			t.Errorf("%s rests on %s: %s", name(n), r.Stable.Revision, r.Reason.Text)
		}
	}
	if promoted+held != many-len(bad) || held == 0 {
		t.Errorf("%d were promoted and %d held back, want %d together and some of each", promoted, held, many-len(bad))
	}
	t.Logf("of %d releases touched by %s, %d were promoted, %d reverted, %d held back; at most %d at once", many, touched.Short(), promoted, len(w.repo.drover), held, most)
	last := name(many - 1)
	w.release(last, "1.1.1")
	if err := w.until(5*time.Minute, func() bool { return w.rests(last) && w.rollout(last).Stable.Revision.Version == "1.1.1" }); err != nil {
		t.Errorf("release %s once more: %v", last, err)
	}
}
