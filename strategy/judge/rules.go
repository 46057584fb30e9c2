package judge

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Rules are what one rollout is judged by. Freeze them when it starts: a record that was kept under other rules is
// refused, as evidence that was gathered before its question was asked proves nothing.
//
// A rollout has one budget of false rollbacks, 1 - Confidence, however many gates it has and however long it runs. It
// is shared by the Budget of each gate; all alike is right unless one of them matters more. A gate that stands for many
// questions, such as one for each endpoint, should be given as that many gates which share the budget that it would
// have had, or a service with many endpoints leaves nothing for its other gates.
type Rules struct {
	Confidence float64 // in [0.5,1); 0 is 0.95
	MinWindows int     // a rollback rests on at least so many windows; 0 is 2
	Gates      []Gate
}

// Gate is one question about the canary, or two with the same answer: is it worse than the stable, and does it exceed a
// fixed rate. Events are what should be rare: failed requests, or requests slower than a bound.
type Gate struct {
	Name        string
	Max         float64 // fixed limit in events per exposure: a share of requests, from 0 to 1. 0 for none
	PromoteMax  float64 // shown to be below this before it passes; 0 is one and a half of Max
	MaxVsStable *Margin // limit against the stable; nil for none
	Promote     *Margin // shown to be within this before it passes; nil is MaxVsStable.Promotion()
	Burst       float64 // events that one cause makes at most, such as by EstimateBurst; 0 is UnknownBurst
	Budget      float64 // share of the rollout's budget, in parts of the sum over all gates; 0 is 1
	Unbounded   bool    // events are no part of exposure, such as restarts by hours of running: they may exceed it
	// WarmUp is the time from the canary's first request in which nothing is judged: cold caches make answers slow. Leave
	// it out where what goes wrong in the beginning is wrong.
	WarmUp time.Duration
	// Learned names what MaxVsStable was asked for, where its numbers are known only when the stable was looked at for a
	// while, such as "p95 +20%": it stands for them in Hash. Until they are known, give windows with OverOnly.
	Learned string
}

const (
	defaultConfidence = 0.95
	defaultMinWindows = 2
	promoteMaxFactor  = 1.5
	// maxGates bounds the size of a record.
	maxGates = 64
)

