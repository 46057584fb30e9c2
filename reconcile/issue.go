package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/drover-dev/drover/strategy"
)

// openIssue tells people of a rollback. Without a forge the text goes to the log.
func (l *Loop) openIssue(ctx context.Context, release string, task strategy.Task) (string, error) {
	pull, err := l.pullOf(ctx, task.Failed.SHA)
	if err != nil && !errors.Is(err, strategy.ErrRefused) {
		return "", err
	}
	issue := IssueOf(l.opts.Instance, release, task, pull)
	if l.opts.Forge == nil {
		l.log.Warn("rolled back", "release", release, "title", issue.Title, "issue", issue.Body)
		return "", nil
	}
	url, err := l.opts.Forge.OpenIssue(ctx, issue)
	if errors.Is(err, strategy.ErrRefused) {
		l.log.Error("issue not taken", "release", release, "error", err, "title", issue.Title, "issue", issue.Body)
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open the issue: %w", err)
	}
	if len(l.issues) >= maxKnown {
		clear(l.issues)
	}
	l.issues[task.Failed.SHA] = url
	return url, nil
}

// issueMarker identifies the issue of a failed commit. All of its releases that fail are told in that one.
func issueMarker(instance, commit, rollout string) string {
	if commit == "" {
		return instance + "/" + rollout
	}
	return instance + "/" + commit
}

// opened is the earliest time at which the issue of a failed commit can have been opened, be it for another release; zero
// when the commit does not say.
func opened(task strategy.Task) time.Time {
	if task.Failed.Time.After(task.At) {
		return time.Time{} // Some clock is wrong.
	}
	return task.Failed.Time
}

// closeIssue ends an incident: a later version was promoted. The issue stays open while it concerns other releases.
func (l *Loop) closeIssue(ctx context.Context, release string, task strategy.Task) error {
	closer, ok := l.opts.Forge.(Closer)
	if !ok {
		return nil
	}
	text := fmt.Sprintf("%s %s is live: %s.\n\nIt was released by commit %s (%s).", release, plain(task.Good.String()), plain(task.Reason.Text), task.Failed.SHA, inline(task.Failed.Subject))
	err := closer.CloseIssue(ctx, strategy.Closing{
		Marker: issueMarker(l.opts.Instance, task.Incident, task.Rollout), Part: l.opts.Instance + "/" + task.Rollout, Since: task.At, Text: text,
		Open: l.errands.concerns(task.Incident, release),
	})
	if errors.Is(err, strategy.ErrRefused) {
		l.log.Error("issue not closed", "release", release, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("close the issue: %w", err)
	}
	return nil
}

// IssueOf is the issue for a rollback, or its part in the issue of a commit of which other releases failed too: what was released, by which pull request if any, what the gates saw, and what to do
// next.
func IssueOf(instance, release string, task strategy.Task, pull strategy.Pull) strategy.Issue {
	var b strings.Builder
	first := isFirst(task)
	title := fmt.Sprintf("%s %s rolled back: %s", release, task.Bad, task.Reason.Text)
	if first {
		title = fmt.Sprintf("%s %s stopped: %s", release, task.Bad, task.Reason.Text)
	}
	fmt.Fprintf(&b, "**%s %s** was released by commit %s (%s", release, plain(task.Bad.String()), task.Failed.SHA, inline(task.Failed.Subject))
	if task.Failed.Author != "" {
		fmt.Fprintf(&b, ", by %s", inline(task.Failed.Author))
	}
	if pull.Number > 0 {
		fmt.Fprintf(&b, ", in pull request #%d", pull.Number)
		if pull.Author != "" {
			fmt.Fprintf(&b, " of %s", inline(pull.Author))
		}
	}
	b.WriteString(")")
	switch {
	case task.Step == 0:
		b.WriteString(" and ended before it had traffic")
	case first:
		fmt.Fprintf(&b, " as the first release of its job, and ended at %s of the traffic", task.Weight)
	default:
		fmt.Fprintf(&b, " and ended at step %d of %d, at %s of the traffic", task.Step, task.Steps, task.Weight)
	}
	fmt.Fprintf(&b, ".\n\nReason: %s.\n\n", plain(task.Reason.Text))
	if task.Requests > 0 {
		fmt.Fprintf(&b, "The canary answered %.0f requests; %.0f of them failed.\n\n", task.Requests, task.Errors)
	}
	if len(task.Verdicts) > 0 {
		b.WriteString("| gate | verdict | limit | canary | stable |\n| --- | --- | --- | --- | --- |\n")
		for _, v := range task.Verdicts {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(v.Gate), v.State, cell(v.Limit), cell(v.Canary), cell(v.Stable))
		}
		fmt.Fprintf(&b, "\nWhere Drover runs, `drover why -inputs %s` prints what this was judged on, every reading of it; `drover replay` comes to the verdicts again.\n\n", release)
	}
	b.WriteString("### Timeline\n\n")
	for _, e := range task.Timeline {
		fmt.Fprintf(&b, "- %s %s, %s: %s\n", e.At.UTC().Format(time.DateTime), e.Phase, e.Weight, plain(e.Reason.Text))
	}
	b.WriteString("\n### What was done\n\n")
	switch {
	case first:
		b.WriteString("- The job was stopped: there is no earlier version to go back to.\n")
	case servesOn(task):
		fmt.Fprintf(&b, "- %s could not be made ready: %s was all that served, and goes on until another version takes over.\n", plain(task.Good.String()), plain(task.Bad.String()))
	default:
		fmt.Fprintf(&b, "- The canary lost its traffic, and %s serves all of it.\n", plain(task.Good.String()))
	}
	fmt.Fprintf(&b, "- Git: %s.\n", plain(gitText(task, first)))
	fmt.Fprintf(&b, "\n### What to do next\n\nMend %s and merge a new version. %s itself is not tried again; `attempt = %d` in its release asks for it once more.\n",
		release, plain(task.Bad.String()), max(task.Bad.Attempt, 1)+1)
	return strategy.Issue{
		Marker: issueMarker(instance, task.Failed.SHA, task.Rollout), Part: instance + "/" + task.Rollout,
		Title: headline(title), Body: b.String(), Labels: task.Rollback.Labels, Assignees: task.Rollback.Assignees, Since: opened(task),
	}
}

