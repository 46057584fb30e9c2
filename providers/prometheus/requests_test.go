package prometheus_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/strategy"
)

// store is a Prometheus that holds readings, and answers selectors of them as the real one does.
type store struct {
	t      *testing.T
	series map[string]map[int]float64 // readings by second, of series such as `name{label="value"}`
	asked  []string
}

var (
	selectorLike = regexp.MustCompile(`^(\w*)\{(.*)\}\[(\d+)s\]$`)
	countLike    = regexp.MustCompile(`^count\((\w*)\{(.*)\}\)$`)
	matcherLike  = regexp.MustCompile(`(\w+)(=~|!~|=)"((?:[^"\\]|\\.)*)"`)
)

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.FormValue("query")
	s.asked = append(s.asked, query)
	if parts := countLike.FindStringSubmatch(query); parts != nil {
		n := 0
		for name := range s.series {
			if selected(labelsOf(name), parts[1], parts[2]) {
				n++
			}
		}
		answer := `{"resultType": "vector", "result": []}`
		if n > 0 {
			answer = one(strconv.Itoa(n))
		}
		fmt.Fprintf(w, `{"status": "success", "data": %s}`, answer)
		return
	}
	parts := selectorLike.FindStringSubmatch(query)
	if parts == nil {
		s.t.Errorf("asked %s, which is no selector with a range", query)
		return
	}
	at, _ := strconv.ParseFloat(r.FormValue("time"), 64)
	span, _ := strconv.Atoi(parts[3])
	now := int(at) - int(start.Unix())
	var result []map[string]any
	for name, readings := range s.series {
		labels := labelsOf(name)
		if !selected(labels, parts[1], parts[2]) {
			continue
		}
		var values [][2]any
		for second := now - span; second <= now; second++ {
			if v, there := readings[second]; there {
				values = append(values, [2]any{float64(start.Unix()) + float64(second), strconv.FormatFloat(v, 'g', -1, 64)})
			}
		}
		if len(values) > 0 {
			result = append(result, map[string]any{"metric": labels, "values": values})
		}
	}
	answer := map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": result}}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

func labelsOf(series string) map[string]string {
	name, rest, _ := strings.Cut(series, "{")
	labels := map[string]string{"__name__": name}
	for _, m := range matcherLike.FindAllStringSubmatch(rest, -1) {
		labels[m[1]] = m[3]
	}
	return labels
}

