package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

const (
	// doctorTime bounds each thing that is looked at.
	doctorTime = time.Minute
	// routerTime bounds the wait for the instances of a router.
	routerTime = 10 * time.Second
)

func runDoctor(ctx context.Context, c *console, args []string) int {
	f := c.flags("doctor", "doctor [-config drover.hcl]\n\nTries what the configuration needs of Git, Nomad, routers, metrics and GitHub, and changes nothing. Exit code: 1 when something is missing.")
	conf, code, done := c.configured(f, args, 0)
	if done {
		return code
	}
	d := &doctor{conf: conf, releases: map[string]strategy.Release{}}
	d.examine(ctx)
	missing := 0
	for _, found := range d.found {
		c.printf("%-7s  %s: %s\n", found.State, found.What, found.Detail)
		if found.Remedy != "" {
			c.printf("         %s\n", found.Remedy)
		}
		if found.State == strategy.CheckupMissing {
			missing++
		}
	}
	if missing > 0 {
		c.printf("\n%d of %d are missing\n", missing, len(d.found))
		return 1
	}
	c.printf("\nnothing is missing\n")
	return 0
}

// doctor looks at everything outside in turn; what cannot be looked at is a finding too.
type doctor struct {
	conf     *config
	forge    *github.Forge
	client   *api.Client
	releases map[string]strategy.Release // that Git asks for
	found    []strategy.Checkup
}

func (d *doctor) say(what string, state strategy.CheckupState, detail, remedy string) {
	d.found = append(d.found, strategy.Checkup{What: what, State: state, Detail: detail, Remedy: remedy})
}

func (d *doctor) examine(ctx context.Context) {
	forge, forgeErr := wireForge(d.conf, slog.New(slog.DiscardHandler))
	if forgeErr == nil {
		d.forge = forge
	}
	for _, look := range []func(context.Context){d.repository, d.nomad, d.routers, d.metrics} {
		looking, cancel := context.WithTimeout(ctx, doctorTime)
		look(looking)
		cancel()
	}
	if forgeErr != nil {
		d.say("GitHub", strategy.CheckupMissing, forgeErr.Error(), "Mend the github block.")
		return
	}
	looking, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	d.github(looking)
}

// repository looks at Git, and at what it asks for.
func (d *doctor) repository(ctx context.Context) {
	const what, remedy = "release repository", "Check url, branch and credentials of the git block."
	c := d.conf
	quiet := slog.New(slog.DiscardHandler)
	settings := git.Config{StateDir: filepath.Join(c.StateDir, c.clone+"-doctor"), Logger: quiet} // A clone of its own: the daemon may be using the other.
	if d.forge != nil && c.isOnGitHub() {
		settings.ReadToken = d.forge.GitToken
	}
	repository, err := c.Git.open(settings)
	if err != nil {
		d.say(what, strategy.CheckupMissing, err.Error(), remedy)
		return
	}
	defer func() { _ = repository.Close() }() // It was only read.
	head, err := repository.Head(ctx)
	if err != nil {
		d.say(what, strategy.CheckupMissing, err.Error(), remedy)
		return
	}
	d.say(what, strategy.CheckupWell, "at "+head.Short()+" "+head.Subject, "")
	tree, err := repository.Files(ctx, head.SHA)
	if err != nil {
		d.say("releases", strategy.CheckupMissing, err.Error(), "Set git.path to the folder that holds the releases.")
		return
	}
	releases, mistakes := loader(c.Git.Path)(tree)
	for _, r := range releases {
		d.releases[r.Name] = r
	}
	switch {
	case len(mistakes) > 0:
		d.say("releases", strategy.CheckupDoubt, count(len(mistakes), "mistake")+", first: "+fmt.Sprintf("%s:%d: %s", mistakes[0].Path, mistakes[0].Line, mistakes[0].Text), "drover validate shows them all.")
	case len(releases) == 0:
		d.say("releases", strategy.CheckupDoubt, "there is none", "Add a release.hcl, or set git.path to the folder that holds them.")
	default:
		d.say("releases", strategy.CheckupWell, count(len(releases), "release"), "")
	}
}

// nomad looks at the cluster, and at the records.
func (d *doctor) nomad(ctx context.Context) {
	c := d.conf
	client, err := connect(c.Nomad)
	if err != nil {
		d.say("nomad", strategy.CheckupMissing, err.Error(), "Mend the nomad block.")
		return
	}
	d.client = client
	own := cmp.Or(c.Nomad.Namespace, os.Getenv("NOMAD_NAMESPACE"), api.DefaultNamespace)
	namespaces := []string{own}
	for _, r := range d.releases {
		namespaces = append(namespaces, cmp.Or(r.Source.Namespace, own))
	}
	slices.Sort(namespaces)
	d.found = append(d.found, nomad.Examine(ctx, client, c.Instance, own, slices.Compact(namespaces), c.Ledger == ledgerNomad)...)
	if c.Ledger == ledgerNomad {
		return
	}
	ledger, err := openLedger(c, client)
	if err == nil {
		var records []strategy.Record
		if records, err = ledger.Load(ctx); err == nil {
			d.say("ledger", strategy.CheckupWell, count(len(records), "record")+" in "+c.StateDir, "")
			return
		}
	}
	d.say("ledger", strategy.CheckupMissing, err.Error(), "See that state_dir can be written and holds what Drover wrote.")
}

