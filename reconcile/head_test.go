package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// brokenBookmark does not keep what it is given while it is broken.
type brokenBookmark struct {
	*ledger
	broken bool
}

// StoreHead fails while it is broken.
func (b *brokenBookmark) StoreHead(ctx context.Context, heads strategy.Heads) error {
	if b.broken {
		return errors.New("no answer")
	}
	return b.ledger.StoreHead(ctx, heads)
}

// TestAForcedHeadNotComparedYet is a forced head that was read and not compared with the one seen last: nothing that it asks
// for begins, and it is compared as soon as that can be done.
func TestAForcedHeadNotComparedYet(t *testing.T) {
	for name, test := range map[string]struct {
		unseen func(w *world, b *brokenBookmark)
		seen   func(w *world, b *brokenBookmark)
	}{
		"read beside the passes": {
			unseen: func(w *world, _ *brokenBookmark) {
				// As a revert does, which reads the repository when it is made.
				if _, err := w.loop.Rollback(t.Context(), "nobody", person); err == nil {
					t.Error("a release that does not exist was rolled back")
				}
			},
			seen: func(*world, *brokenBookmark) {},
		},
		"not kept": {
			unseen: func(w *world, b *brokenBookmark) {
				b.broken = true
				w.loop.PollNow()
				w.tick()
				if r := w.rollout(checkout); !r.AtRest() || r.Reason.Code == strategy.ForcedHead {
					t.Errorf("%s: %s", r.Phase, r.Reason.Text)
				}
			},
			seen: func(_ *world, b *brokenBookmark) { b.broken = false },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 50)
			options, bookmark := w.options(), &brokenBookmark{ledger: w.ledger}
			options.Poll, options.Bookmark = 24*time.Hour, bookmark
			w.loop = reconcile.New(options)
			w.release(checkout, "1.0.0")
			if err := w.until(10*time.Minute, func() bool { return w.rests(checkout) }); err != nil {
				t.Fatal(err)
			}
			w.repo.force(person, "Rewritten", 1, releaseFiles(t, checkout, "1.1.0"))
			test.unseen(w, bookmark)
			test.seen(w, bookmark)
			w.tick()
			if r := w.rollout(checkout); !r.AtRest() || r.Reason.Code != strategy.ForcedHead {
				t.Errorf("%s: %s", r.Phase, r.Reason.Text)
			}
			w.release("cart-api", "1.0.0") // A commit on top.
			w.loop.PollNow()
			w.tick()
			if r := w.rollout(checkout); r.AtRest() {
				t.Errorf("a commit landed on top, and it rests: %s", r.Reason.Text)
			}
		})
	}
}

// TestAHeadNotComparedYetForWhatWaits is the same for a release that waits for another one: it is not told of a forced push that
// there was none of, and begins when its turn comes.
func TestAHeadNotComparedYetForWhatWaits(t *testing.T) {
	const other = "cart-api"
	w := newWorld(t, 50)
	options, bookmark := w.options(), &brokenBookmark{ledger: w.ledger}
	options.Bookmark, options.Limits.MaxActive = bookmark, 1
	w.loop = reconcile.New(options)
	runs := func(version string) {
		t.Helper()
		w.release(checkout, version)
		w.release(other, version)
		if bookmark.broken {
			w.tick()
			if r := w.rollout(checkout); !r.AtRest() || r.Reason.Code == strategy.ForcedHead {
				t.Errorf("%s: %s", r.Phase, r.Reason.Text)
			}
			bookmark.broken = false
		}
		if err := w.until(30*time.Minute, func() bool {
			for _, name := range []string{checkout, other} {
				if !w.rests(name) || w.rollout(name).Stable.Revision.Version != version {
					return false
				}
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	runs("1.0.0")
	bookmark.broken = true
	runs("1.1.0")
}
