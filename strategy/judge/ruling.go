package judge

import (
	"math"
	"strconv"
	"time"
)

// Ruling is what is to be done with the rollout now.
type Ruling struct {
	Answer   Answer  // Beyond: roll back. Within: every gate passes the present step. Unsure: neither
	Gate     string  // the gate that is to blame, when the answer is Beyond
	Evidence float64 // of all gates together for a rollback: share of what it needs, from 0 to 1
	P        float64 // always-valid p-value of all gates together: at most 1 - Confidence when the answer is Beyond
	Findings []Finding
}

// Finding is what one gate says now, with the numbers that a sentence about it needs.
type Finding struct {
	Gate     string
	Answer   Answer
	Why      Why      // of the limit that decides the answer
	Evidence float64  // against the canary: share of what this gate alone needs for a rollback, from 0 to 1
	P        float64  // always-valid p-value of this gate
	Versus   *Reading // max_vs_stable; nil when the gate has none, or there is no stable to compare with
	Fixed    *Reading // max; nil when the gate has none
}

// Reading is what one limit of a gate says now.
type Reading struct {
	Answer   Answer
	Why      Why
	Canary   Rate    // over the whole rollout, of the windows that this limit could judge
	Stable   Rate    // beside it
	Ratio    float64 // canary's rate by stable's; 1 when both are 0, +Inf when only stable's is
	Evidence float64 // against the canary: share of what this limit alone needs for a rollback, from 0 to 1
	Support  float64 // for the canary: share of what it needs to pass, from 0 to 1
	Left     *Left   // how much traffic it needs to pass; nil when it passes, when nothing is known, and when it would never pass at the rates seen
}

// Rate is what was counted.
type Rate struct{ Events, Exposure float64 }

// Share is the events per exposure, 0 without exposure.
func (r Rate) Share() float64 { return rate(r.Events, r.Exposure) }

// Left is what is still needed to pass when the canary is as good as the stable (or stays as it is, for a fixed limit)
// and the traffic stays as it was in this step. Half of all canaries need more.
type Left struct {
	Exposure float64 // of the canary
	Time     time.Duration
}

// Why is the reason of an answer.
type Why int

// The reasons.
const (
	NotAsked   Why = iota // there is nothing to ask: a limit against the stable, and no stable
	NoTraffic             // the canary had no traffic in this step
	NoStable              // the stable had no traffic in this step
	TooLittle             // too little was seen to tell it from chance
	Doubtful              // enough was seen before, but this step speaks against it
	StableOver            // the stable exceeds max itself, so that exceeding it is no fault of the canary
	Proven                // within the limit that promotion asks for
	Exceeded              // beyond the limit
	Together              // beyond the limit, with what the other gates have seen
)

// String is a word for the reason.
func (w Why) String() string {
	words := [...]string{"not_asked", "no_traffic", "no_stable", "too_little", "doubtful", "stable_over", "proven", "exceeded", "together"}
	if w < 0 || int(w) >= len(words) {
		return "Why(" + strconv.Itoa(int(w)) + ")"
	}
	return words[w]
}

// Judge tells what the record says. compare tells whether a stable serves beside the canary: at weight 100%, after
// promotion and in a first release there is none, and the fixed limits decide alone. Asking changes nothing and costs
// nothing of the budget, however often. The error says that the record was kept under other rules.
func (r Rules) Judge(rec Record, compare bool) (Ruling, error) {
	if err := r.fits(rec); err != nil {
		return Ruling{}, err
	}
	ruling := Ruling{Answer: Within, P: math.Exp(-rec.Max)}
	var all, shares []float64
	for i, weight := range r.weights() {
		logE, weights := r.evidence(i, rec.Gates[i], weight)
		all, shares = append(all, logE...), append(shares, weights...)
		f := r.find(i, weight, rec, compare)
		if f.Answer != Within {
			ruling.Answer = Unsure
		}
		ruling.Findings = append(ruling.Findings, f)
	}
	if len(all) > 0 {
		ruling.Evidence = part(Combine(all, shares), Threshold(r.level()))
	}
	if rec.Crossed != nil {
		ruling.Answer, ruling.Gate, ruling.Evidence = Beyond, rec.Crossed.Gate, 1
	}
	return ruling, nil
}

