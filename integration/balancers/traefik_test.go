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

// TestTraefik holds a real Traefik to the suite. It has no package that machines without it could install, so that it is
// tested where somebody has put it on the PATH; everywhere else its documented configuration is.
func TestTraefik(t *testing.T) {
	if _, err := exec.LookPath("traefik"); err != nil {
		t.Skip("traefik is not on the PATH")
	}
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		published := &splits{}
		edge, api, provider := freeAddress(t), freeAddress(t), freeAddress(t)
		server := &http.Server{Addr: provider, Handler: &published.handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.ListenAndServe() }()
		t.Cleanup(func() { _ = server.Close() })
		dir := t.TempDir()
		files := map[string]string{
			"traefik.yml": fmt.Sprintf(`entryPoints:
  web: { address: %q }
  traefik: { address: %q }
api: { insecure: true }
providers:
  providersThrottleDuration: 50ms
  http: { endpoint: "http://%s/", pollInterval: 50ms }
  file: { filename: %s/routers.yml }
`, edge, api, provider, dir),
			"routers.yml": "http:\n  routers:\n    shop: { rule: Host(`shop`), service: shop@http }\n    other: { rule: Host(`other`), service: other@http }\n",
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		run(t, func() bool {
			response, err := http.Get("http://" + api + "/api/version")
			return err == nil && response.Body.Close() == nil
		}, "traefik", "--configFile="+filepath.Join(dir, "traefik.yml"))
		router, err := traefik.New(traefik.Options{Name: "edge", Publisher: published, Split: published.split, APIs: []string{"http://" + api}})
		if err != nil {
			t.Fatal(err)
		}
		users, services := providertest.NewUsers(t, edge), providertest.NewServices(t)
		users.CookiesPass = true // Traefik has nothing that takes one out.
		return providertest.RouterHarness{
			Router: router, Start: services.Start, Behave: services.Behave, Send: users.Send,
			Settle: func() { time.Sleep(50 * time.Millisecond) }, Slack: 0.01,
			NewUser: users.NewUser,
		}
	})
}
