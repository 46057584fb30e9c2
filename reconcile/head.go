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
	now := l.intent.now().SHA
	next, err := follow(ctx, ancestry, l.heads, now)
	if err != nil {
		return err
	}
	if l.heads.Forced != "" && next.Forced == "" {
		// What Drover writes on top of a forced head is no person's word for it.
		own, err := l.isOwnSince(ctx, now, l.heads.Forced)
		if err != nil {
			return err
		}
		if own {
			next = strategy.Heads{Accepted: l.heads.Accepted, Forced: now}
		}
	}
	return l.storeHeads(ctx, next)
}

// isOwnSince tells whether all that was committed since a head are Drover's own reverts.
func (l *Loop) isOwnSince(ctx context.Context, now, since string) (bool, error) {
	messages, can := l.opts.Repository.(Messages)
	if !can || now == since {
		return false, nil
	}
	log, err := l.opts.Repository.Log(ctx, now, historyDepth)
	if err != nil {
		return false, fmt.Errorf("read what was committed since %.7s: %w", since, err)
	}
	for _, commit := range log {
		if commit.SHA == since {
			return true, nil
		}
		message, err := messages.Message(ctx, commit.SHA)
		if err != nil {
			return false, fmt.Errorf("read what %s says: %w", commit.Short(), err)
		}
		if trailer(message, trailerFailed) == "" {
			return false, nil
		}
	}
	return false, nil
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

// headSeen puts into the observation whether the head may ask for anything new. One that was not compared with the one seen
// last may not, as long as that lasts: a revert reads the repository too, beside the passes.
func (l *Loop) headSeen(o *strategy.Observation) {
	if o.Forced = l.heads.Forced; l.isCompared() {
		return
	}
	o.Forced = l.intent.now().SHA
	o.Wait = &strategy.Reason{Code: strategy.Waiting, Text: "the head of the branch was not compared yet with the one seen last"}
}

// isCompared tells whether the head was compared with the one seen last, or never will be.
func (l *Loop) isCompared() bool {
	_, can := l.opts.Repository.(Ancestry)
	now := l.intent.now().SHA
	return !can || l.opts.Bookmark == nil || (l.headsRead && (now == l.heads.Accepted || now == l.heads.Forced))
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
