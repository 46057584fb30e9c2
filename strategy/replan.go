package strategy

import (
	"fmt"
	"slices"
)

// replan takes up the steps that Git changed in mid-rollout: on with the smallest one that is not below the present
// weight. Gates, canaries and smoke checks stay as they were at the start.
func (m *machine) replan() (Reason, bool) {
	d := m.o.Desired
	if d == nil || d.Revision != m.Canary.Revision || len(d.Refusals) > 0 || m.o.Forced != "" {
		return Reason{}, false
	}
	m.Plan.Kind, m.Plan.Standby, m.Plan.MaxDuration = d.Release.Plan.Kind, d.Release.Plan.Standby, d.Release.Plan.MaxDuration
	m.Plan.OnInconclusive, m.Plan.Early = d.Release.Plan.OnInconclusive, d.Release.Plan.Early
	m.Plan.Drain = d.Release.Plan.Drain
	want := m.carried(d.Release.Plan.Steps)
	if m.Phase == Standby || len(want) == 0 || slices.Equal(want, m.Plan.Steps) {
		return Reason{}, false
	}
	present := m.Plan.Steps[m.Step].Weight
	m.Plan.Steps = want
	if m.Phase == Placing {
		m.note(Reason{Code: Replanned, Text: fmt.Sprintf("Git changed the steps to %s", m.Plan.Weights())})
		return Reason{}, false
	}
	m.Step = slices.IndexFunc(want, func(s Step) bool { return s.Weight >= present })
	if m.Step < 0 {
		m.Step = len(want) - 1
	}
	if want[m.Step].Weight != present {
		m.Baked = 0
		m.Evidence = m.Evidence.NextStep()
	}
	return m.enter(Stepping, Reason{Code: Replanned, Text: fmt.Sprintf("Git changed the steps to %s: on at step %d, %s", m.Plan.Weights(), m.Step+1, want[m.Step].Weight)}), true
}

// carried is the steps that the canaries of this rollout can carry; their number was fixed at its start.
func (m *machine) carried(steps []Step) []Step {
	_, want := m.readiness()
	most := Full
	if !m.Plan.Canaries.IsFull() {
		most = Carries(want, m.o.Cluster.Count)
	}
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Weight > most })
}
