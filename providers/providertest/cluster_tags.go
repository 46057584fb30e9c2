package providertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// tags is the tag of every version that has one, as a person sees them.
func (c *clusterCase) tags(t *testing.T) map[uint64]string {
	t.Helper()
	versions, _, _, err := c.Client.Jobs().Versions(checkoutRef.ID, false, nil)
	if err != nil {
		t.Fatalf("read the versions: %v", err)
	}
	found := map[uint64]string{}
	for _, v := range versions {
		if v.VersionTag != nil {
			found[*v.Version] = v.VersionTag.Name
		}
	}
	return found
}

func (c *clusterCase) markBad(t *testing.T, version uint64, bad strategy.Revision) strategy.ClusterState {
	t.Helper()
	if err := c.Cluster.MarkBad(c.ctx, checkoutRef, version, bad); err != nil {
		t.Fatalf("mark version %d bad: %v", version, err)
	}
	return c.observe(t)
}

func wantCondemned(t *testing.T, when string, got []strategy.Revision, want ...strategy.Revision) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("condemned %s (-want +got):\n%s", when, diff)
	}
}

// clusterMarkBad is a revision that is condemned twice, and comes back as a person knows it, whatever Nomad runs.
func clusterMarkBad(t *testing.T, c *clusterCase) {
	first := c.install(t, "1.0.0", 1)
	c.register(t, c.registration(t, strategy.RoleCanary, "1.1.0", 1))
	trial := c.observe(t)
	if len(trial.Condemned) != 0 || trial.Oldest != 0 {
		t.Errorf("got condemned %+v, oldest %d at the start, want none and 0", trial.Condemned, trial.Oldest)
	}
	bad := trial.Revision
	state := c.markBad(t, trial.Version, bad)
	wantCondemned(t, "once", state.Condemned, bad)
	if state.ModifyIndex != trial.ModifyIndex || state.Version != trial.Version || state.Marker != trial.Marker {
		t.Errorf("got version %d at %d, want %d at %d: a tag is no change", state.Version, state.ModifyIndex, trial.Version, trial.ModifyIndex)
	}
	wantCondemned(t, "again", c.markBad(t, trial.Version, bad).Condemned, bad)
	if diff := cmp.Diff(map[uint64]string{trial.Version: "drover-bad-" + bad.Digest}, c.tags(t)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}

	c.register(t, c.stored(t, strategy.RoleRestore, strategy.Installed{Revision: first.Revision, Version: first.Version}))
	second := c.registration(t, strategy.RoleCanary, "1.1.0", 1)
	second.Marker.Revision.Attempt = 2
	c.register(t, second)
	again := c.observe(t)
	state = c.markBad(t, again.Version, again.Revision)
	wantCondemned(t, "at a second attempt", state.Condemned, again.Revision, bad)

	if err := c.Cluster.MarkBad(c.ctx, checkoutRef, 4711, strategy.Revision{Version: "9", Attempt: 1, Digest: "ab"}); err != nil {
		t.Errorf("mark a version bad that is not kept: got %v, want no error", err)
	}
	if err := c.Cluster.MarkBad(c.ctx, strategy.JobRef{Namespace: "default", ID: "nobody"}, 0, bad); err != nil {
		t.Errorf("mark a version of an absent job bad: got %v, want no error", err)
	}
	wantCondemned(t, "in the end", c.observe(t).Condemned, again.Revision, bad)
}

// clusterMarkBadOther is the tag of another instance, which says nothing to this one.
func clusterMarkBadOther(t *testing.T, c *clusterCase) {
	state := c.install(t, "1.0.0", 1)
	if _, err := c.Client.Jobs().TagVersion(checkoutRef.ID, state.Version, "staging-bad-ab", `{"condemned":{"version":"1.0.0","attempt":1,"digest":"ab"}}`, nil); err != nil {
		t.Fatalf("tag by hand: %v", err)
	}
	wantCondemned(t, "by another instance", c.observe(t).Condemned)
}

