package sim_test

import (
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
)

func TestEvents(t *testing.T) {
	providertest.TestEvents(t, func(t *testing.T, run func(*testing.T, providertest.EventsHarness)) {
		t.Helper()
		inBubble(t, sim.Config{Namespaces: []string{"shop"}}, func(t *testing.T, n *sim.Nomad) {
			t.Helper()
			client := newClient(t, n)
			run(t, providertest.EventsHarness{
				Process: func() (reconcile.Events, *providertest.Line) {
					client, line := onLine(t, n)
					return nomad.New(client, nomad.Options{Registrations: true}), line
				},
				Client: client, Job: "followed", Namespace: "later",
				Purge: func(namespace, job string) error {
					_, _, err := client.Jobs().Deregister(job, true, &api.WriteOptions{Namespace: namespace})
					return err
				},
			})
		})
	})
}
