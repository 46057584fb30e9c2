package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/drover-dev/drover/strategy"
)

// Finding is one thing that Examine looked at.
type Finding = strategy.Checkup

// FindingState is how well it is.
type FindingState = strategy.CheckupState

// The states.
const (
	Well    = strategy.CheckupWell
	Doubt   = strategy.CheckupDoubt
	Missing = strategy.CheckupMissing
)

func finding(what string, state FindingState, detail, remedy string) Finding {
	return Finding{What: what, State: state, Detail: detail, Remedy: remedy}
}

// noCommit is a commit that no repository has.
var noCommit = strings.Repeat("0", 40)

// Examine tries everything that Drover needs on GitHub, without changing anything: what would be created is asked for in
// a way that GitHub refuses after it has looked at the permission. webhook tells whether one is to be there.
func (f *Forge) Examine(ctx context.Context, webhook bool) []Finding {
	ctx = urgently(ctx)
	self, err := f.Self(ctx)
	if err != nil {
		return []Finding{finding("identity", Missing, err.Error(), "Check that the token or the app's key is right, not expired, and for this GitHub (base_url).")}
	}
	findings := []Finding{finding("identity", Well, "Drover is "+self, "")}
	repository, _, err := f.client.Repositories.Get(ctx, f.owner, f.name)
	if err != nil {
		return append(findings, finding("repository", Missing, said1(err), fmt.Sprintf("Give %s access to %s/%s: GitHub says that there is no such repository when one may not see it.", self, f.owner, f.name)))
	}
	findings = append(findings, finding("repository", Well, repository.GetFullName(), ""))
	findings = append(findings, f.examineContents(ctx, repository), f.examineStatuses(ctx), f.examineIssues(ctx, repository), f.examinePulls(ctx), f.examineReaders(ctx, self))
	findings = append(findings, f.examineBranch(ctx)...)
	if webhook {
		findings = append(findings, f.examineHook(ctx))
	}
	return findings
}

// said1 is the first line of an error.
func said1(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

func (f *Forge) examineContents(ctx context.Context, repository *github.Repository) Finding {
	what := "contents: write, for reverts"
	if !repository.GetPermissions()["push"] && f.app == nil {
		return finding(what, Missing, "may not push", "Give the token Contents: read and write; policies with commit = \"none\" need no more than read.")
	}
	_, _, err := f.client.Repositories.GetBranch(ctx, f.owner, f.name, f.config.Branch, 1)
	if err != nil {
		return finding(what, Missing, said1(err), fmt.Sprintf("There is no branch %q that may be read: set git.branch.", f.config.Branch))
	}
	if f.app != nil {
		return finding(what, Doubt, "what an app may push shows only when it does", "Give the app Contents: read and write.")
	}
	return finding(what, Well, "may push", "")
}

// tried is a finding from a call that GitHub must refuse as invalid, after it looked at the permission.
func tried(what string, err error, remedy string) Finding {
	switch code(err) {
	case http.StatusUnprocessableEntity:
		return finding(what, Well, "may write", "")
	case http.StatusForbidden, http.StatusNotFound:
		return finding(what, Missing, said1(err), remedy)
	}
	if err == nil {
		err = errors.New("GitHub took what is invalid")
	}
	return finding(what, Doubt, said1(err), "Try again.")
}

func (f *Forge) examineStatuses(ctx context.Context) Finding {
	state, name := "success", "drover/doctor"
	_, _, err := f.client.Repositories.CreateStatus(ctx, f.owner, f.name, noCommit, &github.RepoStatus{State: &state, Context: &name})
	return tried("commit statuses: write", err, "Give it Commit statuses: read and write.")
}

func (f *Forge) examineIssues(ctx context.Context, repository *github.Repository) Finding {
	const what = "issues: write, for issues and comments"
	if !repository.GetHasIssues() {
		return finding(what, Doubt, "the repository has no issues", "Switch issues on in its settings: without them a rollback is explained in the log alone.")
	}
	empty := ""
	_, _, err := f.client.Issues.Create(ctx, f.owner, f.name, &github.IssueRequest{Title: &empty})
	return tried(what, err, "Give it Issues: read and write.")
}

func (f *Forge) examinePulls(ctx context.Context) Finding {
	title, nowhere := "drover doctor", "drover/doctor-"+noCommit[:7]
	_, _, err := f.client.PullRequests.Create(ctx, f.owner, f.name, &github.NewPullRequest{Title: &title, Head: &nowhere, Base: &f.config.Branch})
	return tried("pull requests: write", err, "Give it Pull requests: read and write.")
}

func (f *Forge) examineReaders(ctx context.Context, self string) Finding {
	const what = "collaborators: read, for commands in comments"
	if _, _, err := f.client.Repositories.GetPermissionLevel(ctx, f.owner, f.name, self); err != nil && code(err) != http.StatusNotFound {
		return finding(what, Missing, said1(err), "Give it Metadata: read, and write access to the repository: else nobody can command Drover in comments.")
	}
	return finding(what, Well, "may ask who may write", "")
}

func (f *Forge) examineBranch(ctx context.Context) []Finding {
	what := "protection of " + f.config.Branch
	branch, _, err := f.client.Repositories.GetBranch(ctx, f.owner, f.name, f.config.Branch, 1)
	if err != nil {
		return nil // Said before.
	}
	rules, _, err := f.client.Repositories.GetRulesForBranch(ctx, f.owner, f.name, f.config.Branch)
	var names []string
	for _, r := range rules {
		names = append(names, r.Type)
	}
	switch {
	case branch.GetProtected() || len(names) > 0:
		detail := "it is protected"
		if len(names) > 0 {
			detail += " by " + strings.Join(names, ", ")
		}
		return []Finding{finding(what, Doubt, detail, "Reverts become pull requests where it takes no push from Drover. To have them pushed, put Drover on the bypass list of the ruleset.")}
	case err != nil && code(err) != http.StatusNotFound:
		return []Finding{finding(what, Doubt, said1(err), "Its rules cannot be read: look at them by hand.")}
	}
	return []Finding{finding(what, Well, "it takes pushes", "")}
}

func (f *Forge) examineHook(ctx context.Context) Finding {
	const what = "webhook"
	byHand := "Look at it by hand: payload URL https://HOST/webhooks/github, content type application/json, the secret, and the events push, pull_request and issue_comment."
	hooks, _, err := f.client.Repositories.ListHooks(ctx, f.owner, f.name, &github.ListOptions{PerPage: perPage})
	if err != nil {
		return finding(what, Doubt, "webhooks can be read by administrators alone", byHand)
	}
	for _, h := range hooks {
		address := ""
		if h.Config != nil {
			address = h.Config.GetURL()
		}
		if !strings.HasSuffix(address, "/webhooks/github") {
			continue
		}
		switch {
		case !h.GetActive():
			return finding(what, Missing, "it is switched off", "Switch it on.")
		case h.Config.GetContentType() != "json":
			return finding(what, Missing, "its content type is "+h.Config.GetContentType(), "Set it to application/json.")
		}
		return finding(what, Well, strings.Join(h.Events, ", "), "")
	}
	return finding(what, Missing, "there is none for /webhooks/github", byHand)
}
