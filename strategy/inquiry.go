package strategy

import (
	"fmt"
	"slices"
	"time"
)

// Inquiry is what is asked of the metrics: by gates with a query of their own, by those on the machine, and by all that are
// on requests where the metrics count these in place of the router.
type Inquiry struct {
	Release string
	Rollout string // what was counted for another one counts for nothing
	Now     time.Time
	Since   time.Time // when the canary got its first traffic: counting begins there
	// Until is until when the evidence has everything of a gate, "" for the requests: counting goes on from there, whoever
	// counted before.
	Until  map[string]time.Time
	Gates  []Gate
	Canary []string // ids of the allocations of each track
	Stable []string
	// Addresses are where allocations take traffic, host:port by their ids.
	Addresses map[string]string
	// Requests asks for the requests of the release too, with their errors.
	Requests bool
	// Latency asks for their latencies as well.
	Latency bool
	// Endpoints asks for them by what they ask for, besides.
	Endpoints bool
	// Copies asks for copies of requests, by the track Shadow, in place of the requests that the canary answers to users.
	Copies bool
	// Copied is until when the canary's allocations may have answered copies of requests, which they count as they do users';
	// zero when there were none.
	Copied time.Time
	// Alone says that the stable is ending or was never there: nothing has to be known of it.
	Alone bool
}

// Inquiry is what the gates of a rollout ask, when any does. requests tells whether those on requests do too.
func (r Rollout) Inquiry(c *ClusterState, now time.Time, requests bool) (Inquiry, bool) {
	i := Inquiry{Release: r.Release, Rollout: r.ID, Now: now, Since: r.Evidence.Since, Until: r.Evidence.Until, Gates: r.Plan.Asking(), Requests: requests, Latency: r.Plan.asks(MetricLatency), Endpoints: r.Plan.byEndpoint(), Alone: r.Phase != Stepping}
	asks := r.Opened && (len(i.Gates) > 0 || requests)
	if r.Shadowing {
		plan := r.Plan.shadowed() // Its gates are on requests alone.
		i.Copies, i.Alone, i.Gates, i.Latency, i.Endpoints = true, false, nil, plan.asks(MetricLatency), plan.byEndpoint()
		asks = requests && len(plan.Gates) > 0
	}
	if r.Plan.Shadow != nil && !r.Shadowing {
		if i.Copied = r.Evidence.Turned; i.Copied.IsZero() {
			i.Copied = now // Its router may be copying still.
		}
	}
	if c == nil || !asks {
		return i, false
	}
	m := &machine{Rollout: r, o: Observation{Cluster: c}, now: now}
	i.address(c)
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

// Rehearsal is what the gates of a rollout that would begin are going to ask, asked of what is live; false where nothing is.
func (r Rollout) Rehearsal(c *ClusterState, now time.Time, requests bool) (Inquiry, bool) {
	i := Inquiry{Release: r.Release, Now: now, Gates: r.Plan.Asking(), Requests: requests, Latency: r.Plan.asks(MetricLatency)}
	if c == nil || (len(i.Gates) == 0 && !requests) {
		return i, false
	}
	i.address(c)
	for _, a := range c.Allocs {
		if a.Ready && !a.Ending && !a.Canary {
			i.Stable = append(i.Stable, a.ID)
		}
	}
	slices.Sort(i.Stable)
	return i, len(i.Stable) > 0
}

// address notes where allocations take traffic.
func (i *Inquiry) address(c *ClusterState) {
	i.Addresses = map[string]string{}
	for _, a := range c.Allocs {
		if a.Address != "" {
			i.Addresses[a.ID] = a.Address
		}
	}
}

// Track is the allocations of a track. The canary's answer the copies.
func (i Inquiry) Track(t Track) []string {
	if t == Stable {
		return i.Stable
	}
	return i.Canary
}

// Trial is the track that is asked about besides the stable.
func (i Inquiry) Trial() Track {
	if i.Copies {
		return Shadow
	}
	return Canary
}

// Asking are the gates of a plan that ask the metrics by themselves.
func (p Plan) Asking() []Gate {
	return slices.DeleteFunc(slices.Clone(p.Gates), func(g Gate) bool { return g.Metric != MetricQuery && !g.saturation() })
}

func (p Plan) asks(m Metric) bool {
	return slices.ContainsFunc(p.Gates, func(g Gate) bool { return g.Metric == m })
}

// Unanswered is why a plan cannot be followed where no metrics are configured; "" when it can.
func (p Plan) Unanswered() string {
	asking := p.Asking()
	if len(asking) == 0 {
		return ""
	}
	return fmt.Sprintf("gate %q asks the metrics, and none are configured: add a metrics \"prometheus\" block to drover.hcl, or remove the gate", asking[0].Name)
}
