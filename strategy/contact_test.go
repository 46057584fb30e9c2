package strategy_test

import (
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestFirstContactWaitsForDeployment has Drover come to a job whose first version is still being deployed: what is stable
// is not known before that has ended.
func TestFirstContactWaitsForDeployment(t *testing.T) {
	w := newWorld("b", false)
	w.dep.Status = strategy.DeploymentRunning
	r, actions, why := strategy.Advance(strategy.Rollout{Release: "web"}, w.observe(), w.now)
	if r.Phase != strategy.Resting || why.Code != strategy.ForeignRegistration || r.Hold == nil {
		t.Errorf("got %s, %s with %+v, want it to wait for the deployment", r.Phase, why.Text, actions)
	}
	w.dep.Status = strategy.DeploymentSuccessful
	r, _, why = strategy.Advance(r, w.observe(), w.now.Add(time.Second))
	if r.Phase != strategy.Placing || r.Stable.Revision != revision("a") {
		t.Errorf("got %s on %s, %s, want a rollout from what was deployed", r.Phase, r.Stable.Revision, why.Text)
	}
}

// TestRolloutGoesOnFromWhatRuns has somebody register another version in mid-rollout, and Drover go on: what runs beside
// the canaries from then on is what is put back when they fail.
func TestRolloutGoesOnFromWhatRuns(t *testing.T) {
	for _, test := range []struct {
		name    string
		ask     string
		command *strategy.Command
		status  strategy.DeploymentStatus
		want    string // the stable revision
		phase   strategy.Phase
	}{
		{"retry", "b", &strategy.Command{Kind: strategy.CommandRetry, By: "robin"}, strategy.DeploymentSuccessful, "x", strategy.Placing},
		{"retry while theirs is under way", "b", &strategy.Command{Kind: strategy.CommandRetry, By: "robin"}, strategy.DeploymentRunning, "a", strategy.Resting},
		{"commit", "c", nil, strategy.DeploymentSuccessful, "x", strategy.Placing},
		{"commit while theirs is under way", "c", nil, strategy.DeploymentRunning, "a", strategy.Stepping},
		{"nothing", "b", nil, strategy.DeploymentSuccessful, "a", strategy.Stepping},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(test.ask, false)
			w.command = test.command
			o := w.observe()
			o.Cluster.Version, o.Cluster.ModifyIndex, o.Cluster.Marker = 2, 99, strategy.Marker{}
			o.Cluster.Revision, o.Cluster.Deployment.Status = revision("x"), test.status
			r := strategy.Rollout{
				Release: "web", Job: job, Phase: strategy.Stepping, ID: "r", Since: w.now, Seen: w.now, Registered: true, Base: 10, Plan: w.plan,
				Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("b"), Service: service},
			}
			r, _, why := strategy.Advance(r, o, w.now.Add(time.Second))
			if r.Stable.Revision != revision(test.want) || r.Phase != test.phase {
				t.Errorf("got %s on %s (%s), want %s on %s", r.Phase, r.Stable.Revision, why.Text, test.phase, test.want)
			}
		})
	}
}

// TestRestFollowsTheRouterThatGitNamedLast: a release that names another router has its split there from then on, also when it
// cannot be read from Git any more.
func TestRestFollowsTheRouterThatGitNamedLast(t *testing.T) {
	w := newWorld("a", false)
	o := w.observe()
	o.Desired.Release.Traffic.Router, o.Desired.Service = "new", "web-http"
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Resting, ID: "r", Since: w.now, Seen: w.now, Plan: w.plan,
		Stable: strategy.Installed{Revision: revision("a")}, Canary: strategy.Trial{Revision: revision("a"), Service: service, Router: "old"},
	}
	for range 2 {
		var actions []strategy.Action
		w.now = w.now.Add(time.Second)
		r, actions, _ = strategy.Advance(r, o, w.now)
		if len(actions) != 1 || actions[0].Router != "new" || actions[0].Split.Service != "web-http" || r.RouterOf(o.Desired) != "new" {
			t.Errorf("got %+v, want the split of the other service on the other router", actions)
		}
		o.Desired, o.GitProblem = nil, "release.hcl does not parse"
	}
	if r.Phase, r.Canary.Router = strategy.Stepping, "old"; r.RouterOf(w.observe().Desired) != "old" {
		t.Error("a rollout under way goes on by another router")
	}
}

// TestFirstReleaseGivesWay to what somebody else registered while its way back was blocked: their deployment serves beside what
// is left of it, so that nothing is put in their place without canaries.
func TestFirstReleaseGivesWay(t *testing.T) {
	w := newWorld("b", false)
	w.register("f", strategy.Marker{})
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Blocked, Stuck: strategy.Restoring, ID: "r", Since: w.now, Seen: w.now, Plan: w.plan, Registered: true,
		Canary: strategy.Trial{Revision: revision("a"), Service: service}, Condemned: []strategy.Revision{revision("a")},
		Ending: &strategy.Outcome{Kind: strategy.OutcomeCondemned, Revision: revision("a")},
	}
	for range 3 {
		var actions []strategy.Action
		w.now = w.now.Add(time.Second)
		r, actions, _ = strategy.Advance(r, w.observe(), w.now)
		for _, a := range actions {
			if a.Kind == strategy.ActRegister || a.Kind == strategy.ActPromote {
				t.Errorf("got %s over a deployment of somebody else", a.Kind)
			}
		}
	}
	if r.Phase != strategy.Resting || r.Hold == nil || r.Hold.Reason.Code != strategy.ForeignRegistration {
		t.Errorf("got %s, %s, want it to wait for their deployment", r.Phase, r.Reason.Text)
	}
}

// TestWayBackThatAPersonEnded: they promoted the version that came back before all of it was ready. The next rollout goes back to
// that one, and not to the version that failed.
func TestWayBackThatAPersonEnded(t *testing.T) {
	w := newWorld("c", false)
	w.register("b", strategy.Marker{})
	w.register("a", strategy.Marker{Rollout: "r", Role: strategy.RoleReverse, Revision: revision("a")})
	w.each(func(a *strategy.Alloc) { a.Ready = true })
	w.dep.Promoted = true
	w.each(func(a *strategy.Alloc) { a.Ready, a.Canary = a.ID == w.allocs[0].ID, false })
	r := strategy.Rollout{
		Release: "web", Job: job, Phase: strategy.Blocked, Stuck: strategy.Reversing, ID: "r", Since: w.now, Seen: w.now, Plan: w.plan, Registered: true,
		Stable: strategy.Installed{Revision: revision("b"), Version: 1}, Canary: strategy.Trial{Revision: revision("a"), Service: service},
		Condemned: []strategy.Revision{revision("b")}, Ending: &strategy.Outcome{Kind: strategy.OutcomeCondemned, Revision: revision("b")},
	}
	r, _, why := strategy.Advance(r, w.observe(), w.now.Add(time.Second))
	if r.Phase != strategy.Placing || r.Canary.Revision != revision("c") || r.Stable.Revision != revision("a") || r.Stable.Version != 2 {
		t.Errorf("got %s of %s from %+v (%s), want a rollout of c from a", r.Phase, r.Canary.Revision, r.Stable, why.Text)
	}
}
