package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// TestRemarkOfManyReleases: a comment below a pull request of many releases stays within what GitHub takes, with those that
// failed in front, and says how many it has no room for; each is counted once, however often it is told of.
func TestRemarkOfManyReleases(t *testing.T) {
	const limit = 65_536
	for _, releases := range []int{3, 350, 2000} {
		remark := reconcile.WithPlan("", "### Plan\n\nwhat was planned")
		tell := func(n int, state strategy.ReportState, text string) {
			remark = reconcile.WithRelease(remark, fmt.Sprintf("service-%05d", n), strategy.Report{State: state, Text: text})
		}
		stride := max(1, releases/350) // Each writes the whole anew.
		told := 0
		for n := 0; n < releases; n += stride {
			tell(n, strategy.ReportPending, "placing 1.1.0")
			told++
		}
		for n := 0; n < releases; n += stride {
			tell(n, strategy.ReportSuccess, "1.1.0 runs, after 22 minutes and a bake of four steps")
		}
		tell(releases-1, strategy.ReportFailure, "rolled back: the gate errors failed")
		if (releases-1)%stride != 0 {
			told++
		}
		if got := utf8.RuneCountInString(remark); got > limit-1000 {
			t.Errorf("%d releases: the comment has %d characters", releases, got)
		}
		if !strings.HasSuffix(remark, "### Plan\n\nwhat was planned") {
			t.Errorf("%d releases: the plan is gone", releases)
		}
		lines := strings.Split(remark, "\n")
		if want := fmt.Sprintf("| service-%05d | 🔴 failed | ", releases-1); !strings.HasPrefix(lines[4], want) {
			t.Errorf("%d releases: the first line is %q, want %s", releases, lines[4], want)
		}
		shown := strings.Count(remark, "<!-- release ")
		if want := fmt.Sprintf("… and %d more releases: `drover status` shows every one.", told-shown); told > shown && !strings.Contains(remark, want) {
			t.Errorf("%d releases, %d shown: it does not say %q", told, shown, want)
		}
		if releases == 3 && (shown != 3 || strings.Contains(remark, "more release")) {
			t.Errorf("all three have room:\n%s", remark)
		}
	}
}

// TestRemarkOfManyFailures counts also those that failed and have no line.
func TestRemarkOfManyFailures(t *testing.T) {
	remark := ""
	for n := range 400 {
		remark = reconcile.WithRelease(remark, fmt.Sprintf("service-%05d", n), strategy.Report{State: strategy.ReportFailure, Text: "rolled back: the gate errors failed"})
	}
	left := 400 - strings.Count(remark, "<!-- release ")
	if want := fmt.Sprintf("… and %d more releases, %d of them failed: `drover status`", left, left); !strings.Contains(remark, want) {
		t.Errorf("it does not say %q", want)
	}
	if left < 50 {
		t.Fatalf("only %d have no room", left)
	}
	// One that is mended leaves the rest as they were.
	remark = reconcile.WithRelease(remark, "service-00399", strategy.Report{State: strategy.ReportSuccess, Text: "1.1.0 runs"})
	if want := fmt.Sprintf("… and %d more releases, %d of them failed: ", left, left-1); !strings.Contains(remark, want) {
		t.Errorf("it does not say %q", want)
	}
}

// TestRemarkWithoutRoomForNames says that there are more than it counts.
func TestRemarkWithoutRoomForNames(t *testing.T) {
	const limit = 65_536
	remark := ""
	for n := range 500 {
		remark = reconcile.WithRelease(remark, fmt.Sprintf("%s-%05d", strings.Repeat("long", 20), n), strategy.Report{State: strategy.ReportPending, Text: "placing 1.1.0"})
	}
	if got := utf8.RuneCountInString(remark); got > limit-1000 {
		t.Errorf("the comment has %d characters", got)
	}
	if !strings.Contains(remark, "… and more than ") {
		t.Error("it does not say that there are more")
	}
	again := reconcile.WithPlan(remark, "")
	if !strings.Contains(again, "… and more than ") {
		t.Error("it forgets that there are more")
	}
}
