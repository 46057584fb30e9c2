package strategy

import (
	"fmt"
	"time"
)

// farewell is how long connections that the router closes have to end in order, after the time of the drain.
const farewell = 10 * time.Second

// drain lets what is still open on allocations that are about to end come to its end, and has the router close it when the
// plan's time is over. It tells whether that is still waited for. It is asked once no new connection goes to them: when
// the split that sees to that is in effect.
func (m *machine) drain() (Reason, bool) {
	leaving := m.leaving()
	if m.Plan.Drain <= 0 || len(leaving) == 0 || m.o.Traffic == nil {
		return Reason{}, false
	}
	open, known := m.o.Traffic.openOn(leaving)
	if known && open == 0 || !known && m.Phase == Restoring && !m.Opened {
		return Reason{}, false
	}
	if m.Draining.IsZero() {
		m.Draining = m.now
	}
	left := m.Plan.Drain - m.now.Sub(m.Draining)
	if left+farewell <= 0 {
		return Reason{}, false
	}
	what := "connections may still be open"
	switch {
	case known && open == 1:
		what = "1 connection is still open"
	case known:
		what = fmt.Sprintf("%d connections are still open", open)
	}
	if left <= 0 {
		return Reason{Code: Draining, Text: fmt.Sprintf("%s on %s: the time of connection_drain is over, and the router closes them", what, m.leavingRevision())}, true
	}
	return Reason{Code: Draining, Text: fmt.Sprintf("%s on %s, which ends when they have, in %s at the latest", what, m.leavingRevision(), left.Round(time.Second))}, true
}

// leavesTrial tells which side of the trial ends next, as the present phase has it: what is on trial, or what ran before.
func (m *machine) leavesTrial() bool { return m.Phase != Promoting && m.Phase != Reversing }

// leaving are the allocations that end next, by their ids.
func (m *machine) leaving() []string {
	if m.o.Cluster == nil {
		return nil
	}
	var ids []string
	for _, a := range m.o.Cluster.Allocs {
		if a.Address != "" && !a.Ending && m.onTrial(a) == m.leavesTrial() {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// leavingRevision is what they run.
func (m *machine) leavingRevision() Revision {
	if m.leavesTrial() {
		return m.o.Cluster.Revision // In Placing that is what is superseded.
	}
	return m.Stable.Revision
}

// drainIsOver tells whether the router is to close what is still open.
func (m *machine) drainIsOver() bool {
	return !m.Draining.IsZero() && m.now.Sub(m.Draining) >= m.Plan.Drain
}

// drainLimit is what a drain adds to the deadline of its phase.
func (m *machine) drainLimit() time.Duration {
	if m.Draining.IsZero() {
		return 0
	}
	return m.Plan.Drain + farewell
}

// openOn is how many connections and requests are open on these allocations, over all instances of the router; false when
// it cannot tell.
func (t *TrafficState) openOn(allocs []string) (open int, known bool) {
	if t.Open == nil {
		return 0, false
	}
	for _, id := range allocs {
		open += t.Open[id]
	}
	return open, true
}

// drainAll is drain before a promotion. Where not all traffic could be moved it comes too early: Nomad then ends the old
// allocations one after another, with what is open on them.
func (m *machine) drainAll() (Reason, bool) {
	if m.Weight < Full {
		return Reason{}, false
	}
	return m.drain()
}

// withdrawnInDrain goes back at once when Git does while the promotion waits for open connections. Anything new waits.
func (m *machine) withdrawnInDrain() (Reason, bool) {
	d := m.o.Desired
	if m.Draining.IsZero() || d == nil || d.Revision == m.Canary.Revision || m.o.Forced != "" {
		return Reason{}, false
	}
	return m.withdrawn(d)
}
