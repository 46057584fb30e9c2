package providertest

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

func clusterCanaries(t *testing.T, c *clusterCase) {
	before := serving(c.install(t, "1.0.0", 2))
	r := c.registration(t, strategy.RoleCanary, "1.1.0", 2)
	state := c.canaries(t, "1.1.0", 2)
	if diff := cmp.Diff(before, serving(state)); diff != "" {
		t.Errorf("stable allocations changed (-want +got):\n%s", diff)
	}
	if state.Marker != r.Marker || state.Revision != r.Marker.Revision {
		t.Errorf("got marker %+v and revision %+v, want %+v", state.Marker, state.Revision, r.Marker)
	}
	d := state.Deployment
	if d.ID == "" || d.Status != strategy.DeploymentRunning || d.Promoted || d.DesiredCanaries() != 2 {
		t.Errorf("got deployment %+v, want it running, unpromoted, with 2 canaries", d)
	}
	for _, a := range state.Allocs {
		if a.Canary != a.Fresh {
			t.Errorf("got %+v: canaries, and only they, are fresh", a)
		}
	}
	if state.LastGood.Version != 0 || state.LastGood.Revision.Version != "1.0.0" {
		t.Errorf("got last good %+v, want 1.0.0 in version 0", state.LastGood)
	}
}

func clusterUnchanged(t *testing.T, c *clusterCase) {
	c.install(t, "1.0.0", 1)
	c.register(t, c.registration(t, strategy.RoleCanary, "1.1.0", 1))
	before := c.observe(t)
	again := c.registration(t, strategy.RoleCanary, "1.1.0", 1)
	unchanged, err := c.Cluster.Register(c.ctx, again)
	if err != nil || !unchanged {
		t.Fatalf("got unchanged %t, error %v, want unchanged", unchanged, err)
	}
	if after := c.observe(t); after.Version != before.Version || after.ModifyIndex != before.ModifyIndex {
		t.Errorf("got version %d at %d, want %d at %d", after.Version, after.ModifyIndex, before.Version, before.ModifyIndex)
	}
}

func clusterConflict(t *testing.T, c *clusterCase) {
	early := c.registration(t, strategy.RoleFirst, "1.0.0", 1)
	state := c.install(t, "1.0.0", 1)
	if _, err := c.Cluster.Register(c.ctx, early); !errors.Is(err, strategy.ErrConflict) {
		t.Errorf("register where no job must be: got %v, want strategy.ErrConflict", err)
	}
	stale := c.registration(t, strategy.RoleCanary, "1.1.0", 1)
	stale.ModifyIndex--
	if _, err := c.Cluster.Register(c.ctx, stale); !errors.Is(err, strategy.ErrConflict) {
		t.Errorf("register on a stale index: got %v, want strategy.ErrConflict", err)
	}
	if err := c.Cluster.Stop(c.ctx, checkoutRef, state.ModifyIndex-1); !errors.Is(err, strategy.ErrConflict) {
		t.Errorf("stop on a stale index: got %v, want strategy.ErrConflict", err)
	}
	if after := c.observe(t); after.Version != state.Version || after.Stopped {
		t.Errorf("got version %d, stopped %t after conflicts, want nothing changed", after.Version, after.Stopped)
	}
}

// stored asks for the spec of a job version that Nomad keeps.
func (c *clusterCase) stored(t *testing.T, role strategy.Role, from strategy.Installed) strategy.Registration {
	t.Helper()
	return strategy.Registration{
		Job:         checkoutRef,
		Version:     from.Version,
		Marker:      strategy.Marker{Instance: "drover", Rollout: "back", Role: role, Revision: from.Revision},
		ModifyIndex: c.observe(t).ModifyIndex,
	}
}

