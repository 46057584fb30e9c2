package reconcile

import (
	"log/slog"
	"strings"
	"time"
	"unicode"
)

// complaintAgain is how long a complaint that goes on is not repeated.
const complaintAgain = 5 * time.Minute

// complaint is what the passes were last found to lack. What cannot be mended by trying again is tried again all the same,
// every second: it is said when it begins, when it changes, every few minutes, and when it is over.
type complaint struct {
	shape string // of the error, which differs in its numbers from one time to the next
	at    time.Time
}

// of says what is to be said of a pass that ended with err.
func (c *complaint) of(err error, now time.Time, log *slog.Logger) {
	switch {
	case err == nil && c.shape == "":
	case err == nil:
		log.Info("passes complete again")
		*c = complaint{}
	case shape(err) != c.shape || now.Sub(c.at) >= complaintAgain:
		log.Error("pass incomplete", "error", err)
		*c = complaint{shape: shape(err), at: now}
	}
}

// shape is an error without the numbers in it: ports, counts and durations.
func shape(err error) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
}
