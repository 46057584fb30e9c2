package strategy

import (
	"fmt"
	"strings"
	"time"
)

func (m *machine) stepping() Reason {
	step := m.Plan.Steps[m.Step]
	if why, fails := m.judge(step.Weight < Full); fails {
		return m.condemn(why)
	}
	if why, ends := m.stepEnds(); ends {
		return why
	}
	if m.Ran > m.Plan.MaxDuration {
		return m.abort(OutcomeParked, Reason{Code: TookTooLong, Text: fmt.Sprintf("the rollout took longer than max_duration %s: %s", m.Plan.MaxDuration, m.Reason.Text)})
	}
	if m.o.Desired == nil {
		m.give(m.split(min(m.Weight, m.carries()), false))
		return m.hold(IntentUnreadable, "the release cannot be read from Git: %s", m.o.GitProblem)
	}
	if why, stays := m.stays(); stays {
		return why
	}
	target := step.Weight
	if at := m.o.Desired.Release.HoldAt; at != nil {
		target = min(target, *at)
	}
	if why, held := m.reachWeight(target); held {
		return why
	}
	if target < step.Weight {
		return m.heldByGit(target)
	}
	if why, blind := m.blind(); blind {
		return why
	}
	if m.bake(); m.Baked < step.Bake && !m.passesEarly(step) {
		return Reason{Code: Baking, Text: m.progress(step)}
	}
	if v, waits := m.unpassed(); waits {
		return m.inconclusive(step, v, m.nextStep)
	}
	return m.nextStep()
}

const (
	// extensions is by how many more bakes a step is extended while its gates are inconclusive.
	extensions = 3
	// soonest is the part of its bake that a step takes at least, however early it passes.
	soonest = 5
)

// passesEarly tells whether a step may end before its bake is over.
func (m *machine) passesEarly(step Step) bool {
	if !m.Plan.Early || len(m.Verdicts) == 0 || m.Baked < step.Bake/soonest {
		return false
	}
	_, waits := m.unpassed()
	return !waits
}

// inconclusive does what the plan says of a bake that is over and proved nothing.
func (m *machine) inconclusive(step Step, v Verdict, next func() Reason) Reason {
	if m.asked(CommandApprove) {
		return next()
	}
	switch m.Plan.OnInconclusive {
	case PromoteInconclusive:
		return next()
	case RejectInconclusive:
		return m.condemn(Reason{Code: GateInconclusive, Text: fmt.Sprintf("gate %q was inconclusive at the end of the bake %s: %s", v.Gate, m.where(), v.Why)})
	case HoldInconclusive:
	case ExtendBake, "":
		if most := (extensions + 1) * step.Bake; m.Baked < most {
			return Reason{Code: Extended, Text: fmt.Sprintf("%s, baked %s of %s, extended to %s at most: gate %q is inconclusive: %s",
				m.at(step), m.Baked.Round(time.Second), step.Bake, most, v.Gate, v.Why)}
		}
	}
	return m.hold(GateInconclusive, "%s, but gate %q is inconclusive: %s", m.at(step), v.Gate, v.Why)
}

// stepEnds looks for what ends or changes a step from outside: Git, other people, and what becomes of the canaries.
func (m *machine) stepEnds() (Reason, bool) {
	if why, moved := m.gitMoved(); moved {
		return why, true
	}
	if m.o.Cluster == nil {
		return m.nomadAway(), true
	}
	if why, changed := m.replan(); changed {
		return why, true
	}
	if why, foreign := m.foreign(); foreign {
		return why, true
	}
	return m.canaryGone()
}

// reachWeight brings the split to the target, as far as ready canaries carry it.
func (m *machine) reachWeight(target Weight) (Reason, bool) {
	want := min(target, m.carries())
	inEffect := m.give(m.split(want, false))
	if want < target {
		ready := m.serving(true)
		if m.heldFor(CanaryNotReady) > m.deadline() {
			return m.canaryStaysAway(), true
		}
		return m.hold(CanaryNotReady, "%d canaries ready carry %s of the %s of this step", ready, want, target), true
	}
	if !inEffect {
		return m.splitPending(), true
	}
	return m.splitHeeded()
}

