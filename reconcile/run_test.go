package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// slowCluster is a still one that takes registrations and never gets to do anything about them.
type slowCluster struct {
	stillCluster
	registered chan strategy.Registration
	changes    map[string]chan struct{} // by job, for those who watch it

	mu       sync.Mutex
	observed map[string]int // by job
	calls    []string       // what was called, and for which job
}

// Observe counts.
func (c *slowCluster) Observe(ctx context.Context, job strategy.JobRef, service string) (strategy.ClusterState, error) {
	c.mu.Lock()
	c.observed[job.ID]++
	c.calls = append(c.calls, "observe "+job.ID)
	c.mu.Unlock()
	return c.stillCluster.Observe(ctx, job, service)
}

// looks is how often jobs were observed since the last call.
func (c *slowCluster) looks() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer clear(c.observed)
	return maps.Clone(c.observed)
}

// Register tells of the registration.
func (c *slowCluster) Register(_ context.Context, r strategy.Registration) (bool, error) {
	c.mu.Lock()
	c.calls = append(c.calls, "register "+r.Job.ID)
	c.mu.Unlock()
	select {
	case c.registered <- r:
	default:
	}
	return false, nil
}

// Watch waits for a change.
func (c *slowCluster) Watch(ctx context.Context, job strategy.JobRef, index uint64) (uint64, error) {
	if index > 0 {
		select {
		case <-c.changes[job.ID]:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return index + 1, nil
}

// lateRouter has a split in effect some time after it took it.
type lateRouter struct {
	stillRouter
	after time.Duration
}

// Apply returns before the split is in effect, and tells nobody when it is.
func (r *lateRouter) Apply(ctx context.Context, split strategy.Split) error {
	if r.after == 0 {
		return r.stillRouter.Apply(ctx, split)
	}
	time.AfterFunc(r.after, func() { _ = r.stillRouter.Apply(ctx, split) })
	return nil
}

// polled is a repository that notes when it is asked for its head.
type polled struct {
	*repository
	at []time.Time
}

// Head notes the time.
func (p *polled) Head(ctx context.Context) (strategy.Commit, error) {
	p.at = append(p.at, time.Now())
	return p.repository.Head(ctx)
}

// running is a loop under way, over releases that rest, in a bubble.
type running struct {
	repo    *repository
	polls   *polled
	cluster *slowCluster
	loop    *reconcile.Loop
}

func name(n int) string { return fmt.Sprintf("service-%05d", n) }

func run(t *testing.T, releases int, router *lateRouter) *running {
	t.Helper()
	r := &running{
		repo:    newRepository(time.Now),
		cluster: &slowCluster{registered: make(chan strategy.Registration), changes: map[string]chan struct{}{}, observed: map[string]int{}},
	}
	r.polls = &polled{repository: r.repo}
	router.splits = map[string]strategy.Split{}
	files := map[string]string{}
	for n := range releases {
		maps.Copy(files, stillRelease(name(n), "1.0.0"))
		r.cluster.changes[name(n)] = make(chan struct{})
	}
	r.repo.commit(person, "Release everything", files)
	r.loop = reconcile.New(reconcile.Options{
		Instance: instance, Repository: r.polls, Load: load, Cluster: r.cluster, Poll: time.Minute,
		Routers: map[string]reconcile.Traffic{"": {Router: router, Meter: router}}, Ledger: newLedger(),
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { r.loop.Run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
	time.Sleep(10 * time.Second)
	r.cluster.looks()
	return r
}

// ask asks for version 1.1.0 of releases.
func (r *running) ask(releases ...int) {
	files := map[string]string{}
	for _, n := range releases {
		maps.Copy(files, stillRelease(name(n), "1.1.0"))
	}
	r.repo.commit(person, "Release", files)
	r.loop.PollNow()
}

// TestRegistersSoon: canaries are registered as soon as no router would give them traffic.
func TestRegistersSoon(t *testing.T) {
	for _, test := range []struct{ takes, within time.Duration }{
		{0, 0},
		{5 * time.Millisecond, 20 * time.Millisecond},
		{50 * time.Millisecond, 60 * time.Millisecond},
		{time.Second, 1300 * time.Millisecond},
		{10 * time.Second, 11 * time.Second},
	} {
		t.Run(test.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				router := &lateRouter{}
				r := run(t, 3, router)
				router.after = test.takes
				asked := time.Now()
				r.ask(1)
				got := <-r.cluster.registered
				if took := time.Since(asked); got.Job.ID != name(1) || took > test.within {
					t.Errorf("%s was registered after %s, want within %s", got.Job.ID, took, test.within)
				}
			})
		})
	}
}

// TestOneLookUntilRegistered: waiting for the router asks nothing of Nomad again.
func TestOneLookUntilRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := &lateRouter{}
		r := run(t, 3, router)
		router.after, r.cluster.calls = 50*time.Millisecond, nil
		r.ask(1)
		time.Sleep(time.Second / 2)
		synctest.Wait()
		want := []string{"observe " + name(1), "register " + name(1), "observe " + name(1)}
		if diff := cmp.Diff(want, r.cluster.calls[:min(3, len(r.cluster.calls))]); diff != "" {
			t.Errorf("calls of the cluster (-want +got):\n%s", diff)
		}
	})
}

