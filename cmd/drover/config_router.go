package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// routerConfig is a router block. Which of its attributes a type takes stands in routerTakes.
type routerConfig struct {
	Name      string        `hcl:"name,label"`
	Type      string        `hcl:"type,optional"` // routerProxy and its like
	Default   bool          `hcl:"default,optional"`
	Listen    string        `hcl:"listen,optional"`
	Admin     string        `hcl:"admin,optional"`
	Instances []string      `hcl:"instances,optional"`
	Service   string        `hcl:"instances_service,optional"` // whose registrations are the instances
	StateFile string        `hcl:"state_file,optional"`
	TLS       *tlsConfig    `hcl:"tls,block"`
	Trust     bool          `hcl:"trust_forwarded,optional"`
	Sockets   []string      `hcl:"sockets,optional"` // of HAProxy's runtime API
	Folder    string        `hcl:"folder,optional"`  // of the files that HAProxy begins with
	File      string        `hcl:"file,optional"`    // that NGINX includes
	Test      []string      `hcl:"test,optional"`    // the command that tests NGINX's configuration
	Reload    []string      `hcl:"reload,optional"`  // the one that has it loaded
	Job       string        `hcl:"job,optional"`     // of the balancer that renders its splits
	Sticky    bool          `hcl:"sticky,optional"`  // that job renders sticky sessions
	Status    []string      `hcl:"status,optional"`  // where each instance says what it has loaded
	Delay     string        `hcl:"delay,optional"`   // until a split is in effect, of one that does not say
	Log       string        `hcl:"log,optional"`     // where NGINX tells Drover of requests
	Copies    string        `hcl:"copies,optional"`  // where NGINX or Traefik hands copies of requests to itself
	Routes    []routeConfig `hcl:"route,block"`
	Body      hcl.Body      `hcl:",body"`
	Range     hcl.Range     `hcl:",def_range"`

	delay time.Duration
}

// routeConfig is a route block.
type routeConfig struct {
	Release  string    `hcl:"release,label"`
	Hosts    []string  `hcl:"hosts,optional"`
	Protocol string    `hcl:"protocol,optional"` // "http1" (default) or "h2c"
	Backend  string    `hcl:"backend,optional"`  // of HAProxy; the release's name when empty
	Defaults string    `hcl:"defaults,optional"` // the section of HAProxy's that the backend is made from; its name when empty
	Body     hcl.Body  `hcl:",body"`
	Range    hcl.Range `hcl:",def_range"`
}

type tlsConfig struct {
	CertFile string `hcl:"cert_file"`
	KeyFile  string `hcl:"key_file"`
}

const (
	protocolHTTP1 = "http1"
	protocolH2C   = "h2c"
)

// checkRouters fills in types and sees that every router can be built.
func (c *config) checkRouters() hcl.Diagnostics {
	var diags hcl.Diagnostics
	names, defaults := map[string]bool{}, 0
	for i := range c.Routers {
		r := &c.Routers[i]
		if r.Type == "" {
			r.Type = routerProxy
		}
		if names[r.Name] {
			diags = append(diags, fault("Duplicate router", r.Range, "There is another router %q: give each a name of its own.", r.Name))
		}
		names[r.Name] = true
		diags = append(diags, r.check()...)
		if r.Default {
			defaults++
		}
	}
	if len(c.Routers) > 1 && defaults != 1 {
		diags = append(diags, fault("No default router", c.Routers[0].Range, "Of several routers exactly one has default = true: releases that name none use it."))
	}
	return diags
}

// refuseOthers complains of what a block has and its type does not take. common is what every type takes.
func refuseOthers(what, kind string, body hcl.Body, head hcl.Range, common, takes []string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	attrs, _ := body.JustAttributes()
	at := placesOf(body, head)
	names := make([]string, 0, len(attrs))
	for name := range attrs {
		names = append(names, name)
	}
	slices.Sort(names)
	instead := ""
	if all := slices.Concat(takes, common); len(all) > 0 {
		instead = " It takes " + strings.Join(all, ", ") + "."
	}
	for _, name := range names {
		if !slices.Contains(common, name) && !slices.Contains(takes, name) {
			diags = append(diags, fault("Unfitting attribute", at(name), "%s is of type %q, which has no %s: leave it out.%s", what, kind, name, instead))
		}
	}
	return diags
}