// isFirst tells whether it was the first release of its job that failed, not one that replaced what nobody knows.
func isFirst(task strategy.Task) bool {
	return task.Good.IsZero() && len(task.Timeline) > 0 && task.Timeline[0].Phase == strategy.First
}

// servesOn tells whether what failed was promoted all the same, because nothing else served.
func servesOn(task strategy.Task) bool {
	n := len(task.Timeline)
	return n > 0 && task.Timeline[n-1].Phase == strategy.Blocked && task.Timeline[n-1].Reason.Code == strategy.Superseded
}

// gitText is what became of the commit.
func gitText(task strategy.Task, first bool) string {
	switch {
	case task.Result != "":
		return task.Result
	case first:
		return "nothing to revert to, it still asks for " + task.Bad.String()
	case task.Rollback.Commit == strategy.CommitNone:
		return "not reverted, as the policy says (commit = \"none\"). It still asks for " + task.Bad.String()
	}
	return "not reverted: which version ran before is not known. Revert " + task.Failed.Short() + " by hand"
}

// maxTitle bounds a title, which forges do too.
const maxTitle = 200

// oneLine is text without line breaks and other control characters.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
}

// headline is a title that every forge takes.
func headline(s string) string {
	runes := []rune(oneLine(s))
	if len(runes) <= maxTitle {
		return string(runes)
	}
	return string(runes[:maxTitle-1]) + "…"
}

// inline makes text from elsewhere, such as a commit's subject, a piece of code: nothing in it is Markdown, nobody is
// mentioned by it, and it ends where it should.
func inline(s string) string {
	s = strings.ReplaceAll(oneLine(s), "`", "'")
	if s == "" {
		return "` `"
	}
	return "`" + s + "`"
}

// plain makes text from elsewhere harmless within a line: it reads as it was written, nobody is mentioned by it, and no
// other issue is closed or linked.
func plain(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		switch r {
		case '\\', '`', '*', '_', '[', ']', '<', '|', '~':
			b.WriteRune('\\')
			b.WriteRune(r)
		case '@', '#':
			b.WriteRune(r)
			b.WriteString("&#8203;") // A space of no width: it takes the meaning and not the looks.
		case '&':
			b.WriteString("&amp;")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cell is plain text in a table; an empty one is a dash.
func cell(s string) string {
	if s = plain(s); s == "" {
		return "-"
	}
	return s
}
