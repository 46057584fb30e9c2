package reconcile

import (
	"log/slog"
	"time"
)

// IsAsked tells whether a command for a release waits for a pass.
func (l *Loop) IsAsked(release string) bool { return l.isAsked(release) }

// Complainer says in a log what passes end with, as Run does.
func Complainer(log *slog.Logger) func(err error, now time.Time) {
	c := &complaint{}
	return func(err error, now time.Time) { c.of(err, now, log) }
}