// find is what one gate says.
func (r Rules) find(i int, weight float64, rec Record, compare bool) Finding {
	gate, g, t := r.Gates[i], rec.Gates[i], r.tests(i)
	threshold := Threshold(r.level() * weight / t.parts)
	f := Finding{Gate: gate.Name, Answer: Within, Why: NotAsked, P: math.Exp(-g.Max)}
	logE, weights := r.evidence(i, g, 1)
	f.Evidence = part(Combine(logE, weights), Threshold(r.level()*weight))
	blamed := rec.Crossed != nil && rec.Crossed.Gate == gate.Name
	if gate.MaxVsStable != nil && (compare || (blamed && !rec.Crossed.Fixed)) {
		v := g.versus(t, threshold, r.level())
		if blamed && !rec.Crossed.Fixed {
			v.blame()
		}
		f.Versus = &v
		f.take(v)
	}
	if gate.Max > 0 {
		v := g.fixed(t, gate.Max, threshold, r.level())
		if blamed && rec.Crossed.Fixed {
			v.blame()
		}
		f.Fixed = &v
		f.take(v)
	}
	return f
}

// take makes the finding as bad as one of its readings.
func (f *Finding) take(v Reading) {
	worse := func(a Answer) int { return map[Answer]int{Within: 0, Unsure: 1, Beyond: 2}[a] }
	if f.Why == NotAsked || worse(v.Answer) > worse(f.Answer) {
		f.Answer, f.Why = v.Answer, v.Why
	}
}

// blame says what the crossing said, whatever came after it.
func (v *Reading) blame() {
	if v.Answer != Beyond {
		v.Answer, v.Why = Beyond, Together
	}
	v.Left = nil
}

// versus reads the comparison with the stable.
func (g GateRecord) versus(t tests, threshold, level float64) Reading {
	v := Reading{
		Canary:   Rate{Events: g.Canary.Events, Exposure: g.Canary.Exposure},
		Stable:   Rate{Events: g.Stable.Events, Exposure: g.Stable.Exposure},
		Evidence: part(g.Worse.LogE(), threshold), Support: part(g.NotWorse.LogE(), Threshold(level)),
	}
	v.Ratio = quotient(v.Canary.Share(), v.Stable.Share())
	switch support := g.NotWorse.LogE(); {
	case g.Worse.LogE() >= threshold:
		v.Answer, v.Why = Beyond, Exceeded
	case g.Step.Canary == 0:
		v.Why = NoTraffic
	case g.Step.Stable == 0:
		v.Why = NoStable
	case support >= Threshold(level) && support >= g.Step.NotWorse:
		v.Answer, v.Why = Within, Proven
	case support >= Threshold(level):
		v.Why = Doubtful
	default:
		v.Why = TooLittle
		windows := float64(g.Step.Windows)
		both := rate(v.Canary.Events+v.Stable.Events, v.Canary.Exposure+v.Stable.Exposure)
		v.Left = g.left(t.notWorse.Remaining(g.NotWorse, g.Step.Canary/windows, g.Step.Stable/windows, both, both, level))
	}
	return v
}

// fixed reads the comparison with max.
func (g GateRecord) fixed(t tests, limit, threshold, level float64) Reading {
	v := Reading{
		Canary:   Rate{Events: g.Canary.Over + g.Alone.Over, Exposure: g.Canary.Exposure + g.Alone.Exposure},
		Stable:   Rate{Events: g.Stable.Over, Exposure: g.Stable.Exposure},
		Evidence: part(g.Over.LogE(), threshold), Support: part(g.Under.LogE(), Threshold(level)),
	}
	v.Ratio = quotient(v.Canary.Share(), v.Stable.Share())
	switch support := g.Under.LogE(); {
	case g.Over.LogE() >= threshold:
		v.Answer, v.Why = Beyond, Exceeded
	case g.Step.Canary == 0:
		v.Why = NoTraffic
	case support >= Threshold(level) && support >= g.Step.Under:
		v.Answer, v.Why = Within, Proven
	case g.Step.Stable > 0 && g.Recent.exceeds(limit):
		v.Why = StableOver
	case support >= Threshold(level):
		v.Why = Doubtful
	default:
		v.Why = TooLittle
		v.Left = g.left(t.under.Remaining(g.Under, g.Step.Canary/float64(g.Step.Windows), v.Canary.Share(), level))
	}
	return v
}

// left puts a forecast in windows into exposure and time at the traffic of this step.
func (g GateRecord) left(windows float64, ok bool) *Left {
	if !ok {
		return nil
	}
	each := windows / float64(g.Step.Windows)
	span := min(each*float64(g.Step.Span), float64(math.MaxInt64/2))
	return &Left{Exposure: each * g.Step.Canary, Time: time.Duration(span)}
}

// part is evidence as a share of what is needed, from 0 to 1.
func part(logE, threshold float64) float64 { return min(1, max(0, logE/threshold)) }

func quotient(canary, stable float64) float64 {
	switch {
	case canary == stable:
		return 1
	case stable == 0:
		return math.Inf(1)
	}
	return canary / stable
}

// String is a word for the answer.
func (a Answer) String() string {
	switch a {
	case Unsure:
		return "unsure"
	case Within:
		return "within"
	case Beyond:
		return "beyond"
	}
	return "Answer(" + strconv.Itoa(int(a)) + ")"
}
