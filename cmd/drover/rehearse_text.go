package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// print shows a rehearsal to a person.
func (s *staged) print(c *console) {
	c.printf("%s: %s -> %s, %s\n", s.Release, s.Stable, s.Version, s.Strategy)
	from := s.Service.From
	if from == "" {
		from = "given, not measured"
	}
	c.printf("%s (%s)\n", s.Service, from)
	for _, note := range s.Notes {
		c.printf("  %s\n", note)
	}
	axis := s.Sound.typical().length()
	if s.Faulty != nil {
		axis = max(axis, s.Faulty.typical().length())
	}
	c.printf("\nA sound version, %s\n", times(len(s.Sound.Takes)))
	s.Sound.printEnds(c, string(takePromoted))
	if n := s.Sound.RolledBack; n > 0 {
		c.printf("  by             %s\n", s.Sound.Gates.text())
	}
	c.printf("  false          %s: at most %s of all sound versions, at 95%% confidence\n", outOf(s.Sound.RolledBack, len(s.Sound.Takes)), percent(s.Sound.AtMost))
	c.printf("%s", s.plot(s.Sound.typical(), axis))
	if s.Faulty == nil {
		return
	}
	c.printf("\nWith %s, %s\n", s.Fault, times(len(s.Faulty.Takes)))
	s.Faulty.printEnds(c, "missed")
	if s.Faulty.RolledBack > 0 {
		c.printf("  by             %s\n", s.Faulty.Gates.text())
		c.printf("  in             %s\n", s.Faulty.Places.text())
	}
	if s.Faulty.Canary.Most > 0 {
		c.printf("  it showed for  %s\n", s.Faulty.Seen.text(seconds))
	}
	c.printf("  users saw      %s\n", s.Faulty.harm())
	c.printf("%s", s.plot(s.Faulty.typical(), axis))
}

// harm is what users saw of the fault.
func (s *session) harm() string {
	var saw []string
	if s.Bad.Most > 0 {
		saw = append(saw, s.Bad.text(whole)+" requests fail more than usual")
	}
	if s.Slow.Most > 0 {
		saw = append(saw, s.Slow.text(whole)+" take longer")
	}
	if saw == nil {
		saw = []string{"nothing of it"}
	}
	return fmt.Sprintf("%s, of %s requests to the canary", strings.Join(saw, ", "), s.Canary.text(whole))
}

func times(n int) string {
	if n == 1 {
		return "played once"
	}
	return fmt.Sprintf("played %d times", n)
}

// printEnds says how often it ended how, and after how long; promoted is what those are called that were.
func (s *session) printEnds(c *console, promoted string) {
	all := len(s.Takes)
	after := ", after " + s.Took.text(seconds)
	for _, end := range []struct {
		name string
		n    int
	}{{promoted, s.Promoted}, {string(takeRolledBack), s.RolledBack}, {string(takeParked), s.Parked}} {
		if end.n == 0 {
			continue
		}
		text := outOf(end.n, all)
		if end.n == all {
			text += after
		}
		c.printf("  %-14s %s\n", end.name, text)
	}
	if s.Nothing > 0 {
		c.printf("  %-14s %s: the job does not change with its version. Is var.version used in the jobspec?\n", takeNothing, outOf(s.Nothing, all))
	}
	if s.Parked > 0 {
		n := slices.IndexFunc(s.Takes, func(t take) bool { return t.End == takeParked })
		c.printf("  parked for     %s, such as: %s\n", s.Reasons.text(), s.Takes[n].Reason)
	}
}

func (t take) length() time.Duration { return t.Line[len(t.Line)-1].At }

// at is the weight in percent at a time after the commit.
func (t take) at(d time.Duration) float64 {
	n, _ := slices.BinarySearchFunc(t.Line, d, func(p point, d time.Duration) int {
		if p.At <= d {
			return -1
		}
		return 1
	})
	if n == 0 {
		return 0
	}
	return t.Line[n-1].Weight
}

// plotWidth is how many characters the time axis has.
const plotWidth = 60

// plot is the weight over time, in characters.
func (s *staged) plot(t take, axis time.Duration) string {
	rows := []float64{}
	for _, step := range s.rehearsal.release.Plan.Steps {
		if step.Weight > 0 && !slices.Contains(rows, step.Weight.Share()*100) {
			rows = append(rows, step.Weight.Share()*100)
		}
	}
	column := func(d time.Duration) int { return min(plotWidth-1, int(int64(d)*plotWidth/max(1, int64(axis)))) }
	end := column(t.length())
	var b strings.Builder
	b.WriteString("\n")
	for _, row := range slices.Backward(rows) {
		fmt.Fprintf(&b, "  %6s |", strategy.Weight(row*100).String())
		line := bytes.Repeat([]byte(" "), end+1)
		for i := range line {
			if t.at(axis*time.Duration(2*i+1)/(2*plotWidth)) >= row {
				line[i] = '#'
			}
		}
		fmt.Fprintf(&b, "%s\n", bytes.TrimRight(line, " "))
	}
	fmt.Fprintf(&b, "         +%s\n", strings.Repeat("-", plotWidth))
	ticks := []byte(strings.Repeat(" ", plotWidth+8))
	for i := range 4 {
		copy(ticks[i*plotWidth/4:], ageText(axis*time.Duration(i)/4))
	}
	fmt.Fprintf(&b, "          %s\n", strings.TrimRight(string(ticks), " "))
	fmt.Fprintf(&b, "          %s^ %s after %s: %s\n", strings.Repeat(" ", column(t.Took)), t.End, ageText(t.Took), t.Reason)
	return b.String()
}
