package traefik

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// raw is the part of what a Traefik says of all its configuration that is looked at.
type raw struct {
	Routers  map[string]struct{ Service string }
	Services map[string]struct {
		Weighted, HighestRandomWeight struct{ Services []struct{ Name string } }
		Mirroring                     struct {
			Service string
			Mirrors []struct{ Name string }
		}
		Failover struct{ Service, Fallback string }
	}
}

// Lacks is what the configurations of the Traefiks lack for a release: a router to its service, or to one of the user's own that
// names it, and for a plan with a shadow the entry point for copies. Where no API is to be asked nothing is known to be lacking.
func (r *Router) Lacks(ctx context.Context, release string, plan strategy.Plan) (string, error) {
	var lacks []string
	for _, api := range r.options.APIs {
		var all raw
		there, err := r.ask(ctx, api, "/api/rawdata", &all)
		switch {
		case err != nil:
			return "", err
		case !there:
			return "", noAPI(api)
		case !all.names(release + "@http"):
			lacks = append(lacks, fmt.Sprintf("no router of the Traefik at %s leads to %q, so users do not come by Drover's split: name it as the service of one", api, release+"@http"))
		}
		if plan.Shadow == nil || r.options.Copies == "" {
			continue
		}
		entry, err := r.lacksEntry(ctx, api)
		if err != nil {
			return "", err
		}
		if entry != "" {
			lacks = append(lacks, entry)
		}
	}
	return strings.Join(lacks, "; "), nil
}

// names tells whether anything leads to a service.
func (a raw) names(service string) bool {
	for _, r := range a.Routers {
		if r.Service == service {
			return true
		}
	}
	is := func(s struct{ Name string }) bool { return s.Name == service }
	for _, s := range a.Services {
		if slices.ContainsFunc(slices.Concat(s.Weighted.Services, s.HighestRandomWeight.Services, s.Mirroring.Mirrors), is) ||
			slices.Contains([]string{s.Mirroring.Service, s.Failover.Service, s.Failover.Fallback}, service) {
			return true
		}
	}
	return false
}