// clusterMarkBadMany is a job whose versions are condemned one after the other: the newest five are known.
func clusterMarkBadMany(t *testing.T, c *clusterCase) {
	c.install(t, "1.0.0", 1)
	var all []strategy.Revision
	for i := range 7 {
		c.register(t, c.registration(t, strategy.RoleCanary, fmt.Sprintf("1.1.%d", i), 1))
		state := c.observe(t)
		all = slices.Insert(all, 0, state.Revision)
		wantCondemned(t, fmt.Sprintf("after %d", i+1), c.markBad(t, state.Version, state.Revision).Condemned, all[:min(len(all), 5)]...)
	}
	// Nomad forgets the versions without a tag, the first that was stable not.
	if state := c.observe(t); state.Oldest > state.Version-6 || state.LastGood.Revision.Version != "1.0.0" {
		t.Errorf("got oldest %d of %d and last good %+v, want six more kept at least, and 1.0.0", state.Oldest, state.Version, state.LastGood)
	}
}

// clusterOldest is a job with more versions than Nomad keeps.
func clusterOldest(t *testing.T, c *clusterCase) {
	first := c.install(t, "1.0.0", 1)
	if err := c.Cluster.MarkGood(c.ctx, checkoutRef, first.Version); err != nil {
		t.Fatalf("mark the first version good: %v", err)
	}
	for i := range 8 {
		c.register(t, c.registration(t, strategy.RoleCanary, fmt.Sprintf("1.1.%d", i), 1))
	}
	state := c.observe(t)
	if state.Oldest <= first.Version || state.Oldest >= state.Version {
		t.Fatalf("got oldest %d, want one between %d and %d", state.Oldest, first.Version, state.Version)
	}
	if !state.GoodTagged || state.GoodVersion != first.Version || state.LastGood.Version != first.Version {
		t.Errorf("got tagged %t on version %d, want it kept on %d", state.GoodTagged, state.GoodVersion, first.Version)
	}
	wantCondemned(t, "below the oldest", c.markBad(t, state.Oldest-1, state.Revision).Condemned)
	wantCondemned(t, "at the oldest", c.markBad(t, state.Oldest, state.Revision).Condemned, state.Revision)
}

// clusterGoodAndBad is one version that is both, in either order: it has one tag, and says both.
func clusterGoodAndBad(t *testing.T, c *clusterCase) {
	first := c.install(t, "1.0.0", 1)
	good := func(version uint64) strategy.ClusterState {
		t.Helper()
		if err := c.Cluster.MarkGood(c.ctx, checkoutRef, version); err != nil {
			t.Fatalf("mark version %d good: %v", version, err)
		}
		return c.observe(t)
	}
	good(first.Version)
	bad := first.Revision
	state := c.markBad(t, first.Version, bad)
	wantCondemned(t, "of the good version", state.Condemned, bad)
	if !state.GoodTagged || state.GoodVersion != first.Version {
		t.Errorf("got good tagged %t on %d, want it to stay on %d", state.GoodTagged, state.GoodVersion, first.Version)
	}
	second := c.promoted(t, "1.1.0", 1)
	state = good(second.Version)
	wantCondemned(t, "after the good tag has moved on", state.Condemned, bad)
	if state.GoodVersion != second.Version {
		t.Errorf("got good version %d, want %d", state.GoodVersion, second.Version)
	}
	state = good(first.Version)
	wantCondemned(t, "after the good tag has come back", state.Condemned, bad)
	if state.GoodVersion != first.Version || state.LastGood.Version != first.Version {
		t.Errorf("got good version %d and last good %+v, want %d", state.GoodVersion, state.LastGood, first.Version)
	}
}

// clusterLastGood is a stable version that was condemned: it is no way back.
func clusterLastGood(t *testing.T, c *clusterCase) {
	first := c.install(t, "1.0.0", 1)
	second := c.promoted(t, "1.1.0", 1)
	c.markBad(t, second.Version, second.Revision)
	c.register(t, c.registration(t, strategy.RoleCanary, "1.2.0", 1))
	if state := c.observe(t); state.LastGood.Version != first.Version || state.LastGood.Revision != first.Revision {
		t.Errorf("got last good %+v, want version %d: %d was condemned", state.LastGood, first.Version, second.Version)
	}
}

