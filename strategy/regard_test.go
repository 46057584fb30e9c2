package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// overtaken is a rollout of b that holds because somebody else registered x.
func overtaken(ask string) (strategy.Rollout, strategy.Observation, *world) {
	w := newWorld(ask, false)
	w.command = &strategy.Command{Kind: strategy.CommandRetry, By: "robin"}
	o := w.observe()
	o.Cluster.Version, o.Cluster.ModifyIndex, o.Cluster.Marker = 2, 99, strategy.Marker{}
	o.Cluster.Revision, o.Cluster.Deployment.Status = revision("x"), strategy.DeploymentSuccessful
	return strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Stepping, ID: "r", Since: w.now, Seen: w.now, Registered: true, Base: 10, Plan: w.plan,
		Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("b"), Service: service},
	}, o, w
}

// TestRetryBeginsNothingOfAForcedHead: a retry in mid-rollout is of what is on trial; what a forced head asks for waits for a
// person to accept that.
func TestRetryBeginsNothingOfAForcedHead(t *testing.T) {
	r, o, w := overtaken("c")
	o.Forced = "f0rced"
	o.Command, w.command = nil, o.Command
	r, _, why := strategy.Advance(r, o, w.now.Add(time.Second))
	if r.Hold == nil || strings.Contains(why.Text, "retry") {
		t.Errorf("got %s", why.Text)
	}
	o.Command = w.command
	r, _, why = strategy.Advance(r, o, w.now.Add(2*time.Second))
	if r.Canary.Revision != revision("b") || strategy.Unobeyed(strategy.CommandRetry, r) == "" {
		t.Errorf("got %s of %s: %s", r.Phase, r.Canary.Revision, why.Text)
	}
}

// TestBlockedKeepsTheGroupThatServes: a way back that is blocked is not left for a job without the group that serves, which
// Nomad would end at once.
func TestBlockedKeepsTheGroupThatServes(t *testing.T) {
	w := newWorld("c", false)
	w.ill(true)
	w.allocs[0].Ready = true
	o := w.observe()
	o.Desired.Job.Groups = []strategy.GroupSpec{{Name: "renamed", Count: 2, Services: []string{service}}}
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Blocked, Stuck: strategy.Restoring, ID: "r", Since: w.now, Seen: w.now, Plan: w.plan, Registered: true,
		Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("b"), Service: service},
		Condemned: []strategy.Revision{revision("b")}, Ending: &strategy.Outcome{Kind: strategy.OutcomeCondemned, Revision: revision("b")},
	}
	r, _, why := strategy.Advance(r, o, w.now.Add(time.Second))
	if r.Phase != strategy.Blocked || !strings.Contains(why.Text, "no group") {
		t.Errorf("got %s of %s: %s", r.Phase, r.Canary.Revision, why.Text)
	}
}

// TestBlockedFirstReleaseGoesOn with another group: nothing of what failed is to be kept.
func TestBlockedFirstReleaseGoesOn(t *testing.T) {
	w := newWorld("c", false)
	w.marker = strategy.Marker{Rollout: "r", Revision: revision("b"), Role: strategy.RoleFirst}
	o := w.observe()
	o.Desired.Job.Groups = []strategy.GroupSpec{{Name: "renamed", Count: 2, Services: []string{service}}}
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Blocked, Stuck: strategy.Restoring, ID: "r", Since: w.now, Seen: w.now, Plan: w.plan, Registered: true,
		Canary: strategy.Trial{Revision: revision("b"), Service: service}, Condemned: []strategy.Revision{revision("b")},
		Ending: &strategy.Outcome{Kind: strategy.OutcomeCondemned, Revision: revision("b")},
	}
	r, _, why := strategy.Advance(r, o, w.now.Add(time.Second))
	if r.Phase != strategy.First || r.Canary.Revision != revision("c") {
		t.Errorf("got %s of %s: %s", r.Phase, r.Canary.Revision, why.Text)
	}
}

// TestSupersededBetweenTwoTrials: the stable spec that Drover put between two trials of a job is no registration of somebody else.
func TestSupersededBetweenTwoTrials(t *testing.T) {
	w := newWorld("c", false)
	w.dep.Status = strategy.DeploymentRunning
	w.marker = strategy.Marker{Rollout: "r", Revision: revision("a"), Role: strategy.RoleRestore}
	o := w.observe()
	o.Cluster.Version, o.Cluster.ModifyIndex = 3, 99
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Placing, ID: "r", Since: w.now, Seen: w.now, Base: 10, Plan: w.plan,
		Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("b"), Service: service},
	}
	r, _, why := strategy.Advance(r, o, w.now.Add(time.Second))
	if r.Canary.Revision != revision("c") || why.Code == strategy.ForeignRegistration {
		t.Errorf("got %s of %s: %s", r.Phase, r.Canary.Revision, why.Text)
	}
}

