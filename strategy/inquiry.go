package strategy

import (
	"fmt"
	"slices"
	"time"
)

// Inquiry is what gates ask of the metrics: those with a query of their own, and those on the machine.
type Inquiry struct {
	Release string
	Rollout string // what was counted for another one counts for nothing
	Now     time.Time
	Gates   []Gate
	Canary  []string // ids of the allocations of each track
	Stable  []string
}

// Inquiry is what the gates of a rollout ask, when any does.
func (r Rollout) Inquiry(c *ClusterState, now time.Time) (Inquiry, bool) {
	i := Inquiry{Release: r.Release, Rollout: r.ID, Now: now, Gates: r.Plan.Asking()}
	if c == nil || len(i.Gates) == 0 || !r.Opened {
		return i, false
	}
	m := &machine{Rollout: r, o: Observation{Cluster: c}, now: now}
	for _, a := range c.Allocs {
		if m.onTrial(a) {
			i.Canary = append(i.Canary, a.ID)
		} else {
			i.Stable = append(i.Stable, a.ID)
		}
	}
	slices.Sort(i.Canary)
	slices.Sort(i.Stable)
	return i, len(i.Canary) > 0
}

// Asking are the gates of a plan that ask the metrics by themselves.
func (p Plan) Asking() []Gate {
	return slices.DeleteFunc(slices.Clone(p.Gates), func(g Gate) bool { return g.Metric != MetricQuery && !g.saturation() })
}

// Unanswered is why a plan cannot be followed where no metrics are configured; "" when it can.
func (p Plan) Unanswered() string {
	asking := p.Asking()
	if len(asking) == 0 {
		return ""
	}
	return fmt.Sprintf("gate %q asks the metrics, and none are configured: add a metrics \"prometheus\" block to drover.hcl, or remove the gate", asking[0].Name)
}
