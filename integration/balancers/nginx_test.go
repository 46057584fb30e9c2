package balancers_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/nginx"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router = (*nginx.Router)(nil)
	_ reconcile.Meter  = (*nginx.Router)(nil)
)

// startNGINX runs NGINX with a server for each release of the suite, and returns the address for users.
func startNGINX(t *testing.T) (edge string, router *nginx.Router, config string, program *server, again func() *nginx.Router) {
	t.Helper()
	dir := t.TempDir()
	edge = freeAddress(t)
	admin, log, copies := freeAddress(t), freeAddress(t), freeAddress(t)
	config = filepath.Join(dir, "nginx.conf")
	include := filepath.Join(dir, "edge.conf")
	var servers strings.Builder
	for _, release := range []string{"shop", "other"} {
		fmt.Fprintf(&servers, `  server {
    listen %s;
    server_name %s;
    location / {
      include %[5]s.%[2]s.mirror;
      proxy_pass http://%[3]s;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Cookie %[3]s_cookies;
      access_log syslog:server=%[4]s,nohostname,tag=drover drover;
    }
    location = /drover-copy-%[2]s {
      include %[5]s.%[2]s.copy;
      proxy_set_header Cookie %[3]s_cookies;
    }
  }
`, edge, release, nginx.Variable(release), log, filepath.Join(dir, "edge"))
	}
	text := fmt.Sprintf(`daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
worker_processes 2;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  include %[2]s;
%[3]s}
`, dir, include, servers.String())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	control := func(args ...string) []string { return append([]string{"nginx", "-p", dir, "-c", config}, args...) }
	again = func() *nginx.Router {
		router, err := nginx.New(nginx.Options{
			Name: "edge", File: include, Admin: admin, Log: log, Copies: copies, Test: control("-t", "-q"), Reload: control("-s", "reload"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return router
	}
	router = again()
	// NGINX does not start without the variables that its servers name.
	if err := router.Prepare("shop", "other"); err != nil {
		t.Fatal(err)
	}
	program = run(t, func() bool {
		response, err := http.Get("http://" + admin + "/drover")
		return err == nil && response.Body.Close() == nil
	}, "nginx", "-p", dir, "-c", config)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	heard := make(chan error, 1)
	go func() { heard <- router.Hear(ctx) }()
	t.Cleanup(func() { cancel(); <-heard })
	for {
		if _, err := router.Sample(t.Context(), "shop"); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return edge, router, config, program, again
}

func TestNGINX(t *testing.T) {
	t.Parallel()
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		edge, router, _, program, again := startNGINX(t)
		users, services := providertest.NewUsers(t, edge), providertest.NewServices(t)
		return providertest.RouterHarness{
			Router: router, Meter: router, Start: services.Start, Behave: services.Behave, Send: users.Send,
			Settle: func() { time.Sleep(20 * time.Millisecond) },
			Count:  func() { time.Sleep(300 * time.Millisecond) }, // The log comes after the answer.
			Edge:   edge, Restart: program.restart, Again: func() reconcile.Router { return again() },
			NewUser: users.NewUser, Copied: services.Copied,
			Drawn: true, Changes: 25,
		}
	})
}

func TestNGINXPutsBackWhatItDoesNotAccept(t *testing.T) {
	edge, router, config, _, _ := startNGINX(t)
	users, services := providertest.NewUsers(t, edge), providertest.NewServices(t)
	split := strategy.Split{Release: "shop", Namespace: "default", Service: "shop", Resting: true, Stable: []strategy.Endpoint{services.Start("shop", "one")}}
	if err := router.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	for in := false; !in; {
		state, err := router.Read(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		in = split.InEffect(state.Splits[0])
	}
	bad := split
	bad.Stable = []strategy.Endpoint{{Alloc: "two", Address: "no such; address"}}
	err := router.Apply(t.Context(), bad)
	if err == nil || !strings.Contains(err.Error(), "put back") {
		t.Fatalf("a configuration that NGINX does not accept: %v, want an error that it is put back", err)
	}
	if err := exec.Command("nginx", "-p", filepath.Dir(config), "-c", config, "-t", "-q").Run(); err != nil {
		t.Errorf("the configuration is not as it was: %v", err)
	}
	if got := users.Send("shop", 10); got["one"] != 10 {
		t.Errorf("the old split is not in effect any more: %v answered", got)
	}
}
