package strategy

import (
	"fmt"
	"slices"
	"time"
)

// promoting moves all traffic, promotes Nomad's deployment and waits for the old allocations to end. What Git asks for
// in the meantime waits.
func (m *machine) promoting() Reason {
	c := m.o.Cluster
	if c == nil {
		return m.nomadAway()
	}
	promoted := c.Deployment.Promoted && m.ours(RoleCanary)
	if why, fails := m.judge(false); fails {
		return m.rejectWhilePromoting(why, promoted)
	}
	if !m.ours(RoleCanary) {
		return m.promotionOvertaken()
	}
	if !promoted {
		return m.promote()
	}
	m.Draining = time.Time{}
	m.give(m.split(m.promotedShare(), false))
	switch c.Deployment.Status {
	case DeploymentFailed, DeploymentCancelled:
		if why, faulty := m.fault(); faulty {
			return m.rejectWhilePromoting(why, promoted)
		}
		return m.reverse(&Outcome{Kind: OutcomeParked, Revision: m.Canary.Revision, Reason: Reason{Code: Unplaced, Text: "the promotion did not complete: " + c.Deployment.Text}})
	case DeploymentSuccessful:
		if m.oldGone() && m.settled() {
			return m.promoted(fmt.Sprintf("%s promoted after %s", m.Canary.Revision, m.took()))
		}
	case DeploymentNone, DeploymentRunning:
	}
	if m.Ran > m.Plan.MaxDuration+m.deadline() {
		return m.reverse(&Outcome{Kind: OutcomeParked, Revision: m.Canary.Revision, Reason: Reason{Code: TookTooLong, Text: "the promotion took longer than max_duration " + m.Plan.MaxDuration.String()}})
	}
	return waiting("promoted; waiting for the old allocations to end: %d of %d new ones ready", m.serving(true), c.Count)
}

// promote moves the traffic as far as the canaries carry it, then asks Nomad to promote.
func (m *machine) promote() Reason {
	c := m.o.Cluster
	if why, ends := m.canaryGone(); ends {
		return why
	}
	if why, withdrawn := m.withdrawnInDrain(); withdrawn {
		return why
	}
	want := max(min(m.Weight, m.carries()), m.carriedInFull())
	if m.allReady() && m.endsAtOnce(m.serving(true)) {
		want = Full
	}
	if !m.give(m.split(want, false)) {
		return m.splitPending()
	}
	if !m.allReady() {
		if m.heldFor(CanaryNotReady) > m.deadline() {
			return m.canaryStaysAway()
		}
		return m.hold(CanaryNotReady, "not all canaries are ready to be promoted")
	}
	if why, draining := m.drainAll(); draining {
		return why
	}
	if m.now.Sub(m.Since) > m.deadline()+m.drainLimit() {
		why := m.trying("Nomad did not promote the deployment within %s", m.deadline())
		return m.abort(OutcomeParked, Reason{Code: PromoteRefused, Text: why.Text})
	}
	m.act(Action{Kind: ActPromote, Job: m.Job, Deployment: c.Deployment.ID})
	return m.trying("promoting %s", m.Canary.Revision)
}

// carriedInFull is all of the traffic when the canaries carry it, else nothing.
func (m *machine) carriedInFull() Weight {
	if m.carries() == Full {
		return Full
	}
	return 0
}

// endsAtOnce tells whether Nomad may end all old allocations before the router can be told of it: as many as were
// displaced by canaries, and as many as it replaces at a time. Their share of requests must be on the new ones by then.
func (m *machine) endsAtOnce(displaced int) bool {
	return m.serving(true) > 0 && m.serving(false) <= displaced+max(m.o.Cluster.MaxParallel, 1)
}

// promotedShare follows the ready allocations while old ones are replaced.
func (m *machine) promotedShare() Weight {
	fresh, old := m.serving(true), m.serving(false)
	switch {
	case fresh == 0:
		return 0
	case m.Weight == Full, m.endsAtOnce(0):
		return Full
	}
	return max(m.Weight, Carries(fresh, fresh+old))
}

// oldGone tells whether nothing but the new revision runs.
func (m *machine) oldGone() bool {
	return !slices.ContainsFunc(m.o.Cluster.Allocs, func(a Alloc) bool { return !m.onTrial(a) && !a.Ending })
}

func (m *machine) rejectWhilePromoting(why Reason, promoted bool) Reason {
	if !promoted {
		return m.condemn(why)
	}
	m.reject(why)
	return m.reverse(m.Ending)
}

// promotionOvertaken ends a promotion whose job version is no longer ours.
func (m *machine) promotionOvertaken() Reason {
	c := m.o.Cluster
	m.shut()
	if !c.Exists || c.Stopped {
		return m.park(StoppedByPerson, "the job was stopped during the promotion")
	}
	return m.park(ForeignRegistration, fmt.Sprintf("somebody else registered version %d of the job during the promotion", c.Version))
}

// promoted ends a rollout well: the revision on trial is the stable one.
func (m *machine) promoted(text string) Reason {
	why := Reason{Code: Promoted, Text: text}
	if !m.WasPromoted(m.Canary.Revision) {
		m.settle(why) // Going back to what was live before mends nothing.
	}
	if !m.Stable.Revision.IsZero() {
		m.Promoted = remember(m.Promoted, m.Stable.Revision, maxPromoted)
	}
	m.Promoted = remember(m.Promoted, m.Canary.Revision, maxPromoted)
	m.Stable = Installed{Revision: m.Canary.Revision, Version: m.o.Cluster.Version}
	m.Last = Outcome{Kind: OutcomePromoted, Revision: m.Canary.Revision, Reason: why, At: m.now}
	m.Ending, m.Evidence, m.Paused = nil, Evidence{}, ""
	m.Weight = 0
	return m.enter(Resting, why)
}
