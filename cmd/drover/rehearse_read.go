package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// tree is the files of the release repository, with the folder in it that counts.
func (o *rehearseFlags) tree(ctx context.Context, conf *config) (strategy.Tree, string, error) {
	switch {
	case o.dir != "":
		tree, err := readTree(o.dir)
		return tree, o.path, err
	case conf == nil:
		tree, err := readTree(".")
		return tree, o.path, err
	}
	conf.clone += "-rehearse" // A clone of its own: the daemon may be using the other.
	options, err := wire(conf, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return nil, "", err
	}
	head, err := options.Repository.Head(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("read the release repository: %w", err)
	}
	tree, err := options.Repository.Files(ctx, head.SHA)
	return tree, conf.Git.Path, err
}

// fit sees that the release can be played: that its jobspec is read, and goes through its plan. Where the simulated Nomad
// does not read enough of the jobspec, a real one is asked, and a job of the same groups and services takes its place.
func (o *rehearseFlags) fit(ctx context.Context, r strategy.Release, conf *config, sound service, counts map[string]int) (strategy.Release, []string, error) {
	simulated := sim.New(sim.Config{Lenient: true})
	client, err := nomad.Connect(nomad.Config{Address: "http://simulated", HTTPClient: simulated.Client()})
	if err != nil {
		return r, nil, err
	}
	var notes []string
	job, err := nomad.New(client, nomad.Options{}).Parse(ctx, r.Source)
	left := simulated.LeftOut()
	for _, what := range left {
		notes = append(notes, fmt.Sprintf("left out of %s, since it is not simulated: %s", r.Source.Path, what))
	}
	if _, problem := reconcile.ServiceOf(job, r.Traffic); err != nil || (problem != "" && len(left) > 0) {
		if err == nil {
			err = fmt.Errorf("%s: %s", r.Source.Path, problem)
		}
		asked, ok, realErr := o.realJob(ctx, r, conf)
		switch {
		case realErr != nil:
			return r, nil, realErr
		case !ok && len(left) > 0:
			return r, nil, fmt.Errorf("%w, as far as the simulation reads it: it leaves out %s\nwith -nomad ADDRESS a real Nomad reads it", err, strings.Join(left, ", "))
		case !ok:
			return r, nil, err
		}
		job = asked
		r.Source.Jobspec, r.Source.Variables = likeness(asked), fmt.Sprintf("version = %q\n", r.Version)
		notes = []string{fmt.Sprintf("%s cannot be read by the simulation: a job of the same groups, counts and services takes its place", r.Source.Path)}
	}
	name, problem := reconcile.ServiceOf(job, r.Traffic)
	_, refusals := r.Plan.For(job, name)
	if problem != "" {
		refusals = append(refusals, problem)
	}
	if len(refusals) > 0 {
		return r, nil, fmt.Errorf("%s:%d: the release is refused: %s", r.Path, r.Line, strings.Join(refusals, "; "))
	}
	for _, w := range job.Warnings {
		notes = append(notes, "warning: "+w)
	}
	d := strategy.Desired{Release: r, Job: job, Service: name}
	for _, f := range d.Findings(strategy.Surroundings{RPS: sound.RPS, Errors: sound.Errors, Live: counts}) {
		notes = append(notes, "warning: "+f.String())
	}
	return r, notes, nil
}

// realJob has a real Nomad read the jobspec; ok is false when there is none to ask.
func (o *rehearseFlags) realJob(ctx context.Context, r strategy.Release, conf *config) (job strategy.JobSpec, ok bool, err error) {
	settings := nomad.Config{Address: o.nomad}
	switch {
	case conf != nil:
		client, err := connect(conf.Nomad)
		if err != nil {
			return job, false, err
		}
		job, err = nomad.New(client, nomad.Options{Namespace: conf.Nomad.Namespace}).Parse(ctx, r.Source)
		return job, true, err
	case o.nomad == "":
		return job, false, nil
	}
	client, err := nomad.Connect(settings)
	if err != nil {
		return job, false, err
	}
	job, err = nomad.New(client, nomad.Options{}).Parse(ctx, r.Source)
	return job, true, err
}

// likeness is a jobspec with the groups, counts and services of a job.
func likeness(job strategy.JobSpec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "variable \"version\" {\n  type = string\n}\n\njob %q {\n  namespace = %q\n", job.Ref.ID, job.Ref.Namespace)
	for _, g := range job.Groups {
		fmt.Fprintf(&b, "  group %q {\n    count = %d\n    network {\n      port \"main\" {}\n    }\n", g.Name, g.Count)
		for _, s := range g.Services {
			fmt.Fprintf(&b, "    service {\n      name     = %q\n      provider = \"nomad\"\n      port     = \"main\"\n    }\n", s)
		}
		fmt.Fprintf(&b, "    update {\n      max_parallel = %d\n    }\n", max(1, g.MaxParallel))
		b.WriteString("    task \"main\" {\n      driver = \"raw_exec\"\n      config {\n        command = \"service\"\n        args    = [\"-version\", var.version]\n      }\n    }\n  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// measureLive asks the router of a release for its traffic, and Nomad for its counts.
func measureLive(ctx context.Context, conf *config, r strategy.Release, watch time.Duration) (service, map[string]int, error) {
	options, err := wire(conf, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return service{}, nil, err
	}
	way, ok := options.Routers[r.Traffic.Router]
	if !ok {
		return service{}, nil, fmt.Errorf("router %q of the release is not declared in the configuration", r.Traffic.Router)
	}
	if way.Meter == nil {
		return service{}, nil, errors.New("the router of the release does not count its requests: give its traffic with -rps, -base-errors and -p95")
	}
	before, err := way.Meter.Sample(ctx, r.Name)
	if err != nil {
		return service{}, nil, fmt.Errorf("measure the traffic: %w", err)
	}
	if err := pause(ctx, max(watch, 3*before.Every)); err != nil {
		return service{}, nil, err
	}
	after, err := way.Meter.Sample(ctx, r.Name)
	if err != nil {
		return service{}, nil, fmt.Errorf("measure the traffic: %w", err)
	}
	live, err := measured(before, after)
	if err != nil {
		return service{}, nil, err
	}
	live.From = fmt.Sprintf("measured for %s at the router", short(after.At.Sub(before.At).Round(time.Second)))
	counts, err := liveCounts(ctx, options, r)
	return live, counts, err
}

// liveCounts is how many allocations run of each group.
func liveCounts(ctx context.Context, options reconcile.Options, r strategy.Release) (map[string]int, error) {
	job, err := options.Cluster.Parse(ctx, r.Source)
	if errors.Is(err, strategy.ErrInvalid) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("read the counts: %w", err)
	}
	state, err := options.Cluster.Observe(ctx, job.Ref, "")
	if err != nil {
		return nil, fmt.Errorf("read the counts: %w", err)
	}
	return state.Counts, nil
}
