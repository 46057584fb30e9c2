package strategy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// approved begins what the timeline says of an approval.
const approved = "approved by"

// obey does what a person asks for. A command that does not fit the phase changes nothing.
func (m *machine) obey() {
	c := m.o.Command
	if c == nil {
		return
	}
	if m.saidBefore(*c) {
		m.o.Command = nil
		return
	}
	beforePromotion := m.Phase == Placing || m.Phase == Stepping || m.Phase == Standby
	switch c.Kind {
	case CommandPause:
		if beforePromotion {
			m.Paused = c.By
		}
	case CommandResume:
		m.resume(c.By)
	case CommandAbort:
		if beforePromotion || m.Phase == First || m.promotesLater() {
			m.abort(OutcomeParked, Reason{Code: AbortedByHand, Text: "aborted by " + c.By})
		}
	case CommandRetry:
		m.unpark(c.By)
	case CommandApprove: // Where a step ends.
	case CommandAcceptHead: // The caller's.
	}
}

// promotesLater tells whether the promotion waits for open connections: nothing is promoted yet.
func (m *machine) promotesLater() bool { return m.Phase == Promoting && !m.Draining.IsZero() }

// saidBefore tells whether a command was said of an earlier rollout.
func (m *machine) saidBefore(c Command) bool {
	return !c.Said.IsZero() && len(m.Timeline) > 0 && m.Timeline[0].At.After(c.Said.Add(time.Second))
}

func (m *machine) resume(by string) {
	if m.Paused != "" {
		m.note(Reason{Code: ResumedByPerson, Text: "resumed by " + by})
	}
	m.Paused = ""
}

// unpark has what is parked tried again, now or as soon as it may be.
func (m *machine) unpark(by string) {
	if !m.Parked.IsZero() {
		m.note(Reason{Code: ResumedByPerson, Text: fmt.Sprintf("%s is to be tried again, as %s asks", m.Parked, by)})
	}
	m.Parked = Revision{}
}

// asked tells whether a person gives that command now.
func (m *machine) asked(kind CommandKind) bool { return m.o.Command != nil && m.o.Command.Kind == kind }

// stays holds a rollout where it is while a person asks for that, or while nobody can say what Git asks for.
func (m *machine) stays() (Reason, bool) {
	if m.Paused == "" && m.o.GitAway == nil {
		return Reason{}, false
	}
	m.give(m.split(min(m.Weight, m.carries()), false))
	if m.Paused != "" {
		return m.hold(PausedByPerson, "paused by %s at %s: drover resume %s goes on", m.Paused, m.Weight, m.Release), true
	}
	return m.hold(m.o.GitAway.Code, "stays at %s: %s", m.Weight, m.o.GitAway.Text), true
}

func (m *machine) heldByGit(at Weight) Reason {
	return m.hold(HeldByGit, "held at %s, as hold_at in Git asks", at)
}

// clockRuns tells whether time counts against max_duration: not while a person or Git holds the rollout.
func (m *machine) clockRuns() bool {
	return m.Phase != Resting && m.Draining.IsZero() && m.Paused == "" && (m.Hold == nil || m.Hold.Reason.Code != HeldByGit)
}

// smoke asks the canaries the smoke checks, once they are all ready and before they have traffic. It tells whether an
// answer is pending; a wrong one ends the rollout by way of fails.
func (m *machine) smoke(fails func(Reason) Reason) (Reason, bool) {
	if len(m.Plan.Smoke) == 0 || m.Weight > 0 {
		return Reason{}, false
	}
	result := m.o.Smoke
	switch {
	case result == nil || result.Rollout != m.ID:
		m.act(Action{Kind: ActSmoke, Smoke: m.Plan.Smoke, Endpoints: m.split(Full, false).Canary})
		return waiting("waiting for the smoke checks of %s", m.Canary.Revision), true
	case result.Failed != "":
		return fails(Reason{Code: SmokeFailed, Text: fmt.Sprintf("smoke check failed before %s had traffic: %s", m.Canary.Revision, result.Failed)}), true
	}
	return Reason{}, false
}

// Unobeyed says why a command did not change the rollout that is given as it is after it; "" when it did.
func Unobeyed(kind CommandKind, r Rollout) string {
	switch kind {
	case CommandPause:
		if r.Paused == "" {
			return "there is nothing to pause: " + r.standing()
		}
	case CommandResume:
		if r.Paused != "" {
			return "it is still paused by " + r.Paused
		}
	case CommandAbort:
		if !r.isAborted() {
			return "there is no rollout that can be aborted: " + r.standing()
		}
	case CommandRetry:
		switch {
		case r.isRetried():
		case r.AtRest():
			return "nothing is parked: " + r.Reason.Text
		default:
			return "it is not tried again: " + r.standing()
		}
	case CommandApprove:
		if !r.isApproved() {
			return "no gate waits for approval: " + r.Reason.Text
		}
	case CommandAcceptHead:
	}
	return ""
}

// Obeyed says what became of a command that did change the rollout, which is given as it is after it.
func Obeyed(kind CommandKind, r Rollout) string {
	switch kind {
	case CommandPause:
		return fmt.Sprintf("paused by %s at %s: drover resume %s goes on", r.Paused, r.Weight, r.Release)
	case CommandResume:
		return "goes on: " + r.Reason.Text
	case CommandAbort:
		if r.AtRest() {
			return fmt.Sprintf("%s: %s has all traffic", r.Last.Reason.Text, r.serving())
		}
		return fmt.Sprintf("%s: all traffic goes back to %s", r.Ending.Reason.Text, r.serving())
	case CommandRetry:
		return "tried again: " + r.Reason.Text
	case CommandApprove:
		return "approved: " + r.Reason.Text
	case CommandAcceptHead:
	}
	return r.Reason.Text
}

// serving is the revision that an aborted rollout leaves, in words.
func (r Rollout) serving() string {
	if r.Stable.Revision.IsZero() {
		return "nothing, since there is no earlier version"
	}
	return r.Stable.Revision.String()
}

// isAborted tells whether a person aborted the present rollout, or the last one.
func (r Rollout) isAborted() bool {
	if r.AtRest() {
		return r.Last.Reason.Code == AbortedByHand
	}
	return r.Ending != nil && r.Ending.Reason.Code == AbortedByHand
}

// isRetried tells whether a person's word had something tried again just now, or had it tried as soon as that may be.
func (r Rollout) isRetried() bool {
	return slices.ContainsFunc(r.Timeline, func(e Event) bool {
		begun := []ReasonCode{Started, GoingBack, Correcting, ResumedByPerson, ForeignRegistration}
		return e.At.Equal(r.Seen) && slices.Contains(begun, e.Reason.Code)
	})
}

// isApproved tells whether a person's word was taken for a gate just now.
func (r Rollout) isApproved() bool {
	n := len(r.Timeline)
	return n > 0 && r.Timeline[n-1].At.Equal(r.Seen) && strings.Contains(r.Timeline[n-1].Reason.Text, approved)
}

// standing is the phase in words, for who asks for what does not fit it.
func (r Rollout) standing() string {
	switch r.Phase {
	case Placing, Stepping, Standby:
		return "a rollout is under way: " + r.Reason.Text
	case First:
		return "it is a first release, which has no steps"
	case Promoting:
		return "it is being promoted"
	case Restoring, Reversing:
		return "it is on its way back already"
	case Blocked:
		return "it is blocked: " + r.Reason.Text
	case Resting:
	}
	return "it rests: " + r.Reason.Text
}
