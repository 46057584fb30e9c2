package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/drover-dev/drover/providers/disk"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// keptInputs is where the daemon of a configuration keeps what it decided on.
func keptInputs(conf *config) *disk.Inputs {
	return disk.NewInputs(filepath.Join(conf.StateDir, "inputs"))
}

// keepInputs writes down every decision about a rollout under way. What cannot be written is logged, once in a row, and
// holds nothing up.
func keepInputs(inputs *disk.Inputs, logger *slog.Logger) func(reconcile.Decision) {
	var said atomic.Value
	said.Store("")
	return func(d reconcile.Decision) {
		if d.Before.AtRest() && d.After.AtRest() {
			return
		}
		err := inputs.Keep(d.At, d.Before, d.After, d.Observation)
		if d.After.AtRest() {
			inputs.Rest(d.After.Release)
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if said.Swap(text) != text && err != nil {
			logger.Warn("inputs not kept: drover replay will not have them", "release", d.After.Release, "error", err)
		}
	}
}

// maxDisagreements is how many decisions that disagree are shown.
const maxDisagreements = 10

func runReplay(_ context.Context, c *console, args []string) int {
	f := c.flags("replay", "replay FILE\n\nMakes the decisions again that drover why -inputs RELEASE > FILE holds; - reads them from standard input.\nExit code: 0 all agree, 1 some do not, or the file cannot be read.")
	if code, done := parse(f, args); done {
		return code
	}
	if f.NArg() != 1 {
		f.Usage()
		return 1
	}
	r := replay{c: c}
	if err := r.read(f.Arg(0)); err != nil {
		return c.fail(err)
	}
	r.conclude()
	switch {
	case r.all == 0:
		return c.fail(fmt.Errorf("%s holds no decision", f.Arg(0)))
	case r.wrong > 0:
		c.printf("\n%d of %s come to something else\n", r.wrong, count(r.all, "decision"))
		return 1
	}
	c.printf("\n%s made again: all agree\n", count(r.all, "decision"))
	return 0
}

// replay makes decisions again.
type replay struct {
	c          *console
	rollout    strategy.Rollout // as the decision before this left it
	known      bool
	first, at  time.Time // of the present rollout
	number     int       // decisions about it
	all, wrong int
}

// read makes the decisions of a file again, or those of standard input.
func (r *replay) read(name string) (err error) {
	file := os.Stdin
	if name != "-" {
		if file, err = os.Open(name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	if err := disk.ReadInputs(file, r.decide); err != nil {
		return fmt.Errorf("replay %s: %w", name, err)
	}
	return nil
}

// decide makes one decision again.
func (r *replay) decide(line int, in disk.Input) error {
	if in.Before == nil && !r.known {
		return errors.New("line 1: it does not say what was decided about: begin where drover why -inputs begins")
	}
	if in.Before != nil {
		r.rollout = *in.Before
	}
	next, _, _ := strategy.Advance(r.rollout, in.Observation, in.At)
	if next.ID != r.rollout.ID || !r.known {
		r.conclude()
		r.first, r.number = in.At, 0
	}
	r.known = true
	r.all++
	r.number++
	if differs := in.Came.Differences(next.Gist()); len(differs) > 0 {
		r.wrong++
		if r.wrong <= maxDisagreements {
			r.c.printf("line %d, %s, %s of %s:\n", line, in.At.UTC().Format(time.DateTime), next.Release, next.Canary.Revision)
			for _, d := range differs {
				r.c.printf("  %s\n", d)
			}
		}
	}
	r.rollout, r.at = next, in.At
	return nil
}

// conclude says what became of the rollout that the decisions were about.
func (r *replay) conclude() {
	if r.number == 0 {
		return
	}
	n := r.rollout
	r.c.printf("%s %s: %s from %s to %s\n", n.Release, n.Canary.Revision, count(r.number, "decision"), r.first.UTC().Format(time.DateTime), r.at.UTC().Format(time.TimeOnly))
	r.c.printf("  %s\n", n.Gist())
	for _, v := range n.Verdicts {
		r.c.printf("  gate %s: %s, %s\n", v.Gate, v.State, v.Why)
	}
}
