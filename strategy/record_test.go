package strategy_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/drover-dev/drover/strategy"
	"github.com/drover-dev/drover/strategy/judge"
)

// recordLimit is what a record may take, in bytes.
const recordLimit = 16 << 10

func jsonSize(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return len(text)
}

func recordSize(r strategy.Rollout) int { return jsonSize(r) }

// anyText is a text of up to so many bytes, also of such as are written in many more.
func anyText(r *rapid.T, most int) string {
	piece := rapid.SampledFrom([]string{"a", "word ", "é", "<", "\x01", "\u2028", "\""}).Draw(r, "piece")
	return strings.Repeat(piece, rapid.IntRange(0, most/len(piece)).Draw(r, "length"))
}

func anyRevision(r *rapid.T, n int) strategy.Revision {
	version := strings.Repeat("9", rapid.SampledFrom([]int{5, 100}).Draw(r, "version"))
	return strategy.Revision{Version: fmt.Sprint(version, ".", n), Attempt: n, Digest: fmt.Sprintf("%064x", n)}
}

func anyReason(r *rapid.T, most int) strategy.Reason {
	return strategy.Reason{Code: strategy.GateFailed, Text: anyText(r, most)}
}

func anyTimeline(r *rapid.T) (lines []strategy.Event) {
	for range rapid.IntRange(0, 16).Draw(r, "lines") {
		lines = append(lines, strategy.Event{At: time.Unix(1e9, 1), Phase: strategy.Restoring, Step: 3, Weight: 100, Reason: anyReason(r, 160)})
	}
	return lines
}

// anyPlan is as large as a plan may be, at most.
func anyPlan(r *rapid.T) strategy.Plan {
	var p strategy.Plan
	p.Rollback = strategy.Rollback{Commit: strategy.CommitPullRequest, Issue: true}
	for n := range rapid.IntRange(0, 20).Draw(r, "labels") {
		p.Rollback.Labels = append(p.Rollback.Labels, fmt.Sprintf("%050d", n))
	}
	for n := range rapid.IntRange(0, 10).Draw(r, "assignees") {
		p.Rollback.Assignees = append(p.Rollback.Assignees, fmt.Sprintf("%039d", n))
	}
	for range rapid.IntRange(3, 50).Draw(r, "steps") {
		p.Steps = append(p.Steps, strategy.Step{Weight: strategy.Percent(50), Bake: 5 * time.Minute})
	}
	for n := range rapid.IntRange(0, 50).Draw(r, "gates") {
		next := p
		next.Gates = append(next.Gates, strategy.Gate{
			Name: fmt.Sprintf("endpoint-errors-%d", n), Metric: strategy.MetricErrorRate, DryRun: n%3 == 0,
			Max: &strategy.Bound{Value: 0.01, Text: "1%"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"},
		})
		if jsonSize(next) > strategy.MaxPlan {
			break
		}
		p = next
	}
	return p
}

func anyEvidence(r *rapid.T, p strategy.Plan) strategy.Evidence {
	e := strategy.Evidence{Since: time.Unix(1e9, 0), At: time.Unix(1e9+500, 0), Total: 1e6, Prev: map[string]strategy.Counters{}}
	rules := judge.Rules{}
	gauges := map[string]any{}
	for _, g := range p.Gates {
		rules.Gates = append(rules.Gates, judge.Gate{Name: g.Name, Max: g.Max.Value, MaxVsStable: &judge.Margin{Ratio: g.MaxVsStable.Ratio}})
		gauges[g.Name] = map[string]any{"at": e.At, "canary": 0.123456789012, "stable": 0.123456789012, "wrong": anyText(r, 200)}
	}
	e.Judged, e.Dry = rules.Start(), rules.Start()
	text, err := json.Marshal(map[string]any{"gauges": gauges})
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		r.Fatal(err)
	}
	buckets := make([]float64, rapid.IntRange(0, 40).Draw(r, "buckets"))
	for i := range buckets {
		buckets[i], e.Bounds = 123456.5*float64(i), append(e.Bounds, float64(i))
	}
	e.Canary.Buckets, e.Stable.Buckets = buckets, buckets
	for n := range rapid.IntRange(0, 64).Draw(r, "allocations") {
		for _, track := range []string{"stable", "canary"} {
			e.Prev[fmt.Sprintf("%036d/%s", n, track)] = strategy.Counters{Requests: 1e6, Buckets: buckets}
		}
	}
	return e
}

