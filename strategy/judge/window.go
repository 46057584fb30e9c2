package judge

import (
	"errors"
	"fmt"
	"time"
)

// Window is what both tracks counted for one gate between two readings: after From, up to and including To. The windows
// of a gate follow each other. A reading that is missing, or that one of the tracks had none in, makes no window; the
// next one then reaches back to the last good reading, so that nothing is lost.
type Window struct {
	From, To time.Time
	Canary   Counts
	Stable   Counts // only of the revision that serves beside the canary, and nothing when there is none
	Mixed    bool   // the weight changed within: the tracks cannot be compared, so that it counts for max alone
	OverOnly bool   // what max_vs_stable counts is not known yet: Events mean nothing
}

// Counts is what one track counted in a window, summed over the increases of all its series.
type Counts struct {
	Exposure float64 `json:"n,omitempty"` // such as requests
	Events   float64 `json:"x,omitempty"` // of them those that the comparison with the stable counts: failed, or slower than Tail.Boundary
	Over     float64 `json:"o,omitempty"` // of them those that max counts: failed, or slower than max. The same as Events but for latencies
}

// Failures are the counts of a gate that counts the same for both of its limits.
func Failures(exposure, events float64) Counts {
	return Counts{Exposure: exposure, Events: events, Over: events}
}

// Rate is the events per exposure, 0 without exposure.
func (c Counts) Rate() float64 { return rate(c.Events, c.Exposure) }

// OverRate is the events that max counts per exposure, 0 without exposure.
func (c Counts) OverRate() float64 { return rate(c.Over, c.Exposure) }

func rate(x, n float64) float64 {
	if n == 0 {
		return 0
	}
	return x / n
}

func (c Counts) add(d Counts) Counts {
	return Counts{Exposure: c.Exposure + d.Exposure, Events: c.Events + d.Events, Over: c.Over + d.Over}
}

func (c Counts) check(track string, unbounded bool) error {
	if err := errors.Join(count(track+" exposure", c.Exposure), count(track+" events", c.Events), count(track+" events over max", c.Over)); err != nil {
		return err
	}
	if most := max(c.Events, c.Over); most > c.Exposure && !unbounded {
		return fmt.Errorf("%s: %v events exceed %v requests: the labels of the two counters do not fit each other", track, most, c.Exposure)
	}
	return nil
}

// fresh tells whether the window is newer than all that was taken in.
func (w Window) fresh(last time.Time) (bool, error) {
	switch {
	case !w.From.Before(w.To):
		return false, fmt.Errorf("window from %v to %v: want it to end after it begins", w.From, w.To)
	case !w.To.After(last):
		return false, nil
	case w.From.Before(last):
		return false, fmt.Errorf("window from %v to %v overlaps what was counted until %v: give the increase since then", w.From, w.To, last)
	}
	return true, nil
}
