package strategy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// restoring is the way back before promotion: the traffic first, then the stable spec. It is not interrupted.
func (m *machine) restoring() Reason {
	c := m.o.Cluster
	if c == nil {
		m.shut()
		return m.nomadAway()
	}
	if m.stranded() {
		m.Stuck = Restoring
		return m.enter(Blocked, Reason{Code: StableUnready, Text: fmt.Sprintf("rollback blocked: no allocation of %s is ready, so %s keeps the traffic", m.Stable.Revision, m.Canary.Revision)})
	}
	shut := m.shut()
	if !shut && m.now.Sub(m.Since) <= lastResort {
		// Ending the canaries while a router still sends to them would fail requests.
		return m.splitPending()
	}
	switch {
	case !c.Exists:
		return m.finish()
	case c.Stopped && m.serves():
		return m.blockedAfter(waiting("the job is stopped; waiting for its allocations to end"))
	case c.Stopped:
		return m.finish()
	case m.promotedByHand():
		return m.reverse(m.Ending)
	}
	if shut {
		if why, draining := m.drain(); draining {
			return why
		}
	}
	if why, acting := m.putBack(); acting {
		return m.blockedAfter(why)
	}
	if m.settled() {
		return m.finish()
	}
	return m.blockedAfter(waiting("%s is registered again; waiting for it to be ready", m.Stable.Revision))
}

// serves tells whether any allocation could still be sent requests.
func (m *machine) serves() bool {
	return slices.ContainsFunc(m.o.Cluster.Allocs, func(a Alloc) bool { return a.Address != "" && a.Ready && !a.Ending })
}

// promotedByHand tells whether somebody promoted what is being thrown away: only a rollout in reverse goes back from there.
func (m *machine) promotedByHand() bool {
	c := m.o.Cluster
	return c.Marker.Role.trial() && c.Deployment.ID != "" && c.Deployment.Promoted && c.Revision != m.Stable.Revision && !c.Revision.SameSpec(m.Stable.Revision)
}

// stranded tells whether the canaries are all that serves: to end them would leave nobody. A first release has nothing to go
// back to anyway.
func (m *machine) stranded() bool {
	c := m.o.Cluster
	if !c.Exists || c.Stopped || !c.Marker.Role.trial() || c.Deployment.Promoted || m.stableServes() {
		return false
	}
	return slices.ContainsFunc(c.Allocs, func(a Alloc) bool { return a.Canary && a.Ready && !a.Ending && a.Address != "" })
}

// putBack takes the revision on trial out of Nomad: it registers the stable spec again, or stops a first release, which
// has nothing to go back to. It tells whether that is still to be done.
func (m *machine) putBack() (Reason, bool) {
	c := m.o.Cluster
	switch {
	case m.ours(RoleFirst):
		m.act(Action{Kind: ActStop, Job: m.Job, ModifyIndex: c.ModifyIndex})
		return m.trying("stopping the job: there is no earlier version to go back to"), true
	case m.stranded():
		return waiting("waiting for an allocation of %s to be ready", m.Stable.Revision), true
	case c.Marker.Role.trial() && !c.Deployment.Promoted && c.Revision != m.Stable.Revision:
		// This rollout's registration, or that of one it superseded.
		m.restore(c.ModifyIndex)
		return m.trying("registering %s again", m.Stable.Revision), true
	}
	return Reason{}, false
}

// restore registers the stable spec again, as Nomad has it, when the job is still at that index.
func (m *machine) restore(index uint64) {
	m.act(Action{Kind: ActRegister, Registration: &Registration{
		Job: m.Job, Version: m.Stable.Version, ModifyIndex: index,
		Marker: Marker{Rollout: m.ID, Revision: m.Stable.Revision, Role: RoleRestore},
	}})
}

// blockedAfter gives up waiting when the way back takes too long.
func (m *machine) blockedAfter(why Reason) Reason {
	if m.now.Sub(m.Since) <= m.deadline()+m.drainLimit() {
		return why
	}
	m.Stuck = m.Phase
	return m.enter(Blocked, Reason{Code: StableUnready, Text: fmt.Sprintf("rollback blocked: %s", why.Text)})
}

