package strategy

import (
	"fmt"
	"slices"
)

// Registers is what a rollout that was just begun is going to register, for those who ask beforehand what would come of
// it; false where nothing is begun.
func (r Rollout) Registers(d Desired) (Registration, bool) {
	switch r.Phase {
	case Placing:
		return *r.fromGit(d, RoleCanary), true
	case First:
		return *r.fromGit(d, RoleFirst), true
	case Reversing:
		back := r.fromGit(d, RoleReverse)
		back.Canaries = FullCanaries
		return *back, true
	case Resting, Stepping, Standby, Promoting, Restoring, Blocked:
	}
	return Registration{}, false
}

// Extra is how many allocations a rollout needs at its peak beside those that run: of one that was just begun at most,
// since groups that do not change get no canaries; of one under way what it got.
func (r Rollout) Extra(d *Desired, c *ClusterState) int {
	switch {
	case c == nil:
		return 0
	case r.Phase == Placing || r.Phase == First || r.Phase == Reversing:
		if c.Deployment.ID != "" && !c.Deployment.Promoted && c.Marker.Rollout == r.ID || d == nil {
			return c.Deployment.DesiredCanaries()
		}
	case r.Phase == Stepping || r.Phase == Standby || r.Phase == Promoting:
		return c.Deployment.DesiredCanaries()
	default:
		return 0
	}
	extra := 0
	for _, g := range d.Job.Groups {
		extra += r.extraOf(g, c)
	}
	return extra
}

func (r Rollout) extraOf(g GroupSpec, c *ClusterState) int {
	live, runs := c.Counts[g.Name]
	if !runs || r.Phase == First {
		return g.Count
	}
	if r.Phase == Reversing {
		return live
	}
	return r.Plan.Canaries.For(live, r.Plan.Steps)
}

// Caveats is what a person should know before a rollout that is about to begin, beside what the job itself gives reason
// for.
func (r Rollout) Caveats(d Desired, c *ClusterState) []string {
	if c == nil || !c.Exists || c.Stopped {
		return nil
	}
	var said []string
	for _, g := range d.Job.Groups {
		if live, runs := c.Counts[g.Name]; runs && live != g.Count {
			said = append(said, r.countCaveat(g, live))
		}
		if live := c.Counts[g.Name]; r.Phase == Placing {
			if canaries := r.Plan.Canaries.For(live, r.Plan.Steps); live > canaries {
				said = append(said, fmt.Sprintf("group %q gets %d canaries for %d allocations: the promotion replaces the other %d, at most max_parallel = %d at a time",
					g.Name, canaries, live, live-canaries, max(g.MaxParallel, 1)))
			}
		}
	}
	said = append(said, r.drainCaveats()...)
	ready := 0
	for _, a := range c.Allocs {
		if a.Ready && !a.Ending && !a.Canary {
			ready++
		}
	}
	want := 0
	for _, live := range c.Counts {
		want += live
	}
	if ready < want {
		said = append(said, fmt.Sprintf("only %d of %d allocations that run are ready: compared with them a bad version may look good, and the absolute limits decide", ready, want))
	}
	return said
}

func (r Rollout) drainCaveats() []string {
	if r.Phase != Placing || r.Plan.Drain == 0 || r.Plan.Canaries.IsFull() {
		return nil
	}
	return []string{fmt.Sprintf("connection_drain waits before a rollback only: with canaries = %q the promotion ends old allocations one after another, with what is open on them", r.Plan.Canaries)}
}

func (r Rollout) countCaveat(g GroupSpec, live int) string {
	applied, known := r.Counts[g.Name]
	switch {
	case g.Scaled:
		return fmt.Sprintf("group %q runs %d allocations and the jobspec says %d: its autoscaler's count stays", g.Name, live, g.Count)
	case known && applied != g.Count:
		return fmt.Sprintf("group %q runs %d allocations and the jobspec says %d: the rollout keeps %d, and Git's count is applied after it", g.Name, live, g.Count, live)
	}
	return fmt.Sprintf("group %q runs %d allocations and the jobspec says %d: what runs stays, until Git changes its count", g.Name, live, g.Count)
}

// AsEnded is the release and its job as they would be if the rollout under way had been taken back, for those who ask what
// another revision would find then. At rest both are as they are.
func (r Rollout) AsEnded(c *ClusterState) (Rollout, *ClusterState) {
	if r.AtRest() || c == nil {
		return r, c
	}
	ended := r.clone()
	ended.Phase, ended.Hold, ended.Ending, ended.Outbox, ended.ID = Resting, nil, nil, nil, ""
	ended.Canary, ended.Weight, ended.Step, ended.Verdicts, ended.Evidence = Trial{Service: r.Canary.Service}, 0, 0, nil, Evidence{}
	if r.Stable.Revision.IsZero() {
		return ended, &ClusterState{} // A first release that is taken back leaves nothing.
	}
	state := *c
	state.Version, state.Revision, state.Marker, state.Deployment = r.Stable.Version, r.Stable.Revision, Marker{}, Deployment{}
	state.Allocs = slices.DeleteFunc(slices.Clone(c.Allocs), func(a Alloc) bool { return a.Canary })
	return ended, &state
}