// TestTheClockGoesBackBeforeAWord: what a person says after the clock was put back is said of the rollout under way.
func TestTheClockGoesBackBeforeAWord(t *testing.T) {
	r, w := stepping(errorGate)
	now := start.Add(time.Second)
	r.Timeline = []strategy.Event{{At: start, Phase: strategy.Placing, Reason: strategy.Reason{Code: strategy.Started}}}
	r, _, _ = strategy.Advance(r, w.observe(), now)
	now = now.Add(-time.Hour)
	r, _, _ = strategy.Advance(r, w.observe(), now)
	o := w.observe()
	o.Command = &strategy.Command{Kind: strategy.CommandPause, By: "robin", Said: now.Add(time.Second)}
	r, _, why := strategy.Advance(r, o, now.Add(2*time.Second))
	if r.Paused == "" {
		t.Errorf("not paused: %s", why.Text)
	}
}

// TestAGroupWithoutCanariesFails: what fails in a group that Nomad places without canaries is told as what it is.
func TestAGroupWithoutCanariesFails(t *testing.T) {
	for fault, want := range map[strategy.Fault]strategy.OutcomeKind{strategy.FaultTask: strategy.OutcomeCondemned, strategy.FaultNode: strategy.OutcomeParked} {
		w := newWorld("b", false)
		w.register("b", strategy.Marker{Rollout: "r", Revision: revision("b"), Role: strategy.RoleCanary})
		w.pass()
		w.allocs = append(w.allocs, strategy.Alloc{ID: "worker", Group: "worker", Fresh: true, Fault: fault, Why: "exit code 3"})
		w.dep.Status, w.dep.Text = strategy.DeploymentFailed, "Failed due to progress deadline"
		r := strategy.Rollout{
			Release: "web", Job: job, Phase: strategy.Placing, ID: "r", Since: w.now, Seen: w.now, Base: 10, Plan: w.plan, Registered: true,
			Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("b"), Service: service},
		}
		r, _, why := strategy.Advance(r, w.observe(), w.now.Add(time.Second))
		got := r.Last
		if r.Ending != nil {
			got = *r.Ending
		}
		if got.Kind != want || !strings.HasPrefix(got.Reason.Text, "allocation worker of group \"worker\"") {
			t.Errorf("got %s (%s, %s), want %s", got.Kind, got.Reason.Text, why.Text, want)
		}
	}
}

// TestAFirstReleaseThatFailedUnderAnotherName: what Drover stopped is no person's stop, also when Git asks for the same job under
// another name.
func TestAFirstReleaseThatFailedUnderAnotherName(t *testing.T) {
	for code, want := range map[strategy.ReasonCode]strategy.Phase{strategy.GateFailed: strategy.First, strategy.StoppedByPerson: strategy.Resting} {
		w := newWorld("b", false)
		w.stop()
		o := w.observe()
		o.Cluster.Revision = revision("a")
		o.Desired.Revision.Digest = revision("a").Digest
		r := strategy.Rollout{
			Release: "web", Job: job, Phase: strategy.Resting, ID: "r", Since: w.now, Seen: w.now, Plan: w.plan, Registered: true,
			Canary: strategy.Trial{Revision: revision("a"), Service: service},
			Last:   strategy.Outcome{Kind: strategy.OutcomeCondemned, Revision: revision("a"), Reason: strategy.Reason{Code: code}},
		}
		if code == strategy.StoppedByPerson {
			r.Last.Kind = strategy.OutcomeParked
		}
		r, _, why := strategy.Advance(r, o, w.now.Add(time.Second))
		if r.Phase != want {
			t.Errorf("after %s got %s, %s, want %s", code, r.Phase, why.Text, want)
		}
	}
}

// TestAJobThatNomadHasNoMore is not said to have been stopped by a person: the cluster may have been built anew.
func TestAJobThatNomadHasNoMore(t *testing.T) {
	w := newWorld("a", true)
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Resting, Since: w.now, Seen: w.now, Stable: strategy.Installed{Revision: revision("a")},
		Canary: strategy.Trial{Revision: revision("a"), Service: service}, Last: strategy.Outcome{Kind: strategy.OutcomePromoted, Revision: revision("a")},
	}
	r, actions, why := strategy.Advance(r, w.observe(), w.now.Add(time.Second))
	if r.Phase != strategy.Resting || why.Code != strategy.StoppedByPerson || strings.Contains(why.Text, "by a person") {
		t.Errorf("got %s with %+v: %s", r.Phase, actions, why.Text)
	}
}
