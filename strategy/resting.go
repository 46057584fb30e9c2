package strategy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (m *machine) resting() Reason {
	c := m.o.Cluster
	if c == nil {
		return m.nomadAway()
	}
	if m.o.Owner != "" {
		return Reason{Code: OtherInstance, Text: fmt.Sprintf("the job belongs to another instance of Drover, %q: remove the release from one of the two repositories", m.o.Owner)}
	}
	d := m.o.Desired
	if why, unknown := m.takeStock(d); unknown {
		return why
	}
	rests := m.rest()
	switch {
	case d == nil:
		return m.dropped()
	case d.Job.Ref != m.Job:
		return m.anotherJob(d)
	case !c.Exists || c.Stopped:
		return m.restWithoutJob(d)
	case m.strayCanaries():
		why := Reason{Code: RevertedInGit, Text: "canaries of an ended rollout appeared late"}
		m.Ending = &Outcome{Kind: m.Last.Kind, Revision: m.Last.Revision, Reason: m.Last.Reason}
		m.arrived()
		return m.enter(Restoring, why)
	case d.Revision == m.Stable.Revision:
		return m.upToDate(rests)
	}
	if why, refused := m.refuses(d); refused {
		return why
	}
	if d.Revision.SameSpec(m.Stable.Revision) && c.Version == m.Stable.Version {
		return m.relabel(d)
	}
	if why, waits := m.mayNotBegin(d); waits {
		return why
	}
	return m.start(d)
}

// takeStock finds out what runs, and what of it takes the traffic, before anything is decided.
func (m *machine) takeStock(d *Desired) (Reason, bool) {
	if m.looksElsewhere() {
		return waiting("waiting for a look at job %s", m.Job), true
	}
	if why, found := m.wayBackFound(); found {
		return why, true
	}
	m.adopt()
	if d != nil { // It may be unreadable the next time.
		m.Canary.Router = d.Release.Traffic.Router
		if d.Revision == m.Stable.Revision && d.Service != "" {
			m.Canary.Service = d.Service
		}
	}
	return Reason{}, false
}

// refuses says why what Git asks for is not tried.
func (m *machine) refuses(d *Desired) (Reason, bool) {
	switch {
	case m.IsCondemned(d.Revision) && m.reverting(d.Revision):
		return Reason{Code: Reverting, Text: fmt.Sprintf("%s was condemned (%s): its commit is being reverted", d.Revision, m.Last.Reason.Text)}, true
	case m.IsCondemned(d.Revision):
		return Reason{Code: AlreadyCondemned, Text: fmt.Sprintf("%s was condemned (%s): revert the commit, or set attempt = %d to try it again",
			d.Revision, m.Last.Reason.Text, d.Revision.Attempt+1)}, true
	case d.Revision == m.Parked:
		return Reason{Code: AlreadyParked, Text: fmt.Sprintf("%s was parked: %s. Another revision, a higher attempt or drover retry %s starts anew", d.Revision, m.Last.Reason.Text, m.Release)}, true
	case len(d.Refusals) > 0:
		return Reason{Code: Refused, Text: fmt.Sprintf("%s cannot be released: %s", d.Revision, strings.Join(d.Refusals, "; "))}, true
	}
	return m.cutOff(d)
}

// reverting tells whether the revert of a revision came up just now. One that is not through after a minute is a matter
// for people.
func (m *machine) reverting(r Revision) bool {
	return slices.ContainsFunc(m.Outbox, func(t Task) bool {
		return t.Kind == TaskRevert && t.Bad == r && m.now.Sub(t.At) < time.Minute
	})
}

// start begins the rollout that Git asks for: a way back when the revision was live before.
func (m *machine) start(d *Desired) Reason {
	if why, underWay := m.takeOver(); underWay {
		return why
	}
	if d.Revision.SameSpec(m.Stable.Revision) {
		return m.relabel(d)
	}
	why := Reason{Code: Started, Text: fmt.Sprintf("%s by %s", moveText(m.Stable.Revision, d.Revision), commitText(d.Commit))}
	if m.WasPromoted(d.Revision) {
		why = Reason{Code: GoingBack, Text: fmt.Sprintf("back from %s to %s, which was live before, by %s", m.Stable.Revision, d.Revision, commitText(d.Commit))}
		return m.begin(Reversing, d, why)
	}
	return m.begin(Placing, d, why)
}

// mayNotBegin says why a rollout that Git asks for waits for something else than the cluster.
func (m *machine) mayNotBegin(d *Desired) (Reason, bool) {
	if why, waits := m.headWaits(fmt.Sprintf("%s is not begun", d.Revision)); waits {
		return why, true
	}
	switch {
	case m.o.GitAway != nil:
		return *m.o.GitAway, true
	case m.o.Wait != nil:
		return *m.o.Wait, true
	}
	return Reason{}, false
}

