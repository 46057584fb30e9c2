package strategy

import "fmt"

func (m *machine) placing() Reason {
	m.roomMade()
	if why, moved := m.gitMoved(); moved {
		return why
	}
	if m.o.Cluster == nil {
		return m.nomadAway()
	}
	if why, foreign := m.foreign(); foreign {
		return why
	}
	if !m.ours(RoleCanary) {
		return m.placeCanaries()
	}
	m.arrived()
	m.replan()
	inEffect := m.give(m.split(0, false))
	if why, faulty := m.fault(); faulty {
		return m.condemn(why)
	}
	c := m.o.Cluster
	switch {
	case c.Deployment.Status == DeploymentFailed, c.Deployment.Status == DeploymentCancelled:
		return m.deploymentFailed()
	case c.Deployment.ID == "":
		return m.placeDeadline(waiting("waiting for Nomad to start the deployment of %s", m.Canary.Revision))
	case c.Deployment.Promoted:
		// No group needed new allocations, or somebody promoted by hand.
		return m.enter(Promoting, Reason{Code: StepsDone, Text: fmt.Sprintf("%s needs no canaries", m.Canary.Revision)})
	case !m.allReady():
		return m.notReady()
	case m.serving(true) == 0 && m.service() != "":
		return m.withoutTraffic()
	}
	if why, pending := m.smoke(m.condemn); pending {
		return m.placeDeadline(why)
	}
	if why, stays := m.stays(); stays {
		return why
	}
	if why, shadowing := m.shadow(inEffect); shadowing {
		return why
	}
	return m.firstStep()
}

// withoutTraffic promotes what takes none.
func (m *machine) withoutTraffic() Reason {
	if why, stays := m.stays(); stays {
		return why
	}
	return m.enter(Promoting, Reason{Code: StepsDone, Text: fmt.Sprintf("the group that serves does not change in %s: no traffic to move", m.Canary.Revision)})
}

// notReady waits for the canaries, and says so when Nomad cannot place them.
func (m *machine) notReady() Reason {
	ready, want := m.readiness()
	if why, blameless := m.blameless(); blameless {
		return m.placeDeadline(m.hold(why.Code, "%s", why.Text))
	}
	return m.placeDeadline(waiting("%d of %d canaries of %s ready", ready, want, m.Canary.Revision))
}

// firstStep begins to move traffic.
func (m *machine) firstStep() Reason {
	_, want := m.readiness()
	begun := fmt.Sprintf("all %d canaries ready", want)
	if m.Shadowing {
		begun = "copies of requests: " + m.allPass()
	}
	m.Shadowing, m.Baked = false, 0
	m.open()
	m.Ran = 0
	return m.enter(Stepping, Reason{Code: StepEntered, Text: fmt.Sprintf("%s: step 1 of %d, %s", begun, len(m.Plan.Steps), m.Plan.Steps[0].Weight)})
}

// placeCanaries registers the revision on trial, once no router adds unknown allocations by itself.
func (m *machine) placeCanaries() Reason {
	c, d := m.o.Cluster, m.o.Desired
	if m.o.Unchanged == m.ID {
		m.Stable.Version = c.Version
		return m.promoted(fmt.Sprintf("%s promoted: Nomad found nothing to change", m.Canary.Revision))
	}
	if !m.give(m.split(0, false)) {
		return m.placeDeadline(m.splitPending())
	}
	if why, draining := m.drain(); draining {
		return m.placeDeadline(why)
	}
	if d == nil {
		return m.unreadable()
	}
	if m.promotedByHand() {
		m.Stable = Installed{Revision: c.Revision, Version: c.Version}
	}
	if why, again := m.sameAgain(d); again {
		return m.placeDeadline(why)
	}
	if !c.GoodTagged || c.GoodVersion != m.Stable.Version {
		// The way back must not be forgotten by Nomad while the canaries run.
		m.act(Action{Kind: ActMarkGood, Job: m.Job, Version: m.Stable.Version})
	}
	m.act(Action{Kind: ActRegister, Registration: m.fromGit(*d, RoleCanary)})
	return m.placeDeadline(m.trying("registering %s", m.Canary.Revision))
}

// roomMade begins from the stable spec that sameAgain has put between two trials.
func (m *machine) roomMade() {
	if m.ours(RoleRestore) {
		m.Stable.Version, m.Base = m.o.Cluster.Version, m.o.Cluster.ModifyIndex
	}
}

// sameAgain makes room for another trial of a job that is on trial already: registered a second time it would be no change to
// Nomad. The stable spec comes between the two.
func (m *machine) sameAgain(d *Desired) (Reason, bool) {
	c := m.o.Cluster
	switch {
	case c.Marker.Role.trial() && !c.Deployment.Promoted && c.Revision.SameSpec(d.Revision):
		m.restore(c.ModifyIndex)
		return m.trying("the same job is on trial: registering %s before %s is tried", m.Stable.Revision, m.Canary.Revision), true
	case m.ours(RoleRestore) && !m.settled():
		return waiting("%s is registered again; waiting for it to be ready before %s is tried", m.Stable.Revision, m.Canary.Revision), true
	}
	return Reason{}, false
}

// fromGit is the registration of the revision on trial with the spec that Git has.
func (r Rollout) fromGit(d Desired, role Role) *Registration {
	source := d.Release.Source
	return &Registration{
		Job: r.Job, Source: &source, ModifyIndex: r.Base, Canaries: r.Plan.Canaries, Steps: r.Plan.Steps,
		Marker: Marker{Rollout: r.ID, Revision: r.Canary.Revision, Role: role},
	}
}

// placeDeadline ends placing when it takes too long: for the revision's fault when its allocations run and do not get
// healthy, else for nobody's.
func (m *machine) placeDeadline(why Reason) Reason {
	if m.now.Sub(m.Since) <= m.deadline()+m.drainLimit() {
		return why
	}
	if cause, blameless := m.blameless(); blameless {
		return m.abort(OutcomeParked, cause)
	}
	for _, a := range m.o.Cluster.Allocs {
		if m.onTrial(a) && !a.Ready {
			return m.condemn(Reason{Code: CanaryUnready, Text: fmt.Sprintf("canary allocation %s did not become ready within %s", shortID(a.ID), m.deadline())})
		}
	}
	return m.abort(OutcomeParked, Reason{Code: TookTooLong, Text: fmt.Sprintf("placing took longer than %s: %s", m.deadline(), why.Text)})
}
