package strategy

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// onTrial tells whether an allocation runs a revision on trial, as the present phase sees it. Before promotion that is
// Nomad's canary flag, whoever registered it; after it, and in a first release, it is what the current deployment placed.
func (m *machine) onTrial(a Alloc) bool {
	if a.Canary && m.Phase != Blocked {
		return true
	}
	switch m.Phase {
	case Placing, Stepping, Standby, Resting:
		return false
	case Restoring:
		return m.ours(RoleFirst) || m.o.Cluster.Stopped
	case Promoting:
		return a.Fresh && m.ours(RoleCanary)
	case First:
		return a.Fresh || !m.ours(RoleFirst)
	case Reversing:
		return a.Fresh && m.ours(RoleReverse)
	case Blocked: // The best ready track serves.
		return m.ours(RoleFirst) || (a.Canary && m.stableServes())
	}
	return false
}

func (m *machine) stableServes() bool {
	return slices.ContainsFunc(m.o.Cluster.Allocs, func(a Alloc) bool { return !a.Canary && a.Ready && !a.Ending && a.Address != "" })
}

// ended is a group that serves and that the job which Git asks for does not have; "" for none.
func (m *machine) ended(d *Desired) string {
	if m.o.Cluster == nil || len(d.Job.Groups) == 0 {
		return ""
	}
	for _, a := range m.o.Cluster.Allocs {
		if a.Address != "" && !a.Ending && !d.Job.has(a.Group) {
			return a.Group
		}
	}
	return ""
}

// split is how the traffic should be divided now at the given weight: ready allocations only, and no canary address at
// weight 0.
func (m *machine) split(w Weight, resting bool) Split {
	s := Split{Release: m.Release, Namespace: m.Job.Namespace, Service: m.service(), Weight: w, Resting: resting}
	c := m.o.Cluster
	if c == nil {
		return s
	}
	s.Check = c.Check
	for _, a := range c.Allocs {
		if a.Address == "" || !a.Ready || a.Ending {
			continue
		}
		e := Endpoint{Alloc: a.ID, Address: a.Address}
		switch {
		case !m.onTrial(a):
			s.Stable = append(s.Stable, e)
		case (w > 0 || m.Shadowing) && (a.Fresh || !a.Canary):
			s.Canary = append(s.Canary, e)
		}
	}
	byAlloc := func(a, b Endpoint) int { return cmp.Compare(a.Alloc, b.Alloc) }
	slices.SortFunc(s.Stable, byAlloc)
	slices.SortFunc(s.Canary, byAlloc)
	m.regardUsers(&s)
	return s
}

// regardUsers puts into the split what is more to be heeded than shares.
func (m *machine) regardUsers(s *Split) {
	if m.Plan.Sticky && (m.Phase == Stepping || m.Phase == Standby) {
		s.Sessions = m.ID
	}
	if m.Shadowing {
		s.Copies = &Copies{Percent: m.Plan.Shadow.Percent, Methods: m.Plan.Shadow.Methods}
	}
	if m.drainIsOver() {
		s.Leaving = m.leaving()
	}
}

func (m *machine) service() string {
	_, service := m.Subject(m.o.Desired)
	return service
}

// Subject is the job that a look at the release is about, and the service of it that takes the traffic: those of what runs.
// What Git names counts where nothing is known yet; another service, once what runs is what Git asks for.
func (r Rollout) Subject(d *Desired) (job JobRef, service string) {
	job, service = r.Job, r.Canary.Service
	if d == nil || !r.AtRest() {
		return job, service
	}
	if job == (JobRef{}) {
		job = d.Job.Ref
	}
	if d.Job.Ref == job && d.Service != "" && (service == "" || d.Revision == r.Stable.Revision) {
		service = d.Service
	}
	return job, service
}

// looksElsewhere tells whether what was read is of another job than the release is of by now.
func (m *machine) looksElsewhere() bool {
	return m.o.Job != (JobRef{}) && m.Job != (JobRef{}) && m.o.Job != m.Job
}

