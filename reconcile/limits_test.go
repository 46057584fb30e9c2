package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// manyReleases is how many one commit touches.
func manyReleases() int {
	if testing.Short() {
		return 60
	}
	return 200
}

// crowd is a world of many releases, of which one commit asks for the next version.
type crowd struct {
	*world
	bad map[string]bool // whose next version fails

	mu      sync.Mutex
	touched string            // the commit
	begun   map[string]int    // the pass in which a release of that commit began
	failed  map[string]int    // the pass in which one was condemned
	all     map[string]string // every release, and the version that it is to have next
}

func crowdName(n int) string { return fmt.Sprintf("api-%03d", n) }

// newCrowd runs 1.0.0 of every release.
func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{
		world: newWorld(t, 40*float64(manyReleases())), begun: map[string]int{}, failed: map[string]int{}, all: map[string]string{},
		bad: map[string]bool{crowdName(4): true, crowdName(9): true, crowdName(14): true},
	}
	c.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	files := map[string]string{}
	for n := range manyReleases() {
		name := crowdName(n)
		c.all[name] = "1.1.0"
		if c.bad[name] {
			c.all[name] = "1.2.0"
		}
		maps.Copy(files, releaseFiles(t, name, "1.0.0"))
		if err := c.register(name, "1.0.0", true); err != nil {
			t.Fatalf("run %s: %v", name, err)
		}
	}
	c.elapse(30 * time.Second) // Everything runs before Drover comes.
	c.repo.commit(person, "Release what runs", files)
	if err := c.until(time.Minute, func() bool {
		return c.rest(func(r strategy.Rollout) bool { return r.Stable.Revision.Version == "1.0.0" })
	}); err != nil {
		t.Fatalf("take over what runs: %v", err)
	}
	c.notify = c.decided
	return c
}

// decided notes what begins and what fails.
func (c *crowd) decided(d reconcile.Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := d.After
	if r.Canary.Commit.SHA != c.touched {
		return
	}
	if r.ID != d.Before.ID {
		c.begun[r.Release] = c.passes
	}
	if r.Last.Kind == strategy.OutcomeCondemned && c.failed[r.Release] == 0 {
		c.failed[r.Release] = c.passes
	}
}

// rest tells whether every release rests, and how.
func (c *crowd) rest(well func(strategy.Rollout) bool) bool {
	rollouts := c.loop.Rollouts()
	for name := range c.all {
		r := rollouts[name]
		if !r.AtRest() || r.Phase == "" || len(r.Outbox) > 0 || !well(r) {
			return false
		}
	}
	return c.world.failed == nil
}

// upgrade commits the next version of everything, and waits for all there is to come of it: it returns the most rollouts
// that were under way at once, and the most reverts that one pass made.
func (c *crowd) upgrade() (active, reverts int) {
	c.t.Helper()
	next := map[string]string{}
	for name, version := range c.all {
		next[releasePath(name)] = releaseText(name, version, "")
	}
	c.touched = c.repo.commit(person, "Upgrade everything", next).SHA
	pushed := 0
	err := c.until(20*time.Minute, func() bool {
		n := 0
		for _, r := range c.loop.Rollouts() {
			if !r.AtRest() {
				n++
			}
		}
		active, reverts, pushed = max(active, n), max(reverts, len(c.repo.drover)-pushed), len(c.repo.drover)
		return pushed == len(c.bad) && c.rest(func(strategy.Rollout) bool { return true })
	})
	if err != nil {
		c.t.Fatalf("upgrade everything: %v", err)
	}
	return active, reverts
}

