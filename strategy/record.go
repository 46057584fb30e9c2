package strategy

import (
	"slices"

	"github.com/drover-dev/drover/strategy/judge"
)

// What is left of a record that is too long.
const (
	keptLines     = 6  // of the timeline
	keptTaskLines = 4  // of a task's timeline
	keptTasks     = 6  // of the outbox
	fewestTasks   = 2  // a revert and its issue
	keptRevisions = 5  // promoted, and condemned: as many as Nomad keeps tags of
	shortText     = 60 // bytes of a text
	shortestText  = 24 // likewise, of which each may be written in six
)

// Within is the rollout as it can be stored in limit bytes; size tells how many one takes. What is missed least goes first:
// what is shown, then what can be measured again, then the oldest of what is remembered. What decides where the rollout
// stands is never lost: its phase, step, weight, revisions and end, and the newest revert and issue. It fits whatever
// texts there are, as long as its plan takes no more than MaxPlan.
func (r Rollout) Within(limit int, size func(Rollout) int) Rollout {
	for _, cut := range cuts {
		if size(r) <= limit {
			break
		}
		r = r.clone()
		cut(&r)
	}
	return r
}

// MaxPlan is what a plan may take of a record, in bytes.
const MaxPlan = 8 << 10

// cuts make a record shorter, each a little more than the one before.
var cuts = []func(r *Rollout){
	func(r *Rollout) { // What people see of gates comes anew with the next look.
		r.Evidence.Dry, r.Verdicts = judge.Record{}, nil
	},
	func(r *Rollout) {
		r.Timeline = ends(r.Timeline, keptLines)
		r.Reports = slices.DeleteFunc(r.Reports, func(report Report) bool { return report.Told })
		for i := range r.Outbox {
			r.Outbox[i].Timeline = ends(r.Outbox[i].Timeline, keptTaskLines)
		}
	},
	func(r *Rollout) {
		for i := range r.Outbox {
			r.Outbox[i].Verdicts = r.Outbox[i].blamed()
		}
	},
	func(r *Rollout) { // A source that is not known counts from what it shows first.
		r.Evidence.Prev, r.Evidence.Since = nil, r.Evidence.At
	},
	func(r *Rollout) { r.Outbox = newest(r.Outbox, keptTasks) },
	func(r *Rollout) { // The gates begin anew: they hold longer, and pass nothing that they would not.
		e := r.Evidence
		r.Evidence = Evidence{Since: e.At, At: e.At, Total: e.Total, Failed: e.Failed, Weight: e.Weight, Turned: e.Turned, Alone: e.Alone, Until: e.Until, ByEndpoint: e.ByEndpoint}
	},
	func(r *Rollout) {
		r.Promoted, r.Condemned = newest(r.Promoted, keptRevisions), newest(r.Condemned, keptRevisions)
	},
	func(r *Rollout) { r.shorten(shortText) },
	func(r *Rollout) {
		r.shorten(shortestText)
		r.Outbox, r.Timeline = newest(r.Outbox, fewestTasks), ends(r.Timeline, 2)
		for i := range r.Outbox {
			r.Outbox[i].Timeline, r.Outbox[i].Verdicts = nil, nil
		}
		for i := range r.Outbox {
			if r.Outbox[i].Kind != TaskIssue { // Only the issue has them.
				r.Outbox[i].Rollback.Labels, r.Outbox[i].Rollback.Assignees = nil, nil
			}
		}
	},
}

// newest is at most the last so many of a list.
func newest[T any](list []T, most int) []T { return list[max(0, len(list)-most):] }

// ends is the first line of a timeline, which says what was asked for, and at most so many of the last.
func ends(lines []Event, most int) []Event {
	if len(lines) <= 1+most {
		return lines
	}
	return slices.Concat(lines[:1], newest(lines, most))
}

// blamed is the verdict that ended the rollout.
func (t Task) blamed() []Verdict {
	n := slices.IndexFunc(t.Verdicts, func(v Verdict) bool { return v.State == Fail && !v.DryRun })
	if n < 0 {
		return nil
	}
	return t.Verdicts[n : n+1 : n+1]
}

// shorten clips every text that is there for people.
func (r *Rollout) shorten(limit int) {
	texts := []*string{&r.Reason.Text, &r.Last.Reason.Text, &r.Paused, &r.Canary.Commit.Subject, &r.Canary.Commit.Author}
	if r.Hold != nil {
		texts = append(texts, &r.Hold.Reason.Text)
	}
	if r.Ending != nil {
		texts = append(texts, &r.Ending.Reason.Text)
	}
	for i := range r.Timeline {
		texts = append(texts, &r.Timeline[i].Reason.Text)
	}
	for i := range r.Reports {
		texts = append(texts, &r.Reports[i].Text, &r.Reports[i].Key)
	}
	for i := range r.Outbox {
		t := &r.Outbox[i]
		t.Timeline, t.Verdicts = slices.Clone(t.Timeline), nil
		texts = append(texts, &t.Failed.Subject, &t.Failed.Author, &t.Reason.Text, &t.Result)
		for k := range t.Timeline {
			texts = append(texts, &t.Timeline[k].Reason.Text)
		}
	}
	for _, text := range texts {
		*text = clip(*text, limit)
	}
}
