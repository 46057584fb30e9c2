package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover-dev/drover/strategy"
)

// tell sets the status of a commit, and writes the same below the pull request that brought it. Without a forge that has
// any there is nobody to tell.
func (l *Loop) tell(ctx context.Context, release string, report strategy.Report) error {
	if statuses, ok := l.opts.Forge.(Statuses); ok {
		status := strategy.Status{Context: l.opts.Instance + "/" + release, State: report.State, Text: report.Text}
		err := statuses.SetStatus(ctx, report.SHA, status)
		if errors.Is(err, strategy.ErrRefused) {
			l.log.Warn("status not taken", "release", release, "commit", report.SHA, "text", report.Text, "error", err)
		} else if err != nil {
			return fmt.Errorf("set the status of %.7s: %w", report.SHA, err)
		}
	}
	return l.writeBelow(ctx, release, report)
}

// maxKnown bounds the commits whose pull requests are remembered.
const maxKnown = 1000

// pullOf is the pull request that brought a commit. It is asked once: that never changes.
func (l *Loop) pullOf(ctx context.Context, sha string) (strategy.Pull, error) {
	pulls, ok := l.opts.Forge.(Pulls)
	if !ok || sha == "" {
		return strategy.Pull{}, nil
	}
	if pull, known := l.brought[sha]; known {
		return pull, nil
	}
	pull, err := pulls.PullOf(ctx, sha)
	if err != nil {
		return strategy.Pull{}, fmt.Errorf("find the pull request of %.7s: %w", sha, err)
	}
	if len(l.brought) >= maxKnown {
		clear(l.brought)
	}
	l.brought[sha] = pull
	return pull, nil
}

// writeBelow has the comment of a merged pull request say where each of its releases stands.
func (l *Loop) writeBelow(ctx context.Context, release string, report strategy.Report) error {
	pulls, ok := l.opts.Forge.(Pulls)
	if !ok {
		return nil
	}
	pull, err := l.pullOf(ctx, report.SHA)
	if err == nil && pull.Number > 0 {
		err = pulls.Comment(ctx, pull.Number, l.remarkMarker(), func(old string) string {
			return withRelease(old, release, report)
		})
	}
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
