package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/providers/haproxy"
	"github.com/drover-dev/drover/providers/nginx"
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/providers/rendered"
	"github.com/drover-dev/drover/providers/replicas"
	"github.com/drover-dev/drover/providers/traefik"
	"github.com/drover-dev/drover/reconcile"
)

// The types of routers.
const (
	routerProxy    = "proxy"
	routerHAProxy  = "haproxy"
	routerNGINX    = "nginx"
	routerTemplate = "template"
	routerTraefik  = "traefik"
	routerNone     = "none"
)

// takes is what a router block of a type may hold, beside what every type takes.
type takes struct {
	attributes      []string
	routes          bool
	routeAttributes []string
	check           func(*routerConfig) hcl.Diagnostics // what the syntax cannot see; nil for nothing
}

// routerTakes is every type of router.
var routerTakes = map[string]takes{
	routerProxy: {
		attributes: []string{"instances", "instances_service", "listen", "admin", "state_file", "trust_forwarded"},
		routes:     true, routeAttributes: []string{"hosts", "protocol"},
		check: func(r *routerConfig) hcl.Diagnostics {
			return slices.Concat(r.checkInstances(), r.checkAddresses(), r.checkProtocols())
		},
	},
	routerHAProxy:  {attributes: []string{"sockets", "folder"}, routes: true, routeAttributes: []string{"backend", "defaults"}, check: (*routerConfig).checkHAProxy},
	routerNGINX:    {attributes: []string{"file", "admin", "log", "copies", "test", "reload"}, routes: true, check: (*routerConfig).checkNGINX},
	routerTraefik:  {attributes: []string{"listen", "instances", "delay", "copies"}, check: (*routerConfig).checkTraefik},
	routerTemplate: {attributes: []string{"job", "status", "delay", "sticky"}, check: (*routerConfig).checkTemplate},
	routerNone:     {},
}

func routerTypes() []string { return slices.Sorted(maps.Keys(routerTakes)) }

// wireRouter builds one router, with what counts its requests.
func wireRouter(c *config, r routerConfig, client *api.Client) (reconcile.Traffic, error) {
	traffic := reconcile.Traffic{Name: r.Name}
	switch r.Type {
	case routerHAProxy:
		router, err := haproxy.New(r.haproxyOptions())
		if err != nil {
			return traffic, err
		}
		traffic.Router, traffic.Meter = router, router
	case routerNGINX:
		router, err := nginx.New(r.nginxOptions())
		if err != nil {
			return traffic, err
		}
		traffic.Router = router
		if r.Log != "" {
			traffic.Meter = router
		}
	case routerTraefik:
		router, err := traefik.New(r.traefikOptions(nomad.NewSplits(client, c.Instance, c.Nomad.Namespace)))
		if err != nil {
			return traffic, err
		}
		traffic.Router = router
	case routerTemplate:
		router, err := rendered.New(r.templateOptions(client, c.Nomad.Namespace))
		if err != nil {
			return traffic, err
		}
		traffic.Router = router
	case routerNone:
		traffic.Router = replicas.New()
	case routerProxy:
		router, err := proxy.NewClient(proxy.ClientOptions{
			Router: r.Name, Publisher: nomad.NewSplits(client, c.Instance, c.Nomad.Namespace),
			Instances: instances(r, nomad.Services(client), c.Nomad.Namespace),
		})
		if err != nil {
			return traffic, err
		}
		traffic.Router, traffic.Meter = router, router
	default:
		return traffic, fmt.Errorf("router %q is of type %q, which is not known", r.Name, r.Type)
	}
	return traffic, nil
}

func (r *routerConfig) checkNGINX() hcl.Diagnostics {
	at := placesOf(r.Body, r.Range)
	switch {
	case r.File == "":
		return hcl.Diagnostics{fault("No file", r.Range, "Name the file that Drover writes and NGINX includes in its http block: file = \"/etc/nginx/drover/%s.conf\".", r.Name)}
	case r.Admin == "":
		return hcl.Diagnostics{fault("No admin address", r.Range, "Name an address of this machine on which NGINX tells Drover what it has loaded, such as admin = \"127.0.0.1:8081\". The file makes NGINX listen on it.")}
	case len(r.Routes) == 0:
		return hcl.Diagnostics{fault("No routes", r.Range, "Name the releases of router %q, such as route \"checkout-api\" {}: NGINX does not start before it knows the variable of each.", r.Name)}
	}
	if r.Copies != "" && slices.Contains([]string{r.Admin, r.Log}, r.Copies) {
		return hcl.Diagnostics{fault("Address given twice", at("copies"), "copies is %q, which is another address of router %q: give the copies one of their own.", r.Copies, r.Name)}
	}
	var releases []string
	for _, route := range r.Routes {
		releases = append(releases, route.Release)
	}
	if one, other := nginx.Clash(releases); one != "" {
		return hcl.Diagnostics{fault("Names that meet", r.Routes[slices.Index(releases, other)].Range, "%s is the variable of release %q, and one that release %q has besides: one of the two needs another name, or another router.", nginx.Variable(other), other, one)}
	}
	if _, err := nginx.New(r.nginxOptions()); err != nil {
		where := "admin"
		if strings.Contains(err.Error(), "copies is") {
			where = "copies"
		}
		return hcl.Diagnostics{fault("Invalid address", at(where), "%v.", err)}
	}
	return nil
}

func (r *routerConfig) nginxOptions() nginx.Options {
	return nginx.Options{Name: r.Name, File: r.File, Admin: r.Admin, Log: r.Log, Copies: r.Copies, Test: r.Test, Reload: r.Reload}
}

// runRouters makes the files that balancers do not start without, and hears what they tell, until ctx is done. It is called
// once, before anything is released.
func runRouters(ctx context.Context, group *errgroup.Group, c *config, routers map[string]reconcile.Traffic) error {
	for _, r := range c.Routers {
		if r.Type == routerTraefik {
			if err := answerTraefik(ctx, group, c, r); err != nil {
				return err
			}
			continue
		}
		var releases []string
		for _, route := range r.Routes {
			releases = append(releases, route.Release)
		}
		switch router := routers[r.Name].Router.(type) {
		case *haproxy.Router:
			if err := router.Prepare(releases...); err != nil {
				return err
			}
		case *nginx.Router:
			if err := router.Prepare(releases...); err != nil {
				return err
			}
			group.Go(func() error { return router.Hear(ctx) })
		}
	}
	return nil
}
