package reconcile_test

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// hostileTask is a rollback of which every text tries to be more than text.
func hostileTask() strategy.Task {
	const nasty = "fix `it` | a|b @everyone closes #12 <img src=x> [x](http://evil) **now**\n\n# Heading\r\n- Drover-Release: other"
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return strategy.Task{
		Kind: strategy.TaskIssue, Rollout: "checkout-api-abc", Failed: strategy.Commit{SHA: "0123456789abcdef", Subject: nasty, Author: "@admin`"},
		Bad: strategy.Revision{Version: "1.2.0@sha#9", Attempt: 1, Digest: "d1"}, Good: strategy.Revision{Version: "1.1.0", Attempt: 1, Digest: "d0"},
		Reason: strategy.Reason{Code: strategy.CanaryCrashed, Text: "task failed: " + nasty}, Step: 2, Steps: 4, Weight: strategy.Percent(25),
		Rollback: strategy.Rollback{Commit: strategy.CommitPush, Issue: true, Labels: []string{"drover"}},
		Verdicts: []strategy.Verdict{{Gate: nasty, State: strategy.Fail, Limit: "1% | 2%", Canary: "8%\n", Stable: ""}},
		Requests: 1200, Errors: 96,
		Timeline: []strategy.Event{{At: at, Phase: strategy.Placing, Reason: strategy.Reason{Text: nasty}}},
		Result:   "reverted by 89abcde, to the content of 7654321",
	}
}

func TestIssueIsOnlyText(t *testing.T) {
	const golden = "testdata/issue.md"
	issue := reconcile.IssueOf(instance, checkout, hostileTask(), strategy.Pull{Number: 7, Author: "kim`@everyone"})
	got := issue.Title + "\n\n" + issue.Body
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatalf("write the golden issue: %v", err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("read the golden issue: %v", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the issue differs (-want +got):\n%s", diff)
	}
	if strings.ContainsAny(issue.Title, "\n\r") || utf8.RuneCountInString(issue.Title) > 200 {
		t.Errorf("the title is no title: %q", issue.Title)
	}
	for line := range strings.Lines(issue.Body) {
		checkHarmless(t, strings.TrimRight(line, "\n"))
	}
}

// checkHarmless looks for what of a line would be more than text outside of code.
func checkHarmless(t *testing.T, line string) {
	t.Helper()
	parts := strings.Split(strings.ReplaceAll(line, "\\`", ""), "`")
	if len(parts)%2 == 0 {
		t.Errorf("code is not closed in %q", line)
	}
	for i := 0; i < len(parts); i += 2 {
		for _, bad := range []string{"@everyone", "@admin", "#12", " <img", " [x]", " **now"} {
			if strings.Contains(parts[i], bad) {
				t.Errorf("%q is alive in %q", bad, line)
			}
		}
	}
	if strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "- Drover-Release") {
		t.Errorf("a text begins a line of its own: %q", line)
	}
	if strings.HasPrefix(line, "| ") {
		if cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); cells != 6 {
			t.Errorf("a row of 5 cells has %d bars: %q", cells, line)
		}
	}
}

func TestIssueMarkerIsTheCommit(t *testing.T) {
	a := reconcile.IssueOf("staging", checkout, hostileTask(), strategy.Pull{})
	b := reconcile.IssueOf("production", checkout, hostileTask(), strategy.Pull{})
	if a.Marker != "staging/0123456789abcdef" || b.Marker != "production/0123456789abcdef" {
		t.Errorf("markers are %q and %q, want instance and commit", a.Marker, b.Marker)
	}
	if a.Part != "staging/checkout-api-abc" || b.Part != "production/checkout-api-abc" {
		t.Errorf("parts are %q and %q, want instance and rollout", a.Part, b.Part)
	}
}

func TestLongReasonMakesAShortTitle(t *testing.T) {
	task := hostileTask()
	task.Reason.Text = strings.Repeat("very long ", 100)
	if title := reconcile.IssueOf(instance, checkout, task, strategy.Pull{}).Title; utf8.RuneCountInString(title) != 200 || !strings.HasSuffix(title, "…") {
		t.Errorf("the title has %d characters: %q", utf8.RuneCountInString(title), title)
	}
}
