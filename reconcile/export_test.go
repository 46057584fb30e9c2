package reconcile

import (
	"log/slog"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// IsAsked tells whether a command for a release waits for a pass.
func (l *Loop) IsAsked(release string) bool { return l.isAsked(release) }

// LeadAnew is what Run begins with.
func (l *Loop) LeadAnew() { l.leadAnew() }

// Complainer says in a log what passes end with, as Run does.
func Complainer(log *slog.Logger) func(err error, now time.Time) {
	c := &complaint{}
	return func(err error, now time.Time) { c.of(err, now, log) }
}

// MergeFile is what a merge makes of a file that both sides changed.
func MergeFile(base, ours, theirs []byte) (merged string, ok bool) {
	file, ok := mergeFile(base, ours, theirs)
	return string(file.Content), ok
}

// WithRelease is a remark with the line of one release replaced.
func WithRelease(old, release string, report strategy.Report) string {
	return withRelease(old, release, report)
}

// WithPlan is a remark with its plan replaced.
func WithPlan(old, plan string) string { return withPlan(old, plan) }
