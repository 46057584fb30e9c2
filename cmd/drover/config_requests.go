package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"

	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// requestsConfig is what differs from a profile. In selectors Drover puts ${allocs} and its like.
type requestsConfig struct {
	Counters     hcl.Expression    `hcl:"counters,optional"`
	Errors       map[string]string `hcl:"errors,optional"`
	Label        string            `hcl:"label,optional"`
	Latency      hcl.Expression    `hcl:"latency,optional"`
	LatencyLabel string            `hcl:"latency_label,optional"`
	Unit         string            `hcl:"latency_unit,optional"`
	Endpoints    []string          `hcl:"endpoints,optional"`
	Range        hcl.Range         `hcl:",def_range"`
}

// completeProfile builds how requests are found; nothing when the routers count them.
func (m *metricsConfig) completeProfile() hcl.Diagnostics {
	if m.Profile == "" && m.Requests == nil {
		if m.Latency != "" || len(m.Routers) > 0 {
			return hcl.Diagnostics{fault("No profile", m.Range, "latency and routers go with a profile: without one the routers count the requests themselves.")}
		}
		return nil
	}
	profile := prometheus.Profile{}
	if m.Profile != "" {
		var err error
		if profile, err = prometheus.Named(m.Profile, m.Latency); err != nil {
			return hcl.Diagnostics{fault("Unknown profile", m.Range, "%s.", sentence(err.Error()))}
		}
	}
	if diags := m.Requests.over(&profile); diags.HasErrors() {
		return diags
	}
	if err := profile.Check(); err != nil {
		return hcl.Diagnostics{fault("Invalid profile", m.Range, "%s.", sentence(err.Error()))}
	}
	m.profile = &profile
	return nil
}

// sentence begins with a capital letter.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// over puts what differs over a profile.
func (r *requestsConfig) over(p *prometheus.Profile) hcl.Diagnostics {
	if r == nil {
		return nil
	}
	places := &hcl.EvalContext{Variables: map[string]cty.Value{}}
	for _, name := range []string{"allocs", "addresses", "release", "track"} {
		places.Variables[name] = cty.StringVal("${" + name + "}")
	}
	counters, diags := selectorOf(r.Counters, places)
	latency, d := selectorOf(r.Latency, places)
	diags = append(diags, d...)
	p.Requests, p.Latency = cmp.Or(counters, p.Requests), cmp.Or(latency, p.Latency)
	p.Label, p.LatencyLabel = cmp.Or(r.Label, p.Label), cmp.Or(r.LatencyLabel, p.LatencyLabel)
	if r.Errors != nil {
		p.Errors = r.Errors
	}
	if r.Endpoints != nil {
		p.Endpoints = r.Endpoints
	}
	if r.Unit == "" {
		return diags
	}
	var err error
	if p.Unit, err = time.ParseDuration(r.Unit); err != nil || p.Unit <= 0 {
		return append(diags, fault("Invalid unit", r.Range, "latency_unit is what the bounds of the histogram count: \"1s\" or \"1ms\"."))
	}
	return diags
}

func selectorOf(expr hcl.Expression, places *hcl.EvalContext) (string, hcl.Diagnostics) {
	var text *string
	diags := gohcl.DecodeExpression(expr, places, &text)
	if text == nil {
		return "", diags
	}
	return *text, diags
}

// checkRouters sees that the routers whose requests are counted are there.
func (m *metricsConfig) checkRouters(routers []routerConfig) hcl.Diagnostics {
	if m == nil {
		return nil
	}
	var names []string
	for _, r := range routers {
		names = append(names, r.Name)
	}
	for _, name := range m.Routers {
		if !slices.Contains(names, name) {
			return hcl.Diagnostics{fault("Unknown router", m.Range, "The metrics count the requests of router %q, which is not declared%s.", name, strategy.Meant(name, names))}
		}
	}
	return nil
}

// meter takes the meters of the routers whose requests the metrics count.
func (m *metricsConfig) meter(routers map[string]reconcile.Traffic) {
	if m == nil || m.profile == nil {
		return
	}
	for name, traffic := range routers {
		if len(m.Routers) == 0 || slices.Contains(m.Routers, traffic.Name) {
			traffic.Meter, traffic.Measured, traffic.Every = nil, true, cmp.Or(m.scrape, prometheus.DefaultScrape)
			traffic.Timed, traffic.ByEndpoint, traffic.Copied = m.profile.Latency != "", len(m.profile.Endpoints) > 0, m.profile.Copied()
			routers[name] = traffic
		}
	}
}
