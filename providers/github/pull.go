package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/drover-dev/drover/strategy"
)

// maxPulls bounds how many open pull requests are looked at, the oldest first.
const maxPulls = 1000

func errLocked(err error) error { return fmt.Errorf("%w: %w", strategy.ErrRefused, err) }

// Pulls is the open pull requests to the release branch, the oldest first.
func (f *Forge) Pulls(ctx context.Context) ([]strategy.Pull, error) {
	var all []strategy.Pull
	opts := &github.PullRequestListOptions{
		State: "open", Base: f.config.Branch, Sort: "created", Direction: "asc", ListOptions: github.ListOptions{PerPage: perPage},
	}
	for len(all) < maxPulls {
		pulls, response, err := f.client.PullRequests.List(ctx, f.owner, f.name, opts)
		if err != nil {
			return nil, fmt.Errorf("list the pull requests: %w", err)
		}
		for _, p := range pulls {
			all = append(all, f.pullOf(p))
		}
		if response.NextPage == 0 {
			break
		}
		opts.Page = response.NextPage
	}
	return all, nil
}

func (f *Forge) pullOf(p *github.PullRequest) strategy.Pull {
	head := p.GetHead()
	return strategy.Pull{
		Number: p.GetNumber(), URL: p.GetHTMLURL(), Title: p.GetTitle(), Author: p.GetUser().GetLogin(), Head: head.GetSHA(),
		Ref: fmt.Sprintf("refs/pull/%d/head", p.GetNumber()),
		// A fork that was deleted has no repository any more.
		Fork:   !strings.EqualFold(head.GetRepo().GetFullName(), f.owner+"/"+f.name),
		Merged: p.GetMerged() || p.MergedAt != nil,
	}
}

// PullOf is the merged pull request that brought a commit to the release branch, as a merge commit, squashed or rebased;
// its number is 0 when there is none.
func (f *Forge) PullOf(ctx context.Context, sha string) (strategy.Pull, error) {
	pulls, _, err := f.client.PullRequests.ListPullRequestsWithCommit(ctx, f.owner, f.name, sha, &github.ListOptions{PerPage: perPage})
	if err != nil && code(err) != http.StatusUnprocessableEntity && code(err) != http.StatusNotFound {
		return strategy.Pull{}, fmt.Errorf("ask which pull request brought %.7s: %w", sha, err)
	}
	for _, p := range pulls {
		if p.MergedAt != nil && p.GetBase().GetRef() == f.config.Branch {
			return f.pullOf(p), nil
		}
	}
	// For a branch that is not the repository's default GitHub lists open ones only.
	closed, _, err := f.client.PullRequests.List(ctx, f.owner, f.name, &github.PullRequestListOptions{
		State: "closed", Base: f.config.Branch, Sort: "updated", Direction: "desc", ListOptions: github.ListOptions{PerPage: perPage},
	})
	if err != nil {
		return strategy.Pull{}, fmt.Errorf("ask which pull request brought %.7s: %w", sha, err)
	}
	for _, p := range closed {
		if p.MergedAt != nil && p.GetMergeCommitSHA() == sha {
			return f.pullOf(p), nil
		}
	}
	return strategy.Pull{}, nil
}

// Propose opens a pull request to the release branch, or finds the one of the same branch, open or not, and returns its
// address. The error wraps strategy.ErrRefused when GitHub will not take it.
func (f *Forge) Propose(ctx context.Context, p strategy.Proposal) (string, error) {
	ctx = urgently(ctx)
	there, _, err := f.client.PullRequests.List(ctx, f.owner, f.name, &github.PullRequestListOptions{
		State: "all", Base: f.config.Branch, Head: f.owner + ":" + p.Branch, ListOptions: github.ListOptions{PerPage: perPage},
	})
	if err != nil {
		return "", fmt.Errorf("look for the pull request: %w", err)
	}
	for _, pull := range there {
		if pull.GetHead().GetRef() == p.Branch {
			return pull.GetHTMLURL(), nil
		}
	}
	title, body := clip(p.Title, maxTitle), clip(p.Body, maxBody)
	opened, _, err := f.client.PullRequests.Create(ctx, f.owner, f.name, &github.NewPullRequest{
		Title: &title, Body: &body, Head: &p.Branch, Base: &f.config.Branch, MaintainerCanModify: new(true),
	})
	if err != nil {
		return "", refused(err)
	}
	return opened.GetHTMLURL(), nil
}
