package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// gitPatience is how long, beyond two polls, the repository may stay unread before rollouts hold for it: what they are
// told to do might be something else by now.
const gitPatience = 30 * time.Second

// gitAnswered keeps whether it is known what Git asks for now. A repository that was never read needs no telling: then
// nothing is known of what it asks for.
func (l *Loop) gitAnswered(now time.Time, err error) {
	away := l.gitAway
	if err == nil || now.Before(l.gitRead) { // The clock may go back.
		l.gitRead = now
	}
	switch {
	case l.gitRead.IsZero() || err == nil:
		away = nil
	case errors.Is(err, strategy.ErrDenied):
		away = &strategy.Reason{Code: strategy.CredentialsRejected, Text: "the release repository rejects Drover's credentials: replace them, they are read again at every poll: " + err.Error()}
	case now.Sub(l.gitRead) > 2*l.opts.Poll+gitPatience:
		away = &strategy.Reason{Code: strategy.GitUnreachable, Text: fmt.Sprintf("what Git asks for is not known since %s: %v", l.gitRead.UTC().Format(time.TimeOnly), err)}
	}
	if (away == nil) != (l.gitAway == nil) {
		l.Touch(strategy.JobRef{}) // What waits for this is looked at again.
	}
	l.gitAway = away
	l.metrics.away(away)
}
