package strategy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxGap bounds what one look adds to a clock.
	maxGap = time.Minute
	// glance bounds what one look adds to a bake, unless metrics cover the time since the last one: what nobody watched is
	// not baked.
	glance = 5 * time.Second
	// settle is how long an effect may take before waiting for it is a hold, which people are told of.
	settle = 10 * time.Second
	// stale is the age above which a sample says nothing of now.
	stale = 15 * time.Second
	// lastResort is how long a router may stay away before the canary's allocations are ended without it.
	lastResort = 30 * time.Second
	// grace is added to Nomad's own deadlines, so that Nomad's answer comes first.
	grace = 30 * time.Second
	// defaultDeadline is Nomad's own progress deadline.
	defaultDeadline = 10 * time.Minute
)

// Advance decides what is to be done for one release: it returns the rollout after the decision, the actions that
// bring the world to it, and why. It is a function of its arguments and rests: given its own result, the same
// observation without its command and the same time, it returns the same result and the same actions. A clock that is put
// back is followed; one that is behind by a moment stands still.
func Advance(r Rollout, o Observation, now time.Time) (Rollout, []Action, Reason) {
	m := &machine{Rollout: r.clone(), o: o, now: now}
	if m.Phase == "" {
		m.Phase, m.Since = Resting, now
	}
	if m.Entered.IsZero() {
		m.Entered = m.Since
	}
	m.rewind()
	if !m.Seen.IsZero() {
		m.dt = min(max(now.Sub(m.Seen), 0), maxGap)
	}
	if m.clockRuns() {
		m.Ran += m.dt
	}
	m.noteLoss()
	m.obey()
	m.takeSample()
	var reason Reason
	for range 12 { // No chain of moves within one observation is longer; the exploration proves it.
		m.actions, m.moved, m.held = nil, false, false
		reason = m.decide()
		if !m.held {
			m.Hold = nil
		}
		if !m.moved {
			break
		}
	}
	for i := range m.Outbox {
		m.act(Action{Kind: ActDeliver, Task: &m.Outbox[i]})
	}
	if now.After(m.Seen) {
		m.Seen = now
	}
	reason.Text = clip(reason.Text, maxText)
	m.report(reason)
	m.Reason = reason
	m.bound()
	return m.Rollout, m.actions, reason
}

// bound keeps the record small, whatever texts the world came up with.
func (m *machine) bound() {
	m.Last.Reason.Text = clip(m.Last.Reason.Text, maxText)
	if m.Ending != nil {
		m.Ending.Reason.Text = clip(m.Ending.Reason.Text, maxText)
	}
	if m.Hold != nil {
		m.Hold.Reason.Text = clip(m.Hold.Reason.Text, maxText)
	}
	for i := range m.Verdicts {
		m.Verdicts[i].Why = clip(m.Verdicts[i].Why, maxLine)
	}
	for i := range len(m.Outbox) - maxWaiting {
		m.Outbox[i].Timeline, m.Outbox[i].Verdicts = nil, nil
	}
}

// machine is one call of Advance under way.
type machine struct {
	Rollout
	o       Observation
	now     time.Time
	dt      time.Duration // since the last look, for the clocks
	covered bool          // what the canary answered since the last look was counted without a gap
	actions []Action
	moved   bool // the phase or step changed: decide again
	held    bool
}

func (m *machine) decide() Reason {
	switch m.Phase {
	case Resting:
		return m.resting()
	case Placing:
		return m.placing()
	case Stepping:
		return m.stepping()
	case Standby:
		return m.standby()
	case Promoting:
		return m.promoting()
	case Restoring:
		return m.restoring()
	case Reversing:
		return m.reversing()
	case First:
		return m.first()
	case Blocked:
		return m.blocked()
	}
	return Reason{Code: Refused, Text: fmt.Sprintf("the record is in phase %q, which this version of Drover does not know", m.Phase)}
}

// enter begins a phase, or a step of it, and writes the reason into the timeline.
func (m *machine) enter(p Phase, why Reason) Reason {
	if p != m.Phase { // A rollout that is superseded again goes on waiting for the same connections.
		m.Draining = time.Time{}
	}
	m.Shadowing = false
	m.Phase, m.Entered, m.Since, m.Hold, m.moved, m.dt = p, m.now, m.now, nil, true, 0
	if p == Restoring || p == Reversing {
		m.Evidence = m.Evidence.concluded() // The record needs the room for what is to be said of it.
	}
	m.note(why)
	return why
}

