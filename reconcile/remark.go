package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// The comment below a pull request has two parts: what the releases do now, a line each, and what was planned. Each
// line of the first names its release in a marker that people do not see, so that one can be replaced without knowing
// the others. All other text is harmless: see plain and fenced.
const (
	rolloutHead = "### Rollout\n\n| release | | |\n| --- | --- | --- |\n"
	rolloutEnd  = "<!-- end of rollout -->\n\n"
	lineMarker  = "<!-- release "
)

// signs are the states as people see them at a glance.
var signs = map[strategy.ReportState]string{
	strategy.ReportPending: "🟡 under way", strategy.ReportSuccess: "🟢 done", strategy.ReportFailure: "🔴 failed", strategy.ReportError: "⚪ ended",
}

// withRelease is a remark with the line of one release replaced.
func withRelease(old, release string, report strategy.Report) string {
	lines, plan := takeApart(old)
	lines[release] = fmt.Sprintf("| %s | %s | %s %s%s --> |\n", cell(release), signs[report.State], cell(report.Text), lineMarker, release)
	return putTogether(lines, plan)
}

// withPlan is a remark with its plan replaced.
func withPlan(old, plan string) string {
	lines, _ := takeApart(old)
	return putTogether(lines, plan)
}

// takeApart is the lines of a remark by their release, and its plan.
func takeApart(text string) (lines map[string]string, plan string) {
	lines = map[string]string{}
	rest, ok := strings.CutPrefix(text, rolloutHead)
	if !ok {
		return lines, text
	}
	table, plan, _ := strings.Cut(rest, rolloutEnd)
	for line := range strings.Lines(table) {
		_, after, ok := strings.Cut(line, lineMarker)
		if release, _, closed := strings.Cut(after, " -->"); ok && closed {
			lines[release] = line
		}
	}
	return lines, plan
}

func putTogether(lines map[string]string, plan string) string {
	if len(lines) == 0 {
		return plan
	}
	var b strings.Builder
	b.WriteString(rolloutHead)
	for _, release := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(lines[release])
	}
	b.WriteString(rolloutEnd)
	b.WriteString(plan)
	return strings.TrimRight(b.String(), "\n")
}
