package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/drover-dev/drover/strategy"
)

// Fit fits the plan of a release to its job and to the router that it names, with why that cannot be. service is the one
// that takes the traffic. What the router can do is not asked where none are given.
func Fit(r strategy.Release, job strategy.JobSpec, routers map[string]Traffic) (plan strategy.Plan, service string, refusals []string) {
	service, problem := ServiceOf(job, r.Traffic)
	plan, refusals = r.Plan.For(job, service)
	if problem != "" {
		return plan, service, append(refusals, problem)
	}
	group, serves := job.Serving(service)
	if !serves || len(routers) == 0 {
		return plan, service, refusals
	}
	traffic, err := routerOf(routers, r.Traffic.Router)
	if err != nil {
		return plan, service, append(refusals, err.Error())
	}
	fitted, problems := plan.On(traffic.name(), traffic.abilities(), traffic.shares(), group.Count)
	return fitted, service, append(refusals, problems...)
}

// name is what people call the router.
func (t Traffic) name() string { return cmp.Or(t.Name, "default") }

// abilities is what the router can do, with what the metrics count in its place.
func (t Traffic) abilities() strategy.Abilities {
	a := t.Router.Abilities()
	if t.Measured {
		a.Counts, a.Latency, a.Endpoints, a.Copied = true, t.Timed, t.ByEndpoint, t.Copied
	}
	return a
}

// shares is what of a weight arrives by this router.
func (t Traffic) shares() strategy.Shares {
	if s, ok := t.Router.(Sharer); ok {
		return s.Share
	}
	return strategy.Exact
}

// routerOf is the router of that name; "" is the default one.
func routerOf(routers map[string]Traffic, name string) (Traffic, error) {
	if t, ok := routers[name]; ok {
		return t, nil
	}
	if name == "" {
		return Traffic{}, fmt.Errorf("no router is configured: declare one in drover.hcl")
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(routers)), func(name string) bool { return name == "" })
	return Traffic{}, fmt.Errorf("router %q is not declared in drover.hcl%s", name, strategy.Meant(name, names))
}

// arrivals is what arrives of each step's weight, with so many allocations beside the canaries.
func (t Traffic) arrivals(p strategy.Plan, live int) []strategy.Weight {
	shares := t.shares()
	all := make([]strategy.Weight, 0, len(p.Steps))
	for _, s := range p.Steps {
		all = append(all, shares(s.Weight, live, p.Canaries.For(live, p.Steps)))
	}
	return all
}

// served is what Git asks for, refused where what runs takes its traffic by another service: its allocations would get no
// requests beside the new ones. Where the new ones have that service too, they take theirs by it until they are stable.
func served(d *strategy.Desired, r strategy.Rollout, c strategy.ClusterState) *strategy.Desired {
	if d == nil || d.Service == "" || d.Revision == r.Stable.Revision {
		return d
	}
	now, problem := r.Canary.Service, ""
	switch {
	case !r.AtRest():
		if d.Revision == r.Canary.Revision || now == "" || now == d.Service {
			return d
		}
		problem = fmt.Sprintf("it takes its traffic by the service %q, and what is under way by %q: it is begun when that has ended", d.Service, now)
	case !c.Exists || c.Stopped || c.Services == nil || slices.Contains(c.Services, d.Service):
		return d
	default:
		if _, both := d.Job.Serving(now); both && slices.Contains(c.Services, now) {
			shared := *d
			shared.Service = now
			return &shared
		}
		its := "its own"
		if now != "" {
			its = strconv.Quote(now)
		}
		problem = fmt.Sprintf("what runs has no service %q, so its allocations would get no requests beside the new ones: keep %s in the job for one release more, beside that", d.Service, its)
	}
	refused := *d
	refused.Refusals = append(slices.Clip(d.Refusals), problem)
	return &refused
}