// finish rests a rollout that ended before promotion, or after the way back; what is to be said goes into the outbox.
func (m *machine) finish() Reason {
	end := *m.Ending
	end.At = m.now
	if c := m.o.Cluster; c.Exists && !c.Stopped && m.ours(RoleRestore) {
		m.Stable.Version = c.Version
	}
	switch end.Kind {
	case OutcomeParked:
		m.Parked = end.Revision
	case OutcomeCondemned:
		if m.Last.Kind != OutcomeCondemned || m.Last.Revision != end.Revision { // Else its canaries came late, and all was said.
			m.announce(end)
		}
	case OutcomeNone, OutcomePromoted, OutcomeWithdrawn, OutcomeSuperseded:
	}
	m.Last, m.Ending, m.Weight, m.Evidence, m.Paused = end, nil, 0, Evidence{}, ""
	code := Restored
	if end.Kind == OutcomeParked {
		code = AlreadyParked
	}
	return m.enter(Resting, Reason{Code: code, Text: fmt.Sprintf("%s %s: %s", end.Revision, end.Kind, end.Reason.Text)})
}

// good is the revision to go back to: on the way back from a promotion it is the one that comes again.
func (m *machine) good() Revision {
	if m.Phase == Reversing || (m.Phase == Blocked && m.Stuck == Reversing) {
		return m.Canary.Revision
	}
	return m.Stable.Revision
}

// announce puts the revert and the issue into the outbox.
func (m *machine) announce(end Outcome) {
	task := Task{
		Rollout: m.ID, At: m.now, Failed: m.Canary.Commit, Bad: end.Revision, Good: m.good(), Reason: end.Reason,
		Step: m.Step + 1, Steps: len(m.Plan.Steps), Weight: m.reached(), Rollback: m.Plan.Rollback,
		Verdicts: m.Verdicts, Requests: m.Evidence.Total, Errors: m.Evidence.Failed, Timeline: m.Timeline,
	}
	if !m.Opened {
		task.Step = 0
	}
	if m.Plan.Rollback.Commit != CommitNone && !task.Good.IsZero() {
		revert := task
		revert.Kind, revert.Timeline, revert.Verdicts = TaskRevert, nil, nil
		m.Outbox = append(m.Outbox, revert)
	}
	if m.Plan.Rollback.Issue {
		task.Kind = TaskIssue
		m.Outbox = append(m.Outbox, task)
		m.Incidents = append(m.Incidents, Incident{Rollout: m.ID, Commit: m.Canary.Commit.SHA, At: m.now})
		m.Incidents = m.Incidents[max(0, len(m.Incidents)-maxIncidents):]
	}
}

// settle ends the incidents of a release of which a later version was promoted.
func (m *machine) settle(why Reason) {
	for _, i := range m.Incidents {
		m.Outbox = append(m.Outbox, Task{Kind: TaskClose, Rollout: i.Rollout, Incident: i.Commit, At: i.At, Failed: m.Canary.Commit, Good: m.Canary.Revision, Reason: why})
	}
	m.Incidents = nil
}

// reached is the largest weight that the canary had.
func (m *machine) reached() Weight {
	largest := Weight(0)
	for _, e := range m.Timeline {
		largest = max(largest, e.Weight)
	}
	return largest
}

func (m *machine) took() time.Duration {
	if len(m.Timeline) == 0 {
		return 0
	}
	return m.now.Sub(m.Timeline[0].At).Round(time.Second)
}

// reverseMayGoOn tells whether a rollout in reverse that was blocked has what it waited for.
func (m *machine) reverseMayGoOn(settled bool) bool {
	d := m.o.Cluster.Deployment
	switch {
	case !m.ours(RoleReverse), d.Promoted:
		return settled
	default:
		return d.Status == DeploymentRunning && m.allReady()
	}
}

// another tells whether Git asks for a revision that is neither of the two at hand, and that can be released.
func (m *machine) another(d *Desired) bool {
	if d == nil || m.o.Forced != "" || d.Job.Ref != m.Job || d.Revision == m.Stable.Revision || d.Revision == m.Canary.Revision || m.IsCondemned(d.Revision) {
		return false
	}
	return m.declined(d) == ""
}

// declined is why what Git asks for is not gone on with from a way back that is blocked; "" when it is. A first release has nothing
// that is to be kept.
func (m *machine) declined(d *Desired) string {
	switch why, cut := m.cutOff(d); {
	case len(d.Refusals) > 0:
		return fmt.Sprintf("%s cannot be released: %s", d.Revision, strings.Join(d.Refusals, "; "))
	case cut && !m.Stable.Revision.IsZero():
		return why.Text
	}
	return ""
}

