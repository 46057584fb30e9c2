package sim

import (
	"context"
	"fmt"

	"github.com/drover-dev/drover/strategy"
)

// Prober makes smoke checks of the allocations of a simulation. It is safe for concurrent use, and never blocks.
type Prober struct{ nomad *Nomad }

// Prober asks the allocations of this simulation.
func (n *Nomad) Prober() *Prober { return &Prober{n} }

// Smoke asks every endpoint, with the retries of each check: a sick one answers 503, others fail as their requests do.
// What else a check expects is there.
func (p *Prober) Smoke(ctx context.Context, checks []strategy.Smoke, endpoints []strategy.Endpoint) (failed string, err error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("make the smoke checks: %w", err)
	}
	p.nomad.mu.Lock()
	defer p.nomad.mu.Unlock()
	for _, endpoint := range endpoints {
		for _, check := range checks {
			if status := p.ask(endpoint, check); status != "" {
				return fmt.Sprintf("%s: allocation %s answered GET %s with %s (expected %d)", check.Name, endpoint.Alloc[:min(len(endpoint.Alloc), 8)], check.Path, status, check.Status), nil
			}
		}
	}
	return "", nil
}

// ask makes one check, and is what was wrong with the last try; "" for nothing.
func (p *Prober) ask(endpoint strategy.Endpoint, check strategy.Smoke) string {
	a := p.nomad.alloc(endpoint.Alloc)
	if a == nil || !a.running() {
		return "a refused connection"
	}
	b, status := p.nomad.behaviourOf(a), ""
	for range 1 + check.Retries {
		switch {
		case !p.nomad.passing(a):
			status = "status 503"
		case p.nomad.rng.Float64() < b.ErrorRate:
			status = "status 500"
		case b.Latency.Median > check.Timeout && check.Timeout > 0:
			status = "nothing in time"
		default:
			return ""
		}
	}
	return status
}
