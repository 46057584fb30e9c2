package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an endpoint that can be told how to answer.
type server struct {
	*httptest.Server
	endpoint strategy.Endpoint
	behavior atomic.Pointer[providertest.Behavior]
	answered atomic.Int64
}

func startServer(t testing.TB, alloc string) *server {
	t.Helper()
	s := &server{}
	s.behavior.Store(&providertest.Behavior{})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := s.behavior.Load()
		if b.Delay > 0 {
			timer := time.NewTimer(b.Delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("X-Alloc", alloc)
		if b.Fail {
			w.WriteHeader(http.StatusInternalServerError)
		}
		if r.URL.Path != "/healthz" {
			s.answered.Add(1)
		}
	}))
	t.Cleanup(s.Close)
	s.endpoint = strategy.Endpoint{Alloc: alloc, Address: strings.TrimPrefix(s.URL, "http://")}
	return s
}

// front is a proxy with a listener for traffic and one for its admin handler.
type front struct {
	*proxy.Proxy
	traffic, admin *httptest.Server
	client         *http.Client
}

func startFront(t testing.TB, o proxy.Options) *front {
	t.Helper()
	p, err := proxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Proxy: p, traffic: httptest.NewServer(p), admin: httptest.NewServer(p.Admin())}
	f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		f.traffic.Close()
		f.admin.Close()
		p.Close()
	})
	return f
}

// send makes a request for a release and returns the allocation that answered, and the status; 0 without an answer.
func (f *front) send(t testing.TB, method, release, path, body string) (alloc string, status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.traffic.URL+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return "", 0
	}
	r.Host = release + ".example.org"
	response, err := f.client.Do(r)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return "", 0
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Errorf("%s %s: read the answer: %v", method, path, err)
		return "", 0
	}
	return response.Header.Get("X-Alloc"), response.StatusCode
}

func (f *front) get(t testing.TB, release string) (alloc string, status int) {
	t.Helper()
	return f.send(t, http.MethodGet, release, "/", "")
}

// page is a page of the admin handler.
func (f *front) page(t testing.TB, path string) string {
	t.Helper()
	response, err := f.client.Get(f.admin.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", path, response.Status, err)
	}
	return string(body)
}

// until polls for a condition of a real server.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("after 10s still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// metric waits until the admin handler shows the line: a request is counted just after its answer was sent.
func (f *front) metric(t testing.TB, line string) {
	t.Helper()
	var text string
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if text = f.page(t, "/metrics"); strings.Contains("\n"+text, "\n"+line+"\n") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("metrics have no line %q:\n%s", line, grep(text, strings.SplitN(line, "{", 2)[0]))
}

func grep(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func split(weight strategy.Weight, stable, canary []*server) strategy.Split {
	s := strategy.Split{Release: "shop", Namespace: "default", Service: "shop", Weight: weight}
	for _, e := range stable {
		s.Stable = append(s.Stable, e.endpoint)
	}
	for _, e := range canary {
		s.Canary = append(s.Canary, e.endpoint)
	}
	return s
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// idle waits until no request is under way.
func (f *front) idle(t testing.TB) {
	t.Helper()
	until(t, "no request is under way", func() bool {
		for line := range strings.Lines(f.page(t, "/metrics")) {
			if strings.HasPrefix(line, "drover_proxy_requests_in_flight{") && !strings.HasSuffix(line, " 0\n") {
				return false
			}
		}
		return true
	})
}
