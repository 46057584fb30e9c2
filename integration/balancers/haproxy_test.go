package balancers_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/haproxy"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router   = (*haproxy.Router)(nil)
	_ reconcile.Meter    = (*haproxy.Router)(nil)
	_ reconcile.Surveyor = (*haproxy.Router)(nil)
)

// haproxyServer is a HAProxy that knows the releases of the suite.
type haproxyServer struct {
	*server
	edge, socket string // for users, and the runtime API
	api          string // the socket as Drover's configuration has it
}

// startHAProxy runs one. The backends stand in a folder, which Drover writes, or in its own configuration when that is "".
// lines are for each of them.
func startHAProxy(t *testing.T, folder string, lines ...string) *haproxyServer {
	t.Helper()
	dir := t.TempDir()
	h := &haproxyServer{edge: freeAddress(t), socket: filepath.Join(dir, "haproxy.sock")}
	h.api = "unix:" + h.socket
	path := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(`global
  stats socket %s mode 600 level admin
defaults common
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend edge from common
  bind %s
  use_backend %%[req.hdr(host)]
`, h.socket, h.edge)
	section, command := "backend", []string{"haproxy", "-W", "-f", path}
	if folder != "" {
		section, command = "defaults", append(command, "-f", folder)
	}
	for _, release := range []string{"shop", "other"} {
		text += fmt.Sprintf("%s %s from common\n  balance roundrobin\n", section, release)
		for _, line := range lines {
			text += "  " + strings.ReplaceAll(line, "RELEASE", release) + "\n"
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.server = run(t, func() bool {
		for network, address := range map[string]string{"tcp": h.edge, "unix": h.socket} { // They do not come at the same time.
			conn, err := net.Dial(network, address)
			if err != nil || conn.Close() != nil {
				return false
			}
		}
		return true
	}, command...)
	return h
}

// worker is the id of the process that answers at the socket; "" while none does.
func (h *haproxyServer) worker() string {
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, "show info"); err != nil {
		return ""
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if pid, is := strings.CutPrefix(lines.Text(), "Pid: "); is {
			return pid
		}
	}
	return ""
}

// reload has it read its configuration anew.
func (h *haproxyServer) reload() {
	h.t.Helper()
	before := h.worker()
	if err := h.process.Process.Signal(syscall.SIGUSR2); err != nil {
		h.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if now := h.worker(); now != "" && now != before {
			return
		}
	}
	h.t.Fatal("HAProxy is not reloaded after a minute")
}

// keepsUsers is the line by which a backend keeps users on their track.
const keepsUsers = "cookie drover_RELEASE insert indirect nocache httponly dynamic"

func TestHAProxy(t *testing.T) {
	t.Parallel()
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		folder := t.TempDir()
		sockets := []string{}
		connect := func() *haproxy.Router {
			router, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: sockets, Folder: folder})
			if err != nil {
				t.Fatal(err)
			}
			return router
		}
		sockets = []string{"unix:/nowhere"} // HAProxy does not start without its backends.
		if err := connect().Prepare("shop", "other"); err != nil {
			t.Fatal(err)
		}
		first, second := startHAProxy(t, folder, keepsUsers), startHAProxy(t, folder, keepsUsers)
		sockets = []string{first.api, second.api}
		router, users, services := connect(), providertest.NewUsers(t, first.edge), providertest.NewServices(t)
		return providertest.RouterHarness{
			Router: router, Meter: router, Start: services.Start, Behave: services.Behave, Send: users.Send, Connect: users.Connect, NewUser: users.NewUser,
			Settle: func() { time.Sleep(2 * time.Millisecond) },
			Edge:   first.edge, Others: []string{second.edge}, Restart: first.restart, Again: func() reconcile.Router { return connect() },
			Reload: func() { first.reload(); second.reload() },
			Slack:  0.003, NoLatency: true,
			Share: func(w strategy.Weight) strategy.Weight { return router.Share(w, 1, 1) },
		}
	})
}
