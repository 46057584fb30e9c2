package providertest

import (
	"context"
	"testing"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// TestBookmark holds a reconcile.Bookmark to its contract. newHarness makes an empty one, and returns two handles on it that
// share nothing else.
func TestBookmark(t *testing.T, newHarness func(t *testing.T) (bookmark, other reconcile.Bookmark)) {
	want := func(t *testing.T, b reconcile.Bookmark, heads strategy.Heads) {
		t.Helper()
		got, err := b.LoadHead(t.Context())
		if err != nil || got != heads {
			t.Errorf("got heads %+v, error %v, want %+v", got, err, heads)
		}
	}
	store := func(t *testing.T, b reconcile.Bookmark, heads strategy.Heads) {
		t.Helper()
		if err := b.StoreHead(t.Context(), heads); err != nil {
			t.Fatalf("store %+v: %v", heads, err)
		}
	}
	t.Run("an empty one is zero", func(t *testing.T) {
		bookmark, other := newHarness(t)
		want(t, bookmark, strategy.Heads{})
		want(t, other, strategy.Heads{})
	})
	t.Run("what was stored last is there", func(t *testing.T) {
		bookmark, other := newHarness(t)
		store(t, bookmark, strategy.Heads{Accepted: "aa", Forced: "bb"})
		want(t, bookmark, strategy.Heads{Accepted: "aa", Forced: "bb"})
		want(t, other, strategy.Heads{Accepted: "aa", Forced: "bb"})
		store(t, other, strategy.Heads{Accepted: "bb"})
		want(t, bookmark, strategy.Heads{Accepted: "bb"})
		store(t, other, strategy.Heads{Accepted: "bb"})
		want(t, bookmark, strategy.Heads{Accepted: "bb"})
	})
	t.Run("a context that ended stores nothing", func(t *testing.T) {
		bookmark, other := newHarness(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := bookmark.StoreHead(ctx, strategy.Heads{Accepted: "aa"}); err == nil {
			t.Error("store after the end of the context: got no error")
		}
		if _, err := bookmark.LoadHead(ctx); err == nil {
			t.Error("load after the end of the context: got no error")
		}
		want(t, other, strategy.Heads{})
	})
	t.Run("it is no record", func(t *testing.T) {
		bookmark, other := newHarness(t)
		store(t, bookmark, strategy.Heads{Accepted: "aa"})
		ledger, is := other.(reconcile.Ledger)
		if !is {
			return // Nothing that it could be taken for.
		}
		wantRecords(t, ledger)
		mustStore(t, ledger, ledgerRecord("head", 1))
		want(t, bookmark, strategy.Heads{Accepted: "aa"})
	})
}
