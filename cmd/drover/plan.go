package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

func runPlan(ctx context.Context, c *console, args []string) int {
	f := c.flags("plan", "plan [-config drover.hcl] [RELEASE]\n\nExit code: 0 nothing to do, 2 there are changes, 1 something is wrong.")
	conf, code, done := c.configured(f, args, anyArgs)
	if done {
		return code
	}
	conf.clone += "-plan" // A clone of its own: the daemon may be using the other.
	opts, err := wire(conf, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return c.fail(err)
	}
	loop := reconcile.New(opts)
	previews, err := loop.Preview(ctx, time.Now())
	if err != nil {
		return c.fail(err)
	}
	if only := f.Arg(0); only != "" {
		previews = slices.DeleteFunc(previews, func(p reconcile.Preview) bool { return p.Release != only })
		if len(previews) == 0 {
			return c.fail(fmt.Errorf("there is no release %q, neither in Git nor in the ledger", only))
		}
	}
	for _, m := range loop.Mistakes() {
		if f.Arg(0) == "" || m.Release == f.Arg(0) {
			fmt.Fprintln(c.err, m.Detail)
		}
	}
	return printPlan(c, previews)
}

func printPlan(c *console, previews []reconcile.Preview) int {
	changes, problems := 0, 0
	for _, p := range previews {
		switch {
		case p.Problem != "":
			problems++
			c.printf("! %s: %s\n", p.Release, p.Problem)
		case p.Starts():
			changes++
			c.printf("~ %s: %s\n", p.Release, p.Reason.Text)
			printSteps(c, p)
		case p.Next.Hold != nil && p.Desired.Revision != p.Next.Stable.Revision:
			changes++
			c.printf("~ %s: held: %s\n", p.Release, p.Next.Hold.Reason.Text)
		case p.Next.InMotion():
			changes++
			c.printf("~ %s: in motion: %s\n", p.Release, p.Next.Reason.Text)
		default:
			c.printf("  %s: %s\n", p.Release, p.Reason.Text)
		}
		if p.Desired != nil {
			for _, w := range p.Desired.Job.Warnings {
				c.printf("    warning: %s\n", w)
			}
		}
	}
	c.printf("\n%d releases: %d with changes, %d with problems\n", len(previews), changes, problems)
	switch {
	case problems > 0:
		return 1
	case changes > 0:
		return 2
	}
	return 0
}

// printSteps shows what the rollout would go through.
func printSteps(c *console, p reconcile.Preview) {
	plan := p.Next.Plan
	switch p.Next.Phase {
	case strategy.First:
		c.printf("    place all allocations, all traffic, bake %s\n", plan.Steps[len(plan.Steps)-1].Bake)
	case strategy.Reversing:
		c.printf("    it was live before: full canaries, all traffic when they are ready, promote\n")
		return
	case strategy.Placing, strategy.Stepping, strategy.Standby, strategy.Promoting, strategy.Resting, strategy.Restoring, strategy.Blocked:
		if group, ok := p.Desired.Job.Serving(p.Desired.Service); ok {
			live := group.Count
			if p.Live != nil && p.Live.Count > 0 {
				live = p.Live.Count
			}
			c.printf("    place %d canaries beside %d allocations of group %q (%s)\n", plan.Canaries.For(live, plan.Steps), live, group.Name, plan.Canaries)
		}
		for _, check := range plan.Smoke {
			c.printf("    smoke %q: GET %s answers %d\n", check.Name, check.Path, check.Status)
		}
		for i, s := range plan.Steps {
			c.printf("    step %d: %s for %s\n", i+1, s.Weight, s.Bake)
		}
		if plan.Standby > 0 {
			c.printf("    standby: the old version is kept for %s, going back is instant\n", plan.Standby)
		}
	}
	for _, g := range plan.Gates {
		c.printf("    gate %q: %s\n", g.Name, gateText(g))
	}
	if len(plan.Gates) == 0 {
		c.printf("    warning: no gates: only crashes and failing checks end this rollout\n")
	}
	if p.Next.Phase != strategy.First {
		c.printf("    promote, about %s in all\n", plan.Bake()+plan.Standby)
	}
}

func gateText(g strategy.Gate) string {
	parts := []string{string(g.Metric)}
	if g.Quantile > 0 {
		parts[0] = fmt.Sprintf("%s p%g", g.Metric, g.Quantile*100)
	}
	if g.Max != nil {
		parts = append(parts, "at most "+g.Max.Text)
	}
	if g.Min != nil {
		parts = append(parts, "at least "+g.Min.Text)
	}
	if g.MaxVsStable != nil {
		parts = append(parts, "at most "+g.MaxVsStable.Text+" of stable")
	}
	return strings.Join(parts, ", ")
}