// canaryGone looks for what ends a rollout in the state of its canaries, or ends its steps early.
func (m *machine) canaryGone() (Reason, bool) {
	if why, faulty := m.fault(); faulty {
		return m.condemn(why), true
	}
	d := m.o.Cluster.Deployment
	switch {
	case d.Status == DeploymentFailed, d.Status == DeploymentCancelled:
		return m.deploymentFailed(), true
	case d.ID != "" && d.Promoted:
		return m.enter(Promoting, Reason{Code: StepsDone, Text: "somebody promoted the deployment by hand"}), true
	}
	return Reason{}, false
}

// canaryStaysAway ends a rollout whose canaries were ready and are not any more.
func (m *machine) canaryStaysAway() Reason {
	if why, blameless := m.blameless(); blameless {
		return m.abort(OutcomeParked, why)
	}
	return m.condemn(Reason{Code: CanaryUnready, Text: fmt.Sprintf("canaries that were ready stayed unready for %s", m.deadline())})
}

func (m *machine) nextStep() Reason {
	last, present := m.Step+1 == len(m.Plan.Steps), m.Plan.Steps[m.Step].Weight
	if at := m.o.Desired.Release.HoldAt; at != nil && *at < Full && (last || *at <= present) { // A promotion takes all traffic.
		return m.heldByGit(present)
	}
	if !last {
		m.Step++
		m.Baked = 0
		m.Evidence = m.Evidence.NextStep()
		step := m.Plan.Steps[m.Step]
		return m.enter(Stepping, Reason{Code: StepEntered, Text: fmt.Sprintf("%s: step %d of %d, %s", m.allPass(), m.Step+1, len(m.Plan.Steps), step.Weight)})
	}
	m.Evidence = m.Evidence.NextStep()
	if m.Plan.Standby > 0 {
		m.Baked = 0
		return m.enter(Standby, Reason{Code: StandingBy, Text: fmt.Sprintf("%s: %s has all traffic, %s stands by for %s", m.allPass(), m.Canary.Revision, m.Stable.Revision, m.Plan.Standby)})
	}
	return m.enter(Promoting, Reason{Code: StepsDone, Text: fmt.Sprintf("all %d steps done, %s: promoting %s", len(m.Plan.Steps), m.allPass(), m.Canary.Revision)})
}

// allPass says how the gates stand at the end of a step.
func (m *machine) allPass() string {
	if v, waits := m.unpassed(); waits && m.asked(CommandApprove) {
		return fmt.Sprintf("%s %s, though gate %q is inconclusive", approved, m.o.Command.By, v.Gate)
	} else if waits {
		return fmt.Sprintf("no gate fails (%q is inconclusive)", v.Gate)
	}
	return "all gates pass"
}

func (m *machine) at(step Step) string {
	if m.Shadowing {
		return fmt.Sprintf("copies of %s of the requests", m.Plan.Shadow.Percent)
	}
	return fmt.Sprintf("canary %s%s%s, step %d of %d", step.Weight, m.arrives(), m.shareText(), m.Step+1, len(m.Plan.Steps))
}

// arrives says what the router makes of the weight, where it cannot bring all of it.
func (m *machine) arrives() string {
	if t := m.o.Traffic; t != nil && t.Share != nil {
		return fmt.Sprintf(" (%s arrives)", *t.Share)
	}
	return ""
}

func (m *machine) progress(step Step) string {
	return m.gatesText(fmt.Sprintf("%s, baked %s of %s", m.at(step), m.Baked.Round(time.Second), step.Bake))
}

// openGates are the gates that do not pass now, by their names. Those that only watch are never among them.
func (m *machine) openGates() (open []string) {
	for _, v := range m.Verdicts {
		if v.State != Pass && !v.DryRun {
			open = append(open, v.Gate)
		}
	}
	return open
}

// gatesPass tells whether there are gates, and all of them pass now.
func (m *machine) gatesPass() bool { return len(m.Verdicts) > 0 && len(m.openGates()) == 0 }

// gatesText adds what the gates say now.
func (m *machine) gatesText(text string) string {
	open := m.openGates()
	passed := len(m.Verdicts) - len(open)
	switch {
	case len(m.Verdicts) == 0:
		return text
	case passed == 1 && len(open) == 0:
		return text + ", 1 gate passes"
	case len(open) == 0:
		return fmt.Sprintf("%s, %d gates pass", text, passed)
	}
	return fmt.Sprintf("%s, %d of %d gates pass, inconclusive: %s", text, passed, len(m.Verdicts), strings.Join(open, ", "))
}