func selected(labels map[string]string, name, matchers string) bool {
	if name != "" && labels["__name__"] != name {
		return false
	}
	for _, m := range matcherLike.FindAllStringSubmatch(matchers, -1) {
		pattern := regexp.QuoteMeta(m[3])
		if m[2] != "=" {
			pattern = strings.ReplaceAll(m[3], `\\`, `\`)
		}
		if regexp.MustCompile("^(?:"+pattern+")$").MatchString(labels[m[1]]) == (m[2] == "!~") {
			return false
		}
	}
	return true
}

// put notes a reading of a series.
func (s *store) put(second int, series string, value float64) {
	if s.series == nil {
		s.series = map[string]map[int]float64{}
	}
	if s.series[series] == nil {
		s.series[series] = map[int]float64{}
	}
	s.series[series][second] = value
}

// call notes a reading of an allocation: requests, of them those that failed, and those answered within 0.1 s.
func (s *store) call(second int, alloc string, ok, failed, fast float64) {
	s.put(second, fmt.Sprintf(`http_requests_total{alloc_id="%s",code="200"}`, alloc), ok)
	if failed > 0 {
		s.put(second, fmt.Sprintf(`http_requests_total{alloc_id="%s",code="500"}`, alloc), failed)
	}
	for le, n := range map[string]float64{"0.1": fast, "0.5": ok, "+Inf": ok + failed} {
		s.put(second, fmt.Sprintf(`http_request_duration_seconds_bucket{alloc_id="%s",le="%s"}`, alloc, le), n)
	}
}

func meterWith(t *testing.T, s http.Handler, profile string) *prometheus.Meter {
	t.Helper()
	p, err := prometheus.Named(profile, "")
	if err != nil {
		t.Fatal(err)
	}
	return meterOn(t, s, func(c *prometheus.Config) { c.Profile, c.Scrape = &p, 5*time.Second })
}

// requestsAt is an inquiry about requests, with what the evidence has already.
func requestsAt(second int, counted map[string]time.Time) strategy.Inquiry {
	i := inquiry(second)
	i.Since, i.Until, i.Requests, i.Latency = start, counted, true, true
	return i
}

type want struct {
	canary, stable strategy.Counters
}

// TestRequests: the increase of every series is taken by itself, from reading to reading.
func TestRequests(t *testing.T) {
	for _, test := range []struct {
		name  string
		story func(s *store)
		at    []int // when the meter is asked
		want  want  // after the last
	}{
		{
			name: "what was before counts for nothing",
			story: func(s *store) {
				s.call(-5, "c1", 1, 0, 1)
				s.call(-5, "s1", 1000, 50, 900)
				s.call(5, "c1", 11, 2, 10)
				s.call(5, "s1", 1100, 51, 995)
			},
			at:   []int{0, 6},
			want: want{counted(12, 2, 9, 10, 12), counted(101, 1, 95, 100, 101)},
		},
		{
			name: "a process that begins anew counts from zero, also between two readings",
			story: func(s *store) {
				s.call(0, "c1", 100, 0, 100)
				s.call(0, "s1", 100, 0, 100)
				s.call(5, "c1", 120, 0, 120)
				s.call(5, "s1", 120, 0, 120)
				s.call(10, "c1", 7, 0, 7)
				s.call(10, "s1", 140, 0, 140)
				s.call(15, "c1", 150, 0, 150)
				s.call(15, "s1", 160, 0, 160)
			},
			at:   []int{0, 16},
			want: want{counted(170, 0, 170, 170, 170), counted(60, 0, 60, 60, 60)},
		},
		{
			name: "an allocation that is placed later counts from zero, one that was there and was not read from its first reading on",
			story: func(s *store) {
				s.call(0, "c1", 0, 0, 0)
				s.call(10, "c1", 10, 0, 10)
				s.call(10, "c2", 5, 0, 5)
				s.call(10, "s1", 5000, 10, 5000)
				s.call(15, "c1", 10, 0, 10)
				s.call(15, "c2", 5, 0, 5)
				s.call(15, "s1", 5100, 12, 5100)
			},
			at:   []int{11, 16},
			want: want{counted(15, 0, 15, 15, 15), counted(102, 2, 100, 100, 102)},
		},
		{
			name: "a kind of failure that was never seen counts from zero where others were",
			story: func(s *store) {
				s.call(0, "c1", 100, 0, 100)
				s.call(0, "s1", 100, 0, 100)
				s.call(5, "c1", 100, 3, 100)
				s.call(5, "s1", 100, 4, 100)
			},
			at:   []int{0, 6},
			want: want{counted(3, 3, 0, 0, 3), counted(4, 4, 0, 0, 4)},
		},
		{
			name: "a reading that comes late is not lost",
			story: func(s *store) {
				s.call(0, "c1", 100, 0, 100)
				s.call(0, "s1", 100, 0, 100)
				s.call(10, "c1", 130, 0, 130)
				s.call(10, "s1", 160, 0, 160)
			},
			at:   []int{2, 8, 11},
			want: want{counted(30, 0, 30, 30, 30), counted(60, 0, 60, 60, 60)},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &store{t: t}
			test.story(s)
			m := meterWith(t, s, "prometheus")
			var got strategy.Sample
			for _, second := range test.at {
				var err error
				if got, err = m.Measure(t.Context(), requestsAt(second, nil)); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, got, test.want)
			if diff := cmp.Diff([]float64{0.1, 0.5, strategy.AnyTime}, got.Bounds); diff != "" {
				t.Errorf("bounds (-want +got):\n%s", diff)
			}
		})
	}
}

func counted(requests, errors float64, buckets ...float64) strategy.Counters {
	return strategy.Counters{Requests: requests, Errors: errors, Buckets: buckets}
}

func compare(t *testing.T, got strategy.Sample, w want) {
	t.Helper()
	if len(got.Series) != 2 {
		t.Fatalf("got %d series, want one for each track", len(got.Series))
	}
	if diff := cmp.Diff(w, want{got.Series[0].Counters, got.Series[1].Counters}, cmp.AllowUnexported(want{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnotherMeterGoesOn: a Drover that takes over has the metrics tell what was counted since the evidence was written, and
// the evidence is the same as if nobody had gone away. One whose place was taken meanwhile does the same.
func TestAnotherMeterGoesOn(t *testing.T) {
	s := &store{t: t}
	for second := 0; second <= 60; second += 5 {
		n := float64(second)
		s.call(second, "c1", 10*n, n, 9*n)
		s.call(second, "s1", 90*n, n, 80*n)
	}
	first, second := meterWith(t, s, "prometheus"), meterWith(t, s, "prometheus")
	evidence := strategy.Evidence{Since: start}
	for _, look := range []struct {
		at    int
		meter *prometheus.Meter
	}{{1, first}, {12, first}, {31, second}, {42, second}, {61, first}} {
		sample, err := look.meter.Measure(t.Context(), requestsAt(look.at, evidence.Until))
		if err != nil {
			t.Fatal(err)
		}
		if evidence, err = evidence.Add(sample); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ got, want strategy.Counters }{
		{evidence.Canary, counted(660, 60, 540, 600, 660)}, {evidence.Stable, counted(5460, 60, 4800, 5400, 5460)},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if len(evidence.Prev) != 2 {
		t.Errorf("%d sources are remembered, want the last for each track: %v", len(evidence.Prev), evidence.Prev)
	}
}

// TestUnknownRequests: what is missing, old or cannot be compared is said, and is no answer.
func TestUnknownRequests(t *testing.T) {
	for _, test := range []struct {
		name  string
		story func(s *store)
		want  string
		known bool // the requests are, all the same
	}{
		{"no reading of the canary", func(s *store) { s.call(0, "s1", 1, 0, 1) }, `nothing is known of the canary: no series matches http_requests_total{alloc_id=~"c1|c2|s1",handler!~`, false},
		{"an old reading", func(s *store) { s.call(0, "c1", 1, 0, 1); s.call(-40, "s1", 1, 0, 1) }, "newest reading of the stable is 41s old", false},
		{"no latencies", func(s *store) {
			s.put(0, `http_requests_total{alloc_id="c1",code="200"}`, 1)
			s.put(0, `http_requests_total{alloc_id="s1",code="200"}`, 1)
			s.put(1, `http_requests_total{alloc_id="c1",code="200"}`, 2)
		}, "no latencies are known: no series matches http_request_duration_seconds_bucket{alloc_id=~\"c1|c2|s1\"", true},
		{"other buckets", func(s *store) {
			s.call(0, "c1", 1, 0, 1)
			s.call(0, "s1", 1, 0, 1)
			s.put(0, `http_request_duration_seconds_bucket{alloc_id="c1",le="0.2"}`, 1)
		}, "tracks with different buckets cannot be compared", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &store{t: t}
			test.story(s)
			got, err := meterWith(t, s, "prometheus").Measure(t.Context(), requestsAt(1, nil))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if got.At.IsZero() == test.known {
				t.Errorf("got a sample of %v, known %t", got.At, test.known)
			}
		})
	}
}

// TestNoRequestYet: an allocation that is read and has no counter of requests has had none.
func TestNoRequestYet(t *testing.T) {
	s := &store{t: t}
	s.put(0, `go_goroutines{alloc_id="c1"}`, 9)
	s.call(0, "s1", 1, 0, 1)
	got, err := meterWith(t, s, "prometheus").Measure(t.Context(), requestsAt(1, nil))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, want{counted(0, 0, 0, 0, 0), counted(0, 0, 0, 0, 0)})
}

// TestEndpoints: the labels that a profile names tell what requests ask for.
func TestEndpoints(t *testing.T) {
	s := &store{t: t}
	for second := 0; second <= 5; second += 5 {
		for _, alloc := range []string{"c1", "s1"} {
			s.put(second, fmt.Sprintf(`http_requests_total{alloc_id="%s",code="200",method="get",handler="/cart"}`, alloc), 10*float64(second))
			s.put(second, fmt.Sprintf(`http_requests_total{alloc_id="%s",code="500",method="get",handler="/cart"}`, alloc), float64(second))
			s.put(second, fmt.Sprintf(`http_requests_total{alloc_id="%s",code="200"}`, alloc), float64(second))
			s.put(second, fmt.Sprintf(`http_requests_total{alloc_id="%s",code="503",handler="/healthz"}`, alloc), 100*float64(second)) // Nobody's request.
		}
	}
	i := requestsAt(6, nil)
	i.Latency, i.Endpoints = false, true
	got, err := meterWith(t, s, "prometheus").Measure(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	for _, series := range got.Series {
		want := strategy.Counters{Requests: 60, Errors: 5, Buckets: []float64{}}
		if series.Endpoint != "" {
			want = strategy.Counters{Requests: 55, Errors: 5}
		}
		if diff := cmp.Diff(want, series.Counters); diff != "" || (series.Endpoint != "" && series.Endpoint != "get /cart") {
			t.Errorf("%s of %q (-want +got):\n%s", series.Track, series.Endpoint, diff)
		}
	}
	if len(got.Series) != 4 {
		t.Errorf("got %d series, want two for each track", len(got.Series))
	}
}

// TestProfiles: every profile finds the requests of both tracks in what its source exports.
func TestProfiles(t *testing.T) {
	pages := map[string]string{ // CANARY and STABLE stand for what differs
		"prometheus":    `http_requests_total{alloc_id="ALLOC",code="CODE",handler="/"}`,
		"opentelemetry": `http_server_request_duration_seconds_count{alloc_id="ALLOC",http_response_status_code="CODE",http_route="/"}`,
		"drover-proxy":  `drover_proxy_requests_total{release="web",track="TRACK",endpoint="GET /",code="CLASS"}`,
		"haproxy":       `haproxy_server_http_responses_total{proxy="web",server="TRACK-ALLOC",code="CLASS"}`,
		"nginx-vts":     `nginx_vts_upstream_requests_total{upstream="web",backend="ADDRESS",code="CLASS"}`,
		"traefik":       `traefik_service_requests_total{service="web-TRACK@file",code="CODE",method="GET",protocol="http"}`,
		"envoy":         `envoy_cluster_upstream_rq_xx{envoy_cluster_name="web-TRACK",envoy_response_code_class="DIGIT"}`,
	}
	for name := range prometheus.Profiles() {
		t.Run(name, func(t *testing.T) {
			s := &store{t: t}
			for second := 0; second <= 5; second += 5 {
				for _, track := range []struct{ name, alloc, address string }{{"canary", "c1", "10.0.0.1:80"}, {"stable", "s1", "10.0.0.2:80"}} {
					for digit, n := range map[string]float64{"2": 10, "5": 1} {
						s.put(second, strings.NewReplacer("ALLOC", track.alloc, "TRACK", track.name, "ADDRESS", track.address, "CODE", digit+"00", "CLASS", digit+"xx", "DIGIT", digit).
							Replace(pages[name]), n*float64(second+1))
					}
				}
			}
			m := meterWith(t, s, name)
			var got strategy.Sample
			for _, second := range []int{0, 6} {
				i := requestsAt(second, nil)
				i.Latency, i.Addresses = false, map[string]string{"c1": "10.0.0.1:80", "s1": "10.0.0.2:80"}
				var err error
				if got, err = m.Measure(t.Context(), i); err != nil {
					t.Fatal(err)
				}
			}
			each := strategy.Counters{Requests: 55, Errors: 5, Buckets: []float64{}}
			compare(t, got, want{each, each})
		})
	}
	for name, says := range map[string]string{"nginx": "nginx-vts", "nomad": "no profile", "haproxi": `did you mean "haproxy"`} {
		if _, err := prometheus.Named(name, ""); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("profile %q: got %v, want %q", name, err, says)
		}
	}
	if p, err := prometheus.Named("haproxy", "opentelemetry"); err != nil || !strings.HasPrefix(p.Latency, "http_server_request_duration_seconds_bucket") {
		t.Errorf("got %q, %v", p.Latency, err)
	}
}

// TestBurst: how errors come is read from an hour of stable's allocations, once, before anything is judged.
func TestBurst(t *testing.T) {
	for name, test := range map[string]struct {
		at         float64 // errors that come at a time
		least, top float64
	}{"one by one": {1, 1, 1.5}, "five at a time": {5, 3, 7.5}} {
		t.Run(name, func(t *testing.T) {
			s, rng := &store{t: t}, rand.New(rand.NewPCG(1, 2))
			failed := map[string]float64{}
			for second := -3600; second <= 10; second += 5 {
				for _, alloc := range []string{"s1", "s2", "s3", "s4"} {
					if rng.Float64() < 0.3 {
						failed[alloc] += test.at
					}
					s.call(second, alloc, 10*float64(second+3605), failed[alloc]+1, 0)
				}
				s.call(second, "c1", 1, 0, 1)
			}
			m := meterWith(t, s, "prometheus")
			for _, second := range []int{0, 6} {
				i := requestsAt(second, nil)
				i.Stable = []string{"s1", "s2", "s3", "s4"}
				got, err := m.Measure(t.Context(), i)
				if err != nil {
					t.Fatal(err)
				}
				if got.Burst < test.least || got.Burst > test.top {
					t.Errorf("errors come %.2f at a time, want %v to %v", got.Burst, test.least, test.top)
				}
			}
			asked := 0
			for _, query := range s.asked {
				if strings.HasSuffix(query, "[3900s]") {
					asked++
				}
			}
			if asked != 1 {
				t.Errorf("an hour was asked for %d times, want once", asked)
			}
		})
	}
}

// TestCopies: copies of requests are asked for by their own name where tracks have one, and never counted as users' requests.
func TestCopies(t *testing.T) {
	for name, page := range map[string]string{
		"traefik":      `traefik_service_requests_total{service="web_TRACK@http",code="CODE",method="GET",protocol="http"}`,
		"drover-proxy": `drover_proxy_requests_total{release="web",track="TRACK",endpoint="GET /",code="CLASS"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{t: t}
			put := func(second int, track string, ok, failed float64) {
				for digit, n := range map[string]float64{"2": ok, "5": failed} {
					s.put(second, strings.NewReplacer("TRACK", track, "CODE", digit+"00", "CLASS", digit+"xx").Replace(page), n)
				}
			}
			for second := 0; second <= 60; second += 5 {
				put(second, "stable", 10*float64(second), 0)
				if second <= 30 && second > 0 {
					put(second, "shadow", float64(second), float64(second)/5)
				}
				if second > 30 {
					put(second, "canary", float64(second-30), 0)
				}
			}
			m := meterWith(t, s, name)
			ask := func(second int, copies bool) map[strategy.Track]strategy.Counters {
				i := requestsAt(second, nil)
				i.Latency, i.Copies = false, copies
				sample, err := m.Measure(t.Context(), i)
				if err != nil {
					t.Fatal(err)
				}
				counted := map[strategy.Track]strategy.Counters{}
				for _, series := range sample.Series {
					counted[series.Track] = series.Counters
				}
				return counted
			}
			ask(0, true)
			none := []float64{}
			want := map[strategy.Track]strategy.Counters{
				strategy.Stable: {Requests: 300, Buckets: none}, strategy.Canary: {Buckets: none}, strategy.Shadow: {Requests: 36, Errors: 6, Buckets: none},
			}
			if diff := cmp.Diff(want, ask(31, true)); diff != "" {
				t.Errorf("while copies are made (-want +got):\n%s", diff)
			}
			want = map[strategy.Track]strategy.Counters{strategy.Stable: {Requests: 600, Buckets: none}, strategy.Canary: {Requests: 30, Buckets: none}}
			if diff := cmp.Diff(want, ask(61, false)); diff != "" {
				t.Errorf("after that (-want +got):\n%s", diff)
			}
		})
	}
	s := &store{t: t}
	i := requestsAt(0, nil)
	i.Latency = false
	if _, err := meterWith(t, s, "traefik").Measure(t.Context(), i); err == nil || !strings.Contains(err.Error(), "nothing is known of the canary: no series matches traefik_service_requests_total{") ||
		!strings.HasSuffix(err.Error(), "}: does Prometheus read it?") {
		t.Errorf("where Prometheus does not read Traefik: %v", err)
	}
	s.put(0, "traefik_config_last_reload_success{}", 1)
	if sample, err := meterWith(t, s, "traefik").Measure(t.Context(), i); err != nil || len(sample.Series) != 2 || sample.Series[0].Requests > 0 {
		t.Errorf("where Traefik has passed no request on yet: %+v, %v", sample, err)
	}
	for name, p := range prometheus.Profiles() {
		if want := name == "traefik" || name == "drover-proxy" || name == "envoy"; p.Copied() != want {
			t.Errorf("profile %q tells copies apart: %t", name, !want)
		}
	}
	if mixed, err := prometheus.Named("traefik", "opentelemetry"); err != nil || mixed.Copied() {
		t.Errorf("latencies of the service itself are those of copies too, but the profile tells them apart (%v)", err)
	}
}

// TestCopiesByAllocation: what an allocation answered to copies of requests is none of its users', also where it is read after
// the first of these have come, by requests and by gates with a query.
func TestCopiesByAllocation(t *testing.T) {
	s := &store{t: t}
	for second := 3; second <= 63; second += 5 { // Copies end at 20, when users come: 2 a second. All copies fail.
		s.call(second, "s1", 10*float64(second), 0, 10*float64(second))
		s.call(second, "c1", 2*max(0, float64(second-20)), 5*min(float64(second), 20), 2*max(0, float64(second-20)))
	}
	m := meterWith(t, s, "prometheus")
	var last strategy.Sample
	for second := 20; second <= 60; second++ {
		i := requestsAt(second, nil)
		i.Since, i.Canary = start.Add(20*time.Second), []string{"c1"}
		if i.Copied = i.Now; second > 21 {
			i.Copied = start.Add(21 * time.Second) // The router has the split without copies in effect.
		}
		var err error
		if last, err = m.Measure(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		if last.At != i.Now || last.Every == 0 {
			t.Fatalf("at %d s the sample is of %v", second, last.At)
		}
	}
	for _, series := range last.Series {
		// From the reading at 28 s to that at 58 s.
		if series.Track == strategy.Canary && (series.Errors != 0 || series.Requests != 60) {
			t.Errorf("users' requests of the canary are %+v, want 60 without errors", series.Counters)
		}
		if series.Track == strategy.Stable && series.Requests != 300 {
			t.Errorf("those of the stable are %+v, want 300", series.Counters)
		}
	}
}

// TestQueriesAfterCopies: a gate with a query asks for no time in which copies may be read.
func TestQueriesAfterCopies(t *testing.T) {
	s := &server{answers: map[string]string{`failures{alloc_id=~"c1|c2"}`: one("3"), `calls{alloc_id=~"c1|c2"}`: one("100"), `calls{alloc_id=~"s1"}`: one("900")}}
	m := meterOf(t, s, nil) // Read once a second, and asked every four.
	for second := range 12 {
		i := inquiry(second, failures)
		i.Since = start
		if i.Copied = i.Now; second > 2 {
			i.Copied = start.Add(2 * time.Second)
		}
		if _, err := m.Measure(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		if second < 9 && len(s.asked) > 0 {
			t.Errorf("asked at %d s, for a time with copies: %q", second, s.asked)
		}
	}
	if len(s.asked) == 0 {
		t.Error("never asked")
	}
}
