package integration_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/reconcile"
)

// TestProxyRouter holds drover proxy to the suite of routers: two instances of the program, which follow the splits in Nomad's
// Variables.
func TestProxyRouter(t *testing.T) {
	t.Parallel()
	var round atomic.Int64
	address := withoutRegistrations(t)
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		instance := fmt.Sprintf("suite-%d", round.Add(1)) // Nothing is published for it yet.
		one, two := startProxy(t, address, instance), startProxy(t, address, instance)
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
		connect := func() *proxy.Client {
			router, err := proxy.NewClient(proxy.ClientOptions{
				Router: "edge", Publisher: nomad.NewSplits(agent.Client(), instance, "default"), HTTPClient: client,
				Instances: func(context.Context) ([]string, error) {
					return []string{"http://" + one.admin, "http://" + two.admin}, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			return router
		}
		router, services, users := connect(), providertest.NewServices(t), providertest.NewUsers(t, one.edge)
		return providertest.RouterHarness{
			Router: router, Meter: router, Start: services.Start, Behave: services.Behave, Copied: services.Copied,
			Send: users.Send, NewUser: users.NewUser, Connect: users.Connect,
			Settle: func() { time.Sleep(20 * time.Millisecond) },
			Edge:   one.edge, Others: []string{two.edge}, Restart: one.restart, Again: func() reconcile.Router { return connect() },
			Brief: true, Changes: 40,
		}
	})
}

// withoutRegistrations is the agent, as those see it who may not read which services are registered: those of the suite are not,
// and the proxy would leave them out.
func withoutRegistrations(t *testing.T) string {
	t.Helper()
	target, err := url.Parse(agent.Address)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // Every proxy that ends leaves a query.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/service/") {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// proxyProgram is drover proxy.
type proxyProgram struct {
	*balancer
	edge, admin string
}

func startProxy(t *testing.T, address, instance string) *proxyProgram {
	t.Helper()
	p := &proxyProgram{edge: freeAddress(t), admin: freeAddress(t)}
	config := filepath.Join(t.TempDir(), "drover.hcl")
	text := fmt.Sprintf("instance = %q\ngit {\n  url = \"shop.git\"\n}\nnomad {\n  address = %q\n}\nrouter \"edge\" {\n  listen    = %q\n  admin     = %q\n  instances = [\"http://%s\"]\n}\n",
		instance, address, p.edge, p.admin, p.admin)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.balancer = &balancer{
		t: t, command: func() *exec.Cmd { return exec.Command(drover, "proxy", "-config", config) },
		ready: func() bool {
			connection, err := net.Dial("tcp", p.edge)
			return err == nil && connection.Close() == nil
		},
	}
	p.start()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("drover proxy said:\n%s", strings.TrimSpace(p.said.String()))
		}
	})
	return p
}

func (p *proxyProgram) restart() {
	p.stop()
	p.start()
}