// twoGroups is the example's job with a second group, of two allocations that take no traffic.
func (c *clusterCase) twoGroups(t *testing.T, version string, replicas int) strategy.Registration {
	t.Helper()
	r := c.registration(t, strategy.RoleFirst, version, replicas)
	r.Source.Jobspec = replaceOnce(t, r.Source.Jobspec, "  group \"api\" {\n", `  group "worker" {
    count = 2

    task "server" {
      driver = "raw_exec"

      config {
        command = var.binary
        args    = ["-version", var.version, "-listen", "127.0.0.1:0"]
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }
  }

  group "api" {
`)
	r.Marker.Revision.Digest = c.spec(t, *r.Source).Digest
	return r
}

func clusterScale(t *testing.T, c *clusterCase) {
	c.register(t, c.twoGroups(t, "1.0.0", 1))
	settled := func(s strategy.ClusterState) bool {
		return s.Deployment.Status == strategy.DeploymentSuccessful && len(serving(s)) == s.Count && len(s.Allocs) == s.Counts["api"]+s.Counts["worker"]
	}
	state := c.until(t, "installed", settled)
	if diff := cmp.Diff(map[string]int{"api": 1, "worker": 2}, state.Counts); diff != "" || state.Count != 1 {
		t.Errorf("got count %d, want 1; counts (-want +got):\n%s", state.Count, diff)
	}
	scale := func(group string, count int) {
		t.Helper()
		if err := c.Cluster.Scale(c.ctx, checkoutRef, group, count); err != nil {
			t.Fatalf("scale %s to %d: %v", group, count, err)
		}
	}
	scale("api", 3)
	scaled := c.until(t, "scaled up", settled)
	if diff := cmp.Diff(map[string]int{"api": 3, "worker": 2}, scaled.Counts); diff != "" || scaled.Count != 3 {
		t.Errorf("got count %d, want 3; counts (-want +got):\n%s", scaled.Count, diff)
	}
	if scaled.Revision != state.Revision || scaled.Marker != state.Marker {
		t.Errorf("got revision %+v by %+v, want %+v: scaling is no rollout, and Nomad hands the source on", scaled.Revision, scaled.Marker, state.Revision)
	}
	scale("api", 3)
	if again := c.observe(t); again.Version != scaled.Version || again.ModifyIndex != scaled.ModifyIndex {
		t.Errorf("got version %d at %d after scaling to what is live, want %d at %d", again.Version, again.ModifyIndex, scaled.Version, scaled.ModifyIndex)
	}
	scale("worker", 1)
	c.until(t, "scaled down", func(s strategy.ClusterState) bool { return settled(s) && s.Counts["worker"] == 1 })
}

