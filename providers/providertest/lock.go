package providertest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-dev/drover/reconcile"
)

// LockHarness is one lock that nobody holds.
type LockHarness struct {
	// Process is a handle on the lock as a process of that name has it, and the process's line to what keeps the lock.
	Process func(name string) (reconcile.Lock, *Line)
	// Leader is the name of who holds the lock; "" for nobody.
	Leader func(ctx context.Context) (string, error)
	// Break takes the lock from who holds it, as somebody does who may.
	Break func(ctx context.Context) error

	leading *atomic.Int32 // how many do the work
}

// TestLock holds a reconcile.Lock to its contract. inWorld runs a test with a harness of its own: in the real time of a real
// server, or in a bubble.
func TestLock(t *testing.T, inWorld func(t *testing.T, run func(t *testing.T, h LockHarness))) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, h LockHarness)
	}{
		{"one leads, and hands over at once", lockHandOver},
		{"a lock that is taken away", lockTaken},
		{"a holder that falls silent", lockSilent},
		{"work that takes its time", lockSlowWork},
		{"an answer that is lost", lockLostAnswer},
		{"a short silence", lockShortSilence},
		{"work that returns by itself", lockWorkReturns},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, h LockHarness) {
				t.Helper()
				h.leading = &atomic.Int32{}
				tc.run(t, h)
			})
		})
	}
}

// contender is one process that wants to lead.
type contender struct {
	*Line
	began chan context.Context // a leadership, by the context of its work
	ended chan struct{}        // a leadership's work has returned
	stop  func()
	gone  chan struct{} // Lead has returned
}

// contend lets a process lead whenever it may. Its work lasts until its context ends, and takes that long more.
func contend(t *testing.T, h LockHarness, name string, more time.Duration) *contender {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	lock, line := h.Process(name)
	c := &contender{Line: line, began: make(chan context.Context, 10), ended: make(chan struct{}, 10), stop: stop, gone: make(chan struct{})}
	go func() {
		defer close(c.gone)
		lock.Lead(ctx, func(ctx context.Context) {
			if n := h.leading.Add(1); n > 1 {
				t.Errorf("%s leads, and with it lead %d at a time", name, n)
			}
			c.began <- ctx
			<-ctx.Done()
			<-time.After(more)
			h.leading.Add(-1)
			c.ended <- struct{}{}
		})
	}()
	t.Cleanup(func() {
		stop()
		<-c.gone
	})
	return c
}

// soon waits for something that must come within a time, and says how long it took.
func soon[T any](t *testing.T, what string, from <-chan T, limit time.Duration) (T, time.Duration) {
	t.Helper()
	start := time.Now()
	select {
	case got := <-from:
		return got, time.Since(start)
	case <-time.After(limit):
		t.Fatalf("%s: not within %s", what, limit)
		panic("unreachable")
	}
}

// takeover bounds how long others wait for the lock of a holder that fell silent; handover for one that was given back.
const (
	takeover = 40 * time.Second
	handover = 8 * time.Second
)

func wantLeader(t *testing.T, h LockHarness, want string) {
	t.Helper()
	got, err := h.Leader(t.Context())
	if err != nil || got != want {
		t.Errorf("got leader %q, error %v, want %q", got, err, want)
	}
}

// never waits for a while in which nothing may come.
func never[T any](t *testing.T, what string, from <-chan T, d time.Duration) {
	t.Helper()
	select {
	case <-from:
		t.Errorf("%s, want it not to", what)
	case <-time.After(d):
	}
}

func lockHandOver(t *testing.T, h LockHarness) {
	wantLeader(t, h, "")
	first := contend(t, h, "first", 0)
	soon(t, "first leads", first.began, handover)
	wantLeader(t, h, "first")
	second := contend(t, h, "second", 0)
	never(t, "second leads beside first", second.began, 25*time.Second)
	first.stop()
	soon(t, "first is gone", first.gone, handover)
	soon(t, "second leads", second.began, handover)
	wantLeader(t, h, "second")
	if len(first.began) != 0 {
		t.Error("first led once more")
	}
	second.stop()
	soon(t, "second is gone", second.gone, handover)
	wantLeader(t, h, "")
}

func lockTaken(t *testing.T, h LockHarness) {
	first := contend(t, h, "first", 0)
	soon(t, "first leads", first.began, handover)
	if err := h.Break(t.Context()); err != nil {
		t.Fatalf("break the lock: %v", err)
	}
	soon(t, "the work of first ends", first.ended, handover)
	soon(t, "first leads again", first.began, takeover)
}

func lockSilent(t *testing.T, h LockHarness) {
	first := contend(t, h, "first", 0)
	work, _ := soon(t, "first leads", first.began, handover)
	second := contend(t, h, "second", 0)
	first.Cut()
	soon(t, "the work of first ends", first.ended, 10*time.Second) // The shortest time to live of a lock.
	if work.Err() == nil {
		t.Error("the work of first was not told to end")
	}
	soon(t, "second leads", second.began, takeover)
	first.Mend()
	never(t, "first leads beside second", first.began, 5*time.Second)
	wantLeader(t, h, "second")
}

func lockSlowWork(t *testing.T, h LockHarness) {
	first := contend(t, h, "first", 15*time.Second)
	soon(t, "first leads", first.began, handover)
	second := contend(t, h, "second", 0)
	first.stop()
	soon(t, "the work of first ends", first.ended, 20*time.Second)
	soon(t, "second leads", second.began, handover)
}

func lockLostAnswer(t *testing.T, h LockHarness) {
	lock, line := h.Process("first")
	line.Lose(1)
	ctx, cancel := context.WithCancel(t.Context())
	began, gone := make(chan struct{}, 10), make(chan struct{})
	go func() {
		defer close(gone)
		lock.Lead(ctx, func(ctx context.Context) {
			began <- struct{}{}
			<-ctx.Done()
		})
	}()
	soon(t, "first leads", began, 2*handover) // Not only when the lock that nobody knows of has run out.
	cancel()
	soon(t, "first is gone", gone, handover)
}

func lockShortSilence(t *testing.T, h LockHarness) {
	first := contend(t, h, "first", 0)
	work, _ := soon(t, "first leads", first.began, handover)
	for range 3 {
		first.Cut()
		never(t, "the work of first ends", first.ended, 3300*time.Millisecond)
		first.Mend()
		never(t, "the work of first ends", first.ended, 4400*time.Millisecond)
	}
	if work.Err() != nil {
		t.Errorf("the work of first was told to end: %v", work.Err())
	}
}

func lockWorkReturns(t *testing.T, h LockHarness) {
	lock, _ := h.Process("first")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	times := 0
	lock.Lead(ctx, func(context.Context) {
		if times++; times == 2 {
			cancel()
		}
	})
	if times != 2 {
		t.Errorf("the work was done %d times, want 2", times)
	}
	wantLeader(t, h, "")
}
