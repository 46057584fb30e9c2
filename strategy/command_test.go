package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestWhatBecameOfACommand has a person command a rollout in its step: the answer is of the command, not of what is waited
// for now.
func TestWhatBecameOfACommand(t *testing.T) {
	r, w := stepping()
	r.Stable.Revision = revision("a")
	look := func(kind strategy.CommandKind) (answer string, obeyed bool) {
		o := w.observe()
		if kind != "" {
			o.Command = &strategy.Command{Kind: kind, By: "robin"}
		}
		next, actions, _ := strategy.Advance(r, o, r.Seen.Add(time.Second))
		r = next
		for _, a := range actions {
			w.perform(a)
		}
		if problem := strategy.Unobeyed(kind, r); problem != "" {
			return problem, false
		}
		return strategy.Obeyed(kind, r), true
	}
	look("")
	look("")
	for _, test := range []struct {
		kind   strategy.CommandKind
		want   string
		obeyed bool
	}{
		{strategy.CommandApprove, "no gate waits for approval: canary 10%, step 1 of 1, baked 2s of 1h0m0s", false},
		{strategy.CommandRetry, "it is not tried again: a rollout is under way: canary 10%, step 1 of 1, baked 3s of 1h0m0s", false},
		{strategy.CommandPause, "paused by robin at 10%: drover resume web goes on", true},
		{strategy.CommandResume, "goes on: canary 10%, step 1 of 1, baked 4s of 1h0m0s", true},
		{strategy.CommandAbort, "aborted by robin: all traffic goes back to a", true},
	} {
		if answer, obeyed := look(test.kind); answer != test.want || obeyed != test.obeyed {
			t.Errorf("%s: got %q, obeyed %t; want %q, obeyed %t", test.kind, answer, obeyed, test.want, test.obeyed)
		}
	}
	for range 4 {
		look("")
	}
	if answer, obeyed := look(strategy.CommandPause); !strings.HasPrefix(answer, "there is nothing to pause: it rests: b was parked: aborted by robin.") || obeyed {
		t.Errorf("pause at rest: got %q, obeyed %t", answer, obeyed)
	}
	if answer, obeyed := look(strategy.CommandAbort); answer != "aborted by robin: a has all traffic" || !obeyed {
		t.Errorf("abort at rest: got %q, obeyed %t", answer, obeyed)
	}
	if answer, obeyed := look(strategy.CommandRetry); answer != "tried again: waiting for the router to have the split at 0% in effect" || !obeyed {
		t.Errorf("retry: got %q, obeyed %t", answer, obeyed)
	}
}