// clusterScaleGood is a job that was scaled since its version was marked good: Nomad gives the tag to the versions that scaling
// makes too, and the next good version is the only one that has it all the same.
func clusterScaleGood(t *testing.T, c *clusterCase) {
	first := c.install(t, "1.0.0", 1)
	good := func(version uint64) {
		t.Helper()
		if err := c.Cluster.MarkGood(c.ctx, checkoutRef, version); err != nil {
			t.Errorf("mark version %d good: %v", version, err)
		}
		state := c.observe(t)
		if !state.GoodTagged || state.GoodVersion != version {
			t.Errorf("got good tagged %t on %d, want it on %d", state.GoodTagged, state.GoodVersion, version)
		}
	}
	good(first.Version)
	for count := 2; count <= 3; count++ {
		if err := c.Cluster.Scale(c.ctx, checkoutRef, "api", count); err != nil {
			t.Fatalf("scale to %d: %v", count, err)
		}
		c.until(t, "scaled", func(s strategy.ClusterState) bool {
			return s.Deployment.Status == strategy.DeploymentSuccessful && len(serving(s)) == count
		})
	}
	if diff := cmp.Diff(map[uint64]string{0: "drover-good", 1: "drover-good", 2: "drover-good"}, c.tags(t)); diff != "" {
		t.Errorf("tags of a scaled job (-want +got):\n%s", diff)
	}
	good(first.Version)
	second := c.promoted(t, "1.1.0", 3)
	good(second.Version)
	if diff := cmp.Diff(map[uint64]string{second.Version: "drover-good"}, c.tags(t)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func clusterScaleRefused(t *testing.T, c *clusterCase) {
	if err := c.Cluster.Scale(c.ctx, checkoutRef, "api", 2); err == nil {
		t.Error("scale an absent job: got no error")
	}
	c.install(t, "1.0.0", 1)
	if err := c.Cluster.Scale(c.ctx, checkoutRef, "nobody", 2); err == nil || errors.Is(err, strategy.ErrConflict) {
		t.Errorf("scale a group that is not there: got %v, want an error of its own", err)
	}
	trial := c.canaries(t, "1.1.0", 1)
	if err := c.Cluster.Scale(c.ctx, checkoutRef, "api", 2); !errors.Is(err, strategy.ErrConflict) {
		t.Errorf("scale during a deployment: got %v, want strategy.ErrConflict", err)
	}
	state := c.observe(t)
	if state.Version != trial.Version || state.Count != 1 {
		t.Errorf("got version %d with count %d, want nothing changed", state.Version, state.Count)
	}
	if err := c.Cluster.Stop(c.ctx, checkoutRef, state.ModifyIndex); err != nil {
		t.Fatalf("stop: %v", err)
	}
	stopped := c.observe(t)
	if err := c.Cluster.Scale(c.ctx, checkoutRef, "api", 2); !errors.Is(err, strategy.ErrConflict) {
		t.Errorf("scale a stopped job: got %v, want strategy.ErrConflict", err)
	}
	if after := c.observe(t); after.Version != stopped.Version {
		t.Errorf("got version %d of the stopped job, want %d", after.Version, stopped.Version)
	}
}

// clusterOwner is a job of another instance, which stays theirs when it is scaled by hand.
func clusterOwner(t *testing.T, c *clusterCase) {
	r := c.registration(t, strategy.RoleFirst, "1.0.0", 1)
	r.Marker.Instance = "staging"
	c.register(t, r)
	state := c.until(t, "installed", func(s strategy.ClusterState) bool { return s.Deployment.Status == strategy.DeploymentSuccessful })
	if state.Marker.Instance != "staging" {
		t.Errorf("got marker %+v, want one of the instance staging", state.Marker)
	}
	two := 2
	if _, _, err := c.Client.Jobs().Scale(checkoutRef.ID, "api", &two, "by hand", false, nil, nil); err != nil {
		t.Fatalf("scale: %v", err)
	}
	if state = c.observe(t); state.Marker.Instance != "staging" || state.Count != 2 {
		t.Errorf("got marker %+v and count %d after scaling, want the instance staging and 2", state.Marker, state.Count)
	}
	// Nomad hands the source on to what is registered without one, but it is not the source of that.
	job, _, err := c.Client.Jobs().Info(checkoutRef.ID, nil)
	if err != nil {
		t.Fatalf("read the job: %v", err)
	}
	byHand := func(change func()) strategy.ClusterState {
		t.Helper()
		change()
		if _, _, err := c.Client.Jobs().Register(job, nil); err != nil {
			t.Fatalf("register by hand: %v", err)
		}
		return c.observe(t)
	}
	if state = byHand(func() { job.TaskGroups[0].Tasks[0].Env = map[string]string{"BY": "hand"} }); state.Marker != (strategy.Marker{}) || !state.Revision.IsZero() {
		t.Errorf("got marker %+v, revision %+v of what a person registered without a source, want neither", state.Marker, state.Revision)
	}
	if state = byHand(func() { job.TaskGroups[0].Tasks[0].Env["BY"] = "hand again" }); state.Marker != (strategy.Marker{}) || !state.Revision.IsZero() {
		t.Errorf("got marker %+v, revision %+v when it is done again, want neither", state.Marker, state.Revision)
	}
	if state = byHand(func() { job.TaskGroups[0].Tasks[0].Env = nil }); state.Marker.Instance != "staging" || state.Revision != r.Marker.Revision {
		t.Errorf("got marker %+v, revision %+v of what staging had registered, want it known again", state.Marker, state.Revision)
	}
}
