package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/drover-dev/drover/strategy"
)

func runStatus(ctx context.Context, c *console, args []string) int {
	f := c.flags("status", "status [-config drover.hcl] [-json] [RELEASE]")
	asJSON := f.Bool("json", false, "print the records as JSON")
	conf, code, done := c.configured(f, args, maybeOne)
	if done {
		return code
	}
	rollouts, err := readRollouts(ctx, conf)
	if err != nil {
		return c.fail(err)
	}
	leader := leaderText(ctx, conf)
	if only := f.Arg(0); only != "" {
		recorded := make([]string, 0, len(rollouts))
		for _, r := range rollouts {
			recorded = append(recorded, r.Release)
		}
		rollouts = slices.DeleteFunc(rollouts, func(r strategy.Rollout) bool { return r.Release != only })
		if len(rollouts) == 0 {
			return c.fail(fmt.Errorf("nothing is recorded of a release %q%s", only, strategy.Meant(only, recorded)))
		}
	}
	switch {
	case *asJSON:
		encoder := json.NewEncoder(c.out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(rollouts); err != nil {
			return c.fail(err)
		}
	case f.Arg(0) != "":
		printRollout(c.out, rollouts[0], time.Now())
		c.printf("\n%s\n", leader)
	default:
		printTable(c.out, rollouts, time.Now())
		c.printf("\n%s\n", leader)
	}
	return 0
}

func readRollouts(ctx context.Context, conf *config) ([]strategy.Rollout, error) {
	client, err := connect(conf.Nomad)
	if err != nil {
		return nil, err
	}
	ledger, err := openLedger(conf, client)
	if err != nil {
		return nil, err
	}
	records, err := ledger.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	rollouts := make([]strategy.Rollout, 0, len(records))
	for _, r := range records {
		rollouts = append(rollouts, r.Rollout)
	}
	slices.SortFunc(rollouts, func(a, b strategy.Rollout) int { return strings.Compare(a.Release, b.Release) })
	return rollouts, nil
}

func printTable(out io.Writer, rollouts []strategy.Rollout, now time.Time) {
	if len(rollouts) == 0 {
		fmt.Fprintln(out, "Nothing is recorded yet: drover run records a release when it first sees it.")
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "RELEASE\tSTABLE\tCANARY\tPHASE\tWEIGHT\tFOR\tREASON")
	for _, r := range rollouts {
		canary := "-"
		if !r.AtRest() {
			canary = r.Canary.Revision.String()
		}
		stable := "-"
		if r.Stable != (strategy.Installed{}) {
			stable = r.Stable.Revision.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Release, stable, canary, phaseText(r), r.Weight, age(r.Entered, now), r.Reason.Text)
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(out, err)
	}
}

// phaseText is the phase, with what is to be known at a glance.
func phaseText(r strategy.Rollout) string {
	switch {
	case r.Hold != nil:
		return "holding (" + string(r.Phase) + ")"
	case r.Phase == strategy.Stepping:
		return fmt.Sprintf("step %d of %d", r.Step+1, len(r.Plan.Steps))
	case r.Phase == strategy.Resting && r.Last.Kind != strategy.OutcomeNone:
		return "resting, " + string(r.Last.Kind)
	}
	return string(r.Phase)
}

func age(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	return ageText(now.Sub(since))
}

func printRollout(out io.Writer, r strategy.Rollout, now time.Time) {
	fmt.Fprintf(out, "%s (job %s)\n", r.Release, r.Job)
	fmt.Fprintf(out, "  phase   %s, for %s\n", phaseText(r), age(r.Entered, now))
	stable := "none yet"
	if r.Stable != (strategy.Installed{}) {
		stable = r.Stable.Revision.String()
	}
	fmt.Fprintf(out, "  stable  %s\n", stable)
	if !r.AtRest() {
		fmt.Fprintf(out, "  canary  %s at %s, by %s %q\n", r.Canary.Revision, r.Weight, r.Canary.Commit.Short(), r.Canary.Commit.Subject)
	}
	fmt.Fprintf(out, "  reason  %s\n", r.Reason.Text)
	switch {
	case r.Hold != nil && r.Hold.Reason.Text == r.Reason.Text:
		fmt.Fprintf(out, "  held    for %s\n", age(r.Hold.Since, now))
	case r.Hold != nil:
		fmt.Fprintf(out, "  held    for %s: %s\n", age(r.Hold.Since, now), r.Hold.Reason.Text)
	}
	for _, t := range r.Outbox {
		fmt.Fprintf(out, "  to do   %s for %s\n", t.Kind, t.Bad)
	}
	if len(r.Verdicts) > 0 {
		fmt.Fprintln(out, "\ngates")
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		for _, v := range r.Verdicts {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", v.Gate, v.State, v.Why)
		}
		if err := w.Flush(); err != nil {
			fmt.Fprintln(out, err)
		}
	}
	if len(r.Timeline) > 0 {
		fmt.Fprintln(out, "\ntimeline")
		for _, e := range r.Timeline {
			fmt.Fprintf(out, "  %s  %-9s %6s  %s\n", e.At.Local().Format(time.DateTime), e.Phase, e.Weight, e.Reason.Text)
		}
	}
}