func anyOutbox(r *rapid.T, p strategy.Plan) (tasks []strategy.Task) {
	for n := range rapid.IntRange(0, 30).Draw(r, "tasks") {
		task := strategy.Task{
			Kind: strategy.TaskRevert, Rollout: fmt.Sprintf("web-%d", n/2), At: time.Unix(1e9, 0),
			Failed: strategy.Commit{SHA: fmt.Sprintf("%040x", n), Subject: anyText(r, 2000), Author: anyText(r, 300)},
			Bad:    anyRevision(r, n), Good: anyRevision(r, n+1), Reason: anyReason(r, 300), Rollback: p.Rollback, Timeline: anyTimeline(r), Result: anyText(r, 500),
		}
		if n%2 == 1 {
			task.Kind = strategy.TaskIssue
			for _, g := range p.Gates {
				task.Verdicts = append(task.Verdicts, strategy.Verdict{Gate: g.Name, State: strategy.Inconclusive, Why: anyText(r, 160), Limit: "1%, 1.5x of stable"})
			}
		}
		tasks = append(tasks, task)
	}
	return tasks
}

// anyRecord is a record of which everything may be as long as it gets.
func anyRecord(r *rapid.T) strategy.Rollout {
	p := anyPlan(r)
	record := strategy.Rollout{
		Release: strings.Repeat("w", 64), Job: strategy.JobRef{Namespace: strings.Repeat("n", 128), ID: strings.Repeat("j", 128)},
		Phase: strategy.Stepping, Step: 2, Weight: strategy.Percent(25), ID: "web-1", Plan: p, Paused: anyText(r, 200), Reason: anyReason(r, 300),
		Hold: &strategy.Hold{Reason: anyReason(r, 300)}, Ending: &strategy.Outcome{Kind: strategy.OutcomeCondemned, Revision: anyRevision(r, 1), Reason: anyReason(r, 300)},
		Last:   strategy.Outcome{Kind: strategy.OutcomePromoted, Revision: anyRevision(r, 2), Reason: anyReason(r, 300)},
		Stable: strategy.Installed{Revision: anyRevision(r, 3), Version: 7}, Parked: anyRevision(r, 5),
		Canary:   strategy.Trial{Revision: anyRevision(r, 4), Commit: strategy.Commit{SHA: strings.Repeat("c", 40), Subject: anyText(r, 2000), Author: anyText(r, 300)}, Service: "web"},
		Evidence: anyEvidence(r, p), Outbox: anyOutbox(r, p), Timeline: anyTimeline(r),
	}
	for n := range rapid.IntRange(0, 20).Draw(r, "promoted") {
		record.Promoted = append(record.Promoted, anyRevision(r, n))
		record.Condemned = append(record.Condemned, anyRevision(r, 100+n))
	}
	for n := range rapid.IntRange(0, 4).Draw(r, "reports") {
		record.Reports = append(record.Reports, strategy.Report{SHA: fmt.Sprintf("%040x", n), Text: anyText(r, 160), Key: anyText(r, 160), Told: n%2 == 0})
		record.Incidents = append(record.Incidents, strategy.Incident{Rollout: "web-0", Commit: fmt.Sprintf("%040x", n)})
	}
	return record
}

// TestRecordsFit stores records as long as they get: they fit, nothing is lost of those that fitted before, and of no
// other what decides where the rollout stands.
func TestRecordsFit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		full := anyRecord(r)
		before := recordSize(full)
		got := full.Within(recordLimit, recordSize)
		if recordSize(full) != before {
			r.Fatal("the rollout itself was changed")
		}
		switch size := recordSize(got); {
		case size > recordLimit:
			r.Fatalf("a record of %d bytes was cut to %d, want at most %d", before, size, recordLimit)
		case before <= recordLimit:
			if diff := cmp.Diff(full, got, cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				r.Fatalf("a record that fits was changed (-want +got):\n%s", diff)
			}
		}
		checkKept(r, full, got)
		w := newWorld("b", false)
		if again, _, _ := strategy.Advance(got, w.observe(), w.now); again.Release != full.Release {
			r.Fatalf("it goes on as %q", again.Release)
		}
	})
}

func checkKept(r *rapid.T, full, got strategy.Rollout) {
	kept := func(r strategy.Rollout) []any {
		facts := []any{
			r.Release, r.Job, r.Phase, r.Step, r.Weight, r.ID, r.Plan, r.Stable, r.Canary.Revision, r.Canary.Commit.SHA, r.Parked, r.Last.Kind, r.Last.Revision, r.Ending.Kind,
			r.Paused != "", r.Evidence.Total, r.Incidents,
		}
		for _, list := range [][]strategy.Revision{r.Promoted, r.Condemned} {
			facts = append(facts, list[max(0, len(list)-5):])
		}
		for _, task := range r.Outbox[max(0, len(r.Outbox)-2):] {
			facts = append(facts, task.Kind, task.Rollout, task.Failed.SHA, task.Bad, task.Good, task.Rollback.Issue)
		}
		return facts
	}
	if diff := cmp.Diff(kept(full), kept(got), cmpopts.EquateEmpty()); diff != "" {
		r.Fatalf("what decides was lost (-want +got):\n%s", diff)
	}
}