// blocked waits for stable to become ready, or for Git to ask for something else.
func (m *machine) blocked() Reason {
	c, d := m.o.Cluster, m.o.Desired
	if c == nil {
		return m.nomadAway()
	}
	if m.Stuck == Restoring && m.promotedByHand() {
		if m.another(d) {
			return m.goOnFromServing(d)
		}
		return m.reverse(m.Ending)
	}
	m.give(m.split(0, false))
	if why, free := m.unblocked(); free {
		return why
	}
	if m.asked(CommandRetry) {
		return m.retryWayBack()
	}
	if m.another(d) {
		return m.goOnFromBlocked(d)
	}
	trusted := m.Stable.Revision
	if m.Stuck == Reversing {
		trusted = m.Canary.Revision
	}
	text := fmt.Sprintf("%s is not ready: what is ready serves. Mend it and run drover retry %s, or commit another revision", trusted, m.Release)
	if d != nil && d.Revision != m.Stable.Revision && d.Revision != m.Canary.Revision && m.declined(d) != "" {
		text += ": " + m.declined(d)
	}
	return m.hold(StableUnready, "%s", text)
}

// goOnFromBlocked begins what Git asks for, from what is left of a way back that was blocked.
func (m *machine) goOnFromBlocked(d *Desired) Reason {
	if why, promoting := m.promoteServing(d); promoting {
		return why
	}
	c, phase := m.o.Cluster, Placing
	if m.Stuck == Reversing && m.ours(RoleReverse) && c.Deployment.Promoted {
		m.Stable = Installed{Revision: m.Canary.Revision, Version: c.Version} // Of what failed nothing runs any more.
	}
	rests := m.finish()
	if m.Stable == (Installed{}) {
		if c.Exists && !c.Stopped && !m.ours(RoleFirst) {
			return rests // What somebody else registered is to be stable first, where it serves.
		}
		phase = First
	}
	return m.begin(phase, d, Reason{Code: Superseded, Text: fmt.Sprintf("the way back was blocked; Git asks for %s at %s", d.Revision, d.Commit.Short())})
}

// promoteServing promotes canaries that are all that serves, before anything is registered in their place: that would end
// them, and leave nobody. Where Nomad does not promote them Git's wish is begun without that.
func (m *machine) promoteServing(d *Desired) (Reason, bool) {
	c := m.o.Cluster
	if m.Stuck != Restoring || !m.stranded() || c.Deployment.Status != DeploymentRunning || m.heldFor(Superseded) > m.deadline() {
		return Reason{}, false
	}
	ready := 0
	for _, a := range c.Allocs {
		switch {
		case !a.Canary || a.Ending:
		case !a.Ready:
			return Reason{}, false // Nomad promotes all of them or none.
		default:
			ready++
		}
	}
	if ready < c.Deployment.DesiredCanaries() {
		return Reason{}, false
	}
	m.act(Action{Kind: ActPromote, Job: m.Job, Deployment: c.Deployment.ID})
	return m.hold(Superseded, "Git asks for %s at %s: promoting %s first, which is all that serves", d.Revision, d.Commit.Short(), c.Revision), true
}

// goOnFromServing begins what Git asks for from what was promoted because nothing else served.
func (m *machine) goOnFromServing(d *Desired) Reason {
	c := m.o.Cluster
	m.give(m.split(0, false))
	if c.Deployment.Status == DeploymentRunning {
		return m.hold(Superseded, "Git asks for %s at %s: waiting for the promotion of %s to end", d.Revision, d.Commit.Short(), c.Revision)
	}
	m.finish()
	m.Stable = Installed{Revision: c.Revision, Version: c.Version}
	return m.begin(Placing, d, Reason{Code: Superseded, Text: fmt.Sprintf("the way back was blocked; Git asks for %s at %s, and %s serves until then", d.Revision, d.Commit.Short(), c.Revision)})
}

// unblocked tells whether the way back has what it waited for, or nothing is left to go back to.
func (m *machine) unblocked() (Reason, bool) {
	c := m.o.Cluster
	gone := !c.Exists || c.Stopped
	if m.Stuck == Reversing {
		// What was promoted serves, and nothing but the way back is to be put in its place.
		switch {
		case gone:
			return m.reverseEnds(Reason{Code: StoppedByPerson, Text: "the job was stopped on the way back"}), true
		case m.reverseMayGoOn(m.settled()):
			return m.enter(Reversing, Reason{Code: Restored, Text: fmt.Sprintf("%s became ready: the way back goes on", m.Canary.Revision)}), true
		}
		return Reason{}, false
	}
	if _, acting := m.putBack(); gone || (!acting && m.settled()) {
		return m.finish(), true
	}
	return Reason{}, false
}

// retryWayBack goes the way back that was blocked once more. One in reverse is registered anew.
func (m *machine) retryWayBack() Reason {
	why := Reason{Code: GoingBack, Text: fmt.Sprintf("the way back once more, as %s asks", m.o.Command.By)}
	if m.Stuck == Reversing {
		m.ID, m.Base, m.Registered = m.newID(), m.o.Cluster.ModifyIndex, false
	}
	return m.enter(m.Stuck, why)
}