func clusterRestore(t *testing.T, c *clusterCase) {
	before := serving(c.install(t, "1.0.0", 2))
	trial := c.canaries(t, "1.1.0", 2)
	c.register(t, c.stored(t, strategy.RoleRestore, trial.LastGood))
	// Stable is ready all the while: updating in place takes nothing away.
	if diff := cmp.Diff(before, serving(c.observe(t))); diff != "" {
		t.Errorf("stable allocations while restoring (-want +got):\n%s", diff)
	}
	state := c.until(t, "canaries gone, deployment done", func(s strategy.ClusterState) bool {
		return len(s.Allocs) == 2 && s.Deployment.Status == strategy.DeploymentSuccessful
	})
	if diff := cmp.Diff(before, serving(state)); diff != "" {
		t.Errorf("stable allocations after the restore (-want +got):\n%s", diff)
	}
	if state.Revision != trial.LastGood.Revision || state.Marker.Role != strategy.RoleRestore {
		t.Errorf("got revision %+v by %q, want %+v by a restore", state.Revision, state.Marker.Role, trial.LastGood.Revision)
	}
	missing := c.stored(t, strategy.RoleRestore, strategy.Installed{Version: 4711})
	if _, err := c.Cluster.Register(c.ctx, missing); err == nil || errors.Is(err, strategy.ErrConflict) {
		t.Errorf("register a version that is not kept: got %v, want an error of its own", err)
	}
}

// promoted brings a version all the way up.
func (c *clusterCase) promoted(t *testing.T, version string, replicas int) strategy.ClusterState {
	t.Helper()
	trial := c.canaries(t, version, replicas)
	if err := c.Cluster.Promote(c.ctx, checkoutRef, trial.Deployment.ID); err != nil {
		t.Fatalf("promote: %v", err)
	}
	return c.until(t, version+" promoted", func(s strategy.ClusterState) bool {
		return s.Deployment.Status == strategy.DeploymentSuccessful && len(s.Allocs) == replicas && len(serving(s)) == replicas
	})
}

func clusterPromote(t *testing.T, c *clusterCase) {
	before := serving(c.install(t, "1.0.0", 2))
	state := c.promoted(t, "1.1.0", 2)
	for _, a := range state.Allocs {
		if slices.Contains(before, a.ID) || a.Canary || !a.Fresh {
			t.Errorf("got %+v after the promotion, want a fresh one that is no canary", a)
		}
	}
	if !state.Deployment.Promoted {
		t.Errorf("got deployment %+v, want it promoted", state.Deployment)
	}
	if err := c.Cluster.Promote(c.ctx, checkoutRef, state.Deployment.ID); err != nil {
		t.Errorf("promote again: got %v, want no error", err)
	}
}

func clusterReverse(t *testing.T, c *clusterCase) {
	first := c.install(t, "1.0.0", 2)
	c.promoted(t, "1.1.0", 2)
	back := strategy.Installed{Revision: first.Revision, Version: first.Version}
	c.register(t, c.stored(t, strategy.RoleReverse, back))
	state := c.until(t, "old spec as canaries", func(s strategy.ClusterState) bool { return len(ids(s, isReadyCanary)) == 2 })
	if len(serving(state)) != 2 || state.Revision != first.Revision {
		t.Errorf("got %d of the promoted version ready and revision %+v, want 2 and %+v", len(serving(state)), state.Revision, first.Revision)
	}
	if err := c.Cluster.Promote(c.ctx, checkoutRef, state.Deployment.ID); err != nil {
		t.Fatalf("promote: %v", err)
	}
	c.until(t, "old spec promoted", func(s strategy.ClusterState) bool {
		return s.Deployment.Status == strategy.DeploymentSuccessful && len(s.Allocs) == 2 && len(serving(s)) == 2
	})
}

