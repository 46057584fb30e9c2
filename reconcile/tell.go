package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover-dev/drover/strategy"
)

// tell sets the status of a commit, and writes the same below the pull request that brought it. How it ends is a status of
// the pull request's own head too: that is the one which its page shows. Without a forge that has any there is nobody to
// tell.
func (l *Loop) tell(ctx context.Context, release string, report strategy.Report) (err error) {
	name := l.opts.Instance + "/" + release
	if report.IsQuiet() && l.intent.askedBy(report.SHA) > maxQuiet {
		if l.summed[report.SHA] {
			return nil
		}
		name, release, report.Text = l.opts.Instance, allOthers, othersText
		defer func() {
			if len(l.summed) >= maxKnown {
				clear(l.summed)
			}
			l.summed[report.SHA] = err == nil
		}()
	}
	pull, asked := l.pullOf(ctx, report.SHA)
	status := strategy.Status{Context: name, State: report.State, Text: report.Text, URL: l.detailsOf(release, report, pull)}
	if err := l.setStatus(ctx, report.SHA, release, status); err != nil {
		return err
	}
	if asked != nil && !errors.Is(asked, strategy.ErrRefused) {
		return asked
	}
	if report.State != strategy.ReportPending && pull.Head != "" && pull.Head != report.SHA {
		if err := l.setStatus(ctx, pull.Head, release, status); err != nil {
			return err
		}
	}
	return l.writeBelow(ctx, release, pull, report)
}

// What a commit asks for that runs already is one status for each release, and one for all of them where there are many: a
// policy may concern every release there is.
const (
	maxQuiet   = 10
	allOthers  = "all others"
	othersText = "all other releases that it concerns run as it asks"
)

// setStatus sets a status; one that is refused is only logged.
func (l *Loop) setStatus(ctx context.Context, sha, release string, status strategy.Status) error {
	statuses, ok := l.opts.Forge.(Statuses)
	if !ok {
		return nil
	}
	err := statuses.SetStatus(ctx, sha, status)
	if errors.Is(err, strategy.ErrRefused) {
		l.log.Warn("status not taken", "release", release, "commit", sha, "text", status.Text, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("set the status of %.7s: %w", sha, err)
	}
	return nil
}

// detailsOf is where a person reads on from a status: what is configured, else the issue of what failed, the pull request
// with the comment that follows the rollout, or the commit.
func (l *Loop) detailsOf(release string, report strategy.Report, pull strategy.Pull) string {
	if l.opts.Details != nil {
		return l.opts.Details(release, report.SHA)
	}
	if issue := l.issues[report.SHA]; issue != "" && report.State == strategy.ReportFailure {
		return issue
	}
	if pull.URL != "" {
		return pull.URL
	}
	if pages, ok := l.opts.Forge.(Pages); ok {
		return pages.CommitURL(report.SHA)
	}
	return ""
}

const (
	// maxKnown bounds the commits whose pull requests, and issues, are remembered.
	maxKnown = 1000
	// maxAsks bounds how often a commit's pull request is asked for while there is none: a forge may know it a little late.
	maxAsks = 3
)

// bringer is the pull request that brought a commit, as far as it is known.
type bringer struct {
	pull strategy.Pull
	asks int // that had no answer
}

// pullOf is the pull request that brought a commit. Once it is known it is not asked for again: it never changes. It may be
// called at any time.
func (l *Loop) pullOf(ctx context.Context, sha string) (strategy.Pull, error) {
	pulls, ok := l.opts.Forge.(Pulls)
	if !ok || sha == "" {
		return strategy.Pull{}, nil
	}
	l.mu.Lock()
	known := l.brought[sha]
	l.mu.Unlock()
	if known.pull.Number > 0 || known.asks >= maxAsks {
		return known.pull, nil
	}
	pull, err := pulls.PullOf(ctx, sha)
	if err != nil {
		return strategy.Pull{}, fmt.Errorf("find the pull request of %.7s: %w", sha, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.brought) >= maxKnown {
		clear(l.brought)
	}
	l.brought[sha] = bringer{pull, known.asks + 1}
	return pull, nil
}

// writeBelow has the comment of a merged pull request say where each of its releases stands.
func (l *Loop) writeBelow(ctx context.Context, release string, pull strategy.Pull, report strategy.Report) error {
	pulls, ok := l.opts.Forge.(Pulls)
	if !ok || pull.Number == 0 {
		return nil
	}
	err := pulls.Comment(ctx, pull.Number, l.remarkMarker(), func(old string) string { return withRelease(old, release, report) })
	switch {
	case errors.Is(err, strategy.ErrRefused):
		l.log.Warn("comment not taken", "release", release, "pull", pull.Number, "error", err)
	case err != nil:
		return fmt.Errorf("write below pull request %d: %w", pull.Number, err)
	}
	return nil
}

// remarkMarker identifies the one comment below each pull request.
func (l *Loop) remarkMarker() string { return l.opts.Instance + "/remark" }
