package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

func TestMishap(t *testing.T) {
	gates := []strategy.Gate{{Name: "calls", Metric: strategy.MetricQuery, Query: &strategy.Query{}}, {Name: "queue", Metric: strategy.MetricQuery, Query: &strategy.Query{Instant: true}}}
	sound := service{RPS: 100, Errors: 0.01, P95: 0.1, Spread: usualSpread}
	base := sound.behaviour(gates)
	for text, want := range map[string]sim.Behaviour{
		"errors=+2%":           {ErrorRate: 0.03},
		"errors=+2pp":          {ErrorRate: 0.03},
		"errors=3x":            {ErrorRate: 0.03},
		"errors=10%":           {ErrorRate: 0.1},
		"errors=100%":          {ErrorRate: 1},
		"crash,sick":           {Crash: true, Sick: true, ErrorRate: 0.01},
		"p95=+30%":             {ErrorRate: 0.01, Latency: sim.Latency{Median: base.Latency.Median * 13 / 10}},
		"p50=2x, errors=+1%":   {ErrorRate: 0.02, Latency: sim.Latency{Median: base.Latency.Median * 2}},
		"p95=400ms":            {ErrorRate: 0.01, Latency: sim.Latency{Median: base.Latency.Median * 4}},
		"calls=+5%,queue=1000": {ErrorRate: 0.01, Queries: map[string]float64{"calls": 0.06, "queue": 1000}},
	} {
		m, err := parseMishap(text, gates)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := m.on(base, sound)
		if want.Latency.Median == 0 {
			want.Latency.Median = base.Latency.Median
		}
		apart := math.Abs(float64(got.Latency.Median-want.Latency.Median)) / float64(want.Latency.Median)
		if got.Crash != want.Crash || got.Sick != want.Sick || math.Abs(got.ErrorRate-want.ErrorRate) > 1e-9 || apart > 1e-6 {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
		for gate, v := range want.Queries {
			if math.Abs(got.Queries[gate]-v) > 1e-9 {
				t.Errorf("%s: gate %s answers %v, want %v", text, gate, got.Queries[gate], v)
			}
		}
	}
	if m, err := parseMishap("errors=+2%,from=25%", nil); err != nil || m.from != strategy.Percent(25) {
		t.Errorf("from is %s, error %v", m.from, err)
	}
	for text, want := range map[string]string{
		"":                  `"" is no fault`,
		"from=25%":          "says nothing that goes wrong",
		"errors":            `"errors" is no fault`,
		"errors=much":       `"much" is not such as +2%`,
		"errors=+200%":      `"+200%" is not such as +2%`,
		"p95=fast":          `"fast" is not such as +30%`,
		"p95=2x,p99=3x":     "one quantile is enough",
		"errors=1%,from=0%": `from = "0%" is not a weight`,
		"smell=3":           `"smell" is no fault, and no gate that asks the metrics`,
	} {
		if _, err := parseMishap(text, gates); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// TestServiceLatency has the behavior show the quantile that was asked for.
func TestServiceLatency(t *testing.T) {
	s := service{P95: 0.2, Spread: usualSpread}
	if got := s.quantile(0.95); math.Abs(got-0.2) > 1e-9 {
		t.Errorf("p95 is %v, want 0.2", got)
	}
	if got, median := s.quantile(0.5), s.behaviour(nil).Latency.Median.Seconds(); math.Abs(got-median) > 1e-6 || got >= 0.2 {
		t.Errorf("the median is %v, and that of the tasks %v", got, median)
	}
}

func TestShareAtMost(t *testing.T) {
	for _, c := range []struct {
		hits, n int
		want    float64
	}{{0, 20, 0.1391}, {1, 20, 0.2161}, {0, 100, 0.0295}, {5, 100, 0.1023}, {3, 3, 1}} {
		if got := shareAtMost(c.hits, c.n); math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%d of %d: at most %.4f, want %.4f", c.hits, c.n, got, c.want)
		}
	}
}

func TestPlotAndPicture(t *testing.T) {
	s := &staged{Release: "web <&>", Strategy: "canary 5-100", Fault: "errors=+2%", Service: service{RPS: 10, P95: 0.1}}
	s.rehearsal.release.Plan.Steps = []strategy.Step{{Weight: strategy.Percent(5)}, {Weight: strategy.Full}}
	sound := take{End: takePromoted, Took: time.Minute, Line: []point{{0, 0}, {6 * time.Second, 5}, {30 * time.Second, 100}, {time.Minute, 0}}}
	faulty := take{End: takeRolledBack, Took: 12 * time.Second, Reason: "too many", Line: []point{{0, 0}, {6 * time.Second, 5}, {12 * time.Second, 0}, {15 * time.Second, 0}}}
	s.Sound, s.Faulty = &session{Takes: []take{sound}}, &session{Takes: []take{faulty}}
	want := `
    100% |
      5% |      ######
         +------------------------------------------------------------
          0s             15s            30s            45s
                      ^ rolled back after 12s: too many
`
	if got := s.plot(faulty, time.Minute); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := s.plot(sound, time.Minute); !strings.Contains(got, "    100% |                              ##############################\n") {
		t.Errorf("the sound version is\n%s", got)
	}
	picture := s.picture()
	for decoder := xml.NewDecoder(strings.NewReader(picture)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v\n%s", err, picture)
		}
	}
	if !strings.Contains(picture, "web &lt;&amp;&gt;") || !strings.Contains(picture, "rolled back after 12s") {
		t.Errorf("the picture lacks its texts:\n%s", picture)
	}
}

// TestMeasured reads the traffic out of two samples.
func TestMeasured(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	sample := func(seconds int, n, failed float64) strategy.Sample {
		return strategy.Sample{At: at.Add(time.Duration(seconds) * time.Second), Bounds: []float64{0.1, 0.2}, Series: []strategy.Series{
			{Source: "a", Track: strategy.Stable, Counters: strategy.Counters{Requests: n, Errors: failed, Buckets: []float64{n / 2, n}}},
			{Source: "a", Track: strategy.Stable, Gate: "calls", Counters: strategy.Counters{Requests: 10 * n}},
			{Source: "a", Track: strategy.Stable, Endpoint: "GET /", Counters: strategy.Counters{Requests: n}},
		}}
	}
	got, err := measured(sample(0, 1000, 10), sample(10, 2000, 30))
	if err != nil || got.RPS != 100 || got.Errors != 0.02 || math.Abs(got.P95-0.19) > 1e-9 || math.Abs(got.quantile(0.5)-0.1) > 1e-9 {
		t.Errorf("got %+v and %v", got, err)
	}
	for want, after := range map[string]strategy.Sample{"counted nothing anew": sample(0, 1000, 10), "had no request in 10 seconds": sample(10, 1000, 10)} {
		if _, err := measured(sample(0, 1000, 10), after); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

const liveJob = "variable \"version\" {\n  type = string\n}\n\njob \"web\" {\n  group \"web\" {\n    count = 3\n    network {\n      port \"http\" {}\n    }\n    service {\n      name     = \"web\"\n      provider = \"nomad\"\n      port     = \"http\"\n    }\n    task \"web\" {\n      driver = \"raw_exec\"\n      config {\n        command = var.version\n      }\n    }\n  }\n}\n"

// TestMeasureLive measures the traffic that goes through a proxy, and reads the counts from Nomad.
func TestMeasureLive(t *testing.T) {
	t.Parallel()
	cluster := sim.New(sim.Config{})
	nomadServer := httptest.NewServer(cluster)
	defer nomadServer.Close()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()
	p, err := proxy.New(proxy.Options{Instance: "one", Routes: []proxy.Route{{Release: "web"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Set([]strategy.Split{{Release: "web", Stable: []strategy.Endpoint{{Alloc: "a", Address: strings.TrimPrefix(backend.URL, "http://")}}}})
	admin, front := httptest.NewServer(p.Admin()), httptest.NewServer(p)
	defer admin.Close()
	defer front.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "drover.hcl")
	if err := os.WriteFile(file, fmt.Appendf(nil, "ledger = \"file\"\ngit {\n  url = \"shop\"\n}\nnomad {\n  address = %q\n}\nrouter \"edge\" {\n  instances = [%q]\n}\n", nomadServer.URL, admin.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	release := strategy.Release{Name: "web", Version: "2", Source: strategy.JobSource{Path: "web.nomad.hcl", Jobspec: liveJob, Variables: "version = \"2\"\n"}}
	runs := rehearsal{release: release, stable: "1", counts: map[string]int{"web": 5}}
	client, err := connect(conf.Nomad)
	if err != nil {
		t.Fatal(err)
	}
	if err := runs.registerStable(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	asking := time.NewTicker(time.Millisecond)
	go func() {
		defer close(ended)
		for range asking.C {
			answer, err := http.Get(front.URL)
			if err != nil {
				return
			}
			_ = answer.Body.Close()
		}
	}()
	got, counts, err := measureLive(t.Context(), conf, release, time.Second)
	for range 9 { // On a machine that is busy a second may hold no request.
		if err == nil {
			break
		}
		got, counts, err = measureLive(t.Context(), conf, release, time.Second)
	}
	front.Close()
	<-ended
	asking.Stop()
	if err != nil || got.RPS <= 0 || got.Errors != 0 || got.From == "" {
		t.Errorf("measured %+v, %v", got, err)
	}
	if counts["web"] != 5 {
		t.Errorf("the counts are %v, want 5 that run", counts)
	}
}

// TestFitAsksNomad has a real Nomad read what the simulation cannot, and rehearses a job of the same shape.
func TestFitAsksNomad(t *testing.T) {
	read, err := sim.Parse(liveJob, `version = "2"`)
	if err != nil {
		t.Fatal(err)
	}
	cluster := sim.New(sim.Config{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/jobs/parse" {
			cluster.ServeHTTP(w, r)
			return
		}
		if err := json.NewEncoder(w).Encode(read); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	release := strategy.Release{
		Name: "web", Version: "2", Path: "release.hcl", Line: 1, Source: strategy.JobSource{Path: "web.nomad.hcl", Jobspec: "job \"web\" {\n  dynamic \"group\" {}\n}\n"},
		Plan: strategy.Plan{Steps: []strategy.Step{{Weight: strategy.Full, Bake: time.Minute}}, MaxDuration: time.Hour},
	}
	o := &rehearseFlags{nomad: server.URL}
	fitted, notes, err := o.fit(t.Context(), release, nil, service{}, nil)
	if err != nil || len(notes) == 0 || !strings.Contains(notes[0], "a job of the same groups, counts and services takes its place") {
		t.Fatalf("got %v and %v", notes, err)
	}
	like, err := sim.Parse(fitted.Source.Jobspec, fitted.Source.Variables)
	if err != nil {
		t.Fatal(err)
	}
	if g := like.TaskGroups[0]; *like.ID != "web" || *g.Name != "web" || *g.Count != 3 || g.Services[0].Name != "web" || g.Services[0].Provider != "nomad" {
		t.Errorf("the job in its place has the group %+v", g)
	}
	got, err := rehearsal{release: fitted, stable: "1", sound: service{RPS: 100, P95: 0.1, Spread: usualSpread}}.play(t.Context(), mishap{}, 1)
	if err != nil || got.End != takePromoted || got.Requests == 0 {
		t.Errorf("got %+v and %v", got, err)
	}
}
