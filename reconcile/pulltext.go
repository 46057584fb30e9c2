package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// The bounds of what is shown of one pull request.
const (
	maxShown     = 50
	maxDiffShown = 6000 // characters, of one job
)

// room is what a status takes, in characters.
const room = 140

// status is what the plan says in one line.
func (plan *pullPlan) status() strategy.Status {
	if len(plan.mistakes) > 0 {
		m := plan.mistakes[0]
		text := oneLine(m.Text)
		if m.Path != "" {
			text = fmt.Sprintf("%s:%d: %s", m.Path, max(m.Line, 1), text)
		}
		return strategy.Status{State: strategy.ReportFailure, Text: shortened(text, len(plan.mistakes)-1)}
	}
	if len(plan.conflicts) > 0 {
		text := plan.conflicts[0] + ": in conflict with the release branch, which changed it too"
		return strategy.Status{State: strategy.ReportFailure, Text: shortened(text, len(plan.conflicts)-1)}
	}
	var parts []string
	for _, c := range plan.changes {
		parts = append(parts, c.line(len(plan.changes) == 1))
	}
	text := strings.Join(parts, ", ")
	switch len(parts) {
	case 0:
		text = "no release changes"
	case 1:
	default:
		text = fmt.Sprintf("%d releases: %s", len(parts), text)
	}
	if codes := plan.codes(); codes != "" {
		return strategy.Status{State: strategy.ReportSuccess, Text: fit(text, "; "+codes)}
	}
	return strategy.Status{State: strategy.ReportSuccess, Text: text}
}

// shortened is a fault, with how many more there are.
func shortened(text string, more int) string {
	if more > 0 {
		return fit(text, fmt.Sprintf(" (and %d more)", more))
	}
	return fit(text, "")
}

// fit cuts a text so that what follows it finds room in a status.
func fit(text, tail string) string {
	if runes := []rune(text); len(runes)+len(tail) > room {
		text = string(runes[:max(0, room-len(tail)-1)]) + "…"
	}
	return text + tail
}

// maxCodes bounds the codes of a status.
const maxCodes = 5

// codes is what was found about the plans of all releases, in short.
func (plan *pullPlan) codes() string {
	var all []string
	for _, c := range plan.changes {
		for _, f := range c.findings() {
			all = append(all, f.Code)
		}
	}
	for _, f := range plan.strays {
		all = append(all, f.Code)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if n := len(all) - maxCodes; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:maxCodes], " "), n)
	}
	return strings.Join(all, " ")
}

// findings is what is to be said about the release's plan.
func (c pullChange) findings() []strategy.Finding {
	if c.to == nil {
		return nil
	}
	if f := c.foreseen; f != nil && f.Change == ForeseenStarts {
		return f.Findings
	}
	return c.to.Plan.Findings()
}

// line is a change in short: "checkout-api 1.7.0 -> 1.8.0", with what it goes through when there is room.
func (c pullChange) line(full bool) string {
	text := c.release + " " + c.versions(" -> ")
	if how, about := c.how(); full && how != "" {
		text += ", " + how
		if about > 0 {
			text += ", about " + roughly(about)
		}
	}
	return text
}

// versions is what runs and what would, or what else becomes of the release. What runs is what Drover knows to be live; of a
// release that it does not know, what the branch asks for.
func (c pullChange) versions(arrow string) string {
	from := versionText(c.stand.Stable.Revision)
	if from == "" && c.from != nil && c.stand.Phase == "" {
		from = revisionText(*c.from)
	}
	if c.to == nil {
		return "removed"
	}
	to := revisionText(*c.to)
	if f := c.foreseen; f != nil {
		switch f.Change {
		case ForeseenStarts:
			from, to = f.From, f.To
		case ForeseenNone, ForeseenWaits, ForeseenMoving, ForeseenProblem:
			if c.stays {
				return to + ", no rollout"
			}
		}
		if c.goesOn {
			return to + ", under way"
		}
	}
	switch from {
	case "":
		return to + ", first release"
	case to:
		return to + ", changed"
	}
	return from + arrow + to
}

// how is the way that the rollout would go, and how long it takes; "" when none begins.
func (c pullChange) how() (text string, about time.Duration) {
	switch f := c.foreseen; {
	case c.to == nil:
		return "", 0
	case f == nil:
		p := c.to.Plan
		return p.KindText() + " " + p.Weights(), p.Bake() + p.Standby
	case f.Change == ForeseenWaits:
		return "waits: " + f.Reason, 0
	case f.Change == ForeseenNone && !c.stays:
		return f.Reason, 0
	default:
		return f.Strategy, f.About
	}
}

