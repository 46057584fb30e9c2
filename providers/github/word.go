package github

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/drover-dev/drover/strategy"
)

// sinceStays is how long the question for words stays the same, so that it is answered for nothing.
const sinceStays = 6 * time.Hour

// reactions are how answers look.
var reactions = map[strategy.Answer]string{strategy.AnswerDone: "+1", strategy.AnswerRefused: "-1", strategy.AnswerVoid: "confused"}

// Words is what was written below pull requests and issues since a time, the oldest first.
func (f *Forge) Words(ctx context.Context, since time.Time) ([]strategy.Word, error) {
	self, err := f.Self(ctx)
	if err != nil {
		return nil, err
	}
	since = since.UTC().Truncate(sinceStays)
	sort, direction := "updated", "asc"
	opts := &github.IssueListCommentsOptions{Sort: &sort, Direction: &direction, Since: &since, ListOptions: github.ListOptions{PerPage: perPage}}
	var words []strategy.Word
	for range maxPages {
		comments, response, err := f.client.Issues.ListComments(ctx, f.owner, f.name, 0, opts)
		if err != nil {
			return nil, fmt.Errorf("list the comments: %w", err)
		}
		for _, c := range comments {
			number, err := strconv.Atoi(path.Base(c.GetIssueURL()))
			if err != nil {
				continue
			}
			login := c.GetUser().GetLogin()
			words = append(words, strategy.Word{
				ID: c.GetID(), Pull: number, Author: login, At: c.GetCreatedAt().Time, Text: c.GetBody(), Mine: strings.EqualFold(login, self),
			})
		}
		if response.NextPage == 0 {
			break
		}
		opts.Page = response.NextPage
	}
	return words, nil
}

// IsAnswered tells whether Drover answered a word before.
func (f *Forge) IsAnswered(ctx context.Context, id int64) (bool, error) {
	self, err := f.Self(ctx)
	if err != nil {
		return false, err
	}
	opts := &github.ListOptions{PerPage: perPage}
	for {
		given, response, err := f.client.Reactions.ListIssueCommentReactions(urgently(ctx), f.owner, f.name, id, opts)
		if err != nil {
			return false, fmt.Errorf("read the reactions: %w", err)
		}
		for _, r := range given {
			if strings.EqualFold(r.GetUser().GetLogin(), self) {
				return true, nil
			}
		}
		if response.NextPage == 0 {
			return false, nil
		}
		opts.Page = response.NextPage
	}
}

// Answer shows below a word what became of it.
func (f *Forge) Answer(ctx context.Context, id int64, a strategy.Answer) error {
	_, _, err := f.client.Reactions.CreateIssueCommentReaction(urgently(ctx), f.owner, f.name, id, reactions[a])
	if err != nil {
		return fmt.Errorf("answer: %w", refused(err))
	}
	return nil
}

// MayCommand tells whether somebody may write to the repository.
func (f *Forge) MayCommand(ctx context.Context, author string) (bool, error) {
	level, _, err := f.client.Repositories.GetPermissionLevel(urgently(ctx), f.owner, f.name, author)
	if code(err) == 404 {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask what %s may do: %w", author, err)
	}
	switch level.GetPermission() {
	case "admin", "maintain", "write":
		return true, nil
	}
	return false, nil
}
