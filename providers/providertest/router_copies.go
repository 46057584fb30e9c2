package providertest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"github.com/drover-dev/drover/strategy"
)

// Request is what an endpoint was asked.
type Request struct {
	Method, Host, URI, Body string
	Copy                    string   // the mark of a copy
	Headers                 []string // names alone
}

// about is a request as a user made it, for people.
func (r Request) about() string {
	return fmt.Sprintf("%s %s%s %d", r.Method, r.Host, r.URI, len(r.Body))
}

// routerCopiesWhat has requests of every kind made: those that may be copied arrive at the canary as they were, marked, and no
// other does. Stable gets each once. A canary that hangs is not noticed by anybody.
func routerCopiesWhat(t *testing.T, s *routerSuite) {
	if s.Copied == nil || s.Asked == nil || s.Edge == "" {
		return
	}
	split := s.split(shopRelease, 0)
	split.Copies = &strategy.Copies{Percent: strategy.Full, Methods: []string{"GET", "HEAD"}}
	s.apply(t, split)
	client := &http.Client{Transport: &http.Transport{}, Timeout: slowly}
	t.Cleanup(client.CloseIdleConnections)
	user := &copiedUser{t, s, client, split.Stable[0].Alloc}

	user.asks("POST", "/orders", "one")
	user.asks("DELETE", "/orders/1", "")
	user.asks("GET", "/marked", "", headerShadow, "other")
	user.opensSocket("/socket")
	user.asks("HEAD", "/head?of=1", "")
	user.asks("GET", "/basket/a%20b?item=7&item=8", "", "X-Own", "yes")
	copies := s.arrive(t, split.Canary[0], 2)
	want := []string{"GET shop/basket/a%20b?item=7&item=8 0", "HEAD shop/head?of=1 0"}
	if diff := cmp.Diff(want, copies); diff != "" {
		t.Errorf("copied (-want +got):\n%s", diff)
	}
	if once := len(s.Asked(split.Stable[0])); once != 6 {
		t.Errorf("stable was asked %d requests, want each of 6 once: %v", once, s.Asked(split.Stable[0]))
	}
	s.alike(t, split, "/basket/a%20b?item=7&item=8")

	split.Copies = &strategy.Copies{Percent: strategy.Full, Methods: []string{"GET", "POST"}}
	s.apply(t, split)
	user.asks("POST", "/long", strings.Repeat("x", 100<<10))
	user.asks("PUT", "/orders/2", "two")
	user.asks("POST", "/orders", "three")
	copies = s.arrive(t, split.Canary[0], 3)
	if want := append(want, "POST shop/orders 5"); !cmp.Equal(want, copies) {
		t.Errorf("copied with bodies (-want +got):\n%s", cmp.Diff(want, copies))
	}
	if once := len(s.Asked(split.Stable[0])); once != 9 {
		t.Errorf("stable was asked %d requests, want each of 9 once: %v", once, s.Asked(split.Stable[0]))
	}

	s.Behave(split.Canary[0], Behavior{Delay: time.Second})
	for range 20 {
		user.asks("GET", "/hanging", "")
	}
	split.Copies, split.Canary = nil, nil
	s.apply(t, split)
	user.asks("GET", "/after", "")
}

// copiedUser makes requests that stable answers.
type copiedUser struct {
	t      *testing.T
	s      *routerSuite
	client *http.Client
	stable string
}

// asks makes a request with a body, if there is one, and headers.
func (u *copiedUser) asks(method, uri, body string, headers ...string) {
	u.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(u.t.Context(), method, "http://"+u.s.Edge+uri, content)
	if err != nil {
		u.t.Fatal(err)
	}
	request.Host = shopRelease
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := u.client.Do(request)
	if err != nil {
		u.t.Fatalf("%s %s: %v", method, uri, err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK || response.Header.Get("X-Alloc") != u.stable {
		u.t.Errorf("%s %s: %s of %q (%v), want 200 of %q", method, uri, response.Status, response.Header.Get("X-Alloc"), err, u.stable)
	}
}

// opensSocket opens a WebSocket and closes it.
func (u *copiedUser) opensSocket(uri string) {
	u.t.Helper()
	connection, response, err := websocket.DefaultDialer.DialContext(u.t.Context(), "ws://"+u.s.Edge+uri, http.Header{"Host": {shopRelease}})
	if err != nil {
		u.t.Fatalf("open a connection: %v", err)
	}
	_ = response.Body.Close()
	_, first, err := connection.ReadMessage()
	if err != nil || string(first) != u.stable {
		u.t.Errorf("a connection is to %q (%v), want %q", first, err, u.stable)
	}
	_ = connection.Close()
}

// arrive waits until an endpoint was asked so many requests, and gives it the time to be asked more. They are sorted.
func (s *routerSuite) arrive(t *testing.T, e strategy.Endpoint, n int) (about []string) {
	t.Helper()
	for deadline := time.Now().Add(slowly); len(s.Asked(e)) < n && time.Now().Before(deadline); {
		s.pause()
	}
	s.Settle()
	for _, r := range s.Asked(e) {
		if about = append(about, r.about()); r.Copy != shopRelease {
			t.Errorf("%s is marked as a copy of %q, want %q", r.about(), r.Copy, shopRelease)
		}
	}
	slices.Sort(about)
	return about
}

// alike wants a request and its copy to have the same headers, save the mark.
func (s *routerSuite) alike(t *testing.T, split strategy.Split, uri string) {
	t.Helper()
	find := func(e strategy.Endpoint) map[string]bool {
		names := map[string]bool{}
		for _, r := range s.Asked(e) {
			if r.URI == uri {
				for _, name := range r.Headers {
					names[name] = true
				}
			}
		}
		return names
	}
	user, twin := find(split.Stable[0]), find(split.Canary[0])
	delete(twin, headerShadow)
	if !maps.Equal(user, twin) {
		t.Errorf("the headers of a copy differ (-user +copy):\n%s", cmp.Diff(user, twin))
	}
}
