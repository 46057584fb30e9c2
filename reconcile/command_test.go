package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestACommandNobodyWaitsFor is a command to an instance that does not lead: it is not obeyed when it leads later.
func TestACommandNobodyWaitsFor(t *testing.T) {
	w := newWorld(t, 50)
	w.restart()
	w.release(checkout, "1.0.0")
	if err := w.until(10*time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Last.Kind == strategy.OutcomePromoted }); err != nil {
		t.Fatal(err)
	}
	w.release(checkout, "1.1.0")
	if err := w.until(5*time.Minute, func() bool { return w.rollout(checkout).Phase == strategy.Stepping }); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.loop.Do(ended, checkout, strategy.Command{Kind: strategy.CommandPause, By: "robin"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
	w.tick()
	if r := w.rollout(checkout); r.Paused != "" {
		t.Errorf("paused by %s, whose command nobody waited for", r.Paused)
	}
}

// TestAnEndingProcessDecidesNothing cuts a pass off, as the end of the process or of its lead does: that nothing could be
// read is no reason to hold.
func TestAnEndingProcessDecidesNothing(t *testing.T) {
	w := newWorld(t, 50)
	w.release(checkout, "1.0.0")
	if err := w.until(10*time.Minute, func() bool { return w.rests(checkout) }); err != nil {
		t.Fatal(err)
	}
	w.release(checkout, "1.1.0")
	if err := w.until(5*time.Minute, func() bool { return w.rollout(checkout).Phase == strategy.Stepping }); err != nil {
		t.Fatal(err)
	}
	before := w.rollout(checkout)
	for name, limit := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"before the pass": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		},
		"while it reads": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			w.denied.asked = cancel
			return ctx, cancel
		},
	} {
		ctx, cancel := limit(t.Context())
		if _, err := w.loop.Pass(ctx, w.now.Add(time.Second)); !errors.Is(err, context.Canceled) {
			t.Errorf("cut off %s: got error %v, want the context's", name, err)
		}
		cancel()
		if after := w.rollout(checkout); after.Hold != nil || !after.Seen.Equal(before.Seen) {
			t.Errorf("cut off %s: it decided %q", name, after.Reason.Text)
		}
	}
}

// TestUnfitCommands are refused at once. Without a release a command would be obeyed as accept-head, which no release is
// named for.
func TestUnfitCommands(t *testing.T) {
	w := newWorld(t, 50)
	w.restart()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		release string
		command strategy.Command
		want    string
	}{
		{"", strategy.Command{Kind: strategy.CommandAbort, By: "robin"}, "abort: no release is named"},
		{checkout, strategy.Command{Kind: "abrot", By: "robin"}, `there is no command "abrot": did you mean "abort"?`},
		{checkout, strategy.Command{By: "robin"}, `there is no command ""`},
		{checkout, strategy.Command{Kind: strategy.CommandAcceptHead, By: "robin"}, `accept-head is of no release, but "checkout-api" is named`},
		{checkout, strategy.Command{Kind: strategy.CommandPause}, `pause "checkout-api": it does not say who asks`},
	} {
		if _, err := w.loop.Do(ended, test.release, test.command); err == nil || err.Error() != test.want {
			t.Errorf("%q, %+v: got error %v, want %s", test.release, test.command, err, test.want)
		}
	}
}