// headWaits says that the head may ask for nothing new, as one that was forced, and what is not done for that.
func (m *machine) headWaits(undone string) (Reason, bool) {
	switch {
	case m.o.Wait != nil && m.o.Wait.Code == Waiting: // It was not compared yet.
		return *m.o.Wait, true
	case m.o.Forced != "":
		return Reason{Code: ForcedHead, Text: fmt.Sprintf("%s: the branch was force-pushed to %.7s. Commit on top of it, or run drover accept-head", undone, m.o.Forced)}, true
	}
	return Reason{}, false
}

// dropped leaves alone, or stops, what Git does not ask for any more.
func (m *machine) dropped() Reason {
	c := m.o.Cluster
	switch {
	case m.o.Wait != nil && m.o.Wait.Code == Waiting && c.Exists && !c.Stopped:
		return *m.o.Wait
	case !m.o.Prune:
		return Reason{Code: NothingAsked, Text: m.o.GitProblem + ": what runs is left alone"}
	case c.Exists && !c.Stopped && c.Marker != (Marker{}):
		m.act(Action{Kind: ActStop, Job: m.Job, ModifyIndex: c.ModifyIndex})
		if !m.isPruned() { // So that it is known by whom, when Git asks for it again.
			m.Last = Outcome{Kind: OutcomeWithdrawn, Revision: m.Stable.Revision, Reason: Reason{Code: Pruned, Text: m.o.GitProblem}, At: m.now}
		}
		return Reason{Code: Pruned, Text: m.o.GitProblem + ": stopping the job, as prune asks"}
	case c.Exists && !c.Stopped:
		return Reason{Code: NothingAsked, Text: m.o.GitProblem + ": what runs was not registered by Drover, so it is not pruned"}
	}
	return Reason{Code: Pruned, Text: m.o.GitProblem + ": the job is stopped"}
}

// isPruned tells whether what was stable was stopped by Drover, since Git did not ask for it any more.
func (m *machine) isPruned() bool {
	return m.Last.Reason.Code == Pruned && m.Last.Revision == m.Stable.Revision
}

// anotherJob leaves a job that runs where it is, with its traffic, though Git names another one: Drover moves one job from
// version to version, and what would run beside it is a release of its own. A job that does not run is left for it.
func (m *machine) anotherJob(d *Desired) Reason {
	if c := m.o.Cluster; c.Exists && !c.Stopped {
		return Reason{Code: Refused, Text: fmt.Sprintf("Git names job %s, but %s runs: give %s a release of its own, or stop %s first", d.Job.Ref, m.Job, d.Job.Ref.ID, m.Job.ID)}
	}
	why := waiting("%s does not run any more: looking at job %s, which Git names", m.Job, d.Job.Ref)
	m.Job, m.Stable, m.Counts, m.Promoted = d.Job.Ref, Installed{}, nil, nil
	m.Canary, m.Placed, m.Registered = Trial{Commit: m.Canary.Commit}, 0, false
	return why
}

// moveText says what a rollout changes.
func moveText(from, to Revision) string {
	if from.String() == to.String() {
		return to.String() + " with a changed job"
	}
	return fmt.Sprintf("%s -> %s", from, to)
}

func commitText(c Commit) string {
	if c.SHA == "" {
		return "an unknown commit"
	}
	return fmt.Sprintf("%s %q", c.Short(), c.Subject)
}

// findsUnknown tells whether a job runs of which nothing is known.
func (m *machine) findsUnknown() bool {
	return m.Stable == (Installed{}) && m.o.Cluster.Exists && !m.o.Cluster.Stopped
}

// wayBackFound goes on with the way back from a failed promotion whose record was lost: the last good version is what its
// canaries run, and what serves beside them is not.
func (m *machine) wayBackFound() (Reason, bool) {
	c, d := m.o.Cluster, m.o.Desired
	if !m.findsUnknown() || d == nil || c.Marker.Role != RoleReverse || c.Deployment.Promoted || c.Deployment.Status != DeploymentRunning || !c.Revision.SameSpec(c.LastGood.Revision) {
		return Reason{}, false
	}
	why := Reason{Code: GoingBack, Text: fmt.Sprintf("a way back to %s was found under way: its record was lost", c.Revision)}
	m.Job, m.ID, m.Registered, m.Stable = d.Job.Ref, c.Marker.Rollout, true, Installed{Version: c.Version - 1}
	m.Canary = Trial{Revision: c.Revision, Version: c.Version, Service: m.service(), Router: m.RouterOf(d)}
	m.Plan.MaxDuration, m.Plan.Drain = d.Release.Plan.MaxDuration, d.Release.Plan.Drain
	m.Ending = &Outcome{Kind: OutcomeWithdrawn, Reason: why}
	m.recall()
	return m.enter(Reversing, why), true
}

