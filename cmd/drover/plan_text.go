package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/drover-dev/drover/reconcile"
)

// signs begin the line of a release.
var signs = map[reconcile.ForeseenChange]string{
	reconcile.ForeseenNone: " ", reconcile.ForeseenStarts: "~", reconcile.ForeseenWaits: "~", reconcile.ForeseenMoving: "~", reconcile.ForeseenProblem: "!",
}

// print shows the plan to a person.
func (p *plan) print(c *console) {
	long := p.one || p.starting() <= maxLong
	for _, r := range p.Releases {
		r.print(c, long)
	}
	if len(p.Releases) == 0 {
		c.printf("Git asks for no release, and none is recorded.\n")
		return
	}
	unchanged := len(p.Releases) - p.Changes - p.Problems
	c.printf("\n%s: %d with changes, %d with problems, %d unchanged", count(len(p.Releases), "release"), p.Changes, p.Problems, unchanged)
	if p.Extra > 0 {
		c.printf("; at the peak %s more than now", count(p.Extra, "allocation"))
	}
	c.printf("\n")
	for _, u := range p.Unused {
		c.printf("%s:%d: policy %q\n    warning: %s\n", u.Path, u.Line, u.Policy, u.Finding)
	}
	if !long {
		c.printf("drover plan RELEASE shows the values of one, and what Nomad says of it\n")
	}
}

// maxLong is how many rollouts are shown with all their values.
const maxLong = 5

func (p *plan) starting() int {
	n := 0
	for _, r := range p.Releases {
		if r.Change == reconcile.ForeseenStarts {
			n++
		}
	}
	return n
}

func (r planned) print(c *console, long bool) {
	text := r.Reason
	switch r.Change {
	case reconcile.ForeseenWaits:
		text = "held: " + text
	case reconcile.ForeseenMoving:
		text = "in motion: " + text
	case reconcile.ForeseenNone, reconcile.ForeseenStarts, reconcile.ForeseenProblem:
	}
	c.printf("%s %s: %s\n", signs[r.Change], r.Release, strings.ReplaceAll(text, "\n", "\n    "))
	if len(r.Stages) > 0 {
		c.printf("    the rollout\n")
		for _, stage := range r.Stages {
			c.printf("      %s\n", stage)
		}
	}
	if r.Change == reconcile.ForeseenStarts && r.Extra > 0 {
		c.printf("      at its peak %s more than now\n", count(r.Extra, "allocation"))
	}
	for _, w := range r.Warnings {
		c.printf("    warning: %s\n", w)
	}
	for _, f := range r.Findings {
		c.printf("    warning: %s\n", f)
	}
	if long {
		r.printValues(c)
		printNomad(c, r.Nomad)
	}
}

func (r planned) printValues(c *console) {
	if len(r.Values) == 0 {
		return
	}
	c.printf("    the values, and where they were written\n")
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, v := range r.Values {
		value := v.Value
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(w, "      %s\t%s\t%s\n", v.Name, value, v.From)
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(c.err, err)
	}
}

// printNomad shows what Nomad says it would do.
func printNomad(c *console, n *reconcile.NomadForesees) {
	if n == nil {
		return
	}
	if n.Problem != "" {
		c.printf("    Nomad's own diff is not shown: %s\n", n.Problem)
		return
	}
	if n.Diff == "" {
		c.printf("    Nomad finds nothing to change in the job\n")
	} else {
		c.printf("    what changes in the job, as Nomad says\n")
		for line := range strings.Lines(n.Diff) {
			c.printf("      %s\n", strings.TrimRight(line, " \n"))
		}
	}
	for _, w := range n.Warnings {
		c.printf("    warning: Nomad: %s\n", w)
	}
	for _, group := range n.Unplaced {
		c.printf("    warning: cannot be placed now: %s\n", group)
	}
}