func revisionText(r strategy.Release) string {
	return strategy.Revision{Version: r.Version, Attempt: r.Attempt}.String()
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
	if len(plan.changes)+len(plan.mistakes)+len(plan.conflicts) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("### Plan\n\n")
	plan.writeMistakes(&b)
	plan.writeJoined(&b)
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
	if plan.peak > 0 && len(plan.changes) > 1 {
		fmt.Fprintf(&b, "At the peak of all rollouts %s more than now.\n\n", Count(plan.peak, "allocation"))
	}
	if plan.unread != "" {
		fmt.Fprintf(&b, "> %s.\n\n", plain(plan.unread))
	}
	for _, c := range plan.changes[:min(len(plan.changes), maxShown)] {
		c.writeDetails(&b)
	}
	for _, f := range plan.strays[:min(len(plan.strays), maxShown)] {
		fmt.Fprintf(&b, "⚠ %s: %s. To mend it, %s. To accept it, write `accept = { %s = \"why\" }` there.\n\n", f.Code, plain(f.Text), plain(f.Remedy), f.Code)
	}
	return strings.TrimRight(b.String(), "\n")
}

// writeJoined writes which files the branch changed too.
func (plan *pullPlan) writeJoined(b *strings.Builder) {
	names := func(files []string) string {
		var all []string
		for _, file := range files[:min(len(files), maxShown)] {
			all = append(all, inline(file))
		}
		return strings.Join(all, ", ")
	}
	if len(plan.conflicts) > 0 {
		fmt.Fprintf(b, "**In conflict with the release branch**, which changed it too: %s. Bring the branch up to date with it; what follows is as if the pull request's own text were taken.\n\n", names(plan.conflicts))
	}
	if len(plan.joined) > 0 {
		fmt.Fprintf(b, "The release branch changed %s too, since this one parted from it: what follows is of both changes, as a merge makes it.\n\n", names(plan.joined))
	}
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
	how, about := c.how()
	took := "-"
	if about > 0 {
		took = roughly(about)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", cell(c.release), cell(c.versions(" → ")), cell(how), took, cell(c.extra()))
}

// extra is how many allocations more there are at the peak.
func (c pullChange) extra() string {
	switch f := c.foreseen; {
	case c.to == nil:
		return ""
	case f == nil:
		return "not known"
	case f.Change != ForeseenStarts:
		return ""
	case f.From == "":
		return fmt.Sprintf("%d, the first", f.Extra)
	default:
		return fmt.Sprintf("%d, beside %d", f.Extra, f.Beside)
	}
}

// writeDetails writes the gates, what is to be heeded, and folded how it goes and what Nomad says.
func (c pullChange) writeDetails(b *strings.Builder) {
	if c.to == nil {
		fmt.Fprintf(b, "%s goes from Git: its job is left running, unless Drover is configured to stop it.\n\n", cell(c.release))
		return
	}
	name, f := cell(c.release), c.foreseen
	if text := c.underWay(); text != "" {
		fmt.Fprintf(b, "⚠ %s: %s.\n\n", name, plain(text))
	} else if c.stays {
		fmt.Fprintf(b, "%s runs already as it asks: no rollout begins, and what changes counts for the next one.\n\n", name)
	}
	var gates []string
	for _, g := range c.to.Plan.Gates {
		gates = append(gates, plain(g.Name+": "+GateText(g)))
	}
	if len(gates) > 0 {
		fmt.Fprintf(b, "Gates of %s: %s.\n\n", name, strings.Join(gates, "; "))
	}
	for _, found := range c.findings() {
		fmt.Fprintf(b, "⚠ %s, %s: %s. To mend it, %s. To accept it, write `accept = { %s = \"why\" }`.\n\n", name, found.Code, plain(found.Text), plain(found.Remedy), found.Code)
	}
	if f == nil {
		return
	}
	for _, w := range f.Warnings {
		fmt.Fprintf(b, "⚠ %s: %s\n\n", name, plain(w))
	}
	writeNomad(b, name, f.Nomad)
	if len(f.Stages) > 0 {
		fmt.Fprintf(b, "<details><summary>How %s goes</summary>\n\n", name)
		for _, stage := range f.Stages {
			fmt.Fprintf(b, "1. %s\n", plain(stage))
		}
		b.WriteString("\n</details>\n\n")
	}
}

// underWay is what becomes of the rollout that is under way; "" when none is.
func (c pullChange) underWay() string {
	if c.stand.AtRest() {
		return ""
	}
	text := fmt.Sprintf("%s is under way, at %s", c.stand.Canary.Revision, c.stand.Weight)
	switch {
	case c.goesOn:
		return text + ", and goes on: changed weights count from the next step, all else for the next rollout"
	case c.stays:
		return text + ": merging this takes it back, unless it is over by then"
	}
	return text + ": merging this ends it first, unless it is over by then"
}

// writeNomad writes what Nomad says of the job.
func writeNomad(b *strings.Builder, name string, n *NomadForesees) {
	if n == nil {
		return
	}
	for _, w := range n.Warnings {
		fmt.Fprintf(b, "⚠ %s: Nomad: %s\n\n", name, plain(w))
	}
	for _, group := range n.Unplaced {
		fmt.Fprintf(b, "⚠ %s: cannot be placed now: %s\n\n", name, plain(group))
	}
	if n.Diff != "" {
		fmt.Fprintf(b, "<details><summary>Nomad's plan for %s</summary>\n\n%s\n</details>\n\n", name, fenced("diff", n.Diff))
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