// TestOneCommitOfManyReleases merges one commit that touches 200 releases, three of which are bad: no more than ten are in
// a rollout at a time, the three are reverted one after the other and told in one issue, and once they have failed nothing
// else of that commit begins. What a person commits again goes on, and the issue is closed when all three are mended.
func TestOneCommitOfManyReleases(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	active, reverts := c.upgrade()
	if active != 10 {
		t.Errorf("%d rollouts were under way at once, want 10", active)
	}
	if reverts != 1 || len(c.repo.drover) != len(c.bad) {
		t.Errorf("%d reverts were pushed, %d in one pass, want %d, one a pass", len(c.repo.drover), reverts, len(c.bad))
	}
	c.checkCrowd()
	c.checkIssue()

	held := crowdName(manyReleases() - 1)
	mended := append(slices.Sorted(maps.Keys(c.bad)), held)
	for i, name := range mended {
		c.release(name, "1.1.1")
		if err := c.until(5*time.Minute, func() bool { return c.rests(name) && c.rollout(name).Stable.Revision.Version == "1.1.1" }); err != nil {
			t.Fatalf("release %s once more: %v", name, err)
		}
		if closed, want := c.forge.closed[instance+"/"+c.touched], i >= len(c.bad)-1; closed != want {
			t.Errorf("the issue is closed %t after %d of %d are mended, want %t", closed, i+1, len(c.bad), want)
		}
	}
}

// checkCrowd looks at what became of each release.
func (c *crowd) checkCrowd() {
	c.t.Helper()
	last := 0 // pass in which one failed
	for _, pass := range c.failed {
		last = max(last, pass)
	}
	for range 2 {
		c.tick() // Those that waited for the last rollout are looked at.
	}
	records, err := c.ledger.Load(c.t.Context())
	if err != nil {
		c.t.Fatalf("read the ledger: %v", err)
	}
	recorded := map[string]string{} // why, as people read it
	for _, record := range records {
		recorded[record.Rollout.Release] = record.Rollout.Reason.Text
	}
	promoted, held := 0, 0
	for name := range c.all {
		r := c.rollout(name)
		switch {
		case c.begun[name] > last:
			c.t.Errorf("%s began in pass %d, after the third had failed in pass %d", name, c.begun[name], last)
		case c.bad[name]:
			if c.failed[name] == 0 || r.Stable.Revision.Version != "1.0.0" || r.Last.Kind != strategy.OutcomeCondemned {
				c.t.Errorf("%s rests on %s, last %s, want 1.0.0 with 1.2.0 condemned", name, r.Stable.Revision, r.Last.Kind)
			}
			if text := c.repo.content(releasePath(name)); !strings.Contains(text, `"1.0.0"`) {
				c.t.Errorf("Git asks for %s of %s, want 1.0.0 again", text, name)
			}
		case r.Stable.Revision.Version == "1.1.0":
			promoted++
		case r.Reason.Code == strategy.LimitReached && c.begun[name] == 0:
			held++
			if !strings.Contains(recorded[name], "3 releases of commit") {
				c.t.Errorf("%s is held back, and recorded is %q", name, recorded[name])
			}
		default:
			c.t.Errorf("%s rests on %s: %s", name, r.Stable.Revision, r.Reason.Text)
		}
	}
	if want := len(c.all) - len(c.bad); len(c.failed) != len(c.bad) || promoted+held != want || promoted == 0 || held < want*3/4-10 {
		c.t.Errorf("%d failed, %d were promoted and %d held back, want %d to fail, and of the other %d nearly all held back", len(c.failed), promoted, held, len(c.bad), want)
	}
	c.t.Logf("of %d releases %d were promoted, %d condemned, %d held back", len(c.all), promoted, len(c.failed), held)
}

// checkIssue looks at what people are told of the failed commit.
func (c *crowd) checkIssue() {
	c.t.Helper()
	if len(c.forge.issues) != 1 {
		c.t.Fatalf("%d issues were opened, want 1 for the commit", len(c.forge.issues))
	}
	parts := c.forge.parts[instance+"/"+c.touched]
	if len(parts) != len(c.bad) {
		c.t.Errorf("the issue has %d parts, want %d", len(parts), len(c.bad))
	}
	for _, p := range parts {
		release := strings.TrimPrefix(p.Part, instance+"/")
		if release = release[:strings.LastIndex(release, "-")]; !c.bad[release] || !strings.Contains(p.Body, "**"+release+" 1.2.0**") || !strings.Contains(p.Body, "reverted by") {
			c.t.Errorf("a part of the issue, %s, tells of something else:\n%s", p.Part, p.Body)
		}
	}
}
