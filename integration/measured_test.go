package integration_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// meters is a Prometheus of the story's own.
type meters struct {
	s       *story
	dir     string
	address string
	process *exec.Cmd
}

// measure has a Prometheus count the requests of the story in place of the proxy. It finds the service's allocations by Nomad.
func (s *story) measure(profile string) *meters {
	s.t.Helper()
	discovery := httptest.NewServer(http.HandlerFunc(s.discover))
	s.t.Cleanup(discovery.Close)
	address := freeAddress(s.t)
	config, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	text := fmt.Sprintf("%s\nmetrics \"prometheus\" {\n  address         = \"http://%s\"\n  profile         = %q\n  scrape_interval = \"1s\"\n}\n", config, address, profile)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.runPrometheus(address, fmt.Sprintf(`scrape_configs:
  - job_name: nomad
    scrape_interval: 1s
    scrape_timeout: 1s
    http_sd_configs:
      - url: %s
        refresh_interval: 1s
`, discovery.URL))
}

// runPrometheus starts one with a configuration, and ends it with the test.
func (s *story) runPrometheus(address, config string) *meters {
	s.t.Helper()
	if _, err := exec.LookPath("prometheus"); err != nil {
		s.t.Fatalf("no prometheus on the PATH: make integration installs Debian's package: %v", err)
	}
	m := &meters{s: s, dir: s.t.TempDir(), address: address}
	m.write("prometheus.yml", config)
	s.t.Cleanup(m.stop)
	m.start()
	return m
}

// discover tells a Prometheus where the allocations of the service are, as its own discovery by Nomad does, which not every
// build of it has.
func (s *story) discover(w http.ResponseWriter, _ *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	registered, _, err := s.agent.Client().Services().Get(s.name, s.query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for _, r := range registered {
		groups = append(groups, group{
			Targets: []string{net.JoinHostPort(r.Address, strconv.Itoa(r.Port))}, Labels: map[string]string{"alloc_id": r.AllocID},
		})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(groups) // An error here is a Prometheus that went away.
}

func (m *meters) write(name, text string) {
	m.s.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.s.t.Fatal(err)
	}
}

func (m *meters) start() {
	m.s.t.Helper()
	m.process = exec.Command("prometheus", "--config.file="+filepath.Join(m.dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(m.dir, "data"), "--web.listen-address="+m.address)
	if err := m.process.Start(); err != nil {
		m.s.t.Fatal(err)
	}
}

func (m *meters) stop() {
	if m.process == nil {
		return
	}
	if err := m.process.Process.Signal(os.Interrupt); err == nil {
		_ = m.process.Wait() // How it ends is of no interest.
	}
	m.process = nil
}

// TestPrometheusDecides: a Prometheus that finds the allocations by Nomad decides a good version and a bad one. Stopped in
// mid-step, and Drover killed meanwhile, the rollout holds and says why, and goes on from where it was.
func TestPrometheusDecides(t *testing.T) {
	t.Parallel()
	s := begin(t, "measured")
	m := s.measure("prometheus")
	steady := policy{bake: "6s", deadline: "60s"}.canary(`"50%", "100%"`)
	s.release(steady)

	s.commit("1.1.0", steady)
	s.bakes("1.1.0", strategy.Percent(50))
	m.stop()
	held := s.becomes("it holds for metrics", func(r strategy.Rollout) bool { return r.Hold != nil && r.Hold.Reason.Code == strategy.MetricsMissing })
	if held.Phase != strategy.Stepping || held.Weight != strategy.Percent(50) {
		t.Errorf("without metrics it is %s at %s: %s", held.Phase, held.Weight, held.Reason.Text)
	}
	s.drover.kill()
	s.drover.start()
	s.staysPut(35 * time.Second) // With what the kill took, about a minute without metrics.
	m.start()
	s.steps(s.rests("1.1.0", strategy.OutcomePromoted))
	s.nobodyFailed(time.Time{})

	good := s.shop.head()
	failed := s.commit("1.2.0", steady)
	r := s.rests("1.1.0", strategy.OutcomeCondemned)
	if r.Last.Reason.Code != strategy.GateFailed {
		t.Errorf("rolled back for %q, want a failed gate", r.Last.Reason.Text)
	}
	s.reverted(failed, good)
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.drover.stop()
}
