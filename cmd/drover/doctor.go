package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/github"
)

// doctorTime bounds each thing that is looked at.
const doctorTime = time.Minute

func runDoctor(ctx context.Context, c *console, args []string) int {
	f := c.flags("doctor", "doctor [-config drover.hcl]\n\nTries what the configuration needs of Git and of GitHub, and changes nothing. Exit code: 1 when something is missing.")
	conf, code, done := c.configured(f, args, 0)
	if done {
		return code
	}
	findings, err := examine(ctx, conf)
	if err != nil {
		return c.fail(err)
	}
	missing := 0
	for _, found := range findings {
		c.printf("%-7s  %s: %s\n", found.State, found.What, found.Detail)
		if found.Remedy != "" {
			c.printf("         %s\n", found.Remedy)
		}
		if found.State == github.Missing {
			missing++
		}
	}
	if missing > 0 {
		c.printf("\n%d of %d are missing\n", missing, len(findings))
		return 1
	}
	c.printf("\nnothing is missing\n")
	return 0
}

// examine looks at everything in turn; what cannot be looked at is a finding too.
func examine(ctx context.Context, c *config) ([]github.Finding, error) {
	quiet := slog.New(slog.DiscardHandler)
	forge, err := wireForge(c, quiet)
	if err != nil {
		return nil, err
	}
	c.clone += "-doctor" // A clone of its own: the daemon may be using the other.
	settings := git.Config{StateDir: filepath.Join(c.StateDir, c.clone), Logger: quiet}
	if forge != nil && c.isOnGitHub() {
		settings.ReadToken = forge.GitToken
	}
	repository, err := c.Git.open(settings)
	if err != nil {
		return nil, err
	}
	looking, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	found := github.Finding{What: "release repository", State: github.Well}
	if head, err := repository.Head(looking); err != nil {
		found.State, found.Detail, found.Remedy = github.Missing, err.Error(), "Check url, branch and credentials of the git block."
	} else {
		found.Detail = "at " + head.Short() + " " + head.Subject
	}
	findings := []github.Finding{found}
	if forge == nil {
		return append(findings, github.Finding{
			What: "GitHub", State: github.Doubt, Detail: "there is no github block", Remedy: "Add one to have statuses, comments and issues; everything else works without.",
		}), nil
	}
	examining, cancelExam := context.WithTimeout(ctx, doctorTime)
	defer cancelExam()
	findings = append(findings, forge.Examine(examining, c.GitHub.webhookSecret().given())...)
	if c.GitHub.webhookSecret().given() && c.HTTP == nil {
		findings = append(findings, github.Finding{What: "webhook", State: github.Missing, Detail: "there is no http block to hear it", Remedy: "Add http { listen = \"0.0.0.0:9090\" }."})
	}
	return findings, errors.Join(repository.Close())
}
