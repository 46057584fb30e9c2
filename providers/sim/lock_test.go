package sim_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
)

// inBubble runs a test with a simulation whose time is the bubble's.
func inBubble(t *testing.T, cfg sim.Config, run func(t *testing.T, n *sim.Nomad)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Start, cfg.Seed = time.Now(), 1
		n := sim.New(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			ticker := time.NewTicker(50 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					n.Advance(time.Now())
				}
			}
		}()
		t.Cleanup(func() {
			cancel()
			<-stopped
			if unknown := n.Unknown(); len(unknown) > 0 {
				t.Errorf("requests that the simulation does not know: %v", unknown)
			}
		})
		run(t, n)
	})
}

// onLine is a client whose requests pass a line.
func onLine(t *testing.T, n *sim.Nomad) (*api.Client, *providertest.Line) {
	t.Helper()
	c := n.Client()
	line := &providertest.Line{Next: c.Transport}
	c.Transport = line
	client, err := nomad.Connect(nomad.Config{Address: "http://sim.invalid", HTTPClient: c})
	if err != nil {
		t.Fatalf("connect to the simulation: %v", err)
	}
	return client, line
}

func TestLock(t *testing.T) {
	providertest.TestLock(t, func(t *testing.T, run func(*testing.T, providertest.LockHarness)) {
		t.Helper()
		inBubble(t, sim.Config{}, func(t *testing.T, n *sim.Nomad) {
			t.Helper()
			client := newClient(t, n)
			run(t, providertest.LockHarness{
				Process: func(name string) (reconcile.Lock, *providertest.Line) {
					client, line := onLine(t, n)
					return nomad.NewLock(client, nomad.LockOptions{Instance: "drover", Name: name}), line
				},
				Leader: nomad.NewLock(client, nomad.LockOptions{Instance: "drover"}).Leader,
				Break:  func(ctx context.Context) error { return breakLock(ctx, client) },
			})
		})
	})
}

// breakLock releases the lock as a person does who may write the variable.
func breakLock(ctx context.Context, client *api.Client) error {
	held, _, err := client.Variables().Read("drover/leader", (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	_, _, err = client.Variables().ReleaseLock(&api.Variable{Path: held.Path, Lock: held.Lock}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}
