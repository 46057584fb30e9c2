package proxy_test

import (
	"context"
	"testing"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router = (*proxy.Client)(nil)
	_ reconcile.Meter  = (*proxy.Client)(nil)
	_ proxy.Publisher  = (*proxy.Direct)(nil)
)

func TestRouter(t *testing.T) {
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		f := startFront(t, proxy.Options{Instance: "one"})
		client, err := proxy.NewClient(proxy.ClientOptions{
			Router: "edge", Publisher: proxy.NewDirect(f.Proxy), HTTPClient: f.client,
			Instances: func(context.Context) ([]string, error) { return []string{f.admin.URL}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		servers := map[strategy.Endpoint]*server{}
		return providertest.RouterHarness{
			Router: client,
			Meter:  client,
			Start: func(_, alloc string) strategy.Endpoint {
				s := startServer(t, alloc)
				servers[s.endpoint] = s
				return s.endpoint
			},
			Behave: func(e strategy.Endpoint, b providertest.Behavior) { servers[e].behavior.Store(&b) },
			Send: func(release string, n int) map[string]int {
				answers := map[string]int{}
				for range n {
					alloc, _ := f.get(t, release)
					answers[alloc]++
				}
				return answers
			},
			// A request is counted just after its answer was sent.
			Settle: func() { f.idle(t) },
		}
	})
}
