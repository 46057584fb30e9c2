package strategy

import (
	"fmt"
	"slices"
)

// gitMoved looks whether Git asks for something else than what is on trial. Only phases before promotion may ask.
func (m *machine) gitMoved() (Reason, bool) {
	d := m.o.Desired
	if d == nil || d.Revision == m.Canary.Revision || m.o.Forced != "" {
		return Reason{}, false
	}
	if why, withdrawn := m.withdrawn(d); withdrawn {
		return why, true
	}
	if m.o.Cluster == nil {
		return m.nomadAway(), true
	}
	if m.Phase == First && m.ours(RoleFirst) && d.Revision.SameSpec(m.Canary.Revision) {
		return m.goOnAs(d), true
	}
	if m.Phase != First && m.meddled() {
		if why, underWay := m.takeOver(); underWay {
			m.shut()
			return why, true
		}
	}
	why := Reason{Code: Superseded, Text: fmt.Sprintf("%s supersedes %s at %s", d.Revision, m.Canary.Revision, m.Weight)}
	m.Last = Outcome{Kind: OutcomeSuperseded, Revision: m.Canary.Revision, Reason: why, At: m.now}
	return m.begin(m.Phase.again(), d, why), true
}

// goOnAs has a first release go on under another name for the same job: registered a second time it would be no change to
// Nomad.
func (m *machine) goOnAs(d *Desired) Reason {
	why := Reason{Code: Superseded, Text: fmt.Sprintf("%s supersedes %s: it is the same job, which goes on", d.Revision, m.Canary.Revision)}
	m.tell(m.Canary.Commit.SHA, ReportError, m.ID+string(why.Code), why.Text)
	m.Canary.Revision, m.Canary.Commit = d.Revision, d.Commit
	return m.enter(First, why)
}

// withdrawn ends a rollout when Git asks for the stable revision, or for one that cannot be released.
func (m *machine) withdrawn(d *Desired) (Reason, bool) {
	switch {
	case d.Job.Ref != m.Job:
		return m.abort(OutcomeWithdrawn, Reason{Code: Refused, Text: fmt.Sprintf("Git names job %s at %s, and no longer %s", d.Job.Ref, d.Commit.Short(), m.Job)}), true
	case d.Revision == m.Stable.Revision, d.Revision.SameSpec(m.Stable.Revision):
		return m.abort(OutcomeWithdrawn, Reason{Code: RevertedInGit, Text: fmt.Sprintf("Git asks for %s again, at %s", d.Revision, d.Commit.Short())}), true
	case m.IsCondemned(d.Revision):
		return m.abort(OutcomeWithdrawn, Reason{Code: AlreadyCondemned, Text: fmt.Sprintf("Git asks for %s at %s, which was condemned", d.Revision, d.Commit.Short())}), true
	case len(d.Refusals) > 0:
		return m.abort(OutcomeWithdrawn, Reason{Code: Refused, Text: fmt.Sprintf("Git asks for %s at %s, which is refused: %s", d.Revision, d.Commit.Short(), d.Refusals[0])}), true
	}
	if why, cut := m.cutOff(d); cut && m.Phase != First {
		return m.abort(OutcomeWithdrawn, why), true
	}
	return Reason{}, false
}

// again is the phase that a superseding rollout starts in.
func (p Phase) again() Phase {
	if p == First {
		return First
	}
	return Placing
}

// abort ends a rollout before promotion for no fault of the revision.
func (m *machine) abort(kind OutcomeKind, why Reason) Reason {
	m.Ending = &Outcome{Kind: kind, Revision: m.Canary.Revision, Reason: why}
	return m.enter(Restoring, why)
}

// park rests at once: somebody else has decided what the job runs, so there is nothing to put back.
func (m *machine) park(code ReasonCode, text string) Reason {
	m.Ending = &Outcome{Kind: OutcomeParked, Revision: m.Canary.Revision, Reason: Reason{Code: code, Text: text}}
	return m.finish()
}

