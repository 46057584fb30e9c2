package balancers_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
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
func startHAProxy(t *testing.T) (edge, socket string) {
	t.Helper()
	dir := t.TempDir()
	edge, socket = freeAddress(t), filepath.Join(dir, "haproxy.sock")
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
	run(t, exec.Command("haproxy", "-db", "-f", path), func() bool {
		for network, address := range map[string]string{"tcp": edge, "unix": socket} { // They do not come at the same time.
			conn, err := net.Dial(network, address)
			if err != nil || conn.Close() != nil {
				return false
			}
		}
		return true
	})
	return edge, "unix:" + socket
}

func TestHAProxy(t *testing.T) {
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		edge, socket := startHAProxy(t)
		router, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{socket}})
		if err != nil {
			t.Fatal(err)
		}
		users, services := newUsers(t, edge), newServices(t)
		return providertest.RouterHarness{
			Router: router, Meter: router, Start: services.start, Behave: services.behave, Send: users.send, Connect: users.connect,
			Settle: func() { time.Sleep(2 * time.Millisecond) },
			Slack:  0.003, NoLatency: true,
			Share: func(w strategy.Weight) strategy.Weight { return router.Share(w, 1, 1) },
		}
	})
}
