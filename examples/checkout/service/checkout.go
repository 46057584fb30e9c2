package main

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// faults is how a version behaves.
type faults struct {
	crash     bool
	sick      bool
	errors    int           // answers with status 500 in 100
	fast, top time.Duration // work takes from fast to top, every duration between them alike often
}

// faultsOf is the behavior of a version.
func faultsOf(version string) faults {
	f := faults{fast: 2 * time.Millisecond, top: 8 * time.Millisecond}
	switch {
	case strings.HasSuffix(version, "-crash"):
		f.crash = true
	case strings.HasSuffix(version, "-sick"):
		f.sick = true
	case version == "1.2.0":
		f.errors = 8
	case version == "1.3.0":
		f.fast, f.top = 90*time.Millisecond, 470*time.Millisecond
	}
	return f
}

// fails tells whether the nth request is answered with an error: f.errors of any 100 in a row, evenly spread.
func (f faults) fails(n uint64) bool {
	n %= 100
	share := uint64(f.errors)
	return (n+1)*share/100 > n*share/100
}

// work is how long the nth request takes. Multiples of the golden ratio spread the durations evenly over their range.
func (f faults) work(n uint64) time.Duration {
	_, fraction := math.Modf(float64(n%1_000_000) * math.Phi)
	return f.fast + time.Duration(fraction*float64(f.top-f.fast))
}

// checkout answers requests as its version does.
type checkout struct {
	version string
	faults  faults
	count   atomic.Uint64
	broken  atomic.Bool // whatever the version
}

func newHandler(version string, f faults) http.Handler {
	c := &checkout{version: version, faults: f}
	mux, measured := http.NewServeMux(), newInstruments()
	mux.HandleFunc("GET /healthz", c.health)
	mux.Handle("GET /metrics", measured.handler())
	mux.HandleFunc("GET /{$}", measured.measure(http.MethodGet, "/", c.answer))
	mux.HandleFunc("POST /break", func(w http.ResponseWriter, _ *http.Request) { c.broken.Store(true) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", version)
		mux.ServeHTTP(w, r)
	})
}

func (c *checkout) health(w http.ResponseWriter, _ *http.Request) {
	if c.faults.sick {
		http.Error(w, "sick: the payment provider does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (c *checkout) answer(w http.ResponseWriter, r *http.Request) {
	n := c.count.Add(1) - 1
	timer := time.NewTimer(c.faults.work(n))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	if c.faults.fails(n) || c.broken.Load() {
		http.Error(w, "the price of an article is missing", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// An error here is a client that went away.
	_ = json.NewEncoder(w).Encode(map[string]string{"service": "checkout-api", "version": c.version})
}
