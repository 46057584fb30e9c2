package metrics_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/traefik"
	"github.com/drover-dev/drover/strategy"
)

// startTraefik runs a Traefik that asks provider for its services, and has a router to that of the release "web".
func startTraefik(t *testing.T, provider, copies string) (front, api string) {
	t.Helper()
	front, api = freeAddress(t), freeAddress(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"traefik.yml": fmt.Sprintf(`entryPoints:
  web: { address: %q }
  traefik: { address: %q }
  drover-copies: { address: %q }
providers:
  providersThrottleDuration: "100ms"
  http: { endpoint: %q, pollInterval: "100ms" }
  file: { filename: %s/routers.yml }
api: { insecure: true }
metrics: { prometheus: {} }
`, front, api, copies, provider, dir),
		"routers.yml": "http: { routers: { web: { rule: Host(`web`), service: web@http } } }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	process := exec.Command("traefik", "--configFile="+filepath.Join(dir, "traefik.yml"))
	process.Stdout, process.Stderr = &said, &said
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait() // How it ends is of no interest.
		if t.Failed() {
			t.Logf("traefik said:\n%s", said.String())
		}
	})
	return front, api
}

// TestRequestsOfTraefik has Prometheus count what a real Traefik exports, exactly: users' requests of both tracks, and copies
// by themselves, also after the canary had no traffic for a while. As with the suite of routers, Traefik has to be on the PATH.
func TestRequestsOfTraefik(t *testing.T) {
	if _, err := exec.LookPath("traefik"); err != nil {
		t.Skip("traefik is not on the PATH")
	}
	t.Parallel()
	canary, stable := newService(t), newService(t) // One in ten requests fails.
	copies := freeAddress(t)
	handler := &traefik.Handler{Copies: copies}
	handler.Set(nil)
	provider := httptest.NewServer(handler)
	t.Cleanup(provider.Close)
	front, api := startTraefik(t, provider.URL, copies)
	server := startPrometheusOn(t, fmt.Sprintf("global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: traefik\n    static_configs:\n      - targets: [%q]\n", api))
	meter, begun := meterOf(t, server, named(t, "traefik")), time.Now()
	ask := func(copied bool) (strategy.Sample, error) {
		return meter.Measure(t.Context(), strategy.Inquiry{
			Release: "web", Rollout: "web-1", Now: time.Now(), Since: begun, Canary: []string{"c1"}, Stable: []string{"s1"}, Requests: true, Latency: true, Copies: copied,
		})
	}
	split := strategy.Split{Release: "web", Service: "web"}
	endpoint := func(s *service) []strategy.Endpoint {
		return []strategy.Endpoint{{Alloc: "a", Address: strings.TrimPrefix(s.URL, "http://")}}
	}
	split.Stable = endpoint(stable)
	give := func(weight strategy.Weight, copied *strategy.Copies, to []strategy.Endpoint) {
		split.Weight, split.Copies, split.Canary = weight, copied, to
		handler.Set([]strategy.Split{split})
		time.Sleep(2 * time.Second) // Longer than Traefik takes, and than a reading is apart.
	}
	send := func(method string, n int) {
		for range n {
			request, err := http.NewRequest(method, "http://"+front+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "web"
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
	counted := func(copied bool, want map[strategy.Track][2]float64) {
		t.Helper()
		eventually(t, "Prometheus counts", func() error {
			sample, err := ask(copied)
			if err != nil {
				return err
			}
			for _, series := range sample.Series {
				if n := want[series.Track]; series.Requests != n[0] || series.Errors != n[1] {
					return fmt.Errorf("%s: %v requests and %v errors, want %v", series.Track, series.Requests, series.Errors, n)
				}
				if last := len(sample.Bounds) - 1; last < 3 || series.Buckets[last] != series.Requests {
					return fmt.Errorf("%s: %v within %v, want all of %v timed", series.Track, series.Buckets, sample.Bounds, series.Requests)
				}
			}
			return nil
		})
	}
	give(0, nil, nil)
	send(http.MethodGet, 10) // What is read first was there before.
	eventually(t, "Prometheus reads Traefik", func() error { _, err := ask(true); return err })

	give(0, &strategy.Copies{Percent: strategy.Full, Methods: []string{"GET"}}, endpoint(canary))
	send(http.MethodGet, 100)
	send(http.MethodPost, 20)
	counted(true, map[strategy.Track][2]float64{strategy.Stable: {120, 12}, strategy.Shadow: {100, 10}})
	give(strategy.Percent(50), nil, endpoint(canary))
	send(http.MethodGet, 100)
	counted(false, map[strategy.Track][2]float64{strategy.Stable: {170, 17}, strategy.Canary: {50, 5}})
	give(0, nil, nil)
	give(strategy.Percent(50), nil, endpoint(canary))
	send(http.MethodGet, 100)
	counted(false, map[strategy.Track][2]float64{strategy.Stable: {220, 22}, strategy.Canary: {100, 10}})
}
