package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// stillCluster runs what every release asks for, and nothing ever happens in it. What a jobspec says is what it runs.
type stillCluster struct {
	mu       sync.Mutex
	away     bool            // it cannot be asked
	refuses  map[string]bool // jobspecs that it does not accept, by their text
	observed int
}

// Parse makes a job of the variables; the jobspec's text names it.
func (c *stillCluster) Parse(_ context.Context, source strategy.JobSource) (strategy.JobSpec, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.away:
		return strategy.JobSpec{}, fmt.Errorf("parse %s: connection refused", source.Path)
	case c.refuses[source.Jobspec]:
		return strategy.JobSpec{}, fmt.Errorf("%w: %s:1: there is no block \"jib\"", strategy.ErrInvalid, source.Path)
	}
	return strategy.JobSpec{
		Ref: strategy.JobRef{Namespace: "default", ID: source.Jobspec}, Type: "service", Digest: "digest of " + source.Variables,
		Groups: []strategy.GroupSpec{{Name: "api", Count: 1, Services: []string{source.Jobspec}}},
	}, nil
}

// Observe sees version 1.0.0 running.
func (c *stillCluster) Observe(_ context.Context, job strategy.JobRef, _ string) (strategy.ClusterState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observed++
	if c.away {
		return strategy.ClusterState{}, fmt.Errorf("observe %s: connection refused", job)
	}
	return strategy.ClusterState{
		Exists: true, Version: 1, ModifyIndex: 1, Count: 1, Revision: strategy.Revision{Version: "1.0.0", Attempt: 1, Digest: "digest of version = \"1.0.0\"\n"},
		Allocs: []strategy.Alloc{{ID: "a", Group: "api", Ready: true, Address: "10.0.0.1:80"}},
	}, nil
}

// Register is not expected.
func (*stillCluster) Register(context.Context, strategy.Registration) (bool, error) {
	return false, fmt.Errorf("nothing is to be registered in a still cluster")
}

// Promote is not expected.
func (*stillCluster) Promote(context.Context, strategy.JobRef, string) error {
	return fmt.Errorf("nothing is to be promoted in a still cluster")
}

// Stop is not expected.
func (*stillCluster) Stop(context.Context, strategy.JobRef, uint64) error {
	return fmt.Errorf("nothing is to be stopped in a still cluster")
}

// MarkGood does nothing.
func (*stillCluster) MarkGood(context.Context, strategy.JobRef, uint64) error { return nil }

// MarkBad is not expected.
func (*stillCluster) MarkBad(context.Context, strategy.JobRef, uint64, strategy.Revision) error {
	return fmt.Errorf("nothing is condemned in a still cluster")
}

// Scale is not expected.
func (*stillCluster) Scale(context.Context, strategy.JobRef, string, int) error {
	return fmt.Errorf("nothing is to be scaled in a still cluster")
}

// Replace is not expected.
func (*stillCluster) Replace(context.Context, strategy.JobRef, string) error {
	return fmt.Errorf("nothing is to be replaced in a still cluster")
}

// stillRouter keeps what it is given.
type stillRouter struct {
	mu     sync.Mutex
	splits map[string]strategy.Split
}

// Apply keeps the split.
func (r *stillRouter) Apply(_ context.Context, split strategy.Split) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.splits[split.Release] = split
	return nil
}

// Read is the split kept.
func (r *stillRouter) Read(_ context.Context, release string) (strategy.TrafficState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strategy.TrafficState{Splits: []strategy.Split{r.splits[release]}}, nil
}

// Abilities is what the proxy has.
func (*stillRouter) Abilities() strategy.Abilities {
	return strategy.Abilities{Kind: "still", Counts: true, Latency: true}
}

// Sample is nothing.
func (*stillRouter) Sample(context.Context, string) (strategy.Sample, error) {
	return strategy.Sample{}, fmt.Errorf("there is no traffic in a still cluster")
}

// still is a Drover over many releases that all rest.
type still struct {
	repo     *repository
	cluster  *stillCluster
	boundary *boundary
	registry *prometheus.Registry
	loop     *reconcile.Loop
	forge    *forge
	now      time.Time
}

func stillRelease(name, version string) map[string]string {
	return map[string]string{
		releasePath(name):                     fmt.Sprintf("release %q {\n  version = %q\n  jobspec = \"job.nomad.hcl\"\n}\n", name, version),
		"releases/" + name + "/job.nomad.hcl": name,
	}
}

func newStill(releases int) *still {
	s := &still{
		cluster: &stillCluster{refuses: map[string]bool{}}, boundary: newBoundary(), registry: prometheus.NewRegistry(), forge: &forge{},
		now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
	}
	s.repo = newRepository(func() time.Time { return s.now })
	files := map[string]string{}
	for n := range releases {
		maps.Copy(files, stillRelease(fmt.Sprintf("service-%05d", n), "1.0.0"))
	}
	s.repo.commit(person, "Release everything", files)
	p := s.boundary.process()
	router := &stillRouter{splits: map[string]strategy.Split{}}
	traffic := boundTraffic{process: p, router: router, meter: router}
	s.loop = reconcile.New(reconcile.Options{
		Instance: instance, Repository: boundRepository{p, s.repo}, Load: load, Cluster: boundCluster{p, s.cluster},
		Routers: map[string]reconcile.Traffic{"": {Router: traffic, Meter: traffic}}, Ledger: boundLedger{p, newLedger()}, Forge: s.forge,
		Logger: slog.New(slog.DiscardHandler), Registerer: s.registry,
	})
	return s
}

// pass lets a second go by.
func (s *still) pass(t testing.TB) []string {
	t.Helper()
	s.now = s.now.Add(time.Second)
	moving, err := s.loop.Pass(t.Context(), s.now)
	if err != nil {
		t.Fatalf("pass: %v", err)
	}
	return moving
}

// settle passes until everything rests.
func (s *still) settle(t testing.TB) {
	t.Helper()
	for range 5 {
		if moving := s.pass(t); len(moving) == 0 {
			return
		}
	}
	t.Fatalf("not everything rests: %v", s.loop.Rollouts())
}

// since is the calls made since an earlier count, by their kind; those not made are left out.
func (b *boundary) since(before map[string]int) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	made := map[string]int{}
	for call, n := range b.calls {
		if n > before[call] {
			made[call] = n - before[call]
		}
	}
	return made
}

func (b *boundary) counts() map[string]int { return b.since(nil) }

// walked is the calls since an earlier count that read the repository, Head left out.
func (s *still) walked(before map[string]int) map[string]int {
	made := s.boundary.since(before)
	maps.DeleteFunc(made, func(call string, _ int) bool {
		return !slices.Contains([]string{callLog, callFiles, callChanges}, call)
	})
	return made
}

// subjects is of every release, sorted by name, the subject of the commit that it asks by.
func (s *still) subjects() []string {
	previews, err := s.loop.Preview(context.Background(), s.now)
	if err != nil {
		return []string{err.Error()}
	}
	var subjects []string
	for _, p := range previews {
		if p.Desired == nil {
			subjects = append(subjects, p.Problem)
			continue
		}
		subjects = append(subjects, p.Desired.Commit.Subject)
	}
	return subjects
}