// checkInstances sees that it is known, in one way, where the instances answer Drover.
func (r *routerConfig) checkInstances() hcl.Diagnostics {
	switch {
	case len(r.Instances) == 0 && r.Service == "":
		return hcl.Diagnostics{fault("No instances", r.Range, "Say where the instances of router %q answer Drover: instances = [\"http://HOST:PORT\"], the admin address of each, "+
			"or instances_service = \"NAME\", the Nomad service that they are registered for with it.", r.Name)}
	case len(r.Instances) > 0 && r.Service != "":
		return hcl.Diagnostics{fault("Instances given twice", r.Range, "Router %q has both instances and instances_service: leave one out.", r.Name)}
	}
	return nil
}

// checkAddresses sees that the proxy can listen, and can be asked.
func (r *routerConfig) checkAddresses() hcl.Diagnostics {
	var diags hcl.Diagnostics
	at := placesOf(r.Body, r.Range)
	if r.Listen != "" {
		diags = append(diags, checkListen("listen", r.Listen, at("listen"))...)
	}
	if r.Admin != "" {
		diags = append(diags, checkListen("admin", r.Admin, at("admin"))...)
	}
	for _, instance := range r.Instances {
		if u, err := url.Parse(instance); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			diags = append(diags, fault("Invalid address", at("instances"), "%q is no address of an instance: write it as \"http://HOST:PORT\".", instance))
		}
	}
	return diags
}

// checkProtocols sees that the endpoints are spoken to in a way that is known.
func (r *routerConfig) checkProtocols() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, route := range r.Routes {
		if route.Protocol == "" || route.Protocol == protocolHTTP1 || route.Protocol == protocolH2C {
			continue
		}
		diags = append(diags, fault("Unknown protocol", route.Range, "The protocol of route %q is %q: set it to %q (the default), or %q for endpoints that speak HTTP/2 in the clear, as gRPC servers do.",
			route.Release, route.Protocol, protocolHTTP1, protocolH2C))
	}
	return diags
}

// check sees that the block has what its type takes, and nothing else.
func (r *routerConfig) check() hcl.Diagnostics {
	takes, known := routerTakes[r.Type]
	if !known {
		return hcl.Diagnostics{fault("Unknown router type", placesOf(r.Body, r.Range)("type"), "Router %q is of type %q: there are %s.%s",
			r.Name, r.Type, quotedList(routerTypes()), strategy.DidYouMean(r.Type, routerTypes()))}
	}
	what := fmt.Sprintf("Router %q", r.Name)
	diags := refuseOthers(what, r.Type, r.Body, r.Range, []string{"type", "default"}, takes.attributes)
	if r.TLS != nil && r.Type != routerProxy {
		diags = append(diags, fault("Unfitting block", r.Range, "%s is of type %q, which has no tls block: leave it out.", what, r.Type))
	}
	for _, route := range r.Routes {
		if !takes.routes {
			diags = append(diags, fault("Unfitting block", route.Range, "%s is of type %q, which has no routes: leave it out.", what, r.Type))
			continue
		}
		diags = append(diags, refuseOthers(fmt.Sprintf("Route %q of router %q", route.Release, r.Name), r.Type, route.Body, route.Range, nil, takes.routeAttributes)...)
	}
	if takes.check != nil {
		diags = append(diags, takes.check(r)...)
	}
	return diags
}

// quotedList is names as a sentence has them.
func quotedList(names []string) string {
	quoted := make([]string, 0, len(names))
	for _, name := range names {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	return strings.Join(quoted, ", ")
}
