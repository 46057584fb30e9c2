package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover-dev/drover/strategy"
)

// follow moves the heads on to the one that the branch has now. A head that does not descend from the one accepted is
// forced: it is remembered, and nothing that it asks for is begun until a commit lands on top of it or a person
// accepts it.
func follow(ctx context.Context, a Ancestry, heads strategy.Heads, now string) (strategy.Heads, error) {
	descends := func(from string) (bool, error) {
		if from == "" || from == now {
			return from == now, nil
		}
		return a.Descends(ctx, now, from)
	}
	if heads.Accepted == "" || heads.Accepted == now {
		return strategy.Heads{Accepted: now}, nil
	}
	if heads.Forced == now {
		return heads, nil
	}
	for _, from := range []string{heads.Accepted, heads.Forced} {
		grew, err := descends(from)
		if err != nil {
			return heads, fmt.Errorf("compare the head with the one seen before: %w", err)
		}
		if grew {
			return strategy.Heads{Accepted: now}, nil
		}
	}
	heads.Forced = now
	return heads, nil
}

// seeHead takes in the head of the branch, and stores it when it moved. A crash in between sees it move again.
func (l *Loop) seeHead(ctx context.Context) error {
	ancestry, can := l.opts.Repository.(Ancestry)
	if !can || l.opts.Bookmark == nil {
		return nil
	}
	if !l.headsRead {
		heads, err := l.opts.Bookmark.LoadHead(ctx)
		if err != nil {
			return fmt.Errorf("read the head seen last: %w", err)
		}
		l.heads, l.headsRead = heads, true
		l.intent.force(heads.Forced)
		l.Touch(strategy.JobRef{}) // What waited for this is looked at again.
	}
	next, err := follow(ctx, ancestry, l.heads, l.intent.now().SHA)
	if err != nil {
		return err
	}
	return l.storeHeads(ctx, next)
}

// peekHead takes in the head of the branch for a preview: nothing is stored.
func (l *Loop) peekHead(ctx context.Context) error {
	ancestry, can := l.opts.Repository.(Ancestry)
	if !can || l.opts.Bookmark == nil {
		return nil
	}
	heads, err := l.opts.Bookmark.LoadHead(ctx)
	if err != nil {
		return fmt.Errorf("read the head seen last: %w", err)
	}
	if heads, err = follow(ctx, ancestry, heads, l.intent.now().SHA); err != nil {
		return err
	}
	l.heads, l.headsRead = heads, true
	l.intent.force(heads.Forced)
	return nil
}

// forced is the head that asks for nothing that may begin; "" when it may. What was not compared may not.
func (l *Loop) forced() string {
	if !l.headsKnown() {
		return l.intent.now().SHA
	}
	return l.heads.Forced
}

// headsKnown tells whether the head was compared with the one seen last, or never will be.
func (l *Loop) headsKnown() bool {
	_, can := l.opts.Repository.(Ancestry)
	return l.headsRead || !can || l.opts.Bookmark == nil
}

// acceptHead takes the head as it is, when a person asks for that.
func (l *Loop) acceptHead(ctx context.Context) {
	r := l.take("")
	if r == nil {
		return
	}
	if l.heads.Forced == "" {
		r.answer(strategy.Rollout{}, errors.New("the branch was not force-pushed: there is no head to accept"))
		return
	}
	accepted := l.heads.Forced
	err := l.storeHeads(ctx, strategy.Heads{Accepted: accepted})
	if err == nil {
		l.log.Info("head accepted", "head", accepted, "by", r.command.By)
	}
	r.answer(strategy.Rollout{Reason: strategy.Reason{Code: strategy.UpToDate, Text: "head " + accepted + " accepted"}}, err)
}

func (l *Loop) storeHeads(ctx context.Context, next strategy.Heads) error {
	if next == l.heads {
		return nil
	}
	if err := l.opts.Bookmark.StoreHead(ctx, next); err != nil {
		return fmt.Errorf("store the head: %w", err)
	}
	if next.Forced != "" && next.Forced != l.heads.Forced {
		l.log.Warn("branch force-pushed", "accepted", next.Accepted, "forced", next.Forced)
	}
	l.heads = next
	l.intent.force(next.Forced)
	return nil
}
