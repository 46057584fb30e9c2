// Package metrics_test holds the meters to real servers.
package metrics_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/strategy"
)

// eventually polls a condition on a real server, within a deadline that leaves room for a loaded machine.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("never came true: %s: %v", what, err)
		case <-ticker.C:
		}
	}
}

// realPrometheus is a Prometheus server that scrapes a page of ours every second.
type realPrometheus struct {
	t       *testing.T
	dir     string
	address string
	process *exec.Cmd
}

func startPrometheus(t *testing.T, target string) *realPrometheus {
	t.Helper()
	return startPrometheusOn(t, fmt.Sprintf("global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: allocations\n    static_configs:\n      - targets: [%q]\n", strings.TrimPrefix(target, "http://")))
}

func startPrometheusOn(t *testing.T, config string) *realPrometheus {
	t.Helper()
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Fatalf("no prometheus on the PATH: make integration installs Debian's package: %v", err)
	}
	p := &realPrometheus{t: t, dir: t.TempDir(), address: freeAddress(t)}
	if err := os.WriteFile(filepath.Join(p.dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (p *realPrometheus) start() {
	p.t.Helper()
	p.process = exec.Command("prometheus", "--config.file="+filepath.Join(p.dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(p.dir, "data"), "--web.listen-address="+p.address, "--enable-feature=native-histograms")
	if err := p.process.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *realPrometheus) stop() {
	if p.process == nil {
		return
	}
	if err := p.process.Process.Signal(os.Interrupt); err == nil {
		_ = p.process.Wait() // How it ends is of no interest.
	}
	p.process = nil
}

// TestPrometheus has a real server answer gates: what is counted is what happened, a value is what it is, and while the server
// is away that is an error and no answer.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	var events atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := events.Add(10) // For each scrape, which is one a second.
		fmt.Fprintf(w, "calls_total{alloc_id=\"c1\"} %d\ncalls_total{alloc_id=\"s1\"} %d\nfailures_total{alloc_id=\"c1\"} %d\nqueue{alloc_id=\"c1\"} 7\n", n*10, n*20, n)
	}))
	defer page.Close()
	server := startPrometheus(t, page.URL)
	meter, err := prometheus.New(prometheus.Config{Address: "http://" + server.address, Scrape: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	gates := []strategy.Gate{
		{Name: "failures", Metric: strategy.MetricQuery, Query: &strategy.Query{
			Text: `sum(increase(failures_total{alloc_id=~"${allocs}"}[${range}]))`, Exposure: `sum(increase(calls_total{alloc_id=~"${allocs}"}[${range}]))`,
		}},
		{Name: "queue", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: `max(queue{alloc_id=~"${allocs}"})`, Instant: true}},
	}
	ask := func() (strategy.Sample, error) {
		return meter.Measure(t.Context(), strategy.Inquiry{Release: "web", Rollout: "web-1", Now: time.Now(), Gates: gates, Canary: []string{"c1"}, Stable: []string{"s1"}})
	}
	counted := func() (s strategy.Sample) {
		eventually(t, "the server counts", func() error {
			answer, err := ask()
			if err != nil {
				return err
			}
			s = answer
			if len(s.Series) != 2 || s.Series[0].Requests < 500 {
				return fmt.Errorf("counted only %+v", s.Series)
			}
			return nil
		})
		return s
	}
	s := counted()
	canary, stable := s.Series[0], s.Series[1]
	if rate := canary.Errors / canary.Requests; rate < 0.09 || rate > 0.11 {
		t.Errorf("the canary fails %.3f of its calls, want 0.1", rate)
	}
	if ratio := stable.Requests / canary.Requests; ratio < 1.8 || ratio > 2.2 || stable.Errors != 0 {
		t.Errorf("stable has %.2f times as many calls, want 2, and %v failures, want none", ratio, stable.Errors)
	}
	server.stop()
	time.Sleep(2 * time.Second) // Until a value is due again.
	if answer, err := ask(); err == nil {
		t.Errorf("the server is away, and answers: %+v", answer)
	}
	server.start()
	eventually(t, "the server is back", func() error {
		answer, err := ask()
		if err != nil {
			return err
		}
		if len(answer.Gauges) != 1 || answer.Gauges[0].Value != 7 {
			return fmt.Errorf("got values %+v", answer.Gauges)
		}
		return nil
	})
}