// withdraw rests at once a rollout of which nothing is registered: it begins anew when Git asks for it again.
func (m *machine) withdraw(why Reason) Reason {
	m.Ending = &Outcome{Kind: OutcomeWithdrawn, Revision: m.Canary.Revision, Reason: why}
	return m.finish()
}

// unreadable waits for Git to say what is to be registered. That it does not is not the revision's fault: in the end the
// rollout is withdrawn, and begins anew when the release can be read.
func (m *machine) unreadable() Reason {
	why := m.hold(IntentUnreadable, "the release cannot be read from Git: %s", m.o.GitProblem)
	if m.now.Sub(m.Since) <= m.deadline()+m.drainLimit() {
		return why
	}
	return m.abort(OutcomeWithdrawn, why)
}

// condemn ends a rollout before promotion for the revision's own fault. From here on the revision is not tried again.
func (m *machine) condemn(why Reason) Reason {
	m.reject(why)
	return m.enter(Restoring, why)
}

func (m *machine) reject(why Reason) {
	m.Ending = &Outcome{Kind: OutcomeCondemned, Revision: m.Canary.Revision, Reason: why}
	m.Condemned = remember(m.Condemned, m.Canary.Revision, maxCondemned)
}

// fault looks whether an allocation on trial failed for good by itself, or is not healthy past its deadline. That one crashed
// says more than that another is not healthy.
func (m *machine) fault() (Reason, bool) {
	var unhealthy Reason
	for _, a := range m.o.Cluster.Allocs {
		switch {
		case !m.onTrial(a):
		case a.Fault == FaultTask:
			return Reason{Code: CanaryCrashed, Text: fmt.Sprintf("canary allocation %s of group %q failed: %s", shortID(a.ID), a.Group, a.Why)}, true
		case a.Fault == FaultHealth && unhealthy.Code == "":
			unhealthy = Reason{Code: CanaryUnready, Text: fmt.Sprintf("canary allocation %s of group %q did not become healthy: %s", shortID(a.ID), a.Group, a.Why)}
		}
	}
	return unhealthy, unhealthy.Code != ""
}

func shortID(id string) string { return id[:min(len(id), 8)] }

// deploymentFailed reads from the allocations whose fault it is that Nomad gave up.
func (m *machine) deploymentFailed() Reason {
	if why, faulty := m.fault(); faulty {
		return m.condemn(why)
	}
	c := m.o.Cluster
	if why, faulty := m.faultBeside(Fault.Own); faulty {
		return m.condemn(why)
	}
	if why, blameless := m.blameless(); blameless {
		return m.abort(OutcomeParked, why)
	}
	if why, lost := m.faultBeside(func(f Fault) bool { return f == FaultNode }); lost {
		return m.abort(OutcomeParked, why)
	}
	if m.serving(true) > 0 && m.allReady() {
		return m.abort(OutcomeParked, Reason{Code: ForeignRegistration, Text: "the deployment was failed while its canaries were ready: " + c.Deployment.Text})
	}
	return m.condemn(Reason{Code: CanaryUnready, Text: "the canary did not become healthy: " + c.Deployment.Text})
}

// faultBeside is a fault of an allocation that Nomad placed for the revision on trial without making it a canary.
func (m *machine) faultBeside(is func(Fault) bool) (Reason, bool) {
	n := slices.IndexFunc(m.o.Cluster.Allocs, func(a Alloc) bool { return a.Fresh && !m.onTrial(a) && is(a.Fault) })
	if n < 0 {
		return Reason{}, false
	}
	a := m.o.Cluster.Allocs[n]
	text := func(what string) string {
		return fmt.Sprintf("allocation %s of group %q %s: %s", shortID(a.ID), a.Group, what, a.Why)
	}
	switch a.Fault {
	case FaultTask:
		return Reason{Code: CanaryCrashed, Text: text("failed")}, true
	case FaultHealth:
		return Reason{Code: CanaryUnready, Text: text("did not become healthy")}, true
	case FaultNode:
		return Reason{Code: NodeLost, Text: text("lost its node")}, true
	case FaultNone:
	}
	return Reason{}, false
}

