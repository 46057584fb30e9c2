package balancers_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/haproxy"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router = (*haproxy.Router)(nil)
	_ reconcile.Meter  = (*haproxy.Router)(nil)
)

// startHAProxy runs HAProxy with a backend for each release of the suite. It returns the addresses for users and of the
// runtime API.
func startHAProxy(t *testing.T) (edge, api string, program *server) {
	t.Helper()
	dir := t.TempDir()
	edge = freeAddress(t)
	socket := filepath.Join(dir, "haproxy.sock")
	path := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(`global
  stats socket %s mode 600 level admin
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend edge
  bind %s
  use_backend %%[req.hdr(host)]
backend shop
  balance roundrobin
backend other
  balance roundrobin
`, socket, edge)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program = run(t, func() bool {
		for network, address := range map[string]string{"tcp": edge, "unix": socket} { // They do not come at the same time.
			conn, err := net.Dial(network, address)
			if err != nil || conn.Close() != nil {
				return false
			}
		}
		return true
	}, "haproxy", "-db", "-f", path)
	return edge, "unix:" + socket, program
}

func TestHAProxy(t *testing.T) {
	t.Parallel()
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		edge, socket, program := startHAProxy(t)
		second, secondSocket, _ := startHAProxy(t)
		connect := func() *haproxy.Router {
			router, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{socket, secondSocket}})
			if err != nil {
				t.Fatal(err)
			}
			return router
		}
		router, users, services := connect(), providertest.NewUsers(t, edge), providertest.NewServices(t)
		return providertest.RouterHarness{
			Router: router, Meter: router, Start: services.Start, Behave: services.Behave, Send: users.Send, Connect: users.Connect,
			Settle: func() { time.Sleep(2 * time.Millisecond) },
			Edge:   edge, Others: []string{second}, Restart: program.restart, Forgets: true, Again: func() reconcile.Router { return connect() },
			Slack: 0.003, NoLatency: true,
			Share: func(w strategy.Weight) strategy.Weight { return router.Share(w, 1, 1) },
		}
	})
}
