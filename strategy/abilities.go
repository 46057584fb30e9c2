package strategy

import (
	"fmt"
	"slices"
)

// Abilities is what a router can do. What a release asks of it is compared with that before anything is begun.
type Abilities struct {
	Kind string // what drover.hcl calls its type: "proxy"
	// Static says that it follows no allocations by itself: what it has is what it was given last, so its lists are kept up
	// at rest too, and given again when it has lost them.
	Static bool
	// Replicas says that it divides nothing: the canary's share is what its allocations are of all, from when they are ready
	// until they end.
	Replicas bool
	Counts   bool // it counts requests and errors, by track
	Latency  bool // and how long they took
	Sessions bool // it keeps users on the track that served them first
	// SessionsWith is what to write into its configuration to have it keep them; "" where it does, or cannot.
	SessionsWith string
	Copies       bool // it copies requests to the canary
	Copied       bool // and counts what becomes of the copies
	// CopiesWith is what to write into its configuration to have it copy requests; "" where it does, or cannot.
	CopiesWith string
	Open       bool // it tells what is open on an allocation
	Closes     bool // and closes it in order, when an allocation leaves
	Endpoints  bool // it counts them by what they ask for
}

// Shares says what of a weight arrives at the canary, with so many endpoints on each track.
type Shares func(w Weight, stable, canary int) Weight

// Exact is the share of a router that divides as it is told.
func Exact(w Weight, _, _ int) Weight { return w }

// ReplicaShare is the share of a canary that is one of many alike: nobody tells it apart.
func ReplicaShare(stable, canary int) Weight {
	if canary == 0 {
		return 0
	}
	return Weight(int(Full) * canary / (stable + canary))
}

// On is the plan as a router carries it out, with why it cannot, or nil. name is the router's, for people; the plan is one
// that For fitted to a group of count allocations.
func (p Plan) On(name string, a Abilities, shares Shares, count int) (Plan, []string) {
	router := fmt.Sprintf("router %q (%s)", name, a.Kind)
	var problems []string
	gates := p.Gates
	if p.Shadow != nil {
		gates = slices.Concat(gates, p.Shadow.Gates)
	}
	for _, g := range gates {
		if lacks := g.lacks(a); lacks != "" {
			problems = append(problems, fmt.Sprintf("gate %q needs %s, and %s measures none: let metrics \"prometheus\" count the requests, by its profile and latency, give the gate a query of its own, or remove it by gate %q { enabled = false }",
				g.Name, lacks, router, g.Name))
		}
	}
	problems = append(problems, p.lacks(router, a)...)
	canaries := p.Canaries.For(count, p.Steps)
	if a.Replicas {
		fitted, refused := p.byReplicas(router, canaries, count)
		return fitted, append(problems, refused...)
	}
	for i, s := range p.Steps {
		if s.Weight > 0 && shares(s.Weight, count, canaries) == 0 {
			problems = append(problems, fmt.Sprintf("step %d asks for %s, and %s has no levels that fine for %d stable and %d canary servers: %s is the least that it brings",
				i+1, s.Weight, router, count, canaries, least(shares, count, canaries)))
		}
	}
	return p, problems
}

// lacks is what a plan asks for its users and a router cannot do.
func (p Plan) lacks(router string, a Abilities) (problems []string) {
	if p.Sticky && !a.Sessions && a.SessionsWith != "" {
		problems = append(problems, fmt.Sprintf("sessions = \"sticky\" asks %s for what it is not configured to do: give its block in drover.hcl %s (docs/traffic.md says what else), leave it out, or name a router that keeps users on their track", router, a.SessionsWith))
	} else if p.Sticky && !a.Sessions {
		problems = append(problems, fmt.Sprintf("sessions = \"sticky\" asks %s for what it cannot do: leave it out, or name a router that keeps users on their track", router))
	}
	if p.Shadow != nil && !a.Copies && a.CopiesWith != "" {
		problems = append(problems, fmt.Sprintf("shadow asks %s for what it is not configured to do: give its block in drover.hcl %s (docs/traffic.md says what else), leave it out, or name a router that copies requests", router, a.CopiesWith))
	} else if p.Shadow != nil && !a.Copies {
		problems = append(problems, fmt.Sprintf("shadow asks %s for what it cannot do: leave it out, or name a router that copies requests", router))
	}
	if p.Shadow != nil && a.Copies && !a.Copied && len(p.Shadow.Gates) > 0 {
		problems = append(problems, fmt.Sprintf("gate %q is on copies of requests, and the metrics that count for %s know none: count by a profile that knows tracks by name, such as \"traefik\" or \"drover-proxy\", leave that router out of their routers, or remove the gate by gate %q { enabled = false }",
			p.Shadow.Gates[0].Name, router, p.Shadow.Gates[0].Name))
	}
	return problems
}

// lacks is what a gate needs and a router does not measure; "" for nothing.
func (g Gate) lacks(a Abilities) string {
	switch {
	case g.Metric == MetricLatency && !a.Latency:
		return "latencies"
	case g.By == ByEndpoint && !a.Endpoints:
		return "requests by endpoint"
	case (g.Metric == MetricErrorRate || g.Metric == MetricRequests) && !a.Counts:
		return "requests by track"
	case g.Metric == MetricQuery && !g.Query.Instant && g.Query.Exposure == "" && !a.Counts:
		return "requests by track, to hold its events against (or an exposure of its own)"
	}
	return ""
}

// least is the smallest weight of which anything arrives, in steps of a hundredth of a percent.
func least(shares Shares, stable, canary int) Weight {
	for w := Weight(1); w < Full; w++ {
		if shares(w, stable, canary) > 0 {
			return w
		}
	}
	return Full
}

// byReplicas is the plan where nothing divides the requests but the numbers of allocations. All traffic on the canary is
// then what the promotion makes, and no step of its own.
func (p Plan) byReplicas(router string, canaries, count int) (Plan, []string) {
	share := ReplicaShare(count, canaries)
	fitted := p
	if last := len(p.Steps) - 1; last > 0 && p.Steps[last].Weight == Full {
		fitted.Steps = p.Steps[:last:last]
	}
	if p.Standby > 0 || p.Steps[0].Weight == Full {
		return fitted, []string{fmt.Sprintf("%s cannot switch: both versions take requests until the promotion ends the old one. Name a router that divides, or use strategy \"canary\" with canaries = 1 and weights from %s on",
			router, ReplicaShare(count, 1))}
	}
	var problems []string
	for i, s := range fitted.Steps {
		if s.Weight >= share {
			continue
		}
		remedy := fmt.Sprintf("raise the weight to %s, or name a router that divides", ReplicaShare(count, 1))
		if fewer := int(s.Weight) * count / int(Full-s.Weight); fewer > 0 {
			remedy = fmt.Sprintf("set canaries = %d, or raise the weight", fewer)
		}
		problems = append(problems, fmt.Sprintf("step %d asks for %s, but on %s %d of %d allocations are canaries and get %s: %s",
			i+1, s.Weight, router, canaries, count+canaries, share, remedy))
	}
	return fitted, problems
}

// ReplicaCaveat is what is to be known of a rollout that nothing divides the requests of.
func (a Abilities) ReplicaCaveat(name string, stable, canary int) string {
	return fmt.Sprintf("router %q (%s) divides nothing: the canary gets about %s, %d of %d allocations, from when it is ready until it is promoted or ended, smoke checks or not",
		name, a.Kind, ReplicaShare(stable, canary), canary, stable+canary)
}
