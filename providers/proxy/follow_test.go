package proxy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// directory is a directory whose registrations the test changes.
type directory struct {
	mu         sync.Mutex
	registered []strategy.Endpoint
	known      bool
	down       bool
	changed    chan struct{}
	failures   int
}

func newDirectory() *directory { return &directory{changed: make(chan struct{})} }

func (d *directory) change(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *directory) register(servers ...*server) {
	d.change(func() {
		d.known, d.registered = true, nil
		for _, s := range servers {
			d.registered = append(d.registered, s.endpoint)
		}
	})
}

func (d *directory) Watch(ctx context.Context, namespace, name string, report func([]strategy.Endpoint)) error {
	if namespace != "default" || name != "shop" {
		return errors.New("no such service")
	}
	for {
		d.mu.Lock()
		changed, registered, known, down := d.changed, slices.Clone(d.registered), d.known, d.down
		if down {
			d.failures++
		}
		d.mu.Unlock()
		if down {
			return errors.New("the directory is away")
		}
		if known {
			report(registered)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (d *directory) failed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failures
}

// clock is the time of the test's start, moved on by hand.
type clock struct {
	start time.Time
	moved atomic.Int64
}

func newClock() *clock                   { return &clock{start: time.Now()} }
func (c *clock) now() time.Time          { return c.start.Add(time.Duration(c.moved.Load())) }
func (c *clock) advance(d time.Duration) { c.moved.Add(int64(d)) }

// follow runs Follow until the test ends, and waits for it.
func follow(t *testing.T, f *front, d proxy.Directory) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Follow(ctx, d)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// answers is who answers 20 requests, sorted.
func answers(t *testing.T, f *front) []string {
	t.Helper()
	var found []string
	for range 20 {
		alloc, _ := f.get(t, "shop")
		if !slices.Contains(found, alloc) {
			found = append(found, alloc)
		}
	}
	slices.Sort(found)
	return found
}

// answer waits until exactly these answer.
func answer(t *testing.T, f *front, want ...string) {
	t.Helper()
	until(t, "answers come from "+cmp.Diff([]string{}, want), func() bool { return slices.Equal(answers(t, f), want) })
}

func TestVanishedEndpointIsDropped(t *testing.T) {
	f, d := startFront(t, proxy.Options{}), newDirectory()
	a, b, c := startServer(t, "a"), startServer(t, "b"), startServer(t, "c")
	s := split(strategy.Percent(50), []*server{a, b}, []*server{c})
	f.Set([]strategy.Split{s})
	d.register(a, b, c)
	follow(t, f, d)
	answer(t, f, "a", "b", "c")
	d.register(a, c)
	answer(t, f, "a", "c")
	d.register(a)
	answer(t, f, "a")
	if diff := cmp.Diff([]strategy.Split{s}, decode[[]strategy.Split](t, f.page(t, "/splits"))); diff != "" {
		t.Errorf("the splits are not reported as they were given (-want +got):\n%s", diff)
	}
	d.register(a, b, c)
	answer(t, f, "a", "b", "c")
}

func TestUnknownEndpointIsAddedAtRestOnly(t *testing.T) {
	now := newClock()
	f, d := startFront(t, proxy.Options{Now: now.now}), newDirectory()
	a, b := startServer(t, "a"), startServer(t, "b")
	s := split(0, []*server{a}, nil)
	f.Set([]strategy.Split{s})
	d.register(a, b)
	follow(t, f, d)
	// That a is dropped and comes back shows that the registrations were taken in.
	now.advance(time.Minute)
	d.register(b)
	until(t, "a is dropped", func() bool { _, status := f.get(t, "shop"); return status == 503 })
	d.register(a, b)
	answer(t, f, "a")
	s.Resting = true
	f.Set([]strategy.Split{s})
	answer(t, f, "a", "b")
	s.Resting = false
	f.Set([]strategy.Split{s})
	answer(t, f, "a")
}

// TestAddressOfAnotherAllocation: at rest an allocation may come where one ended that the split lists, as with static ports.
func TestAddressOfAnotherAllocation(t *testing.T) {
	f, d := startFront(t, proxy.Options{}), newDirectory()
	a, b := startServer(t, "a"), startServer(t, "b")
	s := split(0, []*server{a, b}, nil)
	s.Resting = true
	f.Set([]strategy.Split{s})
	d.register(a, b)
	follow(t, f, d)
	answer(t, f, "a", "b")
	d.register(a)
	answer(t, f, "a")
	next := &server{endpoint: strategy.Endpoint{Alloc: "next", Address: b.endpoint.Address}}
	d.register(a, next)
	answer(t, f, "a", "b") // The server has its name still.
	d.register(next)
	answer(t, f, "b")
}

func TestNewEndpointAtRestWaitsForItsCheck(t *testing.T) {
	f, d := startFront(t, proxy.Options{}), newDirectory()
	a := startServer(t, "a")
	sick := dead(t, "sick")
	s := split(0, []*server{a}, nil)
	s.Resting, s.Check = true, &strategy.Check{Type: "tcp", Interval: 10 * time.Millisecond}
	f.Set([]strategy.Split{s})
	fresh := startServer(t, "fresh")
	d.register(a, sick, fresh)
	follow(t, f, d)
	answer(t, f, "a", "fresh")
	for range 100 {
		if _, status := f.get(t, "shop"); status != 200 {
			t.Fatalf("status %d, want every request answered", status)
		}
	}
}

func TestDirectoryThatIsAwayChangesNothing(t *testing.T) {
	now := newClock()
	f, d := startFront(t, proxy.Options{Now: now.now}), newDirectory()
	a, b := startServer(t, "a"), startServer(t, "b")
	f.Set([]strategy.Split{split(0, []*server{a, b}, nil)})
	d.register(a)
	d.change(func() { d.down = true })
	follow(t, f, d)
	now.advance(time.Minute)
	until(t, "the directory failed twice", func() bool { return d.failed() >= 2 })
	answer(t, f, "a", "b")
	d.change(func() { d.down = false; d.registered = []strategy.Endpoint{b.endpoint} })
	now.advance(time.Minute)
	answer(t, f, "b")
	failed := d.failed()
	d.change(func() { d.down = true; d.registered = nil })
	until(t, "the directory failed again", func() bool { return d.failed() > failed })
	answer(t, f, "b")
}

// A split may list what is not registered yet, but not for long: its address may be somebody else's by now.
func TestListedEndpointThatIsNeverRegisteredIsDropped(t *testing.T) {
	now := newClock()
	f, d := startFront(t, proxy.Options{Now: now.now}), newDirectory()
	a, stale := startServer(t, "a"), startServer(t, "stale")
	f.Set([]strategy.Split{split(0, []*server{a, stale}, nil)})
	d.register(a)
	follow(t, f, d)
	answer(t, f, "a", "stale")
	now.advance(4 * time.Second)
	answer(t, f, "a", "stale")
	now.advance(time.Second)
	answer(t, f, "a")
}

func TestEndpointThatFailsItsCheckIsLeftOut(t *testing.T) {
	f := startFront(t, proxy.Options{})
	a, b := startServer(t, "a"), startServer(t, "b")
	s := split(0, []*server{a, b}, nil)
	s.Check = &strategy.Check{Type: "http", Path: "/healthz", Interval: 5 * time.Millisecond, Timeout: time.Second}
	f.Set([]strategy.Split{s})
	follow(t, f, nil)
	answer(t, f, "a", "b")
	b.behavior.Store(&providertest.Behavior{Fail: true})
	answer(t, f, "a")
	// When all fail, somebody has to answer.
	a.behavior.Store(&providertest.Behavior{Fail: true})
	answer(t, f, "a", "b")
	b.behavior.Store(&providertest.Behavior{})
	answer(t, f, "b")
}

func TestSickCanaryLeavesItsShareToStable(t *testing.T) {
	f := startFront(t, proxy.Options{})
	a, c := startServer(t, "a"), startServer(t, "c")
	s := split(strategy.Percent(50), []*server{a}, []*server{c})
	s.Check = &strategy.Check{Type: "http", Path: "healthz", Interval: 5 * time.Millisecond}
	f.Set([]strategy.Split{s})
	follow(t, f, nil)
	answer(t, f, "a", "c")
	c.behavior.Store(&providertest.Behavior{Fail: true})
	answer(t, f, "a")
	c.behavior.Store(&providertest.Behavior{})
	answer(t, f, "a", "c")
}

func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "splits.json")
	a := startServer(t, "a")
	s := split(strategy.Percent(25), []*server{a}, nil)
	s.Check = &strategy.Check{Type: "http", Path: "/healthz", Interval: time.Second}
	startFront(t, proxy.Options{StateFile: path}).Set([]strategy.Split{s})

	restarted := startFront(t, proxy.Options{StateFile: path})
	if diff := cmp.Diff([]strategy.Split{s}, restarted.Splits()); diff != "" {
		t.Errorf("splits after a restart (-want +got):\n%s", diff)
	}
	if alloc, _ := restarted.get(t, "shop"); alloc != "a" {
		t.Errorf("after a restart %q answered, want a", alloc)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("beside the state file lie %v (%v)", files, err)
	}
	if err := os.WriteFile(path, []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := startFront(t, proxy.Options{StateFile: path}).Splits(); len(got) != 0 {
		t.Errorf("splits of a broken state file: %v, want none", got)
	}
}
