package providertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// EventsHarness is a cluster with the namespaces "default" and "shop", in which nothing of the jobs under test runs. Others
// may use it at the same time.
type EventsHarness struct {
	// Purge ends a job and waits until nothing of it is left. A server panics when a job is purged while it is scheduled.
	Purge func(namespace, job string) error
	// Process is a handle as a process has it, and the process's line to the cluster.
	Process func() (reconcile.Events, *Line)
	// Client is the door that people use.
	Client *api.Client
	// Job is a name that nobody else uses, Namespace that of a namespace that is not there yet.
	Job, Namespace string
}

// TestEvents holds a reconcile.Events to its contract, in worlds as TestLock has them.
func TestEvents(t *testing.T, inWorld func(t *testing.T, run func(t *testing.T, h EventsHarness))) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, h EventsHarness)
	}{
		{"what is done to a job", eventsOfAJob},
		{"services of a job", eventsOfServices},
		{"jobs of another namespace", eventsElsewhere},
		{"a line that is cut", eventsCut},
		{"a namespace that is made later", eventsNewNamespace},
		{"the end", eventsEnd},
	} {
		t.Run(tc.name, func(t *testing.T) { inWorld(t, tc.run) })
	}
}

// follower is who follows, and what it was told.
type follower struct {
	*Line
	h     EventsHarness
	stop  func()
	ended chan error

	mu   sync.Mutex
	told map[strategy.JobRef]int
}

// follow begins to follow, and waits until it was told to look at everything.
func follow(t *testing.T, h EventsHarness) *follower {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	events, line := h.Process()
	f := &follower{Line: line, h: h, stop: stop, ended: make(chan error, 1), told: map[strategy.JobRef]int{}}
	var first *strategy.JobRef
	go func() {
		f.ended <- events.Follow(ctx, func(job strategy.JobRef) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if first == nil {
				first = &job
			}
			f.told[job]++
		})
		close(f.ended)
	}()
	t.Cleanup(func() {
		stop()
		for range f.ended { // Until it is closed.
		}
	})
	f.until(t, "the beginning", strategy.JobRef{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if *first != (strategy.JobRef{}) {
		t.Errorf("got %s first, want everything to be looked at", first)
	}
	return f
}

func (f *follower) count(job strategy.JobRef) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told[job]
}