// hold says why the rollout does not go forward, and since when.
func (m *machine) hold(code ReasonCode, format string, args ...any) Reason {
	reason := Reason{Code: code, Text: fmt.Sprintf(format, args...)}
	if m.Hold == nil || m.Hold.Reason.Code != code {
		m.Hold = &Hold{Since: m.now}
		m.note(reason)
	}
	m.Hold.Reason, m.held = reason, true
	return reason
}

// heldFor is how long the rollout has been held for this reason.
func (m *machine) heldFor(code ReasonCode) time.Duration {
	if m.Hold == nil || m.Hold.Reason.Code != code {
		return 0
	}
	return m.now.Sub(m.Hold.Since)
}

func waiting(format string, args ...any) Reason {
	return Reason{Code: Waiting, Text: fmt.Sprintf(format, args...)}
}

// trying is waiting for what is asked of Nomad, with why it was not done when that was asked before.
func (m *machine) trying(format string, args ...any) Reason {
	why := waiting(format, args...)
	if m.o.ActProblem != "" {
		why.Text += ": " + m.o.ActProblem
	}
	return why
}

func (m *machine) note(why Reason) {
	why.Text = clip(why.Text, maxLine)
	e := Event{At: m.now, Phase: m.Phase, Weight: m.Weight, Reason: why}
	if m.Phase == Stepping {
		e.Step = m.Step + 1
	}
	m.Timeline = append(m.Timeline, e)
	if over := len(m.Timeline) - maxTimeline; over > 0 {
		// The first line says what was asked for; the middle is what may be lost.
		m.Timeline = append(m.Timeline[:1:1], m.Timeline[1+over:]...)
	}
}

// clip is text of at most limit bytes.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const more = "…"
	return strings.ToValidUTF8(text[:limit-len(more)], "") + more
}

func (m *machine) act(a Action) { m.actions = append(m.actions, a) }

// begin starts a rollout of what Git asks for.
func (m *machine) begin(p Phase, d *Desired, why Reason) Reason {
	if m.AtRest() {
		m.Paused = "" // What is superseded while it is paused leaves the pause to what comes.
		m.reportEnd()
	} else {
		m.tell(m.Canary.Commit.SHA, ReportError, m.ID+string(why.Code), why.Text)
	}
	m.ID = m.newID()
	m.Job, m.Base = d.Job.Ref, m.o.Cluster.ModifyIndex
	m.Canary = Trial{Revision: d.Revision, Commit: d.Commit, Service: d.Service, Router: d.Release.Traffic.Router}
	m.Plan = d.Release.Plan
	m.Registered, m.Placed, m.Opened, m.Step, m.Weight, m.Baked, m.Ran = false, 0, false, 0, 0, 0, 0
	m.Ending, m.Evidence, m.Verdicts, m.Timeline, m.Parked, m.Pending = nil, Evidence{}, nil, nil, Revision{}, time.Time{}
	return m.enter(p, why)
}

// newID names a rollout, so that what belongs to it is known again.
func (m *machine) newID() string { return m.Release + "-" + strconv.FormatInt(m.now.UnixMilli(), 36) }

// ours tells whether the job's current version is this rollout's registration in the given role.
func (m *machine) ours(role Role) bool {
	c := m.o.Cluster
	return c != nil && c.Marker.Rollout == m.ID && c.Marker.Role == role
}

// arrived says that Nomad has our registration of the revision on trial. The deadline of placing runs from here: what kept
// us from registering, such as a router that was away, is not the revision's fault.
func (m *machine) arrived() {
	if !m.Registered && (m.Phase == Placing || m.Phase == First) {
		m.Since = m.now
	}
	m.Registered, m.Placed, m.Draining = true, m.o.Cluster.Version, time.Time{}
}

// deadline is when placing has taken too long, Nomad's own deadline included.
func (m *machine) deadline() time.Duration {
	d := defaultDeadline
	if c := m.o.Cluster; c != nil && c.ProgressDeadline > 0 {
		d = c.ProgressDeadline
	}
	return d + grace
}

// nomadAway holds while Nomad cannot be read. Deadlines wait for it.
func (m *machine) nomadAway() Reason {
	m.Since = m.Since.Add(m.dt)
	if m.o.ClusterDenied {
		return m.hold(CredentialsRejected, "Nomad rejects Drover's token: replace it, it is read again at every request, or let its policy allow this: %s", m.o.ClusterProblem)
	}
	return m.hold(NomadUnreachable, "Nomad cannot be read: %s", m.o.ClusterProblem)
}

// open begins to measure: what was counted until now is where counting starts.
func (m *machine) open() {
	m.Opened = true
	m.observe()
}

// observe begins to count for the gates that are asked now.
func (m *machine) observe() {
	m.Evidence = m.judgedPlan().begin(m.now)
	if m.o.Sample == nil {
		return
	}
	if e, err := m.Evidence.Add(m.o.Sample.tracks(m.Shadowing)); err == nil {
		m.Evidence = e
	}
}

