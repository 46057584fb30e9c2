package nomad_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

// counter counts the requests that go through it, by method and first parts of the path.
type counter struct {
	to http.RoundTripper

	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/v1/"), "/", 2)
	c.mu.Lock()
	c.counts[r.Method+" "+parts[0]]++
	c.mu.Unlock()
	return c.to.RoundTrip(r)
}

// take is the requests since the last take.
func (c *counter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.counts
	c.counts = map[string]int{}
	return taken
}

// TestWatchReadsOnlySplitsThatChanged: of hundreds of releases one changes at a time, and every proxy watches.
func TestWatchReadsOnlySplitsThatChanged(t *testing.T) {
	simulated := sim.New(sim.Config{Start: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Seed: 1})
	connect := func(c *http.Client) *nomad.Splits {
		client, err := nomad.Connect(nomad.Config{Address: "http://nomad.invalid", HTTPClient: c})
		if err != nil {
			t.Fatal(err)
		}
		return nomad.NewSplits(client, "drover", "default")
	}
	counted := &counter{to: simulated.Client().Transport, counts: map[string]int{}}
	publisher, watcher := connect(simulated.Client()), connect(&http.Client{Transport: counted})
	const releases = 50
	publish := func(n int, weight strategy.Weight) {
		t.Helper()
		if err := publisher.Publish(t.Context(), "edge", strategy.Split{Release: fmt.Sprintf("web-%02d", n), Weight: weight}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range releases {
		publish(n, 0)
	}
	ctx, cancel := context.WithCancel(t.Context())
	called, ended := make(chan []strategy.Split, 1), make(chan struct{})
	go func() {
		defer close(ended)
		_ = watcher.Watch(ctx, "edge", func(splits []strategy.Split) { called <- splits })
	}()
	if got := len(<-called); got != releases {
		t.Fatalf("the watch begins with %d splits, want %d", got, releases)
	}
	if diff := cmp.Diff(releases, counted.take()["GET var"]); diff != "" {
		t.Errorf("variables read at the start (-want +got):\n%s", diff)
	}
	publish(7, strategy.Percent(25))
	if got := (<-called)[7].Weight; got != strategy.Percent(25) {
		t.Errorf("the split that changed has weight %s, want 25%%", got)
	}
	if diff := cmp.Diff(1, counted.take()["GET var"]); diff != "" {
		t.Errorf("variables read after one change (-want +got):\n%s", diff)
	}
	cancel()
	<-ended
}
