package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func get(t *testing.T, version, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	newHandler(version, faultsOf(version)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		version, path string
		status        int
	}{
		{"1.0.0", "/", 200},
		{"1.0.0", "/healthz", 200},
		{"1.0.0", "/nowhere", 404},
		{"1.2.0", "/healthz", 200},
		{"2.0.0-sick", "/", 200},
		{"2.0.0-sick", "/healthz", 503},
	} {
		w := get(t, test.version, test.path)
		if w.Code != test.status {
			t.Errorf("version %s answers %s with %d, want %d", test.version, test.path, w.Code, test.status)
		}
		if got := w.Header().Get("X-Version"); got != test.version {
			t.Errorf("X-Version of %s is %q, want %q", test.path, got, test.version)
		}
	}
	var body map[string]string
	if err := json.Unmarshal(get(t, "1.1.0", "/").Body.Bytes(), &body); err != nil || body["version"] != "1.1.0" {
		t.Errorf("GET / answers %v (%v), want version 1.1.0", body, err)
	}
}

func TestErrorsOfVersions(t *testing.T) {
	for version, want := range map[string]int{"1.0.0": 0, "1.1.0": 0, "1.2.0": 80, "1.3.0": 0, "1.4.0": 0} {
		f, got, run, longest := faultsOf(version), 0, 0, 0
		for n := range uint64(1000) {
			if f.fails(n) {
				got++
				run = 0
			} else {
				run++
			}
			longest = max(longest, run)
		}
		if got != want {
			t.Errorf("version %s fails %d of 1000 requests, want %d", version, got, want)
		}
		if want > 0 && longest > 13 {
			t.Errorf("version %s answers %d requests in a row without an error, want them spread evenly", version, longest)
		}
	}
}

func TestLatencyOfVersions(t *testing.T) {
	for version, want := range map[string][2]time.Duration{
		"1.0.0": {7 * time.Millisecond, 8 * time.Millisecond},
		"1.2.0": {7 * time.Millisecond, 8 * time.Millisecond},
		"1.3.0": {445 * time.Millisecond, 455 * time.Millisecond},
	} {
		var took []time.Duration
		for n := range uint64(1000) {
			took = append(took, faultsOf(version).work(n))
		}
		slices.Sort(took)
		if p95 := took[950]; p95 < want[0] || p95 > want[1] {
			t.Errorf("p95 of version %s is %v, want from %v to %v", version, p95, want[0], want[1])
		}
		if took[0] < 2*time.Millisecond {
			t.Errorf("version %s works for %v, want at least 2ms", version, took[0])
		}
	}
}

func TestFailedRequestIsAnswered500(t *testing.T) {
	handler := newHandler("1.2.0", faultsOf("1.2.0"))
	failed := 0
	for range 25 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if w.Code == http.StatusInternalServerError {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("1.2.0 failed %d of 25 requests, want 2", failed)
	}
}

// TestMetrics: what was answered is counted under the names of both conventions.
func TestMetrics(t *testing.T) {
	handler := newHandler("1.2.0", faultsOf("1.2.0"))
	for range 25 {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`http_requests_total{code="500",handler="/",method="GET"} 2`,
		`http_request_duration_seconds_count{handler="/",method="GET"} 25`,
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/"} 23`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("want %s among\n%s", want, w.Body)
		}
	}
}

func TestBreak(t *testing.T) {
	handler := newHandler("1.1.0", faultsOf("1.1.0"))
	status := func(method, path string) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w.Code
	}
	got := []int{status(http.MethodGet, "/"), status(http.MethodPost, "/break"), status(http.MethodGet, "/"), status(http.MethodGet, "/healthz")}
	if want := []int{200, 200, 500, 200}; !slices.Equal(got, want) {
		t.Errorf("before, at, and after it is broken, and its health: %v, want %v", got, want)
	}
}

func TestStart(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "-version is missing"},
		{[]string{"-version", "2.0.0-crash"}, "2.0.0-crash cannot start"},
		{[]string{"-version", "1.0.0", "-listen", "nowhere"}, "listen for requests"},
	} {
		err := run(t.Context(), test.args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("run %v: %v, want an error with %q", test.args, err, test.want)
		}
	}
}

func TestStopAnswersWhatIsUnderWay(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	arrived, leave := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-leave
		_, _ = io.WriteString(w, "done")
	})
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, handler) }()
	answer := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(response.Body)
		answer <- body.String()
	}()
	<-arrived
	cancel()
	close(leave)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way was answered %q, want %q", got, "done")
	}
	if err := <-ended; err != nil {
		t.Errorf("serve ended with %v", err)
	}
}
