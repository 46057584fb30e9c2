package strategy

import (
	"fmt"
	"slices"
	"time"
)

// Shadow is the track of copies of users' requests: the canary answers them, and nobody sees the answers.
const Shadow Track = "shadow"

// ShadowPlan is a trial before the first weight: copies of requests go to the canary, and are judged by gates of their own.
type ShadowPlan struct {
	Percent Weight        `json:"percent"` // of the requests that may be copied
	Bake    time.Duration `json:"bake"`
	Methods []string      `json:"methods"` // that may be copied
	Gates   []Gate        `json:"gates,omitempty"`
}

// Copies are the requests that a router copies to the canary.
type Copies struct {
	Percent Weight   `json:"percent"`
	Methods []string `json:"methods"`
}

func (c *Copies) equal(other *Copies) bool {
	if c == nil || other == nil {
		return c == other
	}
	return c.Percent == other.Percent && slices.Equal(c.Methods, other.Methods)
}

// shadowed is the plan by which the copies are judged: that of a rollout of one step, with their gates.
func (p Plan) shadowed() Plan {
	p.Gates, p.Steps = p.Shadow.Gates, []Step{{Bake: p.Shadow.Bake}}
	return p
}

// tracks are the readings with the copies in the place of the canary's requests, or without the copies.
func (s Sample) tracks(shadow bool) Sample {
	s.Series = slices.Clone(s.Series)
	if !shadow {
		s.Series = slices.DeleteFunc(s.Series, func(x Series) bool { return x.Track == Shadow })
		return s
	}
	s.Series = slices.DeleteFunc(s.Series, func(x Series) bool { return x.Track == Canary })
	for i := range s.Series {
		if s.Series[i].Track == Shadow {
			s.Series[i].Track = Canary
		}
	}
	return s
}

// judgedPlan is the plan that gates and evidence belong to now.
func (m *machine) judgedPlan() Plan {
	if m.Shadowing {
		return m.Plan.shadowed()
	}
	return m.Plan
}

// shadow has the router copy requests to the canaries, which are ready and have no traffic, and bakes that. It tells whether
// that is still under way; inEffect is whether the router has what was asked for.
func (m *machine) shadow(inEffect bool) (Reason, bool) {
	s := m.Plan.Shadow
	if s == nil || m.service() == "" {
		return Reason{}, false
	}
	if !m.Shadowing {
		if !inEffect {
			return m.splitPending(), true
		}
		m.Shadowing, m.Baked = true, 0
		m.observe()
		m.note(Reason{Code: StepEntered, Text: fmt.Sprintf("all canaries ready: copies of %s of the requests to them", s.Percent)})
		inEffect = m.give(m.split(0, false))
	}
	m.Since = m.Since.Add(m.dt) // The time in which canaries must get ready stands still while they are.
	if why, fails := m.judge(true); fails {
		return m.condemn(why), true
	}
	if m.Ran > m.Plan.MaxDuration+m.deadline() {
		return m.abort(OutcomeParked, Reason{Code: TookTooLong, Text: fmt.Sprintf("the trial by copies of requests took longer than max_duration %s: %s", m.Plan.MaxDuration, m.Reason.Text)}), true
	}
	if !inEffect {
		return m.splitPending(), true
	}
	if why, blind := m.blind(); blind {
		return why, true
	}
	step := m.judgedPlan().Steps[0]
	if m.Baked += m.dt; m.Baked < step.Bake && !m.passesEarly(step) {
		return Reason{Code: Baking, Text: m.progress(step)}, true
	}
	if v, waits := m.unpassed(); waits {
		return m.inconclusive(step, v, m.firstStep), true
	}
	return Reason{}, false
}
