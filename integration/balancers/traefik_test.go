package balancers_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/traefik"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// splits are what is published, in memory.
type splits struct {
	mu      sync.Mutex
	known   map[string]strategy.Split
	handler traefik.Handler
}

func (s *splits) Publish(ctx context.Context, _ string, split strategy.Split) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]strategy.Split{}
	}
	s.known[split.Release] = split
	var all []strategy.Split
	for _, known := range s.known {
		all = append(all, known)
	}
	s.handler.Set(all)
	return ctx.Err()
}

func (s *splits) split(ctx context.Context, _, release string) (strategy.Split, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	split, there := s.known[release]
	return split, there, ctx.Err()
}

// startTraefik runs a Traefik as docs/traffic.md has it, with a router for each release of the suite. It returns the addresses
// for users and of its API.
func startTraefik(t *testing.T, provider, shadow string) (edge, api string, program *server) {
	t.Helper()
	edge, api = freeAddress(t), freeAddress(t)
	dir := t.TempDir()
	files := map[string]string{
		"traefik.yml": fmt.Sprintf(`entryPoints:
  web:
    address: %q
  traefik:
    address: %q
  drover-copies:
    address: %q
    reusePort: true # Two Traefiks on one machine.
    forwardedHeaders:
      trustedIPs: ["127.0.0.1/32"]
    transport:
      respondingTimeouts:
        writeTimeout: 60s
      lifeCycle:
        graceTimeOut: 1s
providers:
  http:
    endpoint: "http://%s/"
    pollInterval: "100ms"
  providersThrottleDuration: "100ms"
  file:
    filename: %s/routers.yml
api:
  insecure: true
metrics:
  prometheus: {}
`, edge, api, shadow, provider, dir),
		"routers.yml": "http:\n  routers:\n    shop: { rule: Host(`shop`), service: shop@http }\n    other: { rule: Host(`other`), service: other@http }\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = run(t, func() bool { // It listens before it knows its API.
		response, err := http.Get("http://" + api + "/api/version")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, "traefik", "--configFile="+filepath.Join(dir, "traefik.yml"))
	return edge, api, program
}

// TestTraefik holds two real Traefiks to the suite. It has no package that machines without it could install, so that it is
// tested where somebody has put it on the PATH; everywhere else its documented configuration is.
func TestTraefik(t *testing.T) {
	if _, err := exec.LookPath("traefik"); err != nil {
		t.Skip("traefik is not on the PATH")
	}
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		shadow, provider := freeAddress(t), freeAddress(t)
		published := &splits{handler: traefik.Handler{Copies: shadow}}
		published.handler.Set(nil)
		server := &http.Server{Addr: provider, Handler: &published.handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.ListenAndServe() }()
		t.Cleanup(func() { _ = server.Close() })
		edge, api, program := startTraefik(t, provider, shadow)
		other, otherAPI, _ := startTraefik(t, provider, shadow)
		connect := func() *traefik.Router {
			router, err := traefik.New(traefik.Options{
				Name: "edge", Publisher: published, Split: published.split, APIs: []string{"http://" + api, "http://" + otherAPI}, Copies: shadow,
			})
			if err != nil {
				t.Fatal(err)
			}
			return router
		}
		users, services := providertest.NewUsers(t, edge), providertest.NewServices(t)
		users.CookiesPass = true // Traefik has nothing that takes one out.
		return providertest.RouterHarness{
			Router: connect(), Start: services.Start, Behave: services.Behave, Send: users.Send, NewUser: users.NewUser, Copied: services.Copied, Asked: services.Asked,
			Settle: func() { time.Sleep(50 * time.Millisecond) },
			Edge:   edge, Others: []string{other}, Restart: program.restart, Forgets: true, Again: func() reconcile.Router { return connect() },
		}
	})
}
