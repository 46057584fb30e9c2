package strategy

import (
	"fmt"
	"slices"
	"time"
)

// Report is what the status of a commit says of a release. It waits in the record until the forge has it.
type Report struct {
	SHA   string      `json:"sha"`
	State ReportState `json:"state"`
	Text  string      `json:"text"`
	// Key is what the text was made of. While it stays, so does the text: numbers that change all the time are no news.
	Key  string `json:"key,omitempty"`
	Told bool   `json:"told,omitempty"`
}

// ReportState is the colour of a status.
type ReportState string

// The states, as forges name them.
const (
	ReportPending ReportState = "pending" // under way, or waiting for its turn
	ReportSuccess ReportState = "success" // what the commit asks for runs
	ReportFailure ReportState = "failure" // rejected for its own fault
	ReportError   ReportState = "error"   // ended for another reason
)

// maxReports bounds the commits that a record keeps reports of; those that were told go first, then the oldest.
const maxReports = 4

// tell puts a report into the record, in the place of an earlier one on the same commit.
func (m *machine) tell(sha string, state ReportState, key, text string) {
	if sha == "" {
		return
	}
	if i := slices.IndexFunc(m.Reports, func(r Report) bool { return r.SHA == sha }); i >= 0 {
		if m.Reports[i].Key == key && m.Reports[i].State == state {
			return
		}
		m.Reports = slices.Delete(m.Reports, i, i+1)
	}
	m.Reports = append(m.Reports, Report{SHA: sha, State: state, Text: clip(text, maxLine), Key: clip(key, maxLine)})
	for len(m.Reports) > maxReports {
		i := max(0, slices.IndexFunc(m.Reports, func(r Report) bool { return r.Told }))
		m.Reports = slices.Delete(m.Reports, i, i+1)
	}
}

// report says on the commits at hand where the release stands.
func (m *machine) report(reason Reason) {
	if !m.AtRest() {
		state, text := ReportPending, m.underWay(reason)
		m.tell(m.Canary.Commit.SHA, state, m.underWayKey(), text)
		return
	}
	m.reportEnd()
	d := m.o.Desired
	if d == nil || d.Commit.SHA == m.Canary.Commit.SHA {
		return
	}
	if state, ok := restStates[reason.Code]; ok && !m.isOldNews(reason.Code, d.Commit) {
		m.tell(d.Commit.SHA, state, string(reason.Code), reason.Text)
	}
}

// oldNews is the age from which a commit is not told that nothing was to be done for it. At the first start there may be a
// thousand of them.
const oldNews = 24 * time.Hour

// isOldNews tells whether nobody waits to hear on a commit that what it asks for runs: it is old, and nothing else was said
// on it.
func (m *machine) isOldNews(code ReasonCode, c Commit) bool {
	said := slices.ContainsFunc(m.Reports, func(r Report) bool { return r.SHA == c.SHA })
	return isQuiet(code) && !said && !c.Time.IsZero() && m.now.Sub(c.Time) > oldNews
}

// isQuiet tells whether a reason to rest says that nothing was to be done.
func isQuiet(code ReasonCode) bool { return code == UpToDate || code == Promoted }

// IsQuiet tells whether the report says only that what the commit asks for ran already.
func (r Report) IsQuiet() bool { return r.State == ReportSuccess && isQuiet(ReasonCode(r.Key)) }

// underWayKey is what is news of a rollout in motion: its phase, its step, a hold, and the first time in a step that all gates
// pass. How many pass changes with every few requests, and is no news.
func (m *machine) underWayKey() string {
	key := fmt.Sprint(m.ID, m.Phase, m.Step, m.Paused)
	if m.Shadowing {
		key += string(Shadow)
	}
	if !m.Draining.IsZero() {
		key += string(Draining)
	}
	if m.Hold != nil {
		return key + string(m.Hold.Reason.Code)
	}
	passing := key + "passing"
	said := slices.ContainsFunc(m.Reports, func(r Report) bool { return r.SHA == m.Canary.Commit.SHA && r.Key == clip(passing, maxLine) })
	if m.Phase == Stepping && (said || m.gatesPass()) {
		return passing
	}
	return key
}

