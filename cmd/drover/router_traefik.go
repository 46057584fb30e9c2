package main

import (
	"context"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/traefik"
)

func (r *routerConfig) checkTraefik() hcl.Diagnostics {
	if r.Listen == "" {
		return hcl.Diagnostics{fault("No address", r.Range, "Name the address on which Drover answers Traefik's HTTP provider: listen = \"0.0.0.0:9102\".")}
	}
	if diags := r.checkDelay(); len(diags) > 0 {
		return diags
	}
	if _, err := traefik.New(r.traefikOptions(nil)); err != nil {
		at := r.Range
		if strings.Contains(err.Error(), "copies is") {
			at = placesOf(r.Body, r.Range)("copies")
		}
		return hcl.Diagnostics{fault("Invalid router", at, "%v.", err)}
	}
	return nil
}

func (r *routerConfig) traefikOptions(splits *nomad.Splits) traefik.Options {
	o := traefik.Options{Name: r.Name, APIs: r.Instances, Delay: r.delay, Copies: r.Copies}
	if splits != nil {
		o.Publisher, o.Split = splits, splits.Split
	}
	return o
}

// answerTraefik answers Traefik with what is published, until ctx is done. Every instance of Drover does, whether it leads or
// not.
func answerTraefik(ctx context.Context, group *errgroup.Group, c *config, r routerConfig) error {
	client, err := connect(c.Nomad)
	if err != nil {
		return err
	}
	handler, splits := &traefik.Handler{Copies: r.Copies}, nomad.NewSplits(client, c.Instance, c.Nomad.Namespace)
	if err := serve(ctx, group, r.Listen, handler); err != nil {
		return err
	}
	group.Go(func() error { return ended(ctx, splits.Watch(ctx, r.Name, handler.Set)) })
	return nil
}
