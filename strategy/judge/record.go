package judge

import (
	"errors"
	"fmt"
	"time"
)

// Record is all that the judgement of one rollout remembers: a value, written as JSON between two windows, of at most
// 1100 bytes for a gate with both limits and 600 for a gate with one. It does not grow with time or traffic. Written and
// read again it continues to the bit as if it had never been away.
//
// It lives as long as one canary: steps, pauses and restarts keep it, another revision or another stable beside the
// canary begins with a new one.
type Record struct {
	Rules   string       `json:"rules"`           // Hash of the rules it is kept under
	Since   time.Time    `json:"since,omitzero"`  // of the canary's first request
	Gates   []GateRecord `json:"gates"`           // in the order of the rules
	LogE    float64      `json:"log_e,omitempty"` // of all gates together against the canary; none below 0
	Max     float64      `json:"max,omitempty"`   // the most of it so far, at least 0
	Crossed *Crossing    `json:"crossed,omitempty"`
}

// Crossing is the moment at which the evidence was enough to roll back. It is kept whatever comes after.
type Crossing struct {
	At    time.Time `json:"at"` // end of the window that decided
	Gate  string    `json:"gate"`
	LogE  float64   `json:"log_e"`           // of all gates together
	Fixed bool      `json:"fixed,omitempty"` // max decided, not max_vs_stable
}

// GateRecord is what is remembered of one gate.
type GateRecord struct {
	Last     time.Time `json:"last,omitzero"`      // end of the newest window
	Canary   Counts    `json:"canary,omitzero"`    // of the windows in which both tracks had exposure
	Stable   Counts    `json:"stable,omitzero"`    // likewise
	Alone    Counts    `json:"alone,omitzero"`     // of the canary in the windows in which it was alone
	Recent   Counts    `json:"recent,omitzero"`    // of the stable, older windows for less: whether it exceeds max itself
	Worse    Wealth    `json:"worse,omitzero"`     // evidence that the canary exceeds max_vs_stable
	NotWorse Wealth    `json:"not_worse,omitzero"` // evidence that it stays within what promotion asks
	Over     Wealth    `json:"over,omitzero"`      // evidence that it exceeds max
	Under    Wealth    `json:"under,omitzero"`     // evidence that it stays below what promotion asks
	Max      float64   `json:"max,omitempty"`      // the most evidence against the canary so far, at least 0
	Step     Step      `json:"step,omitzero"`
}

// Step is what is remembered of one gate in the present step.
type Step struct {
	Windows  int           `json:"windows,omitempty"` // in which the canary had exposure
	Span     time.Duration `json:"span,omitempty"`    // of those windows
	Canary   float64       `json:"canary,omitempty"`  // exposure
	Stable   float64       `json:"stable,omitempty"`  // exposure
	NotWorse float64       `json:"not_worse,omitempty"`
	Under    float64       `json:"under,omitempty"` // evidence at the start of the step, like NotWorse
}

// Start is the record before the first window. The rules must be without fault.
func (r Rules) Start() Record {
	rec := Record{Rules: r.Hash(), Gates: make([]GateRecord, len(r.Gates))}
	for i := range r.Gates {
		t := r.tests(i)
		if r.Gates[i].Max > 0 {
			rec.Gates[i].Over, rec.Gates[i].Under = t.over.Start(), t.under.Start()
		}
		if r.Gates[i].MaxVsStable != nil {
			rec.Gates[i].Worse, rec.Gates[i].NotWorse = t.worse.Start(), t.notWorse.Start()
		}
		rec.Gates[i].Step = rec.Gates[i].marked()
	}
	return rec
}

// NextStep begins another step: a gate passes a step only when nothing in it speaks against the canary. Evidence for a
// rollback goes on over all steps.
func (rec Record) NextStep() Record {
	gates := make([]GateRecord, len(rec.Gates))
	for i, g := range rec.Gates {
		g.Step = g.marked()
		gates[i] = g
	}
	rec.Gates = gates
	return rec
}

func (g GateRecord) marked() Step {
	s := Step{}
	if g.NotWorse.LW != nil {
		s.NotWorse = g.NotWorse.LogE()
	}
	if g.Under.LW != nil {
		s.Under = g.Under.LogE()
	}
	return s
}

// Add takes one window in for each gate that has one, by name. A window that was taken in before changes nothing. The
// record is not changed, a new one is returned. The error names every gate whose window cannot be used and why: such a
// gate has no answer until that is mended, so hold the rollout. The other gates have taken theirs in.
func (r Rules) Add(rec Record, windows map[string]Window) (Record, error) {
	if err := r.fits(rec); err != nil {
		return rec, err
	}
	var errs []error
	next, newest := rec, time.Time{}
	next.Gates = append([]GateRecord(nil), rec.Gates...)
	taken := 0
	for i := range r.Gates {
		w, found := windows[r.Gates[i].Name]
		if !found {
			continue
		}
		taken++
		if next.Since.IsZero() && w.Canary.Exposure > 0 && w.Canary.check("", true) == nil {
			next.Since = w.From
		}
		g, err := r.addGate(i, next.Gates[i], w, next.Since)
		if err != nil {
			errs = append(errs, fmt.Errorf("gate %q: %w", r.Gates[i].Name, err))
			continue
		}
		next.Gates[i] = g
		if g.Last.After(newest) {
			newest = g.Last
		}
	}
	if taken < len(windows) {
		errs = append(errs, fmt.Errorf("windows of %d gates, of which the rules know %d: give each the name of its gate", len(windows), taken))
	}
	next.decide(r, newest)
	return next, errors.Join(errs...)
}

