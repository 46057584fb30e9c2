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
