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
	_ reconcile.Router   = (*nginx.Router)(nil)
	_ reconcile.Meter    = (*nginx.Router)(nil)
	_ reconcile.Surveyor = (*nginx.Router)(nil)
)

// underTest is an NGINX with its router.
type underTest struct {
	dir, config              string
	edge, admin, log, copies string // addresses
	router                   *nginx.Router
	again                    func() *nginx.Router
	program                  *server
}

// startNGINX runs NGINX with a server for each release of the suite.
func startNGINX(t *testing.T) *underTest {
	t.Helper()
	return runNGINX(t, func(u *underTest) string {
		text := "http {\n  include " + u.dir + "/edge.conf;\n  map $http_upgrade $connection_header {\n    default upgrade;\n    \"\" \"\";\n  }\n"
		for _, release := range []string{"shop", "other"} {
			text += fmt.Sprintf(`  server {
    listen %s;
    server_name %s;
    location / {
      include %[5]s.%[2]s.mirror;
      proxy_pass http://%[3]s;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
      proxy_set_header Host $host;
      proxy_set_header Cookie %[3]s_cookies;
      access_log syslog:server=%[4]s,nohostname,tag=drover drover;
    }
    location = /drover-copy-%[2]s {
      include %[5]s.%[2]s.copy;
      proxy_set_header Host $host;
      proxy_set_header Cookie %[3]s_cookies;
    }
  }
`, u.edge, release, nginx.Variable(release), u.log, u.dir+"/edge")
		}
		return text + "}\n"
	}, "shop", "other")
}

// runNGINX runs NGINX with an http block.
func runNGINX(t *testing.T, block func(*underTest) string, releases ...string) *underTest {
	t.Helper()
	u := &underTest{dir: t.TempDir(), edge: freeAddress(t), admin: freeAddress(t), log: freeAddress(t), copies: freeAddress(t)}
	u.config = filepath.Join(u.dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
worker_processes 2;
events { worker_connections 512; }
`, u.dir) + strings.Replace(block(u), "http {", fmt.Sprintf(`http {
  access_log off;
  client_body_buffer_size 128k; # The workers may be somebody who may not write where tests do.
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;`, u.dir), 1)
	if err := os.WriteFile(u.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u.again = func() *nginx.Router {
		router, err := nginx.New(nginx.Options{
			Name: "edge", File: filepath.Join(u.dir, "edge.conf"), Admin: u.admin, Log: u.log, Copies: u.copies,
			Test: u.command("-t", "-q"), Reload: u.command("-s", "reload"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return router
	}
	u.router = u.again()
	// NGINX does not start without the variables that its servers name.
	if err := u.router.Prepare(releases...); err != nil {
		t.Fatal(err)
	}
	u.program = run(t, func() bool {
		response, err := http.Get("http://" + u.admin + "/drover")
		return err == nil && response.Body.Close() == nil
	}, u.command()...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	heard := make(chan error, 1)
	go func() { heard <- u.router.Hear(ctx) }()
	t.Cleanup(func() { cancel(); <-heard })
	for {
		if _, err := u.router.Sample(t.Context(), releases[0]); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return u
}

func (u *underTest) command(args ...string) []string {
	return append([]string{"nginx", "-p", u.dir, "-c", u.config}, args...)
}

// apply applies a split and waits until it is in effect.
func (u *underTest) apply(t *testing.T, split strategy.Split) {
	t.Helper()
	if err := u.router.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	for in := false; !in; time.Sleep(time.Millisecond) {
		state, err := u.router.Read(t.Context(), split.Release)
		if err != nil {
			t.Fatal(err)
		}
		in = split.InEffect(state.Splits[0])
	}
}

func TestNGINX(t *testing.T) {
	t.Parallel()
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		u := startNGINX(t)
		users, services := providertest.NewUsers(t, u.edge), providertest.NewServices(t)
		return providertest.RouterHarness{
			Router: u.router, Meter: u.router, Start: services.Start, Behave: services.Behave, Send: users.Send,
			Settle: func() { time.Sleep(20 * time.Millisecond) },
			Count:  func() { time.Sleep(300 * time.Millisecond) }, // The log comes after the answer.
			Edge:   u.edge, Restart: u.program.restart, Again: func() reconcile.Router { return u.again() },
			NewUser: users.NewUser, Copied: services.Copied, Asked: services.Asked,
			Reload: func() {
				if err := exec.Command("nginx", u.command("-s", "reload")[1:]...).Run(); err != nil {
					t.Fatal(err)
				}
			},
			Drawn: true, Changes: 25,
		}
	})
}

func TestNGINXPutsBackWhatItDoesNotAccept(t *testing.T) {
	u := startNGINX(t)
	users, services := providertest.NewUsers(t, u.edge), providertest.NewServices(t)
	split := strategy.Split{Release: "shop", Namespace: "default", Service: "shop", Resting: true, Stable: []strategy.Endpoint{services.Start("shop", "one")}}
	u.apply(t, split)
	bad := split
	bad.Stable = []strategy.Endpoint{{Alloc: "two", Address: "no such; address"}}
	err := u.router.Apply(t.Context(), bad)
	if err == nil || !strings.Contains(err.Error(), "put back") {
		t.Fatalf("a configuration that NGINX does not accept: %v, want an error that it is put back", err)
	}
	if err := exec.Command("nginx", u.command("-t", "-q")[1:]...).Run(); err != nil {
		t.Errorf("the configuration is not as it was: %v", err)
	}
	if got := users.Send("shop", 10); got["one"] != 10 {
		t.Errorf("the old split is not in effect any more: %v answered", got)
	}
}

// TestNGINXWithAnotherMistake: while somebody else's part of the configuration is wrong, a split is refused with what NGINX says
// and the one before stays in effect; and one that NGINX was told of and did not load is not said to be in effect.
func TestNGINXWithAnotherMistake(t *testing.T) {
	u := startNGINX(t)
	users, services := providertest.NewUsers(t, u.edge), providertest.NewServices(t)
	split := strategy.Split{
		Release: "shop", Namespace: "default", Service: "shop", Weight: strategy.Percent(50),
		Stable: []strategy.Endpoint{services.Start("shop", "one")}, Canary: []strategy.Endpoint{services.Start("shop", "two")},
	}
	u.apply(t, split)
	good, err := os.ReadFile(u.config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(u.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(good) + "mistaken;\n")
	next := split
	next.Weight = 0
	for range 2 {
		err := u.router.Apply(t.Context(), next)
		if err == nil || !strings.Contains(err.Error(), `unknown directive "mistaken"`) {
			t.Fatalf("with a mistake of somebody else's: %v, want what NGINX says", err)
		}
		if state, err := u.router.Read(t.Context(), "shop"); err != nil || !state.Has(split) {
			t.Errorf("the split before is said to be %+v (%v)", state.Splits, err)
		}
	}
	if got := users.Send("shop", 200); got["two"] < 50 || got[""] > 0 {
		t.Errorf("at 50%% these answered: %v", got)
	}
	write(string(good))
	u.apply(t, next)

	deaf, err := nginx.New(nginx.Options{
		Name: "edge", File: filepath.Join(u.dir, "edge.conf"), Admin: u.admin, Log: u.log, Copies: u.copies, Test: u.command("-t", "-q"), Reload: []string{"true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := deaf.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if state, err := deaf.Read(t.Context(), "shop"); err != nil || state.Has(split) {
			t.Fatalf("what was not loaded is said to be in effect: %+v (%v)", state.Splits, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := users.Send("shop", 100); got["one"] != 100 {
		t.Errorf("these answered: %v", got)
	}
}