func clusterCrash(t *testing.T, c *clusterCase) {
	before := serving(c.install(t, "1.0.0", 1))
	c.register(t, c.registration(t, strategy.RoleCanary, "9.9.9-crash", 1))
	blamed := func(s strategy.ClusterState) bool {
		return slices.ContainsFunc(s.Allocs, func(a strategy.Alloc) bool {
			return a.Canary && !a.Ready && a.Fault == strategy.FaultTask && a.Why != ""
		})
	}
	c.until(t, "a canary to blame, with its reason", blamed)
	state := c.until(t, "deployment failed, with somebody to blame", func(s strategy.ClusterState) bool {
		return s.Deployment.Status == strategy.DeploymentFailed && blamed(s)
	})
	if diff := cmp.Diff(before, serving(state)); diff != "" {
		t.Errorf("stable allocations after the crash (-want +got):\n%s", diff)
	}
	if state.Deployment.Promoted || state.Deployment.Text == "" {
		t.Errorf("got deployment %+v, want it unpromoted, with Nomad's text", state.Deployment)
	}
}

// clusterReplace is standby when a canary ends: every canary is ready, nothing is promoted, and one has to be replaced.
func clusterReplace(t *testing.T, c *clusterCase) {
	before := serving(c.install(t, "1.0.0", 2))
	trial := c.canaries(t, "1.1.0", 2)
	replace := func(id, when string) {
		t.Helper()
		if err := c.Cluster.Replace(c.ctx, checkoutRef, id); err != nil {
			t.Fatalf("replace %s: %v", when, err)
		}
	}
	first := ids(trial, isReadyCanary)
	gone, kept := first[0], first[1]
	replace(gone, "a canary that is ready")
	replace(gone, "a canary that was told to stop already")
	state := c.until(t, "another canary in its place", func(s strategy.ClusterState) bool {
		ready := ids(s, isReadyCanary)
		return len(s.Allocs) == 4 && len(ready) == 2 && slices.Contains(ready, kept) && !slices.Contains(ready, gone)
	})
	second := ids(state, isReadyCanary)
	if d := state.Deployment; d.ID != trial.Deployment.ID || d.Status != strategy.DeploymentRunning || d.Promoted || d.DesiredCanaries() != 2 {
		t.Errorf("got deployment %+v, want %s still running, unpromoted, with 2 canaries", d, trial.Deployment.ID)
	}
	for _, a := range state.Allocs {
		if a.Canary != a.Fresh || a.Fault != strategy.FaultNone {
			t.Errorf("got %+v: canaries, and only they, are fresh, and none is to blame", a)
		}
	}
	if diff := cmp.Diff(before, serving(state)); diff != "" {
		t.Errorf("stable allocations (-want +got):\n%s", diff)
	}
	if state.ModifyIndex != trial.ModifyIndex || state.Marker != trial.Marker {
		t.Errorf("got marker %+v at %d, want %+v at %d: the job is the same", state.Marker, state.ModifyIndex, trial.Marker, trial.ModifyIndex)
	}

	replace(gone, "a canary that ended")
	replace("5a5a5a5a-0000-4000-8000-000000000000", "an allocation that Nomad does not know")
	if err := c.Cluster.Promote(c.ctx, checkoutRef, trial.Deployment.ID); err != nil {
		t.Fatalf("promote after the replacement: %v", err)
	}
	state = c.until(t, "1.1.0 promoted", func(s strategy.ClusterState) bool {
		return s.Deployment.Status == strategy.DeploymentSuccessful && len(s.Allocs) == 2 && len(serving(s)) == 2
	})
	if diff := cmp.Diff(second, serving(state)); diff != "" {
		t.Errorf("allocations after promotion (-canaries +stable):\n%s", diff)
	}
}

func clusterStop(t *testing.T, c *clusterCase) {
	running := c.install(t, "1.0.0", 1)
	if err := c.Cluster.Stop(c.ctx, checkoutRef, running.ModifyIndex); err != nil {
		t.Fatalf("stop: %v", err)
	}
	stopped := c.until(t, "job stopped, nothing left", func(s strategy.ClusterState) bool { return s.Stopped && len(s.Allocs) == 0 })
	if !stopped.Exists || stopped.Revision != running.Revision {
		t.Errorf("got exists %t, revision %+v, want the stopped job at %+v", stopped.Exists, stopped.Revision, running.Revision)
	}
	if err := c.Cluster.Stop(c.ctx, checkoutRef, running.ModifyIndex); err != nil {
		t.Errorf("stop again: got %v, want no error", err)
	}
	if state := c.install(t, "1.0.0", 1); state.Stopped {
		t.Errorf("the job is still stopped after its registration")
	}
}

