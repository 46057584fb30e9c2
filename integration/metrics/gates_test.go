package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/strategy"
)

var hclBlock = regexp.MustCompile("(?s)```hcl\n(gate .*?)```")

// manualGates are the gates that the manual shows, as they are read from it.
func manualGates(t *testing.T) []strategy.Gate {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	tree := strategy.Tree{}
	file := func(path, content string) { tree[path] = strategy.File{Hash: path, Content: []byte(content)} }
	for n, block := range hclBlock.FindAllStringSubmatch(string(text), -1) {
		dir := fmt.Sprintf("releases/r%d/", n)
		file(dir+"web.nomad.hcl", "job \"web\" {}\n")
		file(dir+"release.hcl", fmt.Sprintf("release \"r%d\" {\n  version = \"1\"\n  jobspec = \"web.nomad.hcl\"\n  policy = \"none\"\n%s}\n", n, block[1]))
	}
	file("policies/none.hcl", "policy \"none\" {\n  strategy \"canary\" {\n    weights = [5, 100]\n    bake = \"5m\"\n  }\n}\n")
	releases, mistakes := policies.Load(tree, policies.Options{})
	for _, m := range mistakes {
		t.Error(m.Detail)
	}
	var gates []strategy.Gate
	for _, r := range releases {
		gates = append(gates, r.Plan.Gates...)
	}
	return gates
}

// exports is what two allocations export, the more the later.
func exports(n int64) string {
	var b strings.Builder
	for _, alloc := range []string{"c1", "s1"} {
		for series, each := range map[string]int64{
			`http_requests_total{alloc_id="%s",handler="/cart",method="get",code="200"}`:    90,
			`http_requests_total{alloc_id="%s",handler="/cart",method="get",code="500"}`:    10,
			`http_request_duration_seconds_bucket{alloc_id="%s",handler="/cart",le="0.3"}`:  95,
			`http_request_duration_seconds_bucket{alloc_id="%s",handler="/cart",le="1"}`:    99,
			`http_request_duration_seconds_bucket{alloc_id="%s",handler="/cart",le="+Inf"}`: 100,
			`dependency_errors_total{alloc_id="%s"}`:                                        3,
			`cache_lookups_total{alloc_id="%s",result="hit"}`:                               70,
			`cache_lookups_total{alloc_id="%s",result="miss"}`:                              30,
			`origin_request_duration_seconds_bucket{alloc_id="%s",le="0.3"}`:                28,
			`origin_request_duration_seconds_bucket{alloc_id="%s",le="+Inf"}`:               30,
			`origin_request_duration_seconds_count{alloc_id="%s"}`:                          30,
			`websocket_handshakes_total{alloc_id="%s",result="done"}`:                       48,
			`websocket_handshakes_total{alloc_id="%s",result="failed"}`:                     2,
			`panics_total{alloc_id="%s"}`:                                                   1,
			`jobs_done_total{alloc_id="%s"}`:                                                20,
		} {
			fmt.Fprintf(&b, series+" %d\n", alloc, n*each)
		}
		for series, value := range map[string]float64{
			`queue_length{alloc_id="%s"}`:                         7,
			`nomad_client_allocs_cpu_total_ticks{alloc_id="%s"}`:  250,
			`nomad_client_allocs_cpu_allocated{alloc_id="%s"}`:    500,
			`nomad_client_allocs_memory_usage{alloc_id="%s"}`:     75,
			`nomad_client_allocs_memory_allocated{alloc_id="%s"}`: 300,
		} {
			fmt.Fprintf(&b, series+" %v\n", alloc, value)
		}
	}
	return b.String()
}

// TestManualGates: every gate of the manual is read, finds what it asks for in a real Prometheus, and gets the right numbers.
func TestManualGates(t *testing.T) {
	t.Parallel()
	var scrapes atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, exports(scrapes.Add(1))) }))
	defer page.Close()
	server := startPrometheus(t, page.URL)
	profile, err := prometheus.Named("prometheus", "")
	if err != nil {
		t.Fatal(err)
	}
	meter, err := prometheus.New(prometheus.Config{Address: "http://" + server.address, Scrape: time.Second, Profile: &profile})
	if err != nil {
		t.Fatal(err)
	}
	plan := strategy.Plan{Gates: manualGates(t)}
	if len(plan.Gates) != 13 {
		t.Errorf("the manual has %d gates, want 13: tell here what the new one asks for", len(plan.Gates))
	}
	begun := time.Now()
	ask := func() (strategy.Sample, error) {
		return meter.Measure(t.Context(), strategy.Inquiry{
			Release: "web", Rollout: "web-1", Now: time.Now(), Since: begun, Gates: plan.Asking(), Canary: []string{"c1"}, Stable: []string{"s1"},
			Requests: true, Latency: true, Endpoints: true,
		})
	}
	// Values are read once a scrape, so they are gathered while counts grow.
	values, shares := map[string]float64{}, map[string]float64{}
	eventually(t, "every gate is answered", func() error {
		s, err := ask()
		if err != nil {
			return err
		}
		for _, g := range s.Gauges {
			values[g.Gate] = g.Value
		}
		for _, series := range s.Series {
			switch {
			case series.Requests > 0:
				shares[series.Gate+series.Endpoint] = series.Errors / series.Requests
			case series.Gate != "" && series.Errors > 0: // Held against the requests of the release.
				shares[series.Gate] = series.Errors
			}
		}
		if len(values) < 3 || len(shares) < 7 {
			return fmt.Errorf("so far %v and %v", values, shares)
		}
		return nil
	})
	for gate, want := range map[string]float64{"queue": 7, "cpu": 0.5, "memory": 0.25} {
		if values[gate] != want {
			t.Errorf("gate %q reads %v, want %v", gate, values[gate], want)
		}
	}
	for gate, want := range map[string]float64{"": 0.1, "get /cart": 0.1, "cache-misses": 0.3, "origin-latency": 2.0 / 30, "handshakes": 0.04, "panics": 0.05} {
		if got := shares[gate]; got < want*0.9 || got > want*1.1 {
			t.Errorf("%q counts a share of %.4f, want %.4f", gate, got, want)
		}
	}
	if found, _ := meter.Try(t.Context(), strategy.Inquiry{Now: time.Now(), Stable: []string{"s1"}, Gates: plan.Asking(), Requests: true, Latency: true}); len(found) > 0 {
		t.Errorf("tried on stable: %v", found)
	}
}
