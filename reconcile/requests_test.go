package reconcile_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// tally counts requests to Nomad.
type tally struct {
	next http.RoundTripper

	mu         sync.Mutex
	requests   int
	registered int // requests until the first registration, that one included
}

// RoundTrip counts.
func (c *tally) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.requests++
	if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/jobs") && c.registered == 0 {
		c.registered = c.requests
	}
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// TestRequestsOfARollout: a commit that touches hundreds of releases is as fast as Nomad answers requests.
func TestRequestsOfARollout(t *testing.T) {
	w := newWorld(t, 50)
	w.release(checkout, "1.0.0")
	if err := w.until(time.Hour, func() bool { return w.rests(checkout) }); err != nil {
		t.Fatal(err)
	}
	w.tick()
	counted := &tally{next: w.denied.next}
	w.denied.next = counted
	w.tick()
	if counted.requests > 0 {
		t.Errorf("at rest Nomad was asked %d times in a pass", counted.requests)
	}
	w.release(checkout, "1.1.0")
	w.tick()
	if counted.registered == 0 || counted.registered > 12 {
		t.Errorf("the canary was registered with request %d of %d, want the 12th at the latest", counted.registered, counted.requests)
	}
	if counted.requests > 22 {
		t.Errorf("the pass made %d requests to Nomad, want 22 at most", counted.requests)
	}
}