func clusterCounts(t *testing.T, c *clusterCase) {
	installed := c.install(t, "1.0.0", 1)
	three := 3
	if _, _, err := c.Client.Jobs().Scale(checkoutRef.ID, "api", &three, "by hand", false, nil, nil); err != nil {
		t.Fatalf("scale: %v", err)
	}
	scaled := c.until(t, "scaled", func(s strategy.ClusterState) bool {
		return s.Count == 3 && len(serving(s)) == 3 && s.Deployment.Status == strategy.DeploymentSuccessful
	})
	// Nomad may or may not hand the source on to a version that scaling makes.
	if scaled.Marker != (strategy.Marker{}) && scaled.Marker != installed.Marker {
		t.Errorf("got marker %+v of the scaled job, want none or that of the version scaled", scaled.Marker)
	}
	if scaled.Revision != installed.Revision {
		t.Errorf("got revision %+v of the scaled job, want %+v", scaled.Revision, installed.Revision)
	}
	if state := c.canaries(t, "1.1.0", 3); state.Count != 3 || state.Deployment.DesiredCanaries() != 3 {
		t.Errorf("got count %d and %d canaries, want 3: Git's count is not applied by a rollout", state.Count, state.Deployment.DesiredCanaries())
	}
	r := c.registration(t, strategy.RoleCanary, "1.2.0", 1)
	c.register(t, r)
	if state := c.observe(t); state.Count != 3 {
		t.Errorf("got count %d, want the live 3", state.Count)
	}
}

func clusterInPlace(t *testing.T, c *clusterCase) {
	before := serving(c.install(t, "1.0.0", 2))
	r := c.registration(t, strategy.RoleCanary, "1.0.0", 2)
	r.Source.Jobspec = replaceOnce(t, r.Source.Jobspec, `type = "service"`, "type = \"service\"\n  priority = 60")
	r.Marker.Revision.Digest = c.spec(t, *r.Source).Digest
	c.register(t, r)
	state := c.until(t, "deployment done", func(s strategy.ClusterState) bool {
		return s.Deployment.Status == strategy.DeploymentSuccessful && s.Marker == r.Marker
	})
	if state.Deployment.DesiredCanaries() != 0 || !state.Deployment.Promoted || len(ids(state, isCanary)) != 0 {
		t.Errorf("got deployment %+v, want no canaries and nothing to promote", state.Deployment)
	}
	if diff := cmp.Diff(before, serving(state)); diff != "" {
		t.Errorf("allocations (-want +got):\n%s", diff)
	}
}

func clusterMarkGood(t *testing.T, c *clusterCase) {
	first := c.install(t, "1.0.0", 1)
	mark := func(version uint64) strategy.ClusterState {
		t.Helper()
		if err := c.Cluster.MarkGood(c.ctx, checkoutRef, version); err != nil {
			t.Fatalf("mark version %d good: %v", version, err)
		}
		return c.observe(t)
	}
	state := mark(first.Version)
	if !state.GoodTagged || state.GoodVersion != first.Version || state.LastGood.Revision != first.Revision {
		t.Errorf("got tagged %t, version %d, last good %+v, want version %d", state.GoodTagged, state.GoodVersion, state.LastGood, first.Version)
	}
	if again := mark(first.Version); again.GoodVersion != first.Version || again.ModifyIndex != first.ModifyIndex {
		t.Errorf("got version %d at %d after marking it again, want no change", again.GoodVersion, again.ModifyIndex)
	}
	second := c.promoted(t, "1.1.0", 1)
	if second.LastGood.Revision != first.Revision {
		t.Errorf("got last good %+v before it moves, want %+v", second.LastGood, first.Revision)
	}
	state = mark(second.Version)
	if state.GoodVersion != second.Version || state.LastGood.Revision != second.Revision || state.ModifyIndex != second.ModifyIndex {
		t.Errorf("got good version %d, %+v, want %d", state.GoodVersion, state.LastGood, second.Version)
	}
	if err := c.Cluster.MarkGood(c.ctx, checkoutRef, 4711); err == nil {
		t.Errorf("mark a version that is not kept: got no error")
	}
}