// TestAllAreRegisteredFirst: of many releases in one commit none waits until it was read what became of the others.
func TestAllAreRegisteredFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const releases = 10 // As many as may be under way.
		r := run(t, releases, &lateRouter{})
		r.cluster.calls = nil
		all := make([]int, releases)
		for n := range all {
			all[n] = n
		}
		r.ask(all...)
		synctest.Wait()
		registered := map[string]bool{}
		for _, call := range r.cluster.calls {
			kind, job, _ := strings.Cut(call, " ")
			switch {
			case len(registered) == releases:
				return
			case kind == "register":
				registered[job] = true
			case registered[job]:
				t.Fatalf("%s was looked at again when %d of %d were registered: %v", job, len(registered), releases, r.cluster.calls)
			}
		}
		t.Errorf("%d of %d were registered", len(registered), releases)
	})
}

// TestLooksAtWhatChanged: what happens to one of many releases in motion has that one looked at, and the others in their time.
func TestLooksAtWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 5, &lateRouter{})
		r.ask(0, 1, 2, 3)
		time.Sleep(1500 * time.Millisecond) // Half a second after a sweep.
		r.cluster.looks()
		r.cluster.changes[name(2)] <- struct{}{}
		synctest.Wait()
		looks := r.cluster.looks()
		if looks[name(2)] == 0 || len(looks) != 1 {
			t.Errorf("one job changed, and these were looked at: %v", looks)
		}
		if _, err := r.loop.Do(t.Context(), name(3), strategy.Command{Kind: strategy.CommandPause, By: person}); err != nil {
			t.Errorf("a command for a release in motion: %v", err)
		}
		if looks := r.cluster.looks(); looks[name(3)] == 0 || len(looks) != 1 {
			t.Errorf("one release was paused, and these were looked at: %v", looks)
		}
		synctest.Wait()
		r.cluster.looks()
		r.repo.commit(person, "Other", stillRelease(name(1), "1.2.0"))
		r.loop.PollNow()
		synctest.Wait()
		if looks := r.cluster.looks(); looks[name(1)] == 0 || len(looks) != 1 {
			t.Errorf("one release was asked for anew, and these were looked at: %v", looks)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want := map[string]bool{name(0): true, name(1): true, name(2): true, name(3): true}
		got := map[string]bool{}
		for job := range r.cluster.looks() {
			got[job] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("looked at within a second (-want +got):\n%s", diff)
		}
	})
}

// TestPollsInTime: at rest the repository is asked at every poll, and at most a tenth earlier.
func TestPollsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 1, &lateRouter{})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if len(r.polls.at) < 20 {
			t.Errorf("the repository was asked %d times in 20 minutes", len(r.polls.at))
		}
		for i, at := range r.polls.at[1:] {
			if gap := at.Sub(r.polls.at[i]); gap < 54*time.Second || gap > time.Minute {
				t.Errorf("the repository was asked again after %s, and is to be asked every minute", gap)
			}
		}
	})
}
