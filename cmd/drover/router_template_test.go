package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/rendered"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

// TestMoreThanAVariableTakes: the error is what `drover status` quotes behind "the router does not take the split at 5%", and says
// what to do before the text ends. The way back is taken.
func TestMoreThanAVariableTakes(t *testing.T) {
	client, err := nomad.Connect(nomad.Config{Address: "http://simulated", HTTPClient: sim.New(sim.Config{Start: time.Now(), Seed: 1}).Client()})
	if err != nil {
		t.Fatal(err)
	}
	conf := routerConfig{Name: "edge", Job: "balancer"}
	router, err := rendered.New(conf.templateOptions(client, "default"))
	if err != nil {
		t.Fatal(err)
	}
	endpoints := func(n int) (all []strategy.Endpoint) {
		for i := range n {
			all = append(all, strategy.Endpoint{Alloc: fmt.Sprintf("%036d", i), Address: fmt.Sprintf("10.0.0.1:%d", 20000+i)})
		}
		return all
	}
	split := strategy.Split{Release: "shop", Namespace: "default", Service: "shop", Stable: endpoints(600)}
	if err := router.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	split.Canary, split.Weight = endpoints(600), strategy.Percent(5)
	err = router.Apply(t.Context(), split)
	want := `publish the split of "shop" for router "edge": variable nomad/jobs/balancer takes 64 KiB, too little for its 1200 allocations: ` +
		"run fewer, or give some releases a router with another job"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	const kept, names = 300, 60 // bytes of a reason in a record, and of further names
	if n := len("the router does not take the split at 12.5%: " + want); n > kept-names {
		t.Errorf("it has %d bytes: the end would be cut off", n)
	}
	split.Canary, split.Weight = nil, 0
	if err := router.Apply(t.Context(), split); err != nil {
		t.Errorf("the way back: %v", err)
	}
}
