package providertest

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// WholeForge is a forge that can do all that a loop asks for.
type WholeForge interface {
	reconcile.Forge
	reconcile.Closer
	reconcile.Statuses
	reconcile.Pulls
	reconcile.Words
}

// ForgeHarness gives the suite a forge, and what people do beside it.
type ForgeHarness interface {
	// Process is a forge as a process that begins now has it: it remembers nothing.
	Process(t *testing.T) WholeForge
	// Commit makes a commit on the release branch.
	Commit(t *testing.T) (sha string)
	// Pull opens a pull request by a person, and returns its number; Merge merges it and returns the commit that it became.
	Pull(t *testing.T) int
	Merge(t *testing.T, number int) (sha string)
}

// forgeTime is when the suite's incidents began.
func forgeTime() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// RunForge holds a forge to the contract of reconcile.Forge and what belongs to it.
func RunForge(t *testing.T, newHarness func(t *testing.T) ForgeHarness) {
	t.Helper()
	t.Run("an issue of a marker is opened once by any process", func(t *testing.T) {
		h := newHarness(t)
		issue := strategy.Issue{Marker: "drover/a-1", Title: "a rolled back", Body: "Why.", Labels: []string{"drover"}, Since: forgeTime()}
		first, err := h.Process(t).OpenIssue(t.Context(), issue)
		if err != nil || first == "" {
			t.Fatalf("got %q, %v, want an address", first, err)
		}
		if again, err := h.Process(t).OpenIssue(t.Context(), issue); err != nil || again != first {
			t.Errorf("got %q, %v, want %q again", again, err, first)
		}
		issue.Marker = "drover/a-2"
		if other, err := h.Process(t).OpenIssue(t.Context(), issue); err != nil || other == first {
			t.Errorf("another marker got %q, %v, want an issue of its own", other, err)
		}
		closing := strategy.Closing{Marker: "drover/a-1", Since: forgeTime(), Text: "Mended."}
		for range 2 {
			if err := h.Process(t).CloseIssue(t.Context(), closing); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		closing.Marker = "drover/nothing"
		if err := h.Process(t).CloseIssue(t.Context(), closing); err != nil {
			t.Errorf("close what is not there: %v", err)
		}
	})
	t.Run("a status may be set again, and be longer than the forge takes", func(t *testing.T) {
		h := newHarness(t)
		sha := h.Commit(t)
		for _, s := range []strategy.ReportState{strategy.ReportPending, strategy.ReportPending, strategy.ReportFailure, strategy.ReportError, strategy.ReportSuccess} {
			if err := h.Process(t).SetStatus(t.Context(), sha, strategy.Status{Context: "drover/a", State: s, Text: strings.Repeat("long ", 100)}); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
	})
	t.Run("a comment is made once, and edited", func(t *testing.T) {
		h := newHarness(t)
		number := h.Pull(t)
		var seen []string
		write := func(text string) {
			err := h.Process(t).Comment(t.Context(), number, "drover/remark", func(old string) string {
				seen = append(seen, old)
				return text
			})
			if err != nil {
				t.Errorf("write %q: %v", text, err)
			}
		}
		write("")
		write("first\n\nline")
		write("second")
		write("second")
		want := []string{"", "", "first\n\nline", "second"}
		if strings.Join(seen, "|") != strings.Join(want, "|") {
			t.Errorf("the comment was seen as %q, want %q", seen, want)
		}
	})
	t.Run("pull requests are open, then merged, and known by what they brought", func(t *testing.T) {
		h := newHarness(t)
		forge := h.Process(t)
		number := h.Pull(t)
		open, err := forge.Pulls(t.Context())
		if err != nil || len(open) != 1 || open[0].Number != number || open[0].Head == "" || open[0].Ref == "" || open[0].Fork || open[0].Merged {
			t.Fatalf("open are %+v, %v, want the one pull request", open, err)
		}
		sha := h.Merge(t, number)
		if open, err := forge.Pulls(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("open are %+v, %v, want none", open, err)
		}
		if pull, err := forge.PullOf(t.Context(), sha); err != nil || pull.Number != number || !pull.Merged {
			t.Errorf("%s was brought by %+v, %v, want %d", sha, pull, err, number)
		}
		if pull, err := forge.PullOf(t.Context(), h.Commit(t)); err != nil || pull.Number != 0 {
			t.Errorf("a push was brought by %+v, %v, want none", pull, err)
		}
	})
}
