package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/strategy"
)

const (
	// rounds bounds how often one pass looks at one release: an effect that shows at once is followed at once.
	rounds = 8
	// parallel bounds how many releases are worked on at a time.
	parallel = 8
)

// turn is one release being worked on in a pass.
type turn struct {
	name string
	*tracked
	now    time.Time
	wait   *refusal // why it may not begin a rollout; nil when it may
	glance bool     // it is looked at only for its split, unless something came up

	rounds int
	last   []strategy.Action
}

// round works on releases side by side. It returns those that gave way to the others, to be gone on with.
func (l *Loop) round(ctx context.Context, turns []*turn) (rest []*turn, failures []error) {
	more, errs := make([]bool, len(turns)), make([]error, len(turns))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, t := range turns {
		group.Go(func() error {
			more[i], errs[i] = l.work(ctx, t)
			return nil
		})
	}
	_ = group.Wait()
	for i, t := range turns {
		if errs[i] != nil {
			failures = append(failures, fmt.Errorf("release %q: %w", t.name, errs[i]))
		}
		if more[i] {
			rest = append(rest, t)
		}
	}
	return rest, failures
}

// work advances one release as far as it goes now. It gives way, with more true, once it has registered a version: what
// becomes of that is read when the other releases have done as much, so that none waits for it.
func (l *Loop) work(ctx context.Context, t *turn) (more bool, err error) {
	key := l.intent.key(t.name)
	if t.glance && l.forSplit(t.name, t.tracked) && !l.hasSplit(ctx, t.name, t.tracked, t.now) {
		return false, nil
	}
	t.glance = false
	for t.rounds < rounds {
		t.rounds++
		more, err = l.advance(ctx, t, key)
		if err != nil || !more {
			break
		}
		if slices.ContainsFunc(t.last, func(a strategy.Action) bool { return a.Kind == strategy.ActRegister }) {
			return true, nil
		}
	}
	l.slots.settle(t.name, t.record.Rollout)
	t.attention.settle(key, t.now, t.last)
	if t.attention.given == nil {
		t.known = known{}
	}
	return false, err
}

// advance makes one decision about a release and does what it asks for. more tells whether there may be another to make.
func (l *Loop) advance(ctx context.Context, t *turn, key string) (more bool, err error) {
	before := t.record.Rollout
	o := l.observe(ctx, t.name, t.tracked, t.now)
	if err := ctx.Err(); err != nil {
		return false, err // What could not be read says nothing of the world: this process is to end, or leads no more.
	}
	t.split.see(&o)
	l.remarkLoss(t.name, before, o)
	person := l.attend(t.name, &o, t.wait)
	next, actions, _ := strategy.Advance(before, o, t.now)
	l.announce(before, next)
	if l.opts.Notify != nil {
		l.opts.Notify(Decision{At: t.now, Before: before, After: next, Observation: o})
	}
	early, late := order(actions)
	failed := l.perform(ctx, t.tracked, early)
	t.record.Rollout = next
	if err := l.store(ctx, t.tracked, t.now); err != nil {
		// Without a record nothing may be given traffic, started or ended.
		t.record.Rollout, t.known = before, known{}
		person.answer(before, err)
		return false, errors.Join(failed, err)
	}
	person.answer(next, nil)
	l.errands.put(t.name, next)
	l.show(t.name, next)
	t.known.after(actions)
	if failed = errors.Join(failed, l.perform(ctx, t.tracked, late)); failed != nil {
		t.known, t.restingOn = known{}, ""
		return false, failed
	}
	t.restingOn, t.waits = "", false
	t.split.settle(o, actions)
	t.split.looked = t.now
	if next.Phase == strategy.Resting && next.Hold == nil && next.Reason.Code != strategy.Waiting && len(actions) == 0 && o.GitAway == nil {
		t.restingOn = key
		t.waits = next.Reason.Code == strategy.LimitReached && t.wait != nil && t.wait.queued
		t.last = nil
		return false, nil
	}
	repeated := same(actions, t.last)
	t.last = actions
	return len(actions) > 0 && !repeated, nil
}

// order takes apart what may come before the record and what must come after it.
func order(actions []strategy.Action) (early, late []strategy.Action) {
	for _, a := range actions {
		if a.Before {
			early = append(early, a)
		} else {
			late = append(late, a)
		}
	}
	return early, late
}

// same tells whether a round asks again for what the round before did: then its effect takes time.
func same(a, b []strategy.Action) bool {
	return slices.EqualFunc(a, b, func(x, y strategy.Action) bool {
		return x.Kind == y.Kind && x.Deployment == y.Deployment && x.ModifyIndex == y.ModifyIndex &&
			(x.Split == nil) == (y.Split == nil) && (x.Split == nil || x.Split.InEffect(*y.Split))
	})
}
