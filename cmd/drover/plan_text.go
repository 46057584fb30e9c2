package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// signs begin the line of a release.
var signs = map[planChange]string{planNone: " ", planStarts: "~", planWaits: "~", planMoving: "~", planProblem: "!"}

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
	if !long {
		c.printf("drover plan RELEASE shows the values of one, and what Nomad says of it\n")
	}
}

// maxLong is how many rollouts are shown with all their values.
const maxLong = 5

func (p *plan) starting() int {
	n := 0
	for _, r := range p.Releases {
		if r.Change == planStarts {
			n++
		}
	}
	return n
}

func (r planned) print(c *console, long bool) {
	text := r.Reason
	switch r.Change {
	case planWaits:
		text = "held: " + text
	case planMoving:
		text = "in motion: " + text
	case planNone, planStarts, planProblem:
	}
	c.printf("%s %s: %s\n", signs[r.Change], r.Release, strings.ReplaceAll(text, "\n", "\n    "))
	if len(r.Stages) > 0 {
		c.printf("    the rollout\n")
		for _, stage := range r.Stages {
			c.printf("      %s\n", stage)
		}
	}
	if r.Change == planStarts && r.Extra > 0 {
		c.printf("      at its peak %s more than now\n", count(r.Extra, "allocation"))
	}
	for _, w := range r.Warnings {
		c.printf("    warning: %s\n", w)
	}
	if long {
		r.printValues(c)
		r.Nomad.print(c)
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

func (n *nomadPlan) print(c *console) {
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
