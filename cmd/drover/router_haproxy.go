package main

import (
	"cmp"
	"regexp"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/providers/haproxy"
)

// haproxyName is what HAProxy calls its sections.
var haproxyName = regexp.MustCompile(`^[A-Za-z0-9_:-][A-Za-z0-9_.:-]*$`)

func (r *routerConfig) checkHAProxy() hcl.Diagnostics {
	at := placesOf(r.Body, r.Range)
	if len(r.Sockets) == 0 {
		return hcl.Diagnostics{fault("No sockets", r.Range, "Say where the runtime API of each HAProxy of router %q is: sockets = [\"unix:/run/haproxy/admin.sock\"], or \"tcp:HOST:PORT\". "+
			"In HAProxy it is `stats socket /run/haproxy/admin.sock mode 660 level admin`.", r.Name)}
	}
	if _, err := haproxy.New(r.haproxyOptions()); err != nil {
		return hcl.Diagnostics{fault("Invalid socket", at("sockets"), "%v.", err)}
	}
	if r.Folder != "" && len(r.Routes) == 0 {
		return hcl.Diagnostics{fault("No routes", at("folder"), "Name the releases of router %q, such as route \"checkout-api\" {}: HAProxy does not start before it knows the backend of each.", r.Name)}
	}
	var diags hcl.Diagnostics
	used := map[string]string{}
	for _, route := range r.Routes {
		there := placesOf(route.Body, route.Range)
		if route.Defaults != "" && r.Folder == "" {
			diags = append(diags, fault("Unfitting attribute", there("defaults"), "defaults is what the backend that Drover writes is made from: give router %q a folder to write it into, or leave it out.", r.Name))
		}
		backend := cmp.Or(route.Backend, route.Release)
		if other, twice := used[backend]; twice {
			diags = append(diags, fault("Backend used twice", there("backend"), "Backend %q is that of release %q, too: give each a backend of its own.", backend, other))
		}
		used[backend] = route.Release
		for _, section := range []struct{ attribute, name string }{{"backend", route.Backend}, {"defaults", route.Defaults}} {
			if section.name != "" && !haproxyName.MatchString(section.name) {
				diags = append(diags, fault("Invalid name", there(section.attribute), "%q is no name of a section of HAProxy: it has letters, digits, and any of - _ . :", section.name))
			}
		}
	}
	return diags
}

func (r *routerConfig) haproxyOptions() haproxy.Options {
	o := haproxy.Options{Name: r.Name, Sockets: r.Sockets, Folder: r.Folder, Backends: map[string]string{}, Defaults: map[string]string{}}
	for _, route := range r.Routes {
		o.Backends[route.Release], o.Defaults[route.Release] = route.Backend, route.Defaults
	}
	return o
}