// reportEnd says how the last rollout ended, on the commit that asked for it.
func (m *machine) reportEnd() {
	if m.Last.Kind == OutcomeNone || m.Last.Kind == OutcomeSuperseded || m.Last.Reason.Code == Pruned {
		return
	}
	state, text := ReportError, fmt.Sprintf("%s %s: %s", m.Last.Revision, m.Last.Kind, m.Last.Reason.Text)
	switch m.Last.Kind {
	case OutcomePromoted:
		state, text = ReportSuccess, m.Last.Reason.Text
	case OutcomeCondemned:
		state, text = ReportFailure, "rolled back: "+m.Last.Reason.Text
	case OutcomeNone, OutcomeParked, OutcomeWithdrawn, OutcomeSuperseded:
	}
	m.tell(m.Canary.Commit.SHA, state, m.ID+string(m.Last.Kind), text)
}

// underWay is a rollout in motion, in short and without what changes from one look to the next.
func (m *machine) underWay(reason Reason) string {
	switch {
	case m.Hold != nil:
		return m.Hold.Reason.Text
	case m.Phase == Stepping && m.Step < len(m.Plan.Steps):
		return m.stepText(m.Plan.Steps[m.Step])
	case m.Phase == Standby:
		return fmt.Sprintf("%s has all traffic, %s stands by", m.Canary.Revision, m.Stable.Revision)
	case m.Shadowing:
		return m.gatesText(m.at(Step{}))
	case m.Phase == Placing, m.Phase == First:
		return "placing " + m.Canary.Revision.String()
	case m.Phase == Promoting && !m.Draining.IsZero():
		return fmt.Sprintf("%s has all traffic, connections are still open on %s", m.Canary.Revision, m.Stable.Revision)
	case m.Phase == Promoting:
		return "promoting " + m.Canary.Revision.String()
	case m.Phase == Restoring && m.Ending != nil:
		return "rolling back: " + m.Ending.Reason.Text
	}
	return reason.Text
}

// stepText is a step in a way that stays true while it bakes: how many gates pass is said when all do.
func (m *machine) stepText(step Step) string {
	if m.gatesPass() {
		return m.gatesText(m.at(step))
	}
	text := fmt.Sprintf("%s, baking for %s", m.at(step), step.Bake)
	if n := len(m.Plan.Gates); n == 1 {
		text += ", 1 gate asked"
	} else if n > 1 {
		text += fmt.Sprintf(", %d gates asked", n)
	}
	return text
}

// restStates is the colour of a reason to rest, on a commit that started no rollout. What is only a moment has none.
var restStates = map[ReasonCode]ReportState{
	UpToDate: ReportSuccess, Promoted: ReportSuccess,
	AlreadyCondemned: ReportFailure, Reverting: ReportFailure, Refused: ReportFailure, OtherInstance: ReportFailure,
	LimitReached: ReportPending, ForcedHead: ReportPending, Scaling: ReportPending,
	AlreadyParked: ReportError, StoppedByPerson: ReportError, ChangedByOther: ReportError,
}

// Tell is the rollout with the report marked as told, if it still says that.
func (r Rollout) Tell(told Report) Rollout {
	r.Reports = slices.Clone(r.Reports)
	for i, have := range r.Reports {
		if have.SHA == told.SHA && have.Key == told.Key && have.State == told.State {
			r.Reports[i].Told = true
		}
	}
	return r
}

// Untold are the reports that the forge does not have.
func (r Rollout) Untold() []Report {
	return slices.DeleteFunc(slices.Clone(r.Reports), func(r Report) bool { return r.Told })
}