// cutOff says that what Git asks for lacks the group that serves: Nomad would end it as soon as it is registered, with no canary
// beside it.
func (m *machine) cutOff(d *Desired) (Reason, bool) {
	group := m.ended(d)
	return Reason{Code: Refused, Text: fmt.Sprintf("%s cannot be released: its job has no group %q, which takes the traffic, and Nomad would end that at once: keep the group's name, or give the new job an id and a release of its own",
		d.Revision, group)}, group != ""
}

// RouterOf is the router that divides the traffic of the release: that of the rollout under way, else the one that Git
// names; "" is the default.
func (r Rollout) RouterOf(d *Desired) string {
	if d != nil && r.AtRest() {
		return d.Release.Traffic.Router
	}
	return r.Canary.Router
}

// give makes the split what is wanted: it tells whether every instance has it in effect, and asks for it when not.
func (m *machine) give(want Split) bool {
	m.Weight = want.Weight
	if want.Service == "" {
		return true
	}
	lowers := want.Weight == 0 && want.Copies == nil
	if t := m.o.Traffic; t != nil && len(t.Splits) > 0 {
		if t.Has(want) {
			m.Pending = time.Time{}
			return true
		}
		lowers = lowers || !slices.ContainsFunc(t.Splits, func(got Split) bool { return got.Weight <= want.Weight })
	}
	wasAway := m.o.Traffic != nil && m.Hold != nil && m.Hold.Reason.Code == RouterUnreachable
	if m.Pending.IsZero() || wasAway { // What could not be read may take its time to act.
		m.Pending = m.now
	}
	m.act(Action{Kind: ActSetSplit, Before: lowers, Split: &want, Router: m.RouterOf(m.o.Desired)})
	return false
}

// noteLoss writes into the timeline that the router lost its split, once for each look.
func (m *machine) noteLoss() {
	known := func(e Event) bool { return e.Reason.Code == SplitLost && e.At.Equal(m.now) }
	if m.o.SplitLost != "" && !slices.ContainsFunc(m.Timeline, known) {
		m.note(Reason{Code: SplitLost, Text: m.o.SplitLost})
	}
}

// shut takes all traffic from the canary, also while Nomad cannot be read: then on the addresses that the router has.
func (m *machine) shut() bool {
	want := m.split(0, false)
	if t := m.o.Traffic; m.o.Cluster == nil && t != nil && len(t.Splits) > 0 {
		want = t.Splits[0]
		want.Release, want.Weight, want.Resting, want.Canary, want.Copies = m.Release, 0, false, nil, nil
		if want.Service == "" {
			want.Service, want.Namespace = m.service(), m.Job.Namespace
		}
	}
	if m.o.Cluster == nil && (m.o.Traffic == nil || len(m.o.Traffic.Splits) == 0) {
		// Neither the cluster nor the router can be read: there is no list of addresses to give.
		m.Weight = 0
		return false
	}
	return m.give(want)
}

// splitPending says that a split that was asked for is not in effect; after a while that holds the rollout.
func (m *machine) splitPending() Reason {
	switch {
	case m.o.Traffic == nil:
		if m.now.Sub(m.Pending) <= settle {
			return waiting("waiting for the router: %s", m.o.TrafficProblem)
		}
		return m.hold(RouterUnreachable, "the router cannot be read: %s", m.o.TrafficProblem)
	case m.now.Sub(m.Pending) <= settle:
		return waiting("waiting for the router to have the split at %s in effect", m.Weight)
	case m.o.SplitProblem != "":
		return m.hold(SplitNotInEffect, "the router does not take the split at %s: %s", m.Weight, m.o.SplitProblem)
	}
	return m.hold(SplitNotInEffect, "the router does not have the split at %s in effect", m.Weight)
}

// serving is the ready allocations that can take requests, on trial or not.
func (m *machine) serving(trial bool) int {
	n := 0
	for _, a := range m.o.Cluster.Allocs {
		if a.Ready && !a.Ending && m.onTrial(a) == trial && (a.Fresh || !a.Canary) && (a.Address != "" || m.service() == "") {
			n++
		}
	}
	return n
}

// carries is the largest weight that the ready canaries can take.
func (m *machine) carries() Weight {
	return Carries(m.serving(true), m.o.Cluster.Count)
}
