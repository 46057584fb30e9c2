package balancers_test

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drover-dev/drover/providers/haproxy"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

// asks gives HAProxy a command, as a person does.
func (h *haproxyServer) asks(command string) string {
	h.t.Helper()
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	said, err := io.ReadAll(conn)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(said)
}

// TestHAProxyChangedByHand: what somebody does at the socket is reported, and undone with the next split. A server of theirs stays.
func TestHAProxyChangedByHand(t *testing.T) {
	t.Parallel()
	for what, command := range map[string]string{
		"a weight":            "set server shop/canary-two weight 200",
		"a server out":        "set server shop/stable-one state maint",
		"a server drained":    "set server shop/stable-one state drain",
		"another address":     "set server shop/stable-one addr 127.0.0.1 port 9",
		"one that is deleted": "set server shop/canary-two state maint; del server shop/canary-two",
		"one that is added":   "add server shop/canary-three 127.0.0.1:9 weight 10; set server shop/canary-three state ready",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newHAProxyCase(t, "")
			split := c.split(strategy.Percent(25))
			c.program.asks("add server shop/theirs 127.0.0.1:9 weight 0")
			c.apply(split)
			c.program.asks(command)
			if state := c.read(); state.Has(split) {
				t.Errorf("it says that the split is in effect: %+v", state.Splits)
			}
			c.apply(split)
			if got := c.users.Send("shop", 400); got["two"] < 99 || got["two"] > 101 || got["one"]+got["two"] != 400 {
				t.Errorf("at 25%% these answered: %v", got)
			}
			if !c.lists("theirs") {
				t.Error("a server that is not Drover's is gone")
			}
		})
	}
}

// TestHAProxyStartedAnewInAChange: whenever HAProxy is started anew while it is told of a split, the next time all is as asked for.
func TestHAProxyStartedAnewInAChange(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"forgets": "", "folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newHAProxyCase(t, folder, keepsUsers)
			var left atomic.Int64 // connections until it is started anew
			between := filepath.Join(t.TempDir(), "between.sock")
			listener, err := net.Listen("unix", between)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					if left.Add(-1) == 0 {
						c.program.restart()
					}
					target, err := net.Dial("unix", c.program.socket)
					if err != nil {
						_ = conn.Close()
						continue
					}
					go func() {
						_, _ = io.Copy(target, conn)
					}()
					_, _ = io.Copy(conn, target)
					_, _ = target.Close(), conn.Close()
				}
			}()
			router, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{"unix:" + between}, Folder: folder})
			if err != nil {
				t.Fatal(err)
			}
			c.router = router
			disturbed := 0
			for at := 1; disturbed == at-1; at++ {
				split := c.split(strategy.Percent(50))
				c.apply(split)
				split.Canary = append([]strategy.Endpoint{c.services.Start("shop", "three")}, split.Canary...)
				split.Weight, split.Sessions = strategy.Percent(20), fmt.Sprintf("shop-%d", at)
				left.Store(int64(at))
				_ = router.Apply(t.Context(), split) // It fails where HAProxy has forgotten what a command was about.
				if left.Load() <= 0 {
					disturbed++
				}
				left.Store(0)
				c.apply(split)
				if got := c.users.Send("shop", 400); got["two"]+got["three"] < 79 || got["two"]+got["three"] > 81 || got[""] > 0 {
					t.Errorf("after it was started anew at its command %d, at 20%% these answered: %v", at, got)
				}
			}
			if disturbed < 4 {
				t.Errorf("it was started anew within %d commands, want more", disturbed)
			}
		})
	}
}

// TestOneHAProxyAway: the others are told of a split all the same, the error says which is away, and that one has it when it is back.
func TestOneHAProxyAway(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c := newHAProxyCase(t, folder)
	second := startHAProxy(t, folder)
	router, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{second.api, c.program.api}, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	c.router = router
	split := c.split(strategy.Percent(50))
	c.apply(split)
	second.stop()
	split.Weight = 0
	if err := router.Apply(t.Context(), split); err == nil || !strings.Contains(err.Error(), second.socket) {
		t.Errorf("error %v, want it to name %s", err, second.socket)
	}
	if _, err := router.Read(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), second.socket) {
		t.Errorf("error %v, want it to name %s", err, second.socket)
	}
	if got := c.users.Send("shop", 100); got["one"] != 100 {
		t.Errorf("at 0%% the one that is there has these answer: %v", got)
	}
	second.start()
	if got := providertest.NewUsers(t, second.edge).Send("shop", 100); got["one"] != 100 {
		t.Errorf("at 0%% the one that is back has these answer: %v", got)
	}
	c.apply(split)
}
