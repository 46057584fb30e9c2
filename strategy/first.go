package strategy

import (
	"fmt"
	"time"
)

// first is the first release of a job: Nomad makes no canaries, and there is nothing to go back to. Only absolute
// limits are asked; one that has too little data does not keep a new service from its rest, since it may have no users
// yet.
func (m *machine) first() Reason {
	last := m.Plan.Steps[len(m.Plan.Steps)-1]
	if m.Opened {
		if why, fails := m.judge(false); fails {
			return m.condemn(why)
		}
	} else if why, moved := m.gitMoved(); moved { // What serves already is baked first.
		return why
	}
	c := m.o.Cluster
	if c == nil {
		return m.nomadAway()
	}
	if !m.ours(RoleFirst) {
		return m.registerFirst()
	}
	m.arrived()
	if c.Stopped {
		return m.park(StoppedByPerson, "the job was stopped during its first release")
	}
	if why, faulty := m.fault(); faulty {
		return m.condemn(why)
	}
	if c.Deployment.Status == DeploymentFailed || c.Deployment.Status == DeploymentCancelled {
		return m.deploymentFailed()
	}
	if !c.Deployment.Promoted && c.Deployment.ID != "" && m.allReady() {
		m.act(Action{Kind: ActPromote, Job: m.Job, Deployment: c.Deployment.ID})
	}
	if m.serving(true) < max(c.Count, 1) {
		return m.firstUnready()
	}
	return m.openFirst(last)
}

// firstUnready waits for the allocations of the first release, and says so when Nomad cannot place them.
func (m *machine) firstUnready() Reason {
	if m.Opened {
		m.give(m.split(m.firstShare(), false))
	}
	if why, blameless := m.blameless(); blameless {
		return m.firstDeadline(m.hold(why.Code, "%s", why.Text))
	}
	return m.firstDeadline(waiting("%d of %d allocations of %s ready", m.serving(true), m.o.Cluster.Count, m.Canary.Revision))
}

// openFirst gives all traffic to the new job and bakes it.
func (m *machine) openFirst(last Step) Reason {
	if !m.Opened {
		if why, pending := m.smoke(m.condemn); pending {
			return m.firstDeadline(why)
		}
		m.open()
		return m.enter(First, Reason{Code: StepEntered, Text: fmt.Sprintf("all allocations ready: all traffic to %s", m.Canary.Revision)})
	}
	if !m.give(m.split(Full, false)) {
		return m.splitPending()
	}
	if why, blind := m.blind(); blind {
		return why
	}
	if m.bake(); m.Baked < last.Bake {
		return Reason{Code: Baking, Text: fmt.Sprintf("first release, all traffic, baked %s of %s", m.Baked.Round(time.Second), last.Bake)}
	}
	if m.o.Cluster.Deployment.Status == DeploymentRunning {
		return waiting("baked; waiting for Nomad to call the deployment successful")
	}
	return m.promoted(fmt.Sprintf("%s runs: first release after %s", m.Canary.Revision, m.took()))
}

func (m *machine) firstShare() Weight {
	if m.serving(true) == 0 {
		return 0
	}
	return Full
}

func (m *machine) registerFirst() Reason {
	c, d := m.o.Cluster, m.o.Desired
	if m.Registered || (c.ModifyIndex != m.Base && !(m.Base == 0 && !c.Exists)) {
		return m.park(ForeignRegistration, "somebody else registered the job during its first release")
	}
	if d == nil {
		return m.unreadable()
	}
	if !m.give(m.split(0, false)) {
		return m.firstDeadline(m.splitPending())
	}
	m.act(Action{Kind: ActRegister, Registration: m.fromGit(*d, RoleFirst)})
	return m.firstDeadline(m.trying("registering %s", m.Canary.Revision))
}

func (m *machine) firstDeadline(why Reason) Reason {
	if m.now.Sub(m.Since) <= m.deadline() {
		return why
	}
	if cause, blameless := m.blameless(); blameless {
		return m.abort(OutcomeParked, cause)
	}
	if m.Registered {
		return m.condemn(Reason{Code: CanaryUnready, Text: fmt.Sprintf("the first release did not become ready within %s: %s", m.deadline(), why.Text)})
	}
	return m.abort(OutcomeParked, Reason{Code: TookTooLong, Text: fmt.Sprintf("placing took longer than %s: %s", m.deadline(), why.Text)})
}