// adopt takes what runs for stable when nothing is known of the job: on first contact, and after the ledger was lost.
// Is a rollout of ours under way then, the last good version is stable, not the one on trial.
func (m *machine) adopt() {
	c, d := m.o.Cluster, m.o.Desired
	if m.Job == (JobRef{}) && d != nil {
		m.Job = d.Job.Ref
	}
	if !m.findsUnknown() {
		return
	}
	onTrial := c.Marker.Role.trial() && !c.Deployment.Promoted && c.Deployment.Status == DeploymentRunning
	switch {
	case onTrial && c.LastGood != (Installed{}):
		m.Stable = c.LastGood
		// Canaries of a rollout that nobody remembers: put the stable spec back first; Git may then ask again.
		m.ID, m.Canary = c.Marker.Rollout, Trial{Revision: c.Marker.Revision, Service: m.service(), Router: m.RouterOf(d)}
		m.Last = Outcome{Kind: OutcomeWithdrawn, Revision: c.Marker.Revision, Reason: Reason{Code: RevertedInGit, Text: "its record was lost"}}
	case c.Deployment.Status == DeploymentRunning:
		return // Nobody knows yet what is stable.
	case c.Deployment.Status == DeploymentFailed && c.LastGood != (Installed{}):
		m.Stable = c.LastGood
	default:
		m.Stable = Installed{Revision: c.Revision, Version: c.Version}
	}
	m.recall()
}

// recall takes what Nomad's tags and the adopted revision say of what was tried before.
func (m *machine) recall() {
	for _, bad := range m.o.Cluster.Condemned {
		m.Condemned = remember(m.Condemned, bad, maxCondemned)
	}
	if m.Stable.Revision.Digest != "" {
		m.Promoted = remember(m.Promoted, m.Stable.Revision, maxPromoted)
	}
}

// takeOver makes what somebody else registered the stable revision, before a rollout replaces it. While a deployment of
// theirs is under way nobody knows yet what is stable.
func (m *machine) takeOver() (Reason, bool) {
	c := m.o.Cluster
	if c.Version == m.Stable.Version && m.Stable != (Installed{}) {
		return Reason{}, false
	}
	switch c.Deployment.Status {
	case DeploymentRunning:
		return m.hold(ForeignRegistration, "a deployment of the job by somebody else (version %d) is under way: the rollout starts when it has ended", c.Version), true
	case DeploymentFailed, DeploymentCancelled:
		if c.LastGood != (Installed{}) {
			m.Stable = c.LastGood
		}
	case DeploymentNone, DeploymentSuccessful:
		m.Stable = Installed{Revision: c.Revision, Version: c.Version}
	}
	return Reason{}, false
}

// rest keeps the split at rest, the good version kept and the condemned one known; it tells whether all is so.
func (m *machine) rest() bool {
	c := m.o.Cluster
	rests := m.give(m.split(0, true))
	placed := m.Placed > 0 || m.Registered // The first version of a job is 0.
	if m.Last.Kind == OutcomeCondemned && placed && m.Placed >= c.Oldest && m.Placed <= c.Version && !slices.Contains(c.Condemned, m.Last.Revision) {
		m.act(Action{Kind: ActMarkBad, Job: m.Job, Version: m.Placed, Revision: m.Last.Revision})
		rests = false
	}
	if c.Exists && !c.Stopped {
		if m.Last.Kind == OutcomePromoted && c.Version == m.Stable.Version && (!c.GoodTagged || c.GoodVersion != c.Version) {
			m.act(Action{Kind: ActMarkGood, Job: m.Job, Version: c.Version})
			rests = false
		}
	}
	return rests
}

// strayCanaries tells whether a registration of the last rollout took effect after it had ended.
func (m *machine) strayCanaries() bool {
	c := m.o.Cluster
	return c.Marker.Rollout == m.ID && c.Marker.Role.trial() && c.Revision != m.Stable.Revision && !c.Deployment.Promoted && m.ID != ""
}

func (m *machine) upToDate(rests bool) Reason {
	c := m.o.Cluster
	if m.isPruned() { // It was not stopped after all, or somebody started it.
		m.Last = Outcome{}
	}
	if c.Version != m.Stable.Version {
		if !c.Revision.SameSpec(m.Stable.Revision) {
			return m.drifted()
		}
		m.Stable.Version = c.Version
	}
	if why, scales := m.scale(); scales {
		return why
	}
	if !rests && !m.Pending.IsZero() && m.now.Sub(m.Pending) > settle {
		return m.splitPending()
	}
	if !rests {
		return waiting("%s runs; waiting for the split to rest", m.Stable.Revision)
	}
	if m.Last.Kind == OutcomePromoted && m.Last.Revision == m.Stable.Revision {
		return m.Last.Reason
	}
	return Reason{Code: UpToDate, Text: m.Stable.Revision.String() + " runs, as Git asks"}
}