// takeSample takes in what the meter read. What cannot be used counts as missing.
func (m *machine) takeSample() {
	if m.o.Sample == nil || !m.measuring() {
		return
	}
	plan, sample := m.judgedPlan(), m.o.Sample.tracks(m.Shadowing)
	before := m.Evidence
	w, known := m.o.Traffic.sameWeight()
	steady := known && w == before.Weight && w == m.Weight && !m.Shadowing && (m.Phase == Stepping || m.Phase == Standby)
	if known {
		before = before.turn(plan, w, sample)
	}
	if m.o.Sample.At.After(before.At) {
		before.Alone = m.Phase != Stepping && !m.Shadowing
	}
	counted, err := before.Add(sample)
	if err == nil {
		counted, err = counted.burst(plan, sample).gauge(plan, sample).judged(plan, sample.Every)
	}
	if err != nil {
		m.o.SampleProblem = err.Error()
		return
	}
	if steady {
		counted = counted.divided(before, sample, m.o.Traffic.share(w))
	}
	m.Evidence, m.covered = counted, before.covers(*m.o.Sample)
}

// bake adds to the bake what was watched since the last look.
func (m *machine) bake() {
	watched := m.dt
	if !m.covered {
		watched = min(watched, glance)
	}
	m.Baked += watched
}

// measuring tells whether requests count as evidence about the canary.
func (m *machine) measuring() bool {
	switch m.Phase {
	case Stepping, Standby, Promoting, First:
		return m.Opened
	case Placing:
		return m.Shadowing
	case Resting, Restoring, Reversing, Blocked:
		return false
	}
	return false
}

// judge asks the gates; the first that fails is the reason to end.
func (m *machine) judge(compare bool) (failed Reason, fails bool) {
	m.Verdicts = Judge(m.judgedPlan(), m.Evidence, compare)
	for _, v := range m.Verdicts {
		if v.State == Fail && !v.DryRun {
			return Reason{Code: GateFailed, Text: fmt.Sprintf("gate %q failed %s: %s", v.Gate, m.where(), v.Why)}, true
		}
	}
	return Reason{}, false
}

// where is what the gates were asked about.
func (m *machine) where() string {
	if m.Shadowing {
		return "on copies of requests"
	}
	return "at " + m.Weight.String()
}

// unpassed is the first gate that has not passed.
func (m *machine) unpassed() (Verdict, bool) {
	for _, v := range m.Verdicts {
		if v.State != Pass && !v.DryRun {
			return v, true
		}
	}
	return Verdict{}, false
}

// blind says that the metrics are missing or old, when any gate needs them.
func (m *machine) blind() (Reason, bool) {
	age := m.now.Sub(m.Evidence.At)
	if s := m.o.Sample; s != nil && s.Lacks != "" {
		return m.hold(MetricsMissing, "metrics are missing: %s", s.Lacks), true
	}
	if len(m.judgedPlan().Gates) == 0 || age <= stale {
		return Reason{}, false
	}
	problem := m.o.SampleProblem
	if problem == "" {
		problem = "no newer reading"
	}
	if m.now.Sub(m.Since) <= stale {
		return waiting("waiting for the first metrics of this step: %s", problem), true
	}
	if m.Evidence.At.IsZero() {
		return m.hold(MetricsMissing, "metrics are missing: %s", problem), true
	}
	return m.hold(MetricsMissing, "metrics are missing since %s: %s", m.Evidence.At.UTC().Format(time.TimeOnly), problem), true
}

func (r Rollout) clone() Rollout {
	r.Condemned = slices.Clone(r.Condemned)
	r.Promoted = slices.Clone(r.Promoted)
	r.Timeline = slices.Clone(r.Timeline)
	r.Outbox = slices.Clone(r.Outbox)
	r.Reports = slices.Clone(r.Reports)
	r.Incidents = slices.Clone(r.Incidents)
	r.Verdicts = slices.Clone(r.Verdicts)
	r.Counts = maps.Clone(r.Counts)
	r.Evidence.Prev = maps.Clone(r.Evidence.Prev)
	if r.Hold != nil {
		hold := *r.Hold
		r.Hold = &hold
	}
	if r.Ending != nil {
		ending := *r.Ending
		r.Ending = &ending
	}
	return r
}

// remember appends to a bounded list without repeating.
func remember(list []Revision, r Revision, limit int) []Revision { //nolint:unparam // the bounds of its callers are alike by chance
	list = slices.DeleteFunc(list, func(x Revision) bool { return x == r })
	list = append(list, r)
	return list[max(0, len(list)-limit):]
}
