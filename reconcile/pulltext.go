package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// The bounds of what is shown of one pull request.
const (
	maxShown     = 50
	maxDiffShown = 6000 // characters, of one job
)

// status is what the plan says in one line.
func (plan *pullPlan) status() strategy.Status {
	if len(plan.mistakes) > 0 {
		m, more := plan.mistakes[0], ""
		if n := len(plan.mistakes) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		text := oneLine(m.Text)
		if m.Path != "" {
			text = fmt.Sprintf("%s:%d: %s", m.Path, max(m.Line, 1), text)
		}
		const room = 140
		if runes := []rune(text); len(runes)+len(more) > room {
			text = string(runes[:room-len(more)-1]) + "…"
		}
		return strategy.Status{State: strategy.ReportFailure, Text: text + more}
	}
	var parts []string
	for _, c := range plan.changes {
		parts = append(parts, c.line(len(plan.changes) == 1))
	}
	switch len(parts) {
	case 0:
		return strategy.Status{State: strategy.ReportSuccess, Text: "no release changes"}
	case 1:
		return strategy.Status{State: strategy.ReportSuccess, Text: parts[0]}
	}
	return strategy.Status{State: strategy.ReportSuccess, Text: fmt.Sprintf("%d releases: %s", len(parts), strings.Join(parts, ", "))}
}

// line is a change in short: "checkout-api 1.7.0 -> 1.8.0", with what it goes through when there is room.
func (c pullChange) line(full bool) string {
	text := c.release + " " + c.versions(" -> ")
	if full && c.to != nil {
		p := c.fitted()
		text += fmt.Sprintf(", %s %s, about %s", p.KindText(), p.Weights(), roughly(p.Bake()+p.Standby))
	}
	return text
}

// versions is the old version and the new one, or what else becomes of the release.
func (c pullChange) versions(arrow string) string {
	switch {
	case c.to == nil:
		return "removed"
	case c.from == nil:
		return revisionText(*c.to) + ", first release"
	case revisionText(*c.from) == revisionText(*c.to):
		return revisionText(*c.to) + ", changed"
	}
	return revisionText(*c.from) + arrow + revisionText(*c.to)
}

func revisionText(r strategy.Release) string {
	return strategy.Revision{Version: r.Version, Attempt: r.Attempt}.String()
}

// fitted is the plan as it fits the job, where that is known.
func (c pullChange) fitted() strategy.Plan {
	if c.desired != nil {
		return c.desired.Release.Plan
	}
	return c.to.Plan
}

// roughly is a duration as people say it.
func roughly(d time.Duration) string {
	switch {
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.3g h", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// remark is what stands below the pull request; "" when no release changes and nothing is wrong.
func (plan *pullPlan) remark() string {
	if len(plan.changes)+len(plan.mistakes) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("### Plan\n\n")
	plan.writeMistakes(&b)
	if len(plan.changes) > 0 {
		b.WriteString("| release | version | strategy | about | more allocations at the peak |\n| --- | --- | --- | --- | --- |\n")
		for _, c := range plan.changes[:min(len(plan.changes), maxShown)] {
			b.WriteString(c.row())
		}
		if n := len(plan.changes) - maxShown; n > 0 {
			fmt.Fprintf(&b, "\n… and %d more releases.\n", n)
		}
		b.WriteString("\n")
	}
	if plan.unread != "" {
		fmt.Fprintf(&b, "> %s.\n\n", plain(plan.unread))
	}
	for _, c := range plan.changes[:min(len(plan.changes), maxShown)] {
		c.writeDetails(&b)
	}
	return strings.TrimRight(b.String(), "\n")
}

func (plan *pullPlan) writeMistakes(b *strings.Builder) {
	if len(plan.mistakes) == 0 {
		return
	}
	fmt.Fprintf(b, "**Not to be released as it is:**\n\n")
	for _, m := range plan.mistakes[:min(len(plan.mistakes), maxShown)] {
		if m.Path == "" {
			fmt.Fprintf(b, "- %s\n", plain(m.Text))
			continue
		}
		fmt.Fprintf(b, "- %s line %d: %s\n", inline(m.Path), max(m.Line, 1), plain(m.Text))
	}
	if n := len(plan.mistakes) - maxShown; n > 0 {
		fmt.Fprintf(b, "- … and %d more\n", n)
	}
	b.WriteString("\n")
}

func (c pullChange) row() string {
	if c.to == nil {
		return fmt.Sprintf("| %s | %s | - | - | - |\n", cell(c.release), cell(c.versions(" → ")))
	}
	p := c.fitted()
	more := "not known"
	if c.desired != nil {
		if group, ok := c.desired.Job.Serving(c.desired.Service); ok {
			count := group.Count
			if c.live > 0 {
				count = c.live
			}
			more = fmt.Sprintf("%d, beside %d", p.Canaries.For(count, p.Steps), count)
		}
		if c.from == nil && c.live == 0 {
			more = "none: it is the first"
		}
	}
	return fmt.Sprintf("| %s | %s | %s %s | %s | %s |\n", cell(c.release), cell(c.versions(" → ")), p.KindText(), cell(p.Weights()), roughly(p.Bake()+p.Standby), cell(more))
}

// writeDetails writes the gates, the warnings, and what Nomad says, folded.
func (c pullChange) writeDetails(b *strings.Builder) {
	if c.to == nil {
		fmt.Fprintf(b, "%s goes from Git: its job is left running, unless Drover is configured to stop it.\n\n", cell(c.release))
		return
	}
	var gates []string
	for _, g := range c.fitted().Gates {
		gates = append(gates, plain(GateText(g)))
	}
	if len(gates) > 0 {
		fmt.Fprintf(b, "Gates of %s: %s.\n\n", cell(c.release), strings.Join(gates, "; "))
	} else {
		fmt.Fprintf(b, "⚠ %s has no gates: only crashes and failing checks end its rollout.\n\n", cell(c.release))
	}
	if c.desired != nil {
		for _, w := range c.desired.Job.Warnings {
			fmt.Fprintf(b, "⚠ %s: %s\n\n", cell(c.release), plain(w))
		}
	}
	if c.plan == nil {
		return
	}
	for _, w := range append(c.plan.Warnings, c.plan.Unplaced...) {
		fmt.Fprintf(b, "⚠ %s: %s\n\n", cell(c.release), plain(w))
	}
	if c.plan.Diff != "" {
		fmt.Fprintf(b, "<details><summary>Nomad's plan for %s</summary>\n\n%s\n</details>\n\n", cell(c.release), fenced("diff", c.plan.Diff))
	}
}

// fenced is a text as a block of code: nothing in it is Markdown, and it ends where it should.
func fenced(language, text string) string {
	if runes := []rune(text); len(runes) > maxDiffShown {
		text = string(runes[:maxDiffShown]) + "\n… (cut)"
	}
	text = strings.NewReplacer("\r", "", "<!--", "<!-\u200b-", "-->", "-\u200b->").Replace(text)
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + strings.TrimRight(text, "\n") + "\n" + fence
}

// GateText is a gate as people say it.
func GateText(g strategy.Gate) string {
	measured := string(g.Metric)
	if g.Quantile > 0 {
		measured = fmt.Sprintf("%s p%g", g.Metric, g.Quantile*100)
	}
	parts := []string{g.Name + ": " + measured}
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
