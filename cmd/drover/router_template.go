package main

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/rendered"
)

func (r *routerConfig) checkTemplate() hcl.Diagnostics {
	if r.Job == "" {
		return hcl.Diagnostics{fault("No job", r.Range, "Name the Nomad job of the balancer, which renders the splits of router %q by its template block: job = \"edge\".", r.Name)}
	}
	if diags := r.checkDelay(); len(diags) > 0 {
		return diags
	}
	if _, err := rendered.New(r.templateOptions(nil, "")); err != nil {
		return hcl.Diagnostics{fault("Invalid router", r.Range, "%v.", err)}
	}
	return nil
}

func (r *routerConfig) templateOptions(client *api.Client, namespace string) rendered.Options {
	return rendered.Options{Name: r.Name, Job: r.Job, Status: r.Status, Sticky: r.Sticky, Delay: r.delay, Variables: nomad.NewItems(client, namespace)}
}

// checkDelay reads how long a split takes from publishing to effect.
func (r *routerConfig) checkDelay() hcl.Diagnostics {
	if r.Delay == "" {
		return nil
	}
	delay, err := time.ParseDuration(r.Delay)
	if err != nil || delay <= 0 {
		return hcl.Diagnostics{fault("Invalid duration", placesOf(r.Body, r.Range)("delay"), "delay is %q: write how long it takes from publishing a split to its effect, such as \"15s\".", r.Delay)}
	}
	r.delay = delay
	return nil
}