// blameless says why canaries are missing when that is not the revision's fault.
func (m *machine) blameless() (Reason, bool) {
	c := m.o.Cluster
	for _, a := range c.Allocs {
		if m.onTrial(a) && a.Fault == FaultNode {
			return Reason{Code: NodeLost, Text: fmt.Sprintf("canary allocation %s lost its node: %s", shortID(a.ID), a.Why)}, true
		}
	}
	if c.Unplaced != "" {
		return Reason{Code: Unplaced, Text: "canaries cannot be placed: " + c.Unplaced}, true
	}
	if m.Hold != nil && (m.Hold.Reason.Code == Unplaced || m.Hold.Reason.Code == NodeLost) {
		// Nomad gave up on it, and does not say any more why it was missing.
		return m.Hold.Reason, true
	}
	return Reason{}, false
}

// readiness counts ready against wanted canaries of a deployment that is not promoted, group by group.
func (m *machine) readiness() (ready, want int) {
	have := map[string]int{}
	for _, a := range m.o.Cluster.Allocs {
		if a.Canary && a.Fresh && a.Ready && !a.Ending {
			have[a.Group]++
		}
	}
	for group, n := range m.o.Cluster.Deployment.Canaries {
		want += n
		ready += min(have[group], n)
	}
	return ready, want
}

func (m *machine) allReady() bool {
	ready, want := m.readiness()
	return ready == want && want > 0
}

// settled tells whether everything the job runs outside the trial is ready, as many serve as should, and nothing else is
// registered to: at rest a router may send to whatever is.
func (m *machine) settled() bool {
	c := m.o.Cluster
	serving := 0
	for _, a := range c.Allocs {
		switch {
		case a.Address != "" && (a.Ending || a.Canary):
			return false
		case a.Ending:
			continue
		case !a.Ready:
			return false
		}
		if a.Address != "" {
			serving++
		}
	}
	return (serving >= c.Count || m.service() == "") && c.Deployment.Status != DeploymentRunning
}

// meddled tells whether somebody else registered what is live since the rollout began.
func (m *machine) meddled() bool {
	own := RoleCanary
	if m.Phase == First {
		own = RoleFirst
	}
	return !m.ours(own) && (m.Registered || m.o.Cluster.ModifyIndex != m.Base)
}

// foreign holds when somebody else registered the job in mid-rollout; a stopped job ends the rollout.
func (m *machine) foreign() (Reason, bool) {
	c := m.o.Cluster
	switch {
	case !c.Exists, c.Stopped:
		return m.park(StoppedByPerson, "the job was stopped in mid-rollout"), true
	case !m.meddled():
		return Reason{}, false
	}
	m.shut()
	if m.o.Heir != "" {
		return m.park(NothingAsked, fmt.Sprintf("the job is that of release %q now", m.o.Heir)), true
	}
	d := m.o.Desired
	mayRetry := d != nil && (m.o.Forced == "" || d.Revision == m.Canary.Revision) // Another one is for a person to accept.
	if mayRetry && m.asked(CommandRetry) {
		if why, underWay := m.takeOver(); underWay {
			// The command is gone with this look: at rest it is Git that asks for what begins when theirs has ended.
			m.Last = Outcome{Kind: OutcomeSuperseded, Revision: m.Canary.Revision, Reason: why, At: m.now}
			m.Weight, m.Evidence, m.Paused = 0, Evidence{}, ""
			return m.enter(Resting, why), true
		}
		return m.begin(m.Phase.again(), d, Reason{Code: Started, Text: fmt.Sprintf("%s once more, as %s asks", d.Revision, m.o.Command.By)}), true
	}
	if m.Ran > m.Plan.MaxDuration {
		return m.park(ForeignRegistration, "the job was registered by somebody else in mid-rollout, and stayed so"), true
	}
	how := "commit another revision to go on, or run drover retry " + m.Release
	if !mayRetry {
		how = "commit another revision to go on"
	}
	return m.hold(ForeignRegistration, "the job was registered by somebody else in mid-rollout (version %d): %s", c.Version, how), true
}
