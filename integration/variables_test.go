package integration_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// instances numbers the stores of the tests, so that each has one of its own.
var instances atomic.Int64

func newInstance() string { return "drover-test-" + strconv.FormatInt(instances.Add(1), 10) }

func TestNomadLedger(t *testing.T) {
	providertest.TestLedger(t, func(t *testing.T) (ledger, other reconcile.Ledger) {
		t.Helper()
		instance := newInstance()
		return nomad.NewLedger(agent.Client(), instance, "default"), nomad.NewLedger(agent.Client(), instance, "default")
	})
}

func TestNomadLedgerTooLarge(t *testing.T) {
	ledger := nomad.NewLedger(agent.Client(), newInstance(), "default")
	record := strategy.Record{Rollout: strategy.Rollout{Release: "web", ID: strings.Repeat("x", 70_000)}}
	_, err := ledger.Store(t.Context(), record)
	if err == nil || errors.Is(err, strategy.ErrStale) || !strings.Contains(err.Error(), "nomad takes 65536") {
		t.Errorf("got %v, want an error that names the limit", err)
	}
}

// receive waits for the next value of a watch.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(time.Minute):
		t.Fatal("nothing was called back")
		panic("unreachable")
	}
}

func TestNomadSplits(t *testing.T) {
	splits := nomad.NewSplits(agent.Client(), newInstance(), "default")
	ctx, cancel := context.WithCancel(t.Context())
	called, ended := make(chan []strategy.Split, 10), make(chan error, 1)
	go func() {
		ended <- splits.Watch(ctx, "edge", func(all []strategy.Split) { called <- all })
	}()
	if got := receive(t, called); len(got) != 0 {
		t.Errorf("got %+v at the start, want no splits", got)
	}
	publish := func(router string, split strategy.Split) {
		t.Helper()
		if err := splits.Publish(ctx, router, split); err != nil {
			t.Fatal(err)
		}
	}
	web := strategy.Split{Release: "web", Service: "web", Weight: 500, Canary: []strategy.Endpoint{{Alloc: "a", Address: "127.0.0.1:1"}}}
	publish("edge", web)
	if diff := cmp.Diff([]strategy.Split{web}, receive(t, called)); diff != "" {
		t.Errorf("after one is published (-want +got):\n%s", diff)
	}
	publish("edge", web)                               // the same again,
	publish("other", strategy.Split{Release: "x"})     // another router's,
	publish("edge", strategy.Split{Release: "api.v2"}) // and a new one
	want := []strategy.Split{{Release: "api.v2"}, web}
	if diff := cmp.Diff(want, receive(t, called)); diff != "" {
		t.Errorf("after another is published (-want +got):\n%s", diff)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if len(called) != 0 {
		t.Errorf("got %d more calls, want none without a change", len(called))
	}
}

func TestNomadServices(t *testing.T) {
	const name = "followed" // A job and service that no other test has.
	cluster := nomad.New(agent.Client(), nomad.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := agent.Purge(ctx, name); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	called, ended := make(chan []strategy.Endpoint, 10), make(chan error, 1)
	go func() {
		ended <- nomad.Services(agent.Client()).Watch(ctx, "default", name, func(all []strategy.Endpoint) { called <- all })
	}()
	if got := receive(t, called); len(got) != 0 {
		t.Errorf("got %+v at the start, want nobody registered", got)
	}
	source := checkout(t)("1.0.0", 1)
	source.Jobspec = strings.ReplaceAll(source.Jobspec, "checkout-api", name)
	job := strategy.JobRef{Namespace: "default", ID: name}
	if _, err := cluster.Register(ctx, strategy.Registration{Job: job, Source: &source, Marker: strategy.Marker{Instance: "drover", Role: strategy.RoleFirst}}); err != nil {
		t.Fatal(err)
	}
	got := receive(t, called)
	if len(got) != 1 || got[0].Alloc == "" || !strings.HasPrefix(got[0].Address, "127.0.0.1:") {
		t.Fatalf("got %+v, want one allocation with its address", got)
	}
	state, err := cluster.Observe(ctx, job, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Stop(ctx, job, state.ModifyIndex); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, called); len(got) != 0 {
		t.Errorf("got %+v after the stop, want nobody registered", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
