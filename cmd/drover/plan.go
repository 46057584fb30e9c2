package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

func runPlan(ctx context.Context, c *console, args []string) int {
	f := c.flags("plan", "plan [-config drover.hcl] [-json] [RELEASE]\n\nExit code: 0 nothing to do, 2 there are changes, 1 something is wrong.")
	asJSON := f.Bool("json", false, "print the plan as JSON")
	conf, code, done := c.configured(f, args, maybeOne)
	if done {
		return code
	}
	plan, err := makePlan(ctx, conf, f.Arg(0))
	if err != nil {
		return c.fail(err)
	}
	if *asJSON {
		encoder := json.NewEncoder(c.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(plan); err != nil {
			return c.fail(err)
		}
		return plan.code()
	}
	for _, m := range plan.mistakes {
		fmt.Fprintln(c.err, m.Detail)
	}
	plan.print(c)
	return plan.code()
}

// makePlan looks at everything once, changing nothing, and keeps what is of one release, or of all when only is "".
func makePlan(ctx context.Context, conf *config, only string) (*plan, error) {
	conf.clone += "-plan" // A clone of its own: the daemon may be using the other.
	opts, err := wire(conf, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	origins := map[string]policies.Origins{}
	var strays []policies.Stray
	opts.Load = func(tree strategy.Tree) (releases []strategy.Release, mistakes []strategy.Mistake) {
		strays = policies.Unused(tree)
		releases, origins, mistakes = policies.LoadWithOrigins(tree, policies.Options{Path: conf.Git.Path})
		return releases, mistakes
	}
	loop := reconcile.New(opts)
	now := time.Now()
	previews, err := loop.Preview(ctx, now)
	if err != nil {
		return nil, err
	}
	p := &plan{Releases: []planned{}, Extra: reconcile.Peak(previews, opts.Limits), mistakes: loop.Mistakes(), one: only != ""}
	if only != "" {
		var names []string
		for _, preview := range previews {
			names = append(names, preview.Release)
		}
		previews = slices.DeleteFunc(previews, func(p reconcile.Preview) bool { return p.Release != only })
		p.mistakes = slices.DeleteFunc(p.mistakes, func(m strategy.Mistake) bool { return m.Release != only })
		if len(previews) == 0 {
			return nil, fmt.Errorf("there is no release %q, neither in Git nor in the ledger%s", only, strategy.Meant(only, names))
		}
		p.Extra = reconcile.Peak(previews, opts.Limits)
	}
	for _, preview := range previews {
		p.add(preview, origins[preview.Release])
	}
	for _, s := range strays {
		if only == "" {
			p.Unused = append(p.Unused, unused{Policy: s.Name, Path: s.Path, Line: s.Line, Finding: s.Finding})
		}
	}
	for _, m := range p.mistakes {
		p.Mistakes = append(p.Mistakes, mistake{Release: m.Release, Path: m.Path, Line: m.Line, Text: m.Text})
	}
	return p, nil
}