func clusterSupersede(t *testing.T, c *clusterCase) {
	before := serving(c.install(t, "1.0.0", 2))
	first := c.canaries(t, "1.1.0", 2)
	old := ids(first, isCanary)
	state := c.canaries(t, "1.2.0", 2)
	if state.Deployment.ID == first.Deployment.ID || state.Revision.Version != "1.2.0" {
		t.Errorf("got deployment %s of %s, want another one of 1.2.0", state.Deployment.ID, state.Revision)
	}
	for _, id := range ids(state, func(a strategy.Alloc) bool { return a.Canary && a.Fresh }) {
		if slices.Contains(old, id) {
			t.Errorf("canary %s of 1.1.0 counts for 1.2.0", id)
		}
	}
	state = c.until(t, "the superseded canaries gone", func(s strategy.ClusterState) bool { return len(s.Allocs) == 4 })
	if diff := cmp.Diff(before, serving(state)); diff != "" {
		t.Errorf("stable allocations (-want +got):\n%s", diff)
	}
	if state.LastGood.Revision.Version != "1.0.0" {
		t.Errorf("got last good %+v, want 1.0.0", state.LastGood)
	}
}

func clusterByHand(t *testing.T, c *clusterCase) {
	source := c.Source("1.0.0", 1)
	submit := func(submission *api.JobSubmission) {
		t.Helper()
		job, err := c.Client.Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: source.Jobspec, Variables: source.Variables})
		if err != nil {
			t.Fatalf("parse by hand: %v", err)
		}
		if _, _, err := c.Client.Jobs().RegisterOpts(job, &api.RegisterOptions{Submission: submission}, nil); err != nil {
			t.Fatalf("register by hand: %v", err)
		}
	}
	submit(nil)
	if state := c.observe(t); state.Marker != (strategy.Marker{}) || !state.Revision.IsZero() {
		t.Errorf("got marker %+v and revision %+v of a job without source, want neither", state.Marker, state.Revision)
	}
	source = c.Source("1.1.0", 1)
	want := strategy.Revision{Version: "1.1.0", Attempt: 1, Digest: c.spec(t, source).Digest}
	submit(&api.JobSubmission{Source: source.Jobspec, Format: "hcl2", Variables: source.Variables})
	if state := c.observe(t); state.Marker != (strategy.Marker{}) || state.Revision != want {
		t.Errorf("got marker %+v and revision %+v, want none and %+v", state.Marker, state.Revision, want)
	}
}

func clusterWatch(t *testing.T, c *clusterCase) {
	c.install(t, "1.0.0", 1)
	index, err := c.Cluster.Watch(c.ctx, checkoutRef, 0)
	if err != nil || index == 0 {
		t.Fatalf("watch from 0: got index %d, error %v, want an index at once", index, err)
	}
	type answer struct {
		index uint64
		err   error
	}
	woken := make(chan answer, 1)
	go func() {
		next, err := c.Cluster.Watch(c.ctx, checkoutRef, index)
		woken <- answer{next, err}
	}()
	c.register(t, c.registration(t, strategy.RoleCanary, "1.1.0", 1))
	var got answer
	c.Eventually(t, "watch wakes up", func() bool {
		select {
		case got = <-woken:
			return true
		default:
			return false
		}
	})
	if got.err != nil || got.index <= index {
		t.Errorf("got index %d, error %v, want one above %d", got.index, got.err, index)
	}
}