// until waits until it was told of a job so many times, within half a minute.
func (f *follower) until(t *testing.T, what string, job strategy.JobRef, times int) {
	t.Helper()
	for range 600 {
		if f.count(job) >= times {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("%s: told of %s %d times, want %d", what, job, f.count(job), times)
}

// sleeper is a job that does nothing.
func (h EventsHarness) sleeper(namespace string, seconds string) *api.Job {
	return &api.Job{
		ID: new(h.Job), Name: new(h.Job), Type: new("service"), Namespace: new(namespace),
		TaskGroups: []*api.TaskGroup{{
			Name: new("g"), Count: new(1),
			Update: &api.UpdateStrategy{MinHealthyTime: new(time.Duration(0)), HealthCheck: new("task_states")},
			Tasks:  []*api.Task{{Name: "t", Driver: "raw_exec", Config: map[string]any{"command": "sleep", "args": []string{seconds}}}},
		}},
	}
}

// register registers the job, and lets it be purged with the test.
func (f *follower) register(t *testing.T, namespace, seconds string) strategy.JobRef {
	t.Helper()
	f.registerJob(t, f.h.sleeper(namespace, seconds))
	return strategy.JobRef{Namespace: namespace, ID: f.h.Job}
}

func (f *follower) registerJob(t *testing.T, job *api.Job) {
	t.Helper()
	if _, _, err := f.h.Client.Jobs().Register(job, &api.WriteOptions{Namespace: *job.Namespace}); err != nil {
		t.Fatalf("register: %v", err)
	}
	t.Cleanup(func() {
		if err := f.h.Purge(*job.Namespace, f.h.Job); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
}

// scheduled waits until Nomad has done with what was asked of the job: a server panics when a job is purged meanwhile.
func (f *follower) scheduled(t *testing.T, namespace string) {
	t.Helper()
	for range 600 {
		all, _, err := f.h.Client.Jobs().Evaluations(f.h.Job, &api.QueryOptions{Namespace: namespace})
		if err != nil {
			t.Fatalf("read the evaluations: %v", err)
		}
		if !slices.ContainsFunc(all, func(e *api.Evaluation) bool { return e.Status == "pending" }) {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatal("evaluations are still pending")
}

// settled waits until the job's deployment has ended.
func (f *follower) settled(t *testing.T) {
	t.Helper()
	for range 600 {
		d, _, err := f.h.Client.Jobs().LatestDeployment(f.h.Job, nil)
		if err == nil && d != nil && d.Status == api.DeploymentStatusSuccessful {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatal("the deployment has not ended")
}

func eventsOfAJob(t *testing.T, h EventsHarness) {
	f := follow(t, h)
	job := f.register(t, "default", "3600")
	f.until(t, "registered", job, 1)
	f.settled(t)
	<-time.After(time.Second)
	if n := f.count(job); n != 1 {
		t.Errorf("told %d times of a job that was registered once: what the scheduler makes of it is no change", n)
	}
	if _, _, err := h.Client.Jobs().Scale(h.Job, "g", new(2), "by hand", false, nil, nil); err != nil {
		t.Fatalf("scale: %v", err)
	}
	f.until(t, "scaled", job, 2)
	f.settled(t)
	if _, _, err := h.Client.Jobs().Revert(h.Job, 0, nil, nil, "", ""); err != nil {
		t.Fatalf("revert: %v", err)
	}
	f.until(t, "reverted", job, 3)
	if _, _, err := h.Client.Jobs().Deregister(h.Job, false, nil); err != nil {
		t.Fatalf("stop: %v", err)
	}
	f.until(t, "stopped", job, 4)
	f.scheduled(t, "default")
	if _, _, err := h.Client.Jobs().Deregister(h.Job, true, nil); err != nil {
		t.Fatalf("purge: %v", err)
	}
	f.until(t, "purged", job, 5)
}

func eventsOfServices(t *testing.T, h EventsHarness) {
	f := follow(t, h)
	job := h.sleeper("default", "3600")
	job.TaskGroups[0].Services = []*api.Service{{Name: h.Job, Provider: "nomad"}}
	f.registerJob(t, job)
	ref := strategy.JobRef{Namespace: "default", ID: h.Job}
	f.until(t, "registered, and its service", ref, 2)
	f.settled(t)
	before := f.count(ref)
	allocs, _, err := h.Client.Jobs().Allocations(h.Job, false, nil)
	if err != nil || len(allocs) != 1 {
		t.Fatalf("allocations: %v (%v), want one", allocs, err)
	}
	if _, err := h.Client.Allocations().Stop(&api.Allocation{ID: allocs[0].ID}, nil); err != nil {
		t.Fatalf("stop the allocation: %v", err)
	}
	f.until(t, "the service that goes, and the one of the allocation in its place", ref, before+2)
}

func eventsElsewhere(t *testing.T, h EventsHarness) {
	f := follow(t, h)
	f.until(t, "registered", f.register(t, "shop", "3600"), 1)
	if n := f.count(strategy.JobRef{Namespace: "default", ID: h.Job}); n != 0 {
		t.Errorf("told %d times of a job of that name in another namespace", n)
	}
}

func eventsCut(t *testing.T, h EventsHarness) {
	f := follow(t, h)
	begun := f.count(strategy.JobRef{})
	f.Cut()
	job := f.register(t, "default", "3600")
	<-time.After(3 * time.Second)
	if f.count(job) != 0 || f.count(strategy.JobRef{}) != begun {
		t.Errorf("told of something over a line that is cut")
	}
	f.Mend()
	f.until(t, "that something may have been missed", strategy.JobRef{}, begun+1)
	before := f.count(job)
	f.register(t, "default", "3601")
	f.until(t, "registered again", job, before+1)
}

func eventsNewNamespace(t *testing.T, h EventsHarness) {
	f := follow(t, h)
	<-time.After(time.Second) // Until the namespaces that there are have been read.
	begun := f.count(strategy.JobRef{})
	if _, err := h.Client.Namespaces().Register(&api.Namespace{Name: h.Namespace}, nil); err != nil {
		t.Fatalf("make the namespace: %v", err)
	}
	f.until(t, "the new namespace", strategy.JobRef{}, begun+1)
	f.until(t, "a job of the new namespace", f.register(t, h.Namespace, "3600"), 1)
}

func eventsEnd(t *testing.T, h EventsHarness) {
	f := follow(t, h)
	f.stop()
	if err, _ := soon(t, "the end", f.ended, handover); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}
