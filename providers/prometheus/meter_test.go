package prometheus_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	client "github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Metrics = (*prometheus.Meter)(nil)
	_ reconcile.Trier   = (*prometheus.Meter)(nil)
)

// server answers queries as a Prometheus does, by a table, and keeps what it was asked.
type server struct {
	mu      sync.Mutex
	answers map[string]string // by a part of the query: the result, as JSON
	asked   []string
	header  http.Header
	down    bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.header = r.Header
	query := r.FormValue("query")
	s.asked = append(s.asked, query)
	w.Header().Set("Content-Type", "application/json")
	if s.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"status": "error", "errorType": "unavailable", "error": "starting"}`)
		return
	}
	for part, answer := range s.answers {
		if strings.Contains(query, part) {
			fmt.Fprintf(w, `{"status": "success", "data": %s}`, answer)
			return
		}
	}
	fmt.Fprint(w, `{"status": "success", "data": {"resultType": "vector", "result": []}}`)
}

func one(value string) string {
	return fmt.Sprintf(`{"resultType": "vector", "result": [{"metric": {}, "value": [1700000000, %q]}]}`, value)
}

func meterOf(t *testing.T, s *server, change func(*prometheus.Config)) *prometheus.Meter {
	t.Helper()
	return meterOn(t, s, change)
}

func meterOn(t *testing.T, s http.Handler, change func(*prometheus.Config)) *prometheus.Meter {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	c := prometheus.Config{Address: web.URL, Scrape: time.Second}
	if change != nil {
		change(&c)
	}
	m, err := prometheus.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var start = time.Unix(1_700_000_000, 0)

func inquiry(second int, gates ...strategy.Gate) strategy.Inquiry {
	return strategy.Inquiry{Release: "web", Rollout: "web-1", Now: start.Add(time.Duration(second) * time.Second), Gates: gates, Canary: []string{"c1", "c2"}, Stable: []string{"s1"}}
}

var (
	failures = strategy.Gate{Name: "dependencies", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: `sum(increase(failures{alloc_id=~"${allocs}"}[${range}]))`, Exposure: `sum(increase(calls{alloc_id=~"${allocs}"}[${range}]))`}}
	queue    = strategy.Gate{Name: "queue", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: `max(queue{alloc_id=~"${allocs}"})`, Instant: true}}
	cpu      = strategy.Gate{Name: "cpu", Metric: strategy.MetricCPU}
)

// TestCounts: what a query that counts answers is added up, for both tracks over the same time.
func TestCounts(t *testing.T) {
	s := &server{answers: map[string]string{`failures{alloc_id=~"c1|c2"}`: one("3"), `calls{alloc_id=~"c1|c2"}`: one("100"), `calls{alloc_id=~"s1"}`: one("900")}}
	m := meterOf(t, s, nil)
	var got strategy.Sample
	for _, second := range []int{0, 2, 4, 6, 8} {
		var err error
		if got, err = m.Measure(t.Context(), inquiry(second, failures)); err != nil {
			t.Fatal(err)
		}
		if second == 0 && len(s.asked) > 0 {
			t.Errorf("asked at once for a time that has not been: %q", s.asked)
		}
	}
	until := start.Add(8 * time.Second)
	want := []strategy.Series{
		{Since: start, Until: until, Track: strategy.Canary, Gate: "dependencies", Counters: strategy.Counters{Requests: 200, Errors: 6}},
		{Since: start, Until: until, Track: strategy.Stable, Gate: "dependencies", Counters: strategy.Counters{Requests: 1800}},
	}
	for i := range got.Series {
		got.Series[i].Source = ""
	}
	if diff := cmp.Diff(want, got.Series); diff != "" {
		t.Errorf("after 8s, asked at 4s and 8s (-want +got):\n%s", diff)
	}
	if want := `sum(increase(failures{alloc_id=~"c1|c2"}[4s]))`; s.asked[0] != want {
		t.Errorf("asked %s, want %s", s.asked[0], want)
	}
}

func TestValues(t *testing.T) {
	s := &server{answers: map[string]string{`queue{alloc_id=~"c1|c2"}`: one("7"), `queue{alloc_id=~"s1"}`: one("NaN"), `cpu_total_ticks{alloc_id=~"s1"}`: one("0.25")}}
	got, err := meterOf(t, s, nil).Measure(t.Context(), inquiry(0, queue, cpu))
	if err != nil {
		t.Fatal(err)
	}
	want := []strategy.Gauge{{Gate: "queue", Track: strategy.Canary, Value: 7}, {Gate: "cpu", Track: strategy.Stable, Value: 0.25}}
	if diff := cmp.Diff(want, got.Gauges); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnswersThatCannotBeUsed(t *testing.T) {
	two := `{"resultType": "vector", "result": [{"metric": {"a": "1"}, "value": [1, "1"]}, {"metric": {"a": "2"}, "value": [1, "2"]}]}`
	for want, s := range map[string]*server{
		`gate "queue": the query answers 2 series: make it one number`:      {answers: map[string]string{"queue": two}},
		`gate "queue": ask the metrics: `:                                   {down: true},
		`gate "queue": the query answers a matrix: it has to be one number`: {answers: map[string]string{"queue": `{"resultType": "matrix", "result": []}`}},
	} {
		got, err := meterOf(t, s, nil).Measure(t.Context(), inquiry(0, queue))
		if err == nil || !strings.Contains(err.Error(), want) || len(got.Gauges) > 0 {
			t.Errorf("got %v and error %v, want %q", got.Gauges, err, want)
		}
	}
}

// TestAFailureLosesNothing: the time in which nothing could be asked is asked for afterwards.
func TestAFailureLosesNothing(t *testing.T) {
	s := &server{answers: map[string]string{"failures": one("1"), "calls": one("10")}}
	m := meterOf(t, s, nil)
	if _, err := m.Measure(t.Context(), inquiry(0, failures)); err != nil {
		t.Fatal(err)
	}
	s.down = true
	if _, err := m.Measure(t.Context(), inquiry(4, failures)); err == nil {
		t.Fatal("no error while the server is down")
	}
	s.down = false
	got, err := m.Measure(t.Context(), inquiry(10, failures))
	if err != nil || got.Series[0].Requests != 10 {
		t.Errorf("got %+v, %v", got.Series, err)
	}
	if last := s.asked[len(s.asked)-1]; !strings.Contains(last, "[10s]") {
		t.Errorf("asked %s, want all of the 10s", last)
	}
}

// TestMoreThanAll: what uses more than it has is judged as using all, and it is said.
func TestMoreThanAll(t *testing.T) {
	registry := client.NewRegistry()
	var said strings.Builder
	m := meterOf(t, &server{answers: map[string]string{"cpu": one("1.7")}}, func(c *prometheus.Config) {
		c.Logger, c.Registerer = slog.New(slog.NewTextHandler(&said, nil)), registry
	})
	got, err := m.Measure(t.Context(), inquiry(0, cpu))
	if err != nil || len(got.Gauges) != 2 || got.Gauges[0].Value != 1 {
		t.Errorf("got %v, %v", got.Gauges, err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "drover_metrics_clamped_total" || families[0].GetMetric()[0].GetCounter().GetValue() != 2 {
		t.Errorf("counted %v, %v", families, err)
	}
	if !strings.Contains(said.String(), `gate=cpu metric=cpu track=canary share=1.7`) {
		t.Errorf("said %s", said.String())
	}
}

// TestTry: what gets no answer for stable is found beforehand, with the query as it is asked and what helps.
func TestTry(t *testing.T) {
	s := &server{answers: map[string]string{`calls{alloc_id=~"s1"}`: one("900")}}
	i := inquiry(0, failures, queue, cpu)
	i.Canary = nil
	var got []string
	found, _ := meterOf(t, s, nil).Try(t.Context(), i)
	for _, f := range found {
		if f.Code != strategy.FindingUnanswered || f.Remedy == "" {
			t.Errorf("got %+v", f)
		}
		got = append(got, f.Text)
	}
	want := []string{
		`gate "dependencies": stable has no such series, so that the gate sees none on the canary either if its names are wrong: sum(increase(failures{alloc_id=~"s1"}[300s]))`,
		`gate "queue" gets no answer for stable, and would hold the release: max(queue{alloc_id=~"s1"})`,
	}
	if len(got) != 3 || !strings.HasPrefix(got[2], `gate "cpu" gets no answer for stable`) {
		t.Fatalf("got %q", got)
	}
	if diff := cmp.Diff(want, got[:2]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.answers = map[string]string{"": one("1")}
	if got, _ := meterOf(t, s, nil).Try(t.Context(), i); got != nil {
		t.Errorf("everything is answered, got %v", got)
	}
	p, err := prometheus.Named("haproxy", "")
	if err != nil {
		t.Fatal(err)
	}
	i.Gates, i.Requests, s.answers = nil, true, nil
	meter := meterOf(t, s, func(c *prometheus.Config) { c.Profile = &p })
	counted, rps := meter.Try(t.Context(), i)
	if len(counted) != 1 || rps != 0 || !strings.Contains(counted[0].Text, `server=~"(stable|canary)-(s1)"`) {
		t.Errorf("got %v", counted)
	}
	s.answers = map[string]string{"count(": one("2"), "sum(rate(": one("40")}
	if counted, rps = meter.Try(t.Context(), i); len(counted) > 0 || rps != 40 {
		t.Errorf("got %v and %v requests a second, want 40", counted, rps)
	}
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"token": "t0ken\n", "password": "secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, change := range map[string]func(*prometheus.Config){
		"Bearer t0ken":       func(c *prometheus.Config) { c.TokenFile = filepath.Join(dir, "token") },
		"Basic bWU6c2VjcmV0": func(c *prometheus.Config) { c.Username, c.PasswordFile = "me", filepath.Join(dir, "password") },
		"":                   func(c *prometheus.Config) { c.Headers = map[string]string{"X-Scope-OrgID": "shop"} },
	} {
		s := &server{}
		if _, err := meterOf(t, s, change).Measure(t.Context(), inquiry(0, queue)); err != nil {
			t.Fatal(err)
		}
		if got := s.header.Get("Authorization"); got != want {
			t.Errorf("got authorization %q, want %q", got, want)
		}
		if want == "" && s.header.Get("X-Scope-OrgID") != "shop" {
			t.Errorf("got headers %v", s.header)
		}
	}
	if _, err := prometheus.New(prometheus.Config{Address: "http://localhost", Username: "me"}); err == nil {
		t.Error("a name without a password is no error")
	}
}
