package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestGistDifferences names every part in which two decisions differ.
func TestGistDifferences(t *testing.T) {
	r := strategy.Rollout{
		Phase: strategy.Stepping, Weight: strategy.Percent(5), Baked: time.Minute, Reason: strategy.Reason{Code: strategy.Baking, Text: "baking"},
		Verdicts: []strategy.Verdict{{Gate: "errors", State: strategy.Pass, Why: "fine"}, {Gate: "volume"}},
	}
	if got := r.Gist().Differences(r.Gist()); got != nil {
		t.Errorf("a decision differs from itself in %q", got)
	}
	other := r
	other.Phase, other.Step, other.Weight, other.Baked = strategy.Restoring, 1, 0, 2*time.Minute
	other.Reason = strategy.Reason{Code: strategy.GateFailed, Text: "too many"}
	other.Hold, other.Ending = &strategy.Hold{Reason: other.Reason}, &strategy.Outcome{Reason: other.Reason}
	other.Verdicts = []strategy.Verdict{{Gate: "errors", State: strategy.Fail, Why: "too many", Against: 1}, {Gate: "latency", State: strategy.Pass, Why: "fine"}}
	want := []string{
		"phase is restoring, and was stepping", "step is 2, and was 1", "weight is 0%, and was 5%", "reason is gate_failed (too many), and was baking (baking)",
		"hold is gate_failed (too many), and was none", "end is gate_failed (too many), and was none", "time baked is 2m0s, and was 1m0s",
		`gate "errors" is fail (too many; against 1, for 0), and was pass (fine; against 0, for 0)`,
		`gate "volume" is not asked, and was inconclusive (; against 0, for 0)`, `gate "latency" is pass (fine; against 0, for 0), and was not asked`,
	}
	if got := r.Gist().Differences(other.Gist()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