// fits tells whether the record was kept under these rules and is whole.
func (r Rules) fits(rec Record) error {
	if rec.Rules != r.Hash() || len(rec.Gates) != len(r.Gates) {
		return fmt.Errorf("record of the judgement was kept under rules %q, these are %q: start a new one", rec.Rules, r.Hash())
	}
	return nil
}

func (r Rules) addGate(i int, g GateRecord, w Window, since time.Time) (GateRecord, error) {
	fresh, err := w.fresh(g.Last)
	if err != nil || !fresh {
		return g, err
	}
	if err := errors.Join(w.Canary.check("canary", r.Gates[i].Unbounded), w.Stable.check("stable", r.Gates[i].Unbounded)); err != nil {
		return g, err
	}
	next := g
	next.Last = w.To
	w.OverOnly = w.OverOnly || w.Mixed
	if (w.Mixed && r.Gates[i].Max == 0) || (r.Gates[i].WarmUp > 0 && w.From.Before(since.Add(r.Gates[i].WarmUp))) {
		return next, nil
	}
	next.count(w)
	if err := next.bet(r.Gates[i], r.tests(i), w, capFor(Threshold(r.level()), r.minWindows())); err != nil {
		return g, err
	}
	logE, weights := r.evidence(i, next, 1)
	if len(logE) > 0 {
		next.Max = max(next.Max, Combine(logE, weights))
	}
	return next, nil
}

func (g *GateRecord) count(w Window) {
	switch {
	case w.Canary.Exposure == 0:
		return
	case w.Stable.Exposure == 0, w.OverOnly:
		g.Alone = g.Alone.add(w.Canary)
	default:
		g.Canary, g.Stable = g.Canary.add(w.Canary), g.Stable.add(w.Stable)
	}
	g.Step.Windows++
	g.Step.Span += w.To.Sub(w.From)
	g.Step.Canary += w.Canary.Exposure
	g.Step.Stable += w.Stable.Exposure
}

// bet lets every test of the gate take the window in. limit is the most that it may add to the evidence against the canary.
func (g *GateRecord) bet(gate Gate, t tests, w Window, limit float64) error {
	var errs [4]error
	worse, over := g.Worse, g.Over
	if gate.MaxVsStable != nil && !w.OverOnly {
		tally := Tally{XC: w.Canary.Events, NC: w.Canary.Exposure, XS: w.Stable.Events, NS: w.Stable.Exposure}
		g.Worse, errs[0] = t.worse.Add(g.Worse, tally)
		g.Worse = g.Worse.capped(worse, limit)
		g.NotWorse, errs[1] = t.notWorse.Add(g.NotWorse, tally)
	}
	if gate.Max > 0 {
		g.Over, errs[2] = t.exceed(*g, gate.Max, w)
		g.Over = g.Over.capped(over, limit)
		g.Under, errs[3] = t.under.Add(g.Under, w.Canary.Over, w.Canary.Exposure)
		const memory = 0.8 // of one window in the next: five windows or so
		g.Recent = Counts{Exposure: memory*g.Recent.Exposure + w.Stable.Exposure, Over: memory*g.Recent.Over + w.Stable.Over}
	}
	return errors.Join(errs[:]...)
}

// exceed takes a window into the evidence that the canary exceeds max. Trouble that hits both tracks is no fault of the
// canary: once the stable exceeds max as well, the canary is held against stable and max together, and a window in which
// the stable begins to is left out. Which of them holds follows from the past, or from the stable's counts alone: that
// is why wealth stays evidence.
func (t tests) exceed(g GateRecord, limit float64, w Window) (Wealth, error) {
	switch {
	case w.Mixed && (g.Recent.exceeds(limit) || w.Stable.exceeds(limit)):
		return g.Over, nil
	case w.Stable.Exposure > 0 && g.Recent.exceeds(limit):
		return t.apart.Add(g.Over, Tally{XC: w.Canary.Over, NC: w.Canary.Exposure, XS: w.Stable.Over, NS: w.Stable.Exposure})
	case w.Stable.exceeds(limit):
		return g.Over, nil
	}
	return t.over.Add(g.Over, w.Canary.Over, w.Canary.Exposure)
}

// exceeds tells whether more is counted than the limit allows, one event alone never being.
func (c Counts) exceeds(limit float64) bool { return c.Over >= 2 && c.Over > limit*c.Exposure }

// evidence is what each test of a gate has against the canary, and its weight: max_vs_stable first.
func (r Rules) evidence(i int, g GateRecord, weight float64) (logE, weights []float64) {
	if r.Gates[i].MaxVsStable != nil {
		logE = append(logE, g.Worse.LogE())
	}
	if r.Gates[i].Max > 0 {
		logE = append(logE, g.Over.LogE())
	}
	weights = make([]float64, len(logE))
	for j := range weights {
		weights[j] = weight / float64(len(logE))
	}
	return logE, weights
}

// decide adds the evidence of all gates up, and keeps the first moment at which it is enough.
func (rec *Record) decide(r Rules, at time.Time) {
	var all, shares Logs
	best, culprit := 0.0, Crossing{At: at}
	for i, weight := range r.weights() {
		logE, weights := r.evidence(i, rec.Gates[i], weight)
		for j := range logE {
			all, shares = append(all, logE[j]), append(shares, weights[j])
			if strength := Combine(logE[j:j+1], weights[j:j+1]); culprit.Gate == "" || strength > best {
				best, culprit.Gate, culprit.Fixed = strength, r.Gates[i].Name, j == len(logE)-1 && r.Gates[i].Max > 0
			}
		}
	}
	if len(all) == 0 {
		return
	}
	culprit.LogE = Combine(all, shares)
	rec.LogE, rec.Max = max(0, culprit.LogE), max(rec.Max, culprit.LogE)
	if rec.Crossed == nil && culprit.LogE >= Threshold(r.level()) {
		rec.Crossed = &culprit
	}
}