// relabel promotes at once a revision whose job is the same as what runs.
func (m *machine) relabel(d *Desired) Reason {
	why := Reason{Code: Promoted, Text: fmt.Sprintf("%s is the same job as %s, which runs: nothing to place", d.Revision, m.Stable.Revision)}
	m.Stable = Installed{Revision: d.Revision, Version: m.o.Cluster.Version}
	m.Promoted = remember(m.Promoted, d.Revision, maxPromoted)
	m.Last = Outcome{Kind: OutcomePromoted, Revision: d.Revision, Reason: why, At: m.now}
	return m.enter(Resting, why)
}

// restWithoutJob decides for a job that does not run.
func (m *machine) restWithoutJob(d *Desired) Reason {
	c := m.o.Cluster
	switch {
	case m.IsCondemned(d.Revision):
		return Reason{Code: AlreadyCondemned, Text: fmt.Sprintf("%s was condemned (%s), and nothing runs: commit another revision, or set attempt = %d", d.Revision, m.Last.Reason.Text, d.Revision.Attempt+1)}
	case d.Revision == m.Parked:
		return Reason{Code: AlreadyParked, Text: fmt.Sprintf("%s was parked, and nothing runs: %s. Another revision, a higher attempt or drover retry %s starts anew", d.Revision, m.Last.Reason.Text, m.Release)}
	case m.staysStopped(d) && !c.Exists:
		return Reason{Code: StoppedByPerson, Text: fmt.Sprintf("Nomad has no job %s any more, and it was not Drover that stopped it: it stays so until Git asks for another revision than %s, or drover retry %s starts it", m.Job.ID, d.Revision, m.Release)}
	case m.staysStopped(d):
		return Reason{Code: StoppedByPerson, Text: fmt.Sprintf("the job was stopped by a person: it stays so until Git asks for another revision than %s, or drover retry %s starts it", d.Revision, m.Release)}
	case len(d.Refusals) > 0:
		return Reason{Code: Refused, Text: fmt.Sprintf("%s cannot be released: %s", d.Revision, strings.Join(d.Refusals, "; "))}
	}
	if why, waits := m.mayNotBegin(d); waits {
		return why
	}
	why := Reason{Code: Started, Text: fmt.Sprintf("first release of %s: %s by %s", d.Job.Ref.ID, d.Revision, commitText(d.Commit))}
	if d.Revision == m.Stable.Revision && m.isPruned() {
		why = Reason{Code: Started, Text: fmt.Sprintf("%s was pruned: it is started again, by %s", d.Revision, commitText(d.Commit))}
	} else if d.Revision == m.Stable.Revision && m.asked(CommandRetry) {
		why = Reason{Code: Started, Text: fmt.Sprintf("somebody stopped the job: %s is started again, as %s asks", d.Revision, m.o.Command.By)}
	} else if d.Revision == m.Stable.Revision {
		why = Reason{Code: Correcting, Text: fmt.Sprintf("somebody stopped the job: %s is started again, as drift = \"correct\" asks", d.Revision)}
	}
	m.Stable, m.Counts = Installed{}, d.Job.counts()
	return m.begin(First, d, why)
}

// staysStopped tells whether a person stopped what Git still asks for. What Drover stopped itself, after a first release that
// failed or because it was gone from Git, is started when Git asks for it again, and anything when a person has it retried; what
// was parked is parked no more then.
func (m *machine) staysStopped(d *Desired) bool {
	c := m.o.Cluster
	_, waits := m.mayNotBegin(d)
	retried := m.asked(CommandRetry) && !waits && len(d.Refusals) == 0
	if m.stoppedBefore(d) || retried || (d.Release.Drift == DriftCorrect && !m.corrected()) {
		return false
	}
	if !c.Exists { // Nomad forgets a job some hours after it was stopped.
		return d.Revision == m.Stable.Revision
	}
	return d.Revision == m.Stable.Revision || (d.Revision.SameSpec(c.Revision) && d.Revision.Attempt <= max(c.Revision.Attempt, 1))
}

// stoppedBefore tells whether it was Drover that stopped the job, and what Git asks for may be started.
func (m *machine) stoppedBefore(d *Desired) bool {
	last, first := m.Last, m.Stable.Revision.IsZero()
	if last.Revision == d.Revision {
		return last.Kind == OutcomeParked || m.isPruned() || (first && last.Kind == OutcomeWithdrawn)
	}
	return first && m.Registered && last.Kind != OutcomeNone && last.Reason.Code != StoppedByPerson // Another name of the same job.
}
