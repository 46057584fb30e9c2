package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"
)

// sticky names a comment: there is one of each marker below an issue or a pull request.
type sticky struct {
	number int
	marker string
}

// Comment writes the comment of a marker below a pull request or an issue: edit is given its text, "" when there is none,
// and returns the text that it is to have. It is found by its marker and by being ours, so that nobody can have Drover
// write into theirs. Nothing is sent when the text stays, and none is made when edit returns "". The error wraps
// strategy.ErrRefused when comments are not taken there: it is locked, or gone.
func (f *Forge) Comment(ctx context.Context, number int, marker string, edit func(old string) string) error {
	there, err := f.findComment(ctx, sticky{number, marker})
	if err != nil {
		return err
	}
	old := ""
	if there != nil {
		old = unmarked(there.GetBody(), marker)
	}
	text := edit(old)
	if text == "" && there == nil {
		return nil
	}
	body := marked(marker, text)
	if unmarked(body, marker) == old && there != nil {
		return nil
	}
	if there != nil {
		_, _, err = f.client.Issues.EditComment(ctx, f.owner, f.name, there.GetID(), &github.IssueComment{Body: &body})
		if code(err) == http.StatusNotFound { // Somebody deleted it just now.
			f.forget(sticky{number, marker})
		}
		return refusedComment(err)
	}
	made, _, err := f.client.Issues.CreateComment(ctx, f.owner, f.name, number, &github.IssueComment{Body: &body})
	if err != nil {
		return refusedComment(err)
	}
	f.keep(sticky{number, marker}, made.GetID())
	return nil
}

// refusedComment is refused for comments: a locked conversation answers 403, with these words.
func refusedComment(err error) error {
	if code(err) == http.StatusForbidden && strings.Contains(strings.ToLower(err.Error()), "locked") {
		return errLocked(err)
	}
	return refused(err)
}

// unmarked is the text of a comment of ours.
func unmarked(body, marker string) string {
	text, _, _ := strings.Cut(strings.ReplaceAll(body, "\r\n", "\n"), "\n\n"+mark(marker))
	return text
}

// findComment is the oldest comment of ours with the marker; nil when there is none.
func (f *Forge) findComment(ctx context.Context, which sticky) (*github.IssueComment, error) {
	f.mu.Lock()
	id := f.comments[which]
	f.mu.Unlock()
	if id != 0 {
		comment, _, err := f.client.Issues.GetComment(ctx, f.owner, f.name, id)
		if code(err) != http.StatusNotFound {
			return comment, err
		}
		f.forget(which)
	}
	self, err := f.Self(ctx)
	if err != nil {
		return nil, err
	}
	opts := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: perPage}}
	for {
		comments, response, err := f.client.Issues.ListComments(ctx, f.owner, f.name, which.number, opts)
		if err != nil {
			return nil, fmt.Errorf("look for the comment: %w", refusedComment(err))
		}
		for _, c := range comments {
			if strings.EqualFold(c.GetUser().GetLogin(), self) && strings.Contains(c.GetBody(), mark(which.marker)) {
				f.keep(which, c.GetID())
				return c, nil
			}
		}
		if response.NextPage == 0 {
			return nil, nil
		}
		opts.Page = response.NextPage
	}
}

func (f *Forge) keep(which sticky, id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.comments) >= maxRemembered {
		clear(f.comments)
	}
	f.comments[which] = id
}

func (f *Forge) forget(which sticky) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.comments, which)
}
