package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/drover-dev/drover/strategy"
)

const (
	// maxBody is what GitHub takes of a body, in characters; maxTitle of a title.
	maxBody  = 65536
	maxTitle = 256
	// looseClock is by how much GitHub's clock may be behind ours.
	looseClock = 10 * time.Minute
)

// mark is the line that makes what we wrote findable; people do not see it.
func mark(marker string) string {
	return "<!-- drover " + strings.NewReplacer("--", "-\u200b-", ">", "").Replace(marker) + " -->"
}

// marked is a text with its marker, within GitHub's bounds.
func marked(marker, text string, more ...string) string {
	marks := []string{mark(marker)}
	for _, also := range more {
		marks = append(marks, mark(also))
	}
	line := "\n\n" + strings.Join(marks, "\n") + "\n"
	const cut = "\n\n(cut: GitHub takes no more)"
	if room := maxBody - len([]rune(line)); len([]rune(text)) > room {
		text = string([]rune(text)[:room-len([]rune(cut))]) + cut
	}
	return strings.TrimRight(text, "\n") + line
}

// OpenIssue opens an issue, or finds the one of ours that carries the same marker, and returns its address. What that does
// not tell of yet is told in a comment, and the issue is open again. The error wraps strategy.ErrRefused when the repository
// has no issues.
func (f *Forge) OpenIssue(ctx context.Context, issue strategy.Issue) (string, error) {
	ctx = urgently(ctx)
	there, err := f.findIssue(ctx, issue.Marker, issue.Since)
	if err != nil {
		return "", err
	}
	if there != nil {
		return there.GetHTMLURL(), f.addPart(ctx, there, issue)
	}
	title, body := clip(issue.Title, maxTitle), marked(issue.Marker, issue.Body, issue.Part)
	request := &github.IssueRequest{Title: &title, Body: &body}
	if len(issue.Labels) > 0 {
		request.Labels = &issue.Labels
	}
	if len(issue.Assignees) > 0 {
		request.Assignees = &issue.Assignees
	}
	opened, _, err := f.client.Issues.Create(ctx, f.owner, f.name, request)
	if code(err) == http.StatusUnprocessableEntity && request.Assignees != nil {
		// One who left must not keep the others from knowing.
		f.log.Warn("issue opened without its assignees", "assignees", strings.Join(issue.Assignees, ","), "error", err)
		request.Assignees = nil
		opened, _, err = f.client.Issues.Create(ctx, f.owner, f.name, request)
	}
	if err != nil {
		return "", refused(err)
	}
	return opened.GetHTMLURL(), nil
}

// addPart tells below an issue what it does not tell of yet.
func (f *Forge) addPart(ctx context.Context, there *github.Issue, issue strategy.Issue) error {
	if issue.Part == "" || strings.Contains(there.GetBody(), mark(issue.Part)) {
		return nil
	}
	told, err := f.findComment(ctx, sticky{there.GetNumber(), issue.Part})
	if err != nil || told != nil {
		return err
	}
	// First: once it is told nobody looks here again.
	if there.GetState() == "closed" {
		open, reason := "open", "reopened"
		if _, _, err := f.client.Issues.Edit(ctx, f.owner, f.name, there.GetNumber(), &github.IssueRequest{State: &open, StateReason: &reason}); err != nil {
			return refused(err)
		}
	}
	if err := f.addPeople(ctx, there, issue); err != nil {
		return err
	}
	return f.Comment(ctx, there.GetNumber(), issue.Part, func(string) string { return issue.Body })
}

// addPeople gives an issue the labels and assignees that it lacks. What GitHub does not take must not keep people from
// knowing.
func (f *Forge) addPeople(ctx context.Context, there *github.Issue, issue strategy.Issue) error {
	labels, assignees := slices.Clone(issue.Labels), slices.Clone(issue.Assignees)
	for _, l := range there.Labels {
		labels = slices.DeleteFunc(labels, func(name string) bool { return strings.EqualFold(name, l.GetName()) })
	}
	for _, a := range there.Assignees {
		assignees = slices.DeleteFunc(assignees, func(login string) bool { return strings.EqualFold(login, a.GetLogin()) })
	}
	var failed error
	if len(labels) > 0 {
		failed = f.addLabels(ctx, there.GetNumber(), labels)
	}
	if failed == nil && len(assignees) > 0 { // Those who may not be assigned are left out by GitHub without a word.
		_, _, failed = f.client.Issues.AddAssignees(ctx, f.owner, f.name, there.GetNumber(), assignees)
	}
	if failed = refused(failed); errors.Is(failed, strategy.ErrRefused) {
		f.log.Warn("issue without the labels and assignees of a later part", "issue", there.GetNumber(), "error", failed)
		return nil
	}
	return failed
}

// addLabels sends them in the form that GitHub recommends; the client's own method does in the older one.
func (f *Forge) addLabels(ctx context.Context, number int, labels []string) error {
	path := fmt.Sprintf("repos/%s/%s/issues/%d/labels", f.owner, f.name, number)
	request, err := f.client.NewRequest(http.MethodPost, path, map[string][]string{"labels": labels})
	if err != nil {
		return err
	}
	_, err = f.client.Do(ctx, request, nil)
	return err
}

// refused wraps strategy.ErrRefused around what no later try can mend.
func refused(err error) error {
	switch code(err) {
	case http.StatusGone, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", strategy.ErrRefused, err)
	}
	return err
}

// CloseIssue says below the issue that carries the marker that one of its parts has ended, and closes it with the last of
// them. One that is not there, or that somebody closed, is no error.
func (f *Forge) CloseIssue(ctx context.Context, c strategy.Closing) error {
	issue, err := f.findIssue(ctx, c.Marker, c.Since)
	if err != nil || issue == nil || issue.GetState() == "closed" {
		return err
	}
	err = f.Comment(ctx, issue.GetNumber(), c.Part+" closed", func(string) string { return c.Text })
	if err != nil && !errors.Is(err, strategy.ErrRefused) {
		return err
	}
	if c.Open {
		return nil
	}
	closed, reason := "closed", "completed"
	_, _, err = f.client.Issues.Edit(ctx, f.owner, f.name, issue.GetNumber(), &github.IssueRequest{State: &closed, StateReason: &reason})
	return refused(err)
}

// findIssue is the issue of ours that carries a marker and was written to since; nil when there is none. Search is no
// way to find it: it sees what was just created late.
func (f *Forge) findIssue(ctx context.Context, marker string, since time.Time) (*github.Issue, error) {
	self, err := f.Self(ctx)
	if err != nil {
		return nil, err
	}
	opts := &github.IssueListByRepoOptions{State: "all", Sort: "created", Direction: "asc", ListOptions: github.ListOptions{PerPage: perPage}}
	if !since.IsZero() {
		opts.Since = since.Add(-looseClock).UTC().Truncate(time.Minute)
	}
	for {
		issues, response, err := f.client.Issues.ListByRepo(ctx, f.owner, f.name, opts)
		if code(err) == http.StatusGone {
			return nil, refused(err)
		}
		if err != nil {
			return nil, fmt.Errorf("look for the issue: %w", err)
		}
		for _, issue := range issues {
			if !issue.IsPullRequest() && strings.EqualFold(issue.GetUser().GetLogin(), self) && strings.Contains(issue.GetBody(), mark(marker)) {
				return issue, nil
			}
		}
		if response.NextPage == 0 {
			return nil, nil
		}
		opts.Page = response.NextPage
	}
}
