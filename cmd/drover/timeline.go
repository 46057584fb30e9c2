package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// timeline shows a rollout to a person: a line for each move with its weight and reason, and the readings of the gates
// every now and then. It is plain text, so that it reads the same in a pipe.
type timeline struct {
	out    io.Writer
	every  time.Duration
	start  time.Time
	last   string    // the state that the last line was about
	said   string    // its text: nothing is said twice
	gauged time.Time // when the gates were shown last
}

func newTimeline(out io.Writer, every time.Duration) *timeline {
	return &timeline{out: out, every: every}
}

func (t *timeline) decided(d reconcile.Decision) {
	r := d.After
	if t.start.IsZero() {
		t.start = d.At
	}
	line := fmt.Sprintf("%-10s %s %6s  ", r.Phase, bar(r.Weight), r.Weight)
	why := t.why(d)
	key := line + string(r.Reason.Code)
	moved := key != t.last && line+why != t.said && (r.Differs(d.Before) || r.Reason.Code != d.Before.Reason.Code)
	if moved && r.Reason.Code == strategy.GateFailed || (d.Before.Phase != r.Phase && r.Phase == strategy.Restoring) {
		t.gates(d, r)
	}
	if moved {
		t.last, t.said = key, line+why
		fmt.Fprintf(t.out, "%s  %s%s\n", t.clock(d.At), line, why)
	}
	if r.Phase == strategy.Stepping && d.At.Sub(t.gauged) >= t.every && len(r.Verdicts) > 0 {
		t.gates(d, r)
	}
}

// why is the reason of the move, and of the moves that the same decision passed through.
func (t *timeline) why(d reconcile.Decision) string {
	for _, e := range slices.Backward(d.After.Timeline) {
		if !e.At.Equal(d.At) {
			break
		}
		if e.Phase == d.After.Phase && d.Before.Phase != d.After.Phase {
			return e.Reason.Text
		}
	}
	return d.After.Reason.Text
}

func (t *timeline) gates(d reconcile.Decision, r strategy.Rollout) {
	t.gauged = d.At
	var parts []string
	for _, v := range r.Verdicts {
		reading := v.Canary
		if reading == "" {
			reading = "no reading"
		}
		if v.Stable != "" {
			reading += " (stable " + v.Stable + ")"
		}
		parts = append(parts, fmt.Sprintf("%s %s %s", v.Gate, reading, v.State))
	}
	if len(parts) > 0 {
		fmt.Fprintf(t.out, "%s  %-10s %s\n", t.clock(d.At), "  gates", strings.Join(parts, " | "))
	}
}

func (t *timeline) clock(now time.Time) string {
	s := int(now.Sub(t.start).Seconds())
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// bar is the weight as a picture, 20 characters wide.
func bar(w strategy.Weight) string {
	const width = 20
	n := (int(w)*width + int(strategy.Full)/2) / int(strategy.Full)
	if w > 0 && n == 0 {
		n = 1
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + "]"
}
