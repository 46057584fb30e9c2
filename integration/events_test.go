package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
)

func TestNomadEvents(t *testing.T) {
	t.Parallel()
	providertest.TestEvents(t, func(t *testing.T, run func(*testing.T, providertest.EventsHarness)) {
		t.Helper()
		name := newInstance()
		if _, err := agent.Client().Namespaces().Register(&api.Namespace{Name: "shop"}, nil); err != nil {
			t.Fatalf("make the namespace: %v", err)
		}
		run(t, providertest.EventsHarness{
			Process: func() (reconcile.Events, *providertest.Line) {
				client, line := onLine(t)
				return nomad.New(client, nomad.Options{Registrations: true}), line
			},
			Client: agent.Client(), Job: name, Namespace: name,
			Purge: func(namespace, job string) error {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // The test's own is over.
				defer cancel()
				return agent.PurgeIn(ctx, namespace, job)
			},
		})
	})
}
