package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// proposal is a revert that is not pushed.
type proposal struct {
	release string
	task    strategy.Task
	failed  strategy.Commit
	change  strategy.Change
	why     string // it is not pushed
	look    bool   // it undoes somebody else's work
}

// propose opens a pull request with the revert. The result is a sentence for people; an error means that it is to be
// tried again, which opens no second one.
func (l *Loop) propose(ctx context.Context, p proposal) (string, error) {
	byHand := "not reverted: " + p.why + ". Revert " + p.failed.Short() + " by hand"
	brancher, canBranch := l.opts.Repository.(Brancher)
	pulls, canPropose := l.opts.Forge.(Pulls)
	if !canBranch || !canPropose {
		return byHand, nil
	}
	branch := l.opts.Instance + "/revert-" + p.release + "-" + p.failed.Short()
	if _, err := brancher.PushBranch(ctx, p.change, branch); errors.Is(err, strategy.ErrRefused) {
		return fmt.Sprintf("%s: branch %s is not taken either (%v)", byHand, branch, err), nil
	} else if err != nil {
		return "", err
	}
	title, _, _ := strings.Cut(p.change.Message, "\n")
	url, err := pulls.Propose(ctx, strategy.Proposal{Branch: branch, Title: title, Body: p.body(l.opts.Instance)})
	switch {
	case errors.Is(err, strategy.ErrRefused):
		return fmt.Sprintf("%s, or merge the branch %s: no pull request was taken (%v)", byHand, branch, err), nil
	case err != nil:
		return "", fmt.Errorf("propose the revert: %w", err)
	}
	l.log.Info("revert proposed", "release", p.release, "failed", p.failed.SHA, "branch", branch, "url", url)
	return fmt.Sprintf("not reverted yet: %s. Merge %s, which does it", p.why, url), nil
}

func (p proposal) body(instance string) string {
	var b strings.Builder
	t := p.task
	fmt.Fprintf(&b, "**%s %s** was rolled back to %s: %s.\n\n", p.release, plain(t.Bad.String()), plain(t.Good.String()), plain(t.Reason.Text))
	fmt.Fprintf(&b, "This restores its files to what they were before %s (%s). It is not pushed: %s.\n", p.failed.SHA, inline(p.failed.Subject), plain(p.why))
	if p.look {
		b.WriteString("\n**Look before you merge**: it undoes more than the failed commit.\n")
	}
	fmt.Fprintf(&b, "\nUntil it is merged Git asks for %s, which %s does not try again.\n", plain(t.Bad.String()), plain(instance))
	return b.String()
}
