package strategy

import (
	"fmt"
	"time"
)

// standby keeps the old revision beside the new one, which has all traffic, so that going back is instant.
func (m *machine) standby() Reason {
	if why, fails := m.judge(false); fails {
		return m.condemn(why)
	}
	if why, moved := m.gitMovedInStandby(); moved {
		return why
	}
	c := m.o.Cluster
	if c == nil {
		return m.nomadAway()
	}
	if why, foreign := m.foreign(); foreign {
		return why
	}
	m.replan()
	if d := c.Deployment; d.Status == DeploymentFailed || d.Status == DeploymentCancelled {
		return m.deploymentFailed()
	} else if d.ID != "" && d.Promoted {
		return m.enter(Promoting, Reason{Code: StepsDone, Text: "somebody promoted the deployment by hand"})
	}
	if why, gone := m.replaceFailed(); gone {
		return why
	}
	if m.Ran > m.Plan.MaxDuration {
		return m.enter(Promoting, Reason{Code: TookTooLong, Text: fmt.Sprintf("max_duration %s is over: promoting %s", m.Plan.MaxDuration, m.Canary.Revision)})
	}
	if why, held := m.reachWeight(Full); held {
		return why
	}
	if why, stays := m.stays(); stays {
		return why
	}
	if why, blind := m.blind(); blind {
		return why
	}
	if m.bake(); m.Baked < m.Plan.Standby {
		return Reason{Code: StandingBy, Text: fmt.Sprintf("%s has all traffic, %s stands by for another %s", m.Canary.Revision, m.Stable.Revision, (m.Plan.Standby - m.Baked).Round(time.Second))}
	}
	return m.enter(Promoting, Reason{Code: StepsDone, Text: fmt.Sprintf("standby is over: promoting %s", m.Canary.Revision)})
}

// gitMovedInStandby goes back at once when Git does. Anything new waits until the promotion is done, also for a pause to end: Nomad
// would end the canaries, which carry all traffic.
func (m *machine) gitMovedInStandby() (Reason, bool) {
	d := m.o.Desired
	if d == nil || d.Revision == m.Canary.Revision || m.o.Forced != "" {
		return Reason{}, false
	}
	if why, withdrawn := m.withdrawn(d); withdrawn {
		return why, true
	}
	if m.Paused != "" {
		return Reason{}, false // The old version stands by until a person says otherwise.
	}
	return m.enter(Promoting, Reason{Code: Superseded, Text: fmt.Sprintf("Git asks for %s at %s: promoting %s first", d.Revision, d.Commit.Short(), m.Canary.Revision)}), true
}

// replaceFailed has Nomad place another allocation for each that failed: while the deployment is active it would not do
// so by itself. When none is left the revision is condemned.
func (m *machine) replaceFailed() (Reason, bool) {
	why, faulty := m.fault()
	if faulty && m.serving(true) == 0 {
		return m.condemn(why), true
	}
	for _, a := range m.o.Cluster.Allocs {
		if m.onTrial(a) && a.Fault.Own() && !a.Ending {
			m.act(Action{Kind: ActReplace, Job: m.Job, Alloc: a.ID})
		}
	}
	return Reason{}, false
}
