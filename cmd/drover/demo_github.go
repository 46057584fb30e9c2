package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// demoHub is the GitHub of the demo: the real client speaks to it, and it keeps what people would see there.
type demoHub struct {
	*githubtest.Hub
	forge *github.Forge
}

// newDemoHub is a GitHub for the demo's bare repository.
func newDemoHub(bare string) (*demoHub, error) {
	hub, err := githubtest.New(githubtest.Options{Repository: "shop/releases", Dir: bare})
	if err != nil {
		return nil, err
	}
	forge, err := github.New(github.Config{Repository: "shop/releases", Token: github.Fixed(githubtest.Token), Transport: hub.Transport(), Gap: -1, Budget: 1})
	if err != nil {
		return nil, err
	}
	return &demoHub{Hub: hub, forge: forge}, nil
}

// propose opens a pull request for a branch, waits until Drover said what merging it would do, and merges it.
func (d *demo) propose(ctx context.Context, branch, title string) error {
	number, err := d.hub.Open(githubtest.Person, branch, title)
	if err != nil {
		return err
	}
	if _, err := d.loop.Review(ctx, time.Now()); err != nil {
		return fmt.Errorf("review the pull request: %w", err)
	}
	head := d.pull(number).Head
	plan := d.hub.Statuses(head)
	if len(plan) != 1 || plan[0].State != string(strategy.ReportSuccess) {
		return fmt.Errorf("pull request %d has the statuses %v, not a plan", number, plan)
	}
	d.c.printf("  pull request #%d  %s %s: %s\n\n", number, sign(plan[0].State), plan[0].Context, plan[0].Text)
	_, err = d.hub.Merge(githubtest.Person, number, "squash")
	return err
}

func (d *demo) pull(number int) githubtest.Pull {
	pulls := d.hub.Pulls()
	return pulls[slices.IndexFunc(pulls, func(p githubtest.Pull) bool { return p.Number == number })]
}

// onGitHub shows what people would see on GitHub, and checks it.
func (d *demo) onGitHub(ctx context.Context) error {
	log, err := d.repo.git(ctx, "log", "--reverse", "--format=%H %h  %s", "main")
	if err != nil {
		return err
	}
	d.chapter("What people see on GitHub: the statuses of each commit, in their order")
	last := ""
	for line := range strings.Lines(log) {
		sha, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		d.c.printf("  %s\n", text)
		for _, s := range d.hub.Statuses(sha) {
			last = s.State
			d.c.printf("    %s %s  %s\n", sign(s.State), s.Context, s.Text)
		}
	}
	for _, p := range d.hub.Pulls() {
		if len(p.Comments) != 1 {
			return fmt.Errorf("%d comments stand below pull request %d, not one", len(p.Comments), p.Number)
		}
		d.chapter(fmt.Sprintf("Below pull request #%d %q: one comment, edited %d times", p.Number, p.Title, p.Comments[0].Edits))
		d.c.printf("%s\n", indent(visible(p.Comments[0].Body)))
	}
	issues := d.hub.Issues()
	if len(issues) != 1 || last == "" {
		return fmt.Errorf("%d issues were opened, not one; the last status is %q", len(issues), last)
	}
	d.chapter(fmt.Sprintf("Issue #%d", issues[0].Number))
	d.c.printf("%s\n", indent("# "+issues[0].Title+"\nlabels: "+strings.Join(issues[0].Labels, ", ")+"\n\n"+visible(issues[0].Body)))
	return nil
}

// visible is a text as GitHub shows it: without the marks that only Drover reads.
func visible(body string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(body, "<!--")
		b.WriteString(before)
		if !found {
			return strings.TrimSpace(b.String())
		}
		_, body, _ = strings.Cut(after, "-->")
	}
}

func sign(state string) string {
	return map[string]string{"pending": "●", "success": "✓", "failure": "✗", "error": "!"}[state]
}

// tellIssues prints every issue as it is opened, while people play on their own.
type tellIssues struct {
	*github.Forge
	opened func(strategy.Issue)
}

// OpenIssue opens it, and prints it.
func (f *tellIssues) OpenIssue(ctx context.Context, issue strategy.Issue) (string, error) {
	url, err := f.Forge.OpenIssue(ctx, issue)
	if err == nil && f.opened != nil {
		f.opened(issue)
	}
	return url, err
}

var _ reconcile.Pulls = (*tellIssues)(nil)
