package strategy

import (
	"maps"
	"slices"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

// rewind follows a clock that was put back: what is waited for goes on from where it was, and what is counted from now on is
// newer than what was counted before. A clock that is behind by a moment, as another process's may be, stands still instead.
func (m *machine) rewind() {
	by := m.Seen.Sub(m.now)
	if m.Seen.IsZero() || by <= glance {
		return
	}
	back := func(times ...*time.Time) {
		for _, t := range times {
			if !t.IsZero() {
				*t = t.Add(-by)
			}
		}
	}
	e := &m.Evidence
	back(&m.Seen, &m.Entered, &m.Since, &m.Pending, &m.Draining, &m.Last.At, &e.Since, &e.At, &e.Turned, &e.Open.From)
	if m.Hold != nil {
		back(&m.Hold.Since)
	}
	for i := range m.Timeline { // What is said from now on is said after it.
		back(&m.Timeline[i].At)
	}
	e.Until, e.Gauges = maps.Clone(e.Until), maps.Clone(e.Gauges)
	for gate, t := range e.Until {
		back(&t)
		e.Until[gate] = t
	}
	for gate, g := range e.Gauges {
		back(&g.At)
		e.Gauges[gate] = g
	}
	for _, rec := range []*judge.Record{&e.Judged, &e.Dry} {
		back(&rec.Since)
		rec.Gates = slices.Clone(rec.Gates)
		for i := range rec.Gates {
			back(&rec.Gates[i].Last)
		}
	}
}
