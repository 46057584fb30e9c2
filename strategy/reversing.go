package strategy

import (
	"fmt"
	"time"
)

// reverse turns a promotion back: the revision that was stable comes again, as canaries beside what runs.
func (m *machine) reverse(end *Outcome) Reason {
	bad := m.Canary
	m.Ending = end
	m.Canary = Trial{Revision: m.Stable.Revision, Version: m.Stable.Version, Commit: bad.Commit, Service: bad.Service, Router: bad.Router}
	m.Stable = Installed{Revision: bad.Revision, Version: m.o.Cluster.Version}
	m.Base = m.o.Cluster.ModifyIndex
	m.Registered = false
	return m.enter(Reversing, Reason{Code: end.Reason.Code, Text: fmt.Sprintf("%s: going back to %s", end.Reason.Text, m.Canary.Revision)})
}

// reversing brings back a revision that was live before: no steps, health only, all traffic at once, promoted. It is
// not interrupted. After a failed promotion it has an Ending; without one it is Git that went back.
func (m *machine) reversing() Reason {
	c := m.o.Cluster
	if c == nil {
		return m.nomadAway()
	}
	if !c.Exists || c.Stopped {
		return m.reverseEnds(Reason{Code: StoppedByPerson, Text: "the job was stopped on the way back"})
	}
	if !m.ours(RoleReverse) {
		return m.registerReverse()
	}
	m.Registered = true
	d := c.Deployment
	if m.o.Unchanged == m.ID || (d.Promoted && d.Status == DeploymentSuccessful && m.settled()) {
		return m.reversed()
	}
	if d.Status == DeploymentFailed || d.Status == DeploymentCancelled {
		return m.reverseFails(Reason{Code: CanaryUnready, Text: fmt.Sprintf("%s did not become healthy: %s", m.Canary.Revision, d.Text)})
	}
	if d.Promoted {
		m.Draining = time.Time{}
		m.give(m.split(m.promotedShare(), false))
		return waiting("back on %s; waiting for the other allocations to end", m.Canary.Revision)
	}
	return m.reverseOnward()
}

// reverseOnward waits for the canaries of the way back, gives them all traffic, and promotes them.
func (m *machine) reverseOnward() Reason {
	d := m.o.Cluster.Deployment
	if d.ID == "" || !m.allReady() {
		m.give(m.split(min(m.Weight, m.carries()), false))
		ready, want := m.readiness()
		return m.reverseDeadline(waiting("%d of %d allocations of %s ready", ready, want, m.Canary.Revision))
	}
	if why, pending := m.smoke(m.reverseFails); pending {
		return m.reverseDeadline(why)
	}
	if !m.give(m.split(m.carries(), false)) {
		return m.splitPending()
	}
	if why, draining := m.drainAll(); draining {
		return why
	}
	m.act(Action{Kind: ActPromote, Job: m.Job, Deployment: d.ID})
	return m.reverseDeadline(m.trying("all traffic on %s; promoting it", m.Canary.Revision))
}

func (m *machine) registerReverse() Reason {
	c := m.o.Cluster
	if m.o.Unchanged == m.ID {
		return m.reversed()
	}
	if m.ours(RoleRestore) {
		m.Base = c.ModifyIndex
	}
	if m.Registered || c.ModifyIndex != m.Base {
		return m.reverseEnds(Reason{Code: ForeignRegistration, Text: fmt.Sprintf("somebody else registered version %d of the job on the way back", c.Version)})
	}
	if !m.give(m.split(0, false)) {
		return m.reverseDeadline(m.splitPending())
	}
	if c.Marker.Role == RoleReverse && c.Revision == m.Canary.Revision && c.Deployment.Status == DeploymentFailed {
		// Registered a second time it would be no change to Nomad, and place nothing.
		m.restore(m.Base)
		return m.reverseDeadline(m.trying("registering %s, which serves, before %s is tried again", m.Stable.Revision, m.Canary.Revision))
	}
	r := &Registration{
		Job: m.Job, Version: m.Canary.Version, ModifyIndex: m.Base, Canaries: FullCanaries,
		Marker: Marker{Rollout: m.ID, Revision: m.Canary.Revision, Role: RoleReverse},
	}
	if m.Ending == nil {
		d := m.o.Desired
		switch {
		case d == nil:
			return m.unreadable()
		case d.Revision != m.Canary.Revision:
			return m.withdraw(Reason{Code: RevertedInGit, Text: fmt.Sprintf("Git does not ask for %s any more", m.Canary.Revision)})
		}
		source := d.Release.Source
		r.Source = &source
	}
	m.act(Action{Kind: ActRegister, Registration: r})
	return m.reverseDeadline(m.trying("registering %s again", m.Canary.Revision))
}

// reversed ends the way back well.
func (m *machine) reversed() Reason {
	if m.Ending == nil {
		return m.promoted(fmt.Sprintf("back on %s after %s", m.Canary.Revision, m.took()))
	}
	m.Stable = Installed{Revision: m.Canary.Revision, Version: m.o.Cluster.Version}
	return m.finish()
}

// reverseFails is the way back that cannot be gone: after a failed promotion that is Blocked; when it was only Git
// that went back, what ran before goes on running.
func (m *machine) reverseFails(why Reason) Reason {
	if m.Ending != nil {
		m.Stuck = Reversing
		return m.enter(Blocked, Reason{Code: StableUnready, Text: "rollback blocked: " + why.Text})
	}
	return m.abort(OutcomeParked, why)
}

func (m *machine) reverseDeadline(why Reason) Reason {
	if m.now.Sub(m.Since) <= m.deadline()+m.drainLimit() {
		return why
	}
	return m.reverseFails(Reason{Code: TookTooLong, Text: fmt.Sprintf("going back to %s took longer than %s: %s", m.Canary.Revision, m.deadline(), why.Text)})
}

// reverseEnds rests when somebody else has decided what the job runs.
func (m *machine) reverseEnds(why Reason) Reason {
	if m.Ending == nil {
		return m.park(why.Code, why.Text)
	}
	m.Stable = Installed{Revision: m.Canary.Revision, Version: m.Canary.Version}
	return m.finish()
}
