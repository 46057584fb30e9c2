package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/nomad/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/providers/disk"
	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/probe"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// wire builds everything that the loop needs from drover.hcl.
func wire(c *config, logger *slog.Logger, registry prometheus.Registerer) (reconcile.Options, error) {
	client, err := connect(c.Nomad)
	if err != nil {
		return reconcile.Options{}, err
	}
	forge, err := wireForge(c, logger)
	if err != nil {
		return reconcile.Options{}, err
	}
	settings := git.Config{StateDir: filepath.Join(c.StateDir, c.clone), Logger: logger}
	if forge != nil && c.isOnGitHub() {
		settings.ReadToken = forge.GitToken
	}
	repository, err := c.Git.open(settings)
	if err != nil {
		return reconcile.Options{}, err
	}
	ledger, err := openLedger(c, client)
	if err != nil {
		return reconcile.Options{}, err
	}
	routers, err := wireRouters(c, client)
	if err != nil {
		return reconcile.Options{}, err
	}
	metrics, err := wireMetrics(c.Metrics, logger, registry)
	if err != nil {
		return reconcile.Options{}, err
	}
	options := reconcile.Options{
		Metrics: metrics, Instance: c.Instance, Poll: c.Git.poll, Repository: repository, Load: loader(c.Git.Path), Strays: policies.Strays,
		Cluster: nomad.New(client, nomad.Options{Instance: c.Instance, Namespace: c.Nomad.Namespace, Registrations: anyStatic(routers), Logger: logger}),
		Routers: routers, Ledger: ledger, Bookmark: ledger, Prober: probe.New(probe.Options{Logger: logger}),
		Limits: c.limits(), Prune: c.Prune, Logger: logger, Registerer: registry,
	}
	if forge != nil {
		options.Forge, options.PlanForks = forge, c.GitHub.PlanForks
		if c.GitHub.DetailsURL != "" {
			options.Details = c.GitHub.details
		}
	}
	return options, nil
}

func loader(path string) reconcile.Loader { return policies.Cached(policies.Options{Path: path}) }

func connect(n *nomadConfig) (*api.Client, error) {
	return nomad.Connect(nomad.Config{
		Address: n.Address, TokenFile: n.TokenFile, Namespace: n.Namespace, Region: n.Region, CACert: n.CACert, CAPath: n.CAPath,
		ClientCert: n.ClientCert, ClientKey: n.ClientKey, TLSServerName: n.TLSServerName,
	})
}

// keeper keeps the records, and the head seen last.
type keeper interface {
	reconcile.Ledger
	reconcile.Bookmark
}

func openLedger(c *config, client *api.Client) (keeper, error) {
	if c.Ledger == ledgerFile {
		return disk.NewLedger(filepath.Join(c.StateDir, "ledger"))
	}
	return nomad.NewLedger(client, c.Instance, c.Nomad.Namespace), nil
}

// wireLeadership builds what decides whether this process acts. Records in files are one process's by its state_dir;
// those in Nomad are whose the lock is.
func wireLeadership(c *config, logger *slog.Logger, registry prometheus.Registerer) (*leadership, error) {
	if c.Ledger == ledgerFile {
		return newLeadership(nil, logger, registry), nil
	}
	client, err := connect(c.Nomad)
	if err != nil {
		return nil, err
	}
	lock := nomad.NewLock(client, nomad.LockOptions{
		Instance: c.Instance, Namespace: c.Nomad.Namespace, Name: processName(c.StateDir), Logger: logger,
	})
	return newLeadership(lock, logger, registry), nil
}

// wireRouters builds every router, by the name that releases use; "" is the default one.
func wireRouters(c *config, client *api.Client) (map[string]reconcile.Traffic, error) {
	routers := map[string]reconcile.Traffic{}
	for _, r := range c.Routers {
		traffic, err := wireRouter(c, r, client)
		if err != nil {
			return nil, err
		}
		routers[r.Name] = traffic
		if r.Default || len(c.Routers) == 1 {
			routers[""] = traffic
		}
	}
	c.Metrics.meter(routers)
	return routers, nil
}

// anyStatic tells whether some router follows no allocations by itself.
func anyStatic(routers map[string]reconcile.Traffic) bool {
	for _, t := range routers {
		if t.Router.Abilities().Static {
			return true
		}
	}
	return false
}

// instances finds the admin addresses of a router's proxies: those that are configured, or those that are registered at
// the moment.
func instances(r routerConfig, services *nomad.Registrations, namespace string) func(context.Context) ([]string, error) {
	if r.Service == "" {
		return func(context.Context) ([]string, error) { return r.Instances, nil }
	}
	return func(ctx context.Context) ([]string, error) {
		registered, err := services.Registered(ctx, namespace, r.Service)
		if err != nil {
			return nil, err
		}
		if len(registered) == 0 {
			return nil, fmt.Errorf("nothing is registered for the service %q (instances_service) of router %q: is the proxy's job running?", r.Service, r.Name)
		}
		var addresses []string
		for _, endpoint := range registered {
			addresses = append(addresses, "http://"+endpoint.Address)
		}
		return addresses, nil
	}
}

// wireProxy builds the proxy of one router, and what it follows.
func wireProxy(c *config, name string, logger *slog.Logger) (*routerConfig, *proxy.Proxy, *nomad.Splits, *nomad.Registrations, error) {
	r, err := c.router(name)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	if r.Type != routerProxy {
		return nil, nil, nil, nil, fmt.Errorf("router %q is of type %q: drover proxy is the router of type %q alone", r.Name, r.Type, routerProxy)
	}
	client, err := connect(c.Nomad)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	var routes []proxy.Route
	for _, route := range r.Routes {
		routes = append(routes, proxy.Route{Release: route.Release, Hosts: route.Hosts, H2C: route.Protocol == protocolH2C})
	}
	// An allocation has a better name than its host: there may be several on one.
	p, err := proxy.New(proxy.Options{Instance: os.Getenv("NOMAD_ALLOC_ID"), Routes: routes, StateFile: r.StateFile, TrustForwarded: r.Trust, Logger: logger})
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("router %q: %w", r.Name, err)
	}
	splits, registrations := nomad.NewSplits(client, c.Instance, c.Nomad.Namespace), nomad.Services(client)
	splits.Logger, registrations.Logger = logger, logger
	return r, p, splits, registrations, nil
}

// router is the router of that name, or the default one.
func (c *config) router(name string) (*routerConfig, error) {
	n := slices.IndexFunc(c.Routers, func(r routerConfig) bool {
		return r.Name == name || (name == "" && (r.Default || len(c.Routers) == 1))
	})
	if n < 0 {
		if name == "" {
			return nil, errors.New("no router is declared in the configuration: add a router block")
		}
		var names []string
		for _, r := range c.Routers {
			names = append(names, r.Name)
		}
		return nil, fmt.Errorf("router %q is not declared in the configuration%s", name, strategy.Meant(name, names))
	}
	return &c.Routers[n], nil
}
