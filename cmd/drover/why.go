package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// runWhy says what a release waits for, and what each of its gates has for and against the canary.
func runWhy(ctx context.Context, c *console, args []string) int {
	f := c.flags("why", "why [-config drover.hcl] [-inputs] RELEASE")
	inputs := f.Bool("inputs", false, "print what the last decisions were made on, for drover replay")
	conf, code, done := c.configured(f, args, maybeOne)
	if done {
		return code
	}
	if f.NArg() != 1 {
		f.Usage()
		return 1
	}
	if *inputs {
		if err := keptInputs(conf).WriteTo(c.out, f.Arg(0)); err != nil {
			return c.fail(err)
		}
		return 0
	}
	rollouts, err := readRollouts(ctx, conf)
	if err != nil {
		return c.fail(err)
	}
	i := slices.IndexFunc(rollouts, func(r strategy.Rollout) bool { return r.Release == f.Arg(0) })
	if i < 0 {
		return c.fail(fmt.Errorf("nothing is recorded of a release %q", f.Arg(0)))
	}
	explainRollout(c.out, rollouts[i], time.Now())
	return 0
}

func explainRollout(out io.Writer, r strategy.Rollout, now time.Time) {
	fmt.Fprintf(out, "%s: %s, for %s\n", r.Release, phaseText(r), age(r.Entered, now))
	fmt.Fprintf(out, "  %s\n", r.Reason.Text)
	if r.Hold != nil {
		fmt.Fprintf(out, "  held for %s\n", age(r.Hold.Since, now))
	}
	if len(r.Verdicts) == 0 {
		fmt.Fprintln(out, "\nNo gate has been asked in this rollout.")
		return
	}
	fmt.Fprintf(out, "\nThe gates as they were last asked, at a confidence of %g%% over all of them:\n", confidence(r.Plan)*100)
	for _, v := range r.Verdicts {
		state := v.State.String()
		if v.DryRun {
			state += ", on dry run"
		}
		fmt.Fprintf(out, "\n%s: %s\n  %s\n", v.Gate, state, v.Why)
		fmt.Fprintf(out, "  for      %s of what passing needs\n", gauge(v.For))
		if v.P > 0 {
			fmt.Fprintf(out, "  against  %s of what a rollback needs (p %.2g)\n", gauge(v.Against), v.P)
		}
		if v.Samples > 0 {
			fmt.Fprintf(out, "  on %.0f requests of the canary since the rollout began\n", v.Samples)
		}
	}
}

func confidence(p strategy.Plan) float64 {
	const byDefault = 0.95
	if p.Confidence == 0 {
		return byDefault
	}
	return p.Confidence
}

// gauge is a share as a picture.
func gauge(share float64) string {
	const width = 20
	n := int(min(1, max(0, share)) * width)
	return fmt.Sprintf("[%s%s] %3.0f%%", strings.Repeat("#", n), strings.Repeat(".", width-n), min(1, max(0, share))*100)
}
