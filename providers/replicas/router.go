// Package replicas is the router of those who have none that Drover may steer: users find every allocation that is
// registered, by themselves, and the canary's share is what its allocations are of all. It decides nothing and asks nobody;
// what it is told is in effect as far as it ever can be. Its Abilities say so, and plans that need more are refused.
package replicas

import (
	"context"
	"sync"

	"github.com/drover-dev/drover/strategy"
)

// Router remembers what it was told. It is safe for concurrent use.
type Router struct {
	mu     sync.Mutex
	splits map[string]strategy.Split
}

// New makes a router.
func New() *Router { return &Router{splits: map[string]strategy.Split{}} }

// Abilities is that it divides nothing.
func (*Router) Abilities() strategy.Abilities {
	return strategy.Abilities{Kind: "none", Replicas: true}
}

// Share is what canaries are of all allocations, whatever the weight.
func (*Router) Share(_ strategy.Weight, stable, canary int) strategy.Weight {
	return strategy.ReplicaShare(stable, canary)
}

// Apply remembers the split.
func (r *Router) Apply(_ context.Context, split strategy.Split) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.splits[split.Release] = split
	return nil
}

// Read is what it was told.
func (r *Router) Read(_ context.Context, release string) (strategy.TrafficState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strategy.TrafficState{Splits: []strategy.Split{r.splits[release]}}, nil
}