// routers looks whether every router answers.
func (d *doctor) routers(ctx context.Context) {
	if len(d.conf.Routers) == 0 {
		d.say("routers", strategy.CheckupDoubt, "there is no router block", "Add one: releases need one to move traffic in steps, or type = \"none\" to go by the number of allocations.")
		return
	}
	if d.client == nil {
		return // Said before.
	}
	all, err := wireRouters(d.conf, d.client)
	if err != nil {
		d.say("routers", strategy.CheckupMissing, err.Error(), "Mend the router blocks.")
		return
	}
	for _, r := range d.conf.Routers {
		d.router(ctx, r, all[r.Name])
	}
}

func (d *doctor) router(ctx context.Context, r routerConfig, traffic reconcile.Traffic) {
	what := fmt.Sprintf("router %s, %s", r.Name, r.Type)
	if r.Type == routerNone {
		d.say(what, strategy.CheckupWell, "nobody is to be asked", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, routerTime)
	defer cancel()
	asked := []string{}
	for name, release := range d.releases {
		if isDefault := release.Traffic.Router == "" && (r.Default || len(d.conf.Routers) == 1); isDefault || release.Traffic.Router == r.Name {
			asked = append(asked, name)
		}
	}
	slices.Sort(asked)
	if len(asked) == 0 && r.Type != routerProxy {
		d.say(what, strategy.CheckupDoubt, "no release uses it", "It is looked at when one does.")
		return
	}
	if len(asked) == 0 {
		asked = []string{"drover-doctor"} // A proxy answers for releases that it does not know, too.
	}
	instances := 0
	for _, name := range asked {
		state, err := traffic.Router.Read(ctx, name)
		if err != nil {
			d.say(what, strategy.CheckupMissing, err.Error(), routerRemedies[r.Type])
			return
		}
		instances = len(state.Splits)
	}
	d.say(what, strategy.CheckupWell, count(instances, "instance")+" answering", "")
	if surveyor, ok := traffic.Router.(reconcile.Surveyor); ok {
		d.survey(ctx, what, r.Type, surveyor, asked)
	}
}

// survey looks whether the balancer's own configuration has what the releases need.
func (d *doctor) survey(ctx context.Context, what, kind string, surveyor reconcile.Surveyor, releases []string) {
	for _, name := range releases {
		lacks, err := surveyor.Lacks(ctx, name, d.releases[name].Plan)
		switch {
		case err != nil:
			d.say(what, strategy.CheckupMissing, err.Error(), routerRemedies[kind])
			return
		case lacks != "":
			d.say(what+", release "+name, strategy.CheckupMissing, lacks, "docs/traffic.md has all of it, to copy.")
		}
	}
}

// routerRemedies is what to do when a router does not answer.
var routerRemedies = map[string]string{
	routerProxy:    "See that drover proxy runs at each address of instances, or is registered for instances_service, and that its admin address is reached from here.",
	routerHAProxy:  "See that each of sockets is HAProxy's runtime API (stats socket … level admin), and that the backends of the routes are there.",
	routerTemplate: "See that the balancer's job runs and answers at each URL of status, and that Drover's policy may read and write the variable nomad/jobs/JOB.",
	routerTraefik:  "See that each of instances is a Traefik with its API enabled, and that Drover's policy may read its splits.",
	routerNGINX:    "See that admin and file are those of the NGINX beside Drover, and that it includes the file.",
}

// metrics looks whether the metrics answer.
func (d *doctor) metrics(ctx context.Context) {
	m := d.conf.Metrics
	if m == nil {
		for name, r := range d.releases {
			if problem := r.Plan.Unanswered(); problem != "" {
				d.say("metrics", strategy.CheckupMissing, fmt.Sprintf("release %s: %s", name, problem), "Add metrics \"prometheus\" { address = \"http://prometheus:9090\" }.")
				return
			}
		}
		return
	}
	const what = "metrics, prometheus"
	meter, err := wireMetrics(m, slog.New(slog.DiscardHandler), nil)
	if err == nil {
		err = meter.(*prometheus.Meter).Check(ctx)
	}
	if err != nil {
		d.say(what, strategy.CheckupMissing, err.Error(), "Check address, credentials and certificates of the metrics block.")
		return
	}
	d.say(what, strategy.CheckupWell, m.Address+" answers queries", "")
}

// github looks at everything that Drover needs there.
func (d *doctor) github(ctx context.Context) {
	if d.forge == nil {
		d.say("GitHub", strategy.CheckupDoubt, "there is no github block", "Add one to have statuses, comments and issues; everything else works without.")
		return
	}
	secret := d.conf.GitHub.webhookSecret()
	d.found = append(d.found, d.forge.Examine(ctx, secret.given())...)
	if !secret.given() {
		return
	}
	if _, err := secret.read(); err != nil {
		d.say("webhook", strategy.CheckupMissing, err.Error(), "Put the secret there that the webhook on GitHub has.")
	}
	if d.conf.HTTP == nil {
		d.say("webhook", strategy.CheckupMissing, "there is no http block to hear it", "Add http { listen = \"0.0.0.0:9090\" }.")
	}
}
