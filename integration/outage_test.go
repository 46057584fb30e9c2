package integration_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
	"github.com/drover-dev/drover/strategy"
)

// outage is how long Nomad is away: for longer than Drover waits for anything without saying so.
const outage = 20 * time.Second

// ownAgent is an agent for one story.
func ownAgent(t *testing.T, start func(ctx context.Context, dir, binary string) (*nomadagent.Agent, error)) *nomadagent.Agent {
	t.Helper()
	binary, err := nomadagent.Binary()
	if err != nil {
		t.Fatal(err)
	}
	own, err := start(t.Context(), filepath.Join(t.TempDir(), "nomad"), binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return own
}

// TestNomadFrozen has the agent answer nobody for a while, in mid-rollout.
func TestNomadFrozen(t *testing.T) {
	t.Parallel()
	own := ownAgent(t, nomadagent.Start)
	j := weathered(t, own, "frozen", []strategy.Phase{strategy.Stepping, strategy.Promoting})
	j.disturb = func(strategy.Phase) {
		if err := own.Freeze(); err != nil {
			t.Fatal(err)
		}
		j.endures()
		if err := own.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
	j.travel()
}

// TestNomadRestarted kills the server, and starts it again with what it has on disk. The node and its tasks go on.
func TestNomadRestarted(t *testing.T) {
	t.Parallel()
	own := ownAgent(t, nomadagent.StartServer)
	node := ownAgent(t, func(ctx context.Context, dir, _ string) (*nomadagent.Agent, error) { return own.Join(ctx, dir) })
	own.Node = node.Node
	j := weathered(t, own, "restarted", []strategy.Phase{strategy.Standby, strategy.Restoring})
	j.disturb = func(strategy.Phase) {
		if err := own.Halt(); err != nil {
			t.Fatal(err)
		}
		j.endures()
		if err := own.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	j.travel()
}

// weathered begins a journey on an agent of its own, disturbed in the given phases, and with -torture in every one.
func weathered(t *testing.T, own *nomadagent.Agent, name string, at []strategy.Phase) *journey {
	t.Helper()
	if *torture {
		at = phases
	}
	return &journey{story: beginOn(t, own, name), at: at}
}

// endures waits for the end of an outage, in which the users go on being served and the canary gets no more of them.
func (j *journey) endures() {
	j.t.Helper()
	before := j.split().Weight
	time.Sleep(outage)
	if now := j.split().Weight; now > before {
		j.t.Errorf("the weight rose from %s to %s while Nomad was away", before, now)
	}
}
