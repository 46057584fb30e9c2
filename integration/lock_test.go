package integration_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
)

// onLine is a client of the agent whose requests pass a line.
func onLine(t *testing.T) (*api.Client, *providertest.Line) {
	t.Helper()
	line := &providertest.Line{Next: http.DefaultTransport}
	client, err := nomad.Connect(nomad.Config{Address: agent.Address, HTTPClient: &http.Client{Transport: line}})
	if err != nil {
		t.Fatalf("connect to nomad: %v", err)
	}
	return client, line
}

func TestNomadLock(t *testing.T) {
	t.Parallel()
	providertest.TestLock(t, func(t *testing.T, run func(*testing.T, providertest.LockHarness)) {
		t.Helper()
		t.Parallel()
		options := nomad.LockOptions{Instance: newInstance()}
		run(t, providertest.LockHarness{
			Process: func(name string) (reconcile.Lock, *providertest.Line) {
				client, line := onLine(t)
				own := options
				own.Name = name
				return nomad.NewLock(client, own), line
			},
			Leader: nomad.NewLock(agent.Client(), options).Leader,
			Break: func(ctx context.Context) error {
				held, _, err := agent.Client().Variables().Read(options.Instance+"/leader", (&api.QueryOptions{}).WithContext(ctx))
				if err != nil {
					return err
				}
				_, _, err = agent.Client().Variables().ReleaseLock(&api.Variable{Path: held.Path, Lock: held.Lock}, (&api.WriteOptions{}).WithContext(ctx))
				return err
			},
		})
	})
}

func TestNomadBookmark(t *testing.T) {
	providertest.TestBookmark(t, func(t *testing.T) (bookmark, other reconcile.Bookmark) {
		t.Helper()
		instance := newInstance()
		return nomad.NewLedger(agent.Client(), instance, "default"), nomad.NewLedger(agent.Client(), instance, "default")
	})
}
