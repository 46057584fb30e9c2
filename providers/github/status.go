package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/drover-dev/drover/strategy"
)

// What GitHub takes of a status, in characters.
const (
	maxDescription = 140
	maxContext     = 255
)

// The bounds of what is remembered, and of how many pages of anything are read.
const (
	maxRemembered = 2000
	maxPages      = 10
	perPage       = 100
)

// said is a status as it was set.
type said struct {
	state, text, url string
}

// SetStatus sets the status of a commit; one that is so already is not sent again. What a commit's statuses are is asked
// once in the life of the process. The error wraps strategy.ErrRefused when GitHub will not take it, however often it is
// tried: there is no such commit, or it has had a thousand statuses of that context.
func (f *Forge) SetStatus(ctx context.Context, sha string, status strategy.Status) error {
	status.Context = clip(status.Context, maxContext)
	want := said{string(status.State), clip(strings.ToValidUTF8(status.Text, ""), maxDescription), status.URL}
	known, err := f.spokenOf(ctx, sha)
	if err != nil {
		return err
	}
	key := strings.ToLower(status.Context)
	f.mu.Lock()
	same := known[key] == want
	f.mu.Unlock()
	if same {
		return nil
	}
	input := &github.RepoStatus{State: &want.state, Description: &want.text, Context: &status.Context}
	if want.url != "" {
		input.TargetURL = &want.url
	}
	_, _, err = f.client.Repositories.CreateStatus(ctx, f.owner, f.name, sha, input)
	switch {
	case code(err) == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", strategy.ErrRefused, err)
	case err != nil:
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known[key] = want
	return nil
}

// spokenOf is the statuses of a commit, asked once.
func (f *Forge) spokenOf(ctx context.Context, sha string) (spoken, error) {
	f.mu.Lock()
	known := f.statuses[sha]
	f.mu.Unlock()
	if known != nil {
		return known, nil
	}
	known = spoken{}
	opts := &github.ListOptions{PerPage: perPage}
	for range maxPages {
		combined, response, err := f.client.Repositories.GetCombinedStatus(ctx, f.owner, f.name, sha, opts)
		if code(err) == http.StatusNotFound || code(err) == http.StatusUnprocessableEntity {
			return known, nil // There is no such commit, or it may not be seen: setting the status tells which.
		}
		if err != nil {
			return nil, fmt.Errorf("read the statuses of %.7s: %w", sha, err)
		}
		for _, s := range combined.Statuses {
			known[strings.ToLower(s.GetContext())] = said{s.GetState(), s.GetDescription(), s.GetTargetURL()}
		}
		if response.NextPage == 0 {
			break
		}
		opts.Page = response.NextPage
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if there := f.statuses[sha]; there != nil {
		return there, nil
	}
	if len(f.statuses) >= maxRemembered {
		clear(f.statuses)
	}
	f.statuses[sha] = known
	return known, nil
}
