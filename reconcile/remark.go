package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/drover-dev/drover/strategy"
)

// The comment below a pull request has two parts: what the releases do now, a line each, and what was planned. Each
// line of the first names its release in a marker that people do not see, so that one can be replaced without knowing
// the others; so do releases for whose line there was no room. All other text is harmless: see plain and fenced.
const (
	rolloutHead = "### Rollout\n\n| release | | |\n| --- | --- | --- |\n"
	rolloutEnd  = "<!-- end of rollout -->\n\n"
	lineMarker  = "<!-- release "
	moreMarker  = "<!-- more"
)

// signs are the states as people see them at a glance.
var signs = map[strategy.ReportState]string{
	strategy.ReportPending: "🟡 under way", strategy.ReportSuccess: "🟢 done", strategy.ReportFailure: "🔴 failed", strategy.ReportError: "⚪ ended",
}

// maxTable is how many characters the lines take at most, and maxMore those of the releases that have none. GitHub takes
// 65,536 of a comment.
const (
	maxTable = 30_000
	maxMore  = 30_000
)

// remark is the comment taken apart.
type remark struct {
	lines map[string]string // by release
	more  map[string]string // of releases whose lines found no room: what they do, as a letter
	over  bool              // there are more than can be named
	plan  string
}

// lettered is a state as a letter.
type lettered struct {
	letter string
	state  strategy.ReportState
}

// letters are the states of releases that have no line, those first that people look for first.
var letters = []lettered{{"f", strategy.ReportFailure}, {"e", strategy.ReportError}, {"p", strategy.ReportPending}, {"s", strategy.ReportSuccess}}

// withRelease is a remark with the line of one release replaced.
func withRelease(old, release string, report strategy.Report) string {
	r := takeApart(old)
	r.lines[release] = fmt.Sprintf("| %s | %s | %s %s%s --> |\n", cell(release), signs[report.State], cell(report.Text), lineMarker, release)
	delete(r.more, release)
	return r.String()
}

// withPlan is a remark with its plan replaced.
func withPlan(old, plan string) string {
	r := takeApart(old)
	r.plan = plan
	return r.String()
}

func takeApart(text string) remark {
	r := remark{lines: map[string]string{}, more: map[string]string{}}
	rest, ok := strings.CutPrefix(text, rolloutHead)
	if !ok {
		r.plan = text
		return r
	}
	table, plan, _ := strings.Cut(rest, rolloutEnd)
	r.plan = plan
	for line := range strings.Lines(table) {
		if _, named, ok := strings.Cut(line, moreMarker); ok {
			named, _, _ = strings.Cut(named, " -->")
			for entry := range strings.FieldsSeq(named) {
				letter, release, _ := strings.Cut(entry, ":")
				r.over = r.over || release == ""
				if release != "" {
					r.more[release] = letter
				}
			}
			continue
		}
		_, after, ok := strings.Cut(line, lineMarker)
		if release, _, closed := strings.Cut(after, " -->"); ok && closed {
			r.lines[release] = line
		}
	}
	return r
}

// String puts the remark together. What failed comes first, and what is done is the first to go when there is no room.
func (r remark) String() string {
	if len(r.lines) == 0 {
		return r.plan
	}
	var b strings.Builder
	b.WriteString(rolloutHead)
	ranks := map[string]int{}
	for release, line := range r.lines {
		ranks[release] = rank(line)
	}
	names := slices.SortedFunc(maps.Keys(r.lines), func(x, y string) int {
		return cmp.Or(cmp.Compare(ranks[x], ranks[y]), cmp.Compare(x, y))
	})
	shown, taken := 0, 0
	for _, release := range names {
		if taken += utf8.RuneCountInString(r.lines[release]); taken > maxTable {
			break
		}
		shown++
	}
	for _, release := range names[shown:] {
		r.more[release] = letters[ranks[release]].letter
	}
	names = names[:shown]
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(cmp.Compare(min(ranks[x], 1), min(ranks[y], 1)), cmp.Compare(x, y))
	})
	for _, release := range names {
		b.WriteString(r.lines[release])
	}
	r.writeMore(&b)
	b.WriteString(rolloutEnd)
	b.WriteString(r.plan)
	return strings.TrimRight(b.String(), "\n")
}

// rank is where the state of a line stands among the letters.
func rank(line string) int {
	return max(0, slices.IndexFunc(letters, func(l lettered) bool { return strings.Contains(line, " | "+signs[l.state]+" | ") }))
}

// writeMore says how many releases have no line, and where they are to be read.
func (r remark) writeMore(b *strings.Builder) {
	if len(r.more) == 0 {
		return
	}
	failed := 0
	var named strings.Builder
	for _, release := range slices.Sorted(maps.Keys(r.more)) {
		if r.more[release] == letters[0].letter {
			failed++
		}
		if named.Len() > maxMore {
			r.over = true
			continue
		}
		fmt.Fprintf(&named, " %s:%s", r.more[release], release)
	}
	count, but := Count(len(r.more), "more release"), ""
	if r.over {
		count, but = "more than "+count, " :"
	}
	if failed > 0 {
		count += fmt.Sprintf(", %d of them failed", failed)
	}
	fmt.Fprintf(b, "\n… and %s: `drover status` shows every one. %s%s%s -->\n", count, moreMarker, named.String(), but)
}
