package strategy

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// corrections bounds how often drift is corrected: what is changed again so soon is somebody who means it.
const corrections = 10 * time.Minute

// drifted says that somebody else registered the job while its release was at rest, and brings back what Git asks for
// when the release wants that: as a rollout in reverse, since it was live before.
func (m *machine) drifted() Reason {
	c, d := m.o.Cluster, m.o.Desired
	report := Reason{Code: ChangedByOther, Text: fmt.Sprintf("Git asks for %s, but somebody else registered version %d of the job: it is left alone until Git asks for another revision", m.Stable.Revision, c.Version)}
	if d.Release.Drift != DriftCorrect {
		return report
	}
	if m.corrected() {
		return m.hold(ChangedByOther, "somebody else registered version %d of the job just after it was corrected: it is corrected again %s after the last time", c.Version, corrections)
	}
	if why, waits := m.mayNotBegin(d); waits {
		return why
	}
	if why, underWay := m.takeOver(); underWay {
		return why
	}
	return m.begin(Reversing, d, Reason{Code: Correcting, Text: fmt.Sprintf("somebody else registered version %d of the job: back to %s, as drift = \"correct\" asks", c.Version, d.Revision)})
}

// corrected tells whether the last rollout was one that corrected drift, and ended only now.
func (m *machine) corrected() bool {
	return len(m.Timeline) > 0 && m.Timeline[0].Reason.Code == Correcting && m.now.Sub(m.Last.At) < corrections
}

// scale applies the counts that Git changed since they were applied last. A group with a scaling block is left to its
// autoscaler, and a count that a person or an autoscaler changed stays until Git's own changes.
func (m *machine) scale() (Reason, bool) {
	c, d := m.o.Cluster, m.o.Desired
	maps.DeleteFunc(m.Counts, func(group string, _ int) bool { return !d.Job.has(group) })
	for _, g := range d.Job.Groups {
		last, known := m.Counts[g.Name]
		live, exists := c.Counts[g.Name]
		if m.Counts == nil {
			m.Counts = map[string]int{}
		}
		if !known || !exists || g.Scaled || last == g.Count || live == g.Count {
			m.Counts[g.Name] = g.Count
			continue
		}
		if why, waits := m.headWaits(fmt.Sprintf("group %q is not scaled to %d", g.Name, g.Count)); waits {
			return why, true
		}
		if c.Deployment.Status == DeploymentRunning {
			return waiting("waiting for the deployment to end before group %q is scaled", g.Name), true
		}
		m.act(Action{Kind: ActScale, Job: m.Job, Group: g.Name, Count: g.Count})
		return Reason{Code: Scaling, Text: fmt.Sprintf("scaling group %q from %d to %d, as Git asks", g.Name, live, g.Count)}, true
	}
	return Reason{}, false
}

func (j JobSpec) has(group string) bool {
	return slices.ContainsFunc(j.Groups, func(g GroupSpec) bool { return g.Name == group })
}

// counts is what the jobspec says of each group.
func (j JobSpec) counts() map[string]int {
	counts := map[string]int{}
	for _, g := range j.Groups {
		counts[g.Name] = g.Count
	}
	return counts
}
