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

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/strategy"
)

// service is an allocation that measures itself, by a counter, a classic histogram and a native one.
type service struct {
	*httptest.Server
	requests        *client.CounterVec
	classic, native client.Histogram
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{
		requests: client.NewCounterVec(client.CounterOpts{Name: "http_requests_total"}, []string{"code"}),
		classic:  client.NewHistogram(client.HistogramOpts{Name: "http_request_duration_seconds", Buckets: []float64{0.1, 0.5, 1}}),
		native:   client.NewHistogram(client.HistogramOpts{Name: "http_request_native_seconds", NativeHistogramBucketFactor: 1.1}),
	}
	registry := client.NewRegistry()
	registry.MustRegister(s.requests, s.classic, s.native)
	metrics, n := promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), 0
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			metrics.ServeHTTP(w, r)
			return
		}
		n++
		if n%10 == 0 { // HAProxy asks over one connection at a time.
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// answer counts requests: one in ten fails, one in five takes 700 ms and the others 50 ms.
func (s *service) answer(requests int) {
	for n := range requests {
		code, took := "200", 0.05
		if n%10 == 0 {
			code = "500"
		}
		if n%5 == 0 {
			took = 0.7
		}
		s.requests.WithLabelValues(code).Inc()
		s.classic.Observe(took)
		s.native.Observe(took)
	}
}

// balance starts a real HAProxy with its exporter, before the servers of both tracks as Drover names them.
func balance(t *testing.T, canary, stable string) (front, exporter string) {
	t.Helper()
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Fatalf("no haproxy on the PATH: make integration installs Debian's package: %v", err)
	}
	eventually(t, "HAProxy runs", func() error { // Somebody else may have taken an address that was free.
		var err error
		front, exporter, err = tryToBalance(t, canary, stable)
		return err
	})
	return front, exporter
}

func tryToBalance(t *testing.T, canary, stable string) (front, exporter string, err error) {
	t.Helper()
	front, exporter = freeAddress(t), freeAddress(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend edge
  bind %s
  default_backend web
frontend metrics
  bind %s
  http-request use-service prometheus-exporter if { path /metrics }
backend web
  balance roundrobin
  server canary-c1 %s
  server stable-s1 %s
`, front, exporter, strings.TrimPrefix(canary, "http://"), strings.TrimPrefix(stable, "http://"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", "", err
	}
	var said bytes.Buffer
	process := exec.Command("haproxy", "-db", "-f", file)
	process.Stdout, process.Stderr = &said, &said
	if err := process.Start(); err != nil {
		return "", "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	for range 100 {
		if response, err := http.Get("http://" + exporter + "/metrics"); err == nil {
			response.Body.Close()
			t.Cleanup(func() {
				_ = process.Process.Kill() // How it ends is of no interest.
				<-ended
			})
			return front, exporter, nil
		}
		select {
		case err := <-ended:
			return "", "", fmt.Errorf("haproxy ended: %w: %s", err, said.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	_ = process.Process.Kill() // It does not answer.
	<-ended
	return "", "", fmt.Errorf("haproxy does not answer: %s", said.String())
}

// TestRequestsFromPrometheus has a real server count requests exactly: from services with classic and native histograms, and
// from a real HAProxy. Stopped for longer than readings stay fresh it is an error and no answer, and loses nothing.
func TestRequestsFromPrometheus(t *testing.T) {
	t.Parallel()
	canary, stable := newService(t), newService(t)
	front, exporter := balance(t, canary.URL, stable.URL)
	server := startPrometheusOn(t, fmt.Sprintf(`global:
  scrape_interval: 1s
scrape_configs:
  - job_name: services
    static_configs:
      - targets: [%q]
        labels: {alloc_id: c1}
      - targets: [%q]
        labels: {alloc_id: s1}
  - job_name: haproxy
    static_configs:
      - targets: [%q]
`, strings.TrimPrefix(canary.URL, "http://"), strings.TrimPrefix(stable.URL, "http://"), exporter))
	native, haproxy := named(t, "prometheus"), named(t, "haproxy")
	native.Latency = `http_request_native_seconds{alloc_id=~"${allocs}"}`
	begun := time.Now()
	sources := map[string]*source{
		"classic": {meter: meterOf(t, server, named(t, "prometheus")), latency: true},
		"native":  {meter: meterOf(t, server, native), latency: true},
		"haproxy": {meter: meterOf(t, server, haproxy)},
	}
	for name, s := range sources {
		s.begun = begun
		eventually(t, name+" answers", func() error { _, err := s.ask(t); return err })
	}
	count := func(requests int) {
		canary.answer(requests)
		stable.answer(2 * requests)
		for range 2 * requests {
			response, err := http.Get("http://" + front)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
	count(100)
	for name, s := range sources {
		s.counts(t, name, 100)
	}
	server.stop()
	time.Sleep(5 * time.Second) // Longer than a reading stays fresh.
	count(50)
	for name, s := range sources {
		if answer, err := s.ask(t); err == nil {
			t.Errorf("%s answers without a server: %+v", name, answer)
		}
	}
	server.start()
	for name, s := range sources {
		s.counts(t, name, 150)
	}
}

// source is one way to count the same requests.
type source struct {
	meter   *prometheus.Meter
	latency bool
	begun   time.Time
}

func (s *source) ask(t *testing.T) (strategy.Sample, error) {
	t.Helper()
	return s.meter.Measure(t.Context(), strategy.Inquiry{
		Release: "web", Rollout: "web-1", Now: time.Now(), Since: s.begun, Canary: []string{"c1"}, Stable: []string{"s1"}, Requests: true, Latency: s.latency,
	})
}

// counts waits until the canary has this many requests, and compares all else with them.
func (s *source) counts(t *testing.T, name string, want float64) {
	t.Helper()
	var got strategy.Sample
	stable := 2 * want
	if !s.latency {
		stable = want // HAProxy divides evenly.
	}
	eventually(t, name+" counts", func() error {
		sample, err := s.ask(t)
		if err != nil {
			return err
		}
		got = sample
		if c, o := got.Series[0].Requests, got.Series[1].Requests; c != want || o != stable {
			return fmt.Errorf("%s counts %v and %v requests, want %v and %v", name, c, o, want, stable)
		}
		return nil
	})
	for _, series := range got.Series {
		if series.Errors != series.Requests/10 {
			t.Errorf("%s: %v of %v requests of the %s failed, want a tenth", name, series.Errors, series.Requests, series.Track)
		}
		for n, bound := range got.Bounds {
			share := 0.0
			switch {
			case bound > 0.7:
				share = 1
			case bound > 0.055:
				share = 0.8
			}
			if fast := share * series.Requests; series.Buckets[n] != fast {
				t.Errorf("%s: %v of the %s within %v s, want %v", name, series.Buckets[n], series.Track, bound, fast)
			}
		}
	}
	if s.latency != (len(got.Bounds) > 2) {
		t.Errorf("%s has the bounds %v", name, got.Bounds)
	}
}

func named(t *testing.T, name string) prometheus.Profile {
	t.Helper()
	p, err := prometheus.Named(name, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func meterOf(t *testing.T, server *realPrometheus, p prometheus.Profile) *prometheus.Meter {
	t.Helper()
	m, err := prometheus.New(prometheus.Config{Address: "http://" + server.address, Scrape: time.Second, Profile: &p})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
