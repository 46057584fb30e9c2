package proxy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/reconcile"
)

var (
	_ reconcile.Router = (*proxy.Client)(nil)
	_ reconcile.Meter  = (*proxy.Client)(nil)
	_ proxy.Publisher  = (*proxy.Direct)(nil)
)

// TestRouter holds two instances in this process to the suite; integration holds the program to it, which starts anew too.
func TestRouter(t *testing.T) {
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		one, two := startFront(t, proxy.Options{Instance: "one"}), startFront(t, proxy.Options{Instance: "two"})
		published := proxy.NewDirect(one.Proxy, two.Proxy)
		connect := func() *proxy.Client {
			client, err := proxy.NewClient(proxy.ClientOptions{
				Router: "edge", Publisher: published, HTTPClient: one.client,
				Instances: func(context.Context) ([]string, error) { return []string{one.admin.URL, two.admin.URL}, nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			return client
		}
		edge, other := strings.TrimPrefix(one.traffic.URL, "http://"), strings.TrimPrefix(two.traffic.URL, "http://")
		client, services, users, keeps := connect(), providertest.NewServices(t), providertest.NewUsers(t, edge), false
		return providertest.RouterHarness{
			Router: client, Meter: client, Start: services.Start, Behave: services.Behave, Copied: services.Copied, Asked: services.Asked,
			Send: users.Send, NewUser: users.NewUser, Edge: edge, Others: []string{other},
			Connect: func(release string) (string, <-chan string) {
				keeps = true
				return users.Connect(release)
			},
			Again: func() reconcile.Router { return connect() },
			// A request is counted just after its answer was sent.
			Settle: func() {
				if !keeps { // Kept connections are under way for good.
					one.idle(t)
				}
			},
		}
	})
}