// Check tells all that is wrong with the rules.
func (r Rules) Check() error {
	var errs []error
	if c := r.confidence(); !(c >= 0.5 && c < 1) {
		errs = append(errs, fmt.Errorf("confidence %v: want at least 50%% and below 100%%", r.Confidence))
	}
	if r.MinWindows < 0 {
		errs = append(errs, fmt.Errorf("at least %d windows: want none below 0", r.MinWindows))
	}
	if len(r.Gates) > maxGates {
		errs = append(errs, fmt.Errorf("%d gates: want at most %d", len(r.Gates), maxGates))
	}
	seen := map[string]bool{}
	for _, g := range r.Gates {
		if seen[g.Name] {
			errs = append(errs, fmt.Errorf("gate %q: declared twice; rename one", g.Name))
		}
		seen[g.Name] = true
		if err := g.check(); err != nil {
			errs = append(errs, fmt.Errorf("gate %q: %w", g.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (g Gate) check() error {
	errs := []error{g.checkMax(), g.checkVersus(), tempering(g.burst(), 0)}
	if g.Max == 0 && g.MaxVsStable == nil {
		errs = append(errs, errors.New("neither max nor max_vs_stable: give it a limit"))
	}
	if !(g.Budget >= 0) || math.IsInf(g.Budget, 1) {
		errs = append(errs, fmt.Errorf("budget %v: want at least 0", g.Budget))
	}
	if g.WarmUp < 0 {
		errs = append(errs, fmt.Errorf("warm-up of %v: want at least 0", g.WarmUp))
	}
	return errors.Join(errs...)
}

func (g Gate) checkMax() error {
	if g.Max != 0 && (!(g.Max > 0) || math.IsInf(g.Max, 1) || (!g.Unbounded && g.Max >= 1)) {
		return fmt.Errorf("max %v: want a share above 0 and below 1", g.Max)
	}
	if g.PromoteMax != 0 && (g.Max == 0 || !(g.PromoteMax >= g.Max) || math.IsInf(g.PromoteMax, 1)) {
		return fmt.Errorf("a rate of %v to pass with a max of %v: want at least max", g.PromoteMax, g.Max)
	}
	return nil
}

func (g Gate) checkVersus() error {
	if g.MaxVsStable == nil {
		if g.Promote != nil {
			return errors.New("promote_vs_stable without max_vs_stable: give it that too, or leave it out")
		}
		return nil
	}
	if err := g.MaxVsStable.check(); err != nil {
		return fmt.Errorf("max_vs_stable: %w", err)
	}
	if err := g.promote().wider(*g.MaxVsStable); err != nil {
		return fmt.Errorf("promote_vs_stable: %w", err)
	}
	return nil
}

func (r Rules) confidence() float64 {
	if r.Confidence == 0 {
		return defaultConfidence
	}
	return r.Confidence
}

// level is the probability of a false rollback, and that of a false pass.
func (r Rules) level() float64 { return 1 - r.confidence() }

func (r Rules) minWindows() int {
	if r.MinWindows == 0 {
		return defaultMinWindows
	}
	return r.MinWindows
}

// weights is the share of the budget of each gate.
func (r Rules) weights() []float64 {
	weights, sum := make([]float64, len(r.Gates)), 0.0
	for i, g := range r.Gates {
		weights[i] = g.Budget
		if g.Budget == 0 {
			weights[i] = 1
		}
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	return weights
}

func (g Gate) burst() float64 {
	if g.Burst == 0 {
		return UnknownBurst
	}
	return g.Burst
}

func (g Gate) promote() Margin {
	if g.Promote != nil {
		return *g.Promote
	}
	return g.MaxVsStable.Promotion()
}

func (g Gate) promoteMax() float64 {
	if g.PromoteMax > 0 {
		return g.PromoteMax
	}
	return promoteMaxFactor * g.Max
}

// tests are the tests that a gate is made of. Which of them a gate has follows from its limits.
type tests struct {
	worse    Ratio
	notWorse Ratio
	over     Ceiling
	under    Ceiling
	apart    Ratio   // takes the place of over where the stable exceeds max too
	parts    float64 // how many tests share the gate's part of the budget
}

func (r Rules) tests(i int) tests {
	g := r.Gates[i]
	t := tests{}
	if g.Max > 0 {
		t.parts++
	}
	if g.MaxVsStable != nil {
		t.parts++
	}
	if g.Max > 0 {
		t.over, t.under = Over(g.Max, g.burst(), 0), Under(g.promoteMax(), g.burst())
		t.apart = Worse(Margin{Ratio: 1, Absolute: g.Max}, g.burst(), 0)
	}
	if g.MaxVsStable != nil {
		t.worse, t.notWorse = Worse(*g.MaxVsStable, g.burst(), 0), NotWorse(g.promote(), g.burst())
	}
	return t
}

// Hash tells rules apart. Two that judge alike are alike, whether a default is written out or not. When judging begins
// is no part of it.
func (r Rules) Hash() string {
	var text strings.Builder
	fmt.Fprintf(&text, "2 %v %d", r.confidence(), r.minWindows())
	for i, weight := range r.weights() {
		g := r.Gates[i]
		fmt.Fprintf(&text, "\n%q %v %v %t", g.Name, weight, g.burst(), g.Unbounded)
		if g.Max > 0 {
			fmt.Fprintf(&text, " max %v %v", g.Max, g.promoteMax())
		}
		switch {
		case g.Learned != "":
			fmt.Fprintf(&text, " learned %q", g.Learned)
		case g.MaxVsStable != nil:
			fmt.Fprintf(&text, " vs %v %v", *g.MaxVsStable, g.promote())
		}
	}
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	hash := uint64(offset)
	for _, b := range []byte(text.String()) {
		hash = (hash ^ uint64(b)) * prime
	}
	return fmt.Sprintf("%016x", hash)
}
