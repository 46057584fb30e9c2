package strategy

import (
	"fmt"
	"reflect"
	"time"
)

// Gist is what a decision came to: where the rollout stands, why, and what each gate said. It is what is compared when
// the decision is made again from what it was made on.
type Gist struct {
	Phase    Phase         `json:"phase"`
	Step     int           `json:"step"`
	Weight   Weight        `json:"weight"`
	Reason   Reason        `json:"reason"`
	Hold     *Reason       `json:"hold,omitempty"`
	Ending   *Reason       `json:"ending,omitempty"`
	Verdicts []Verdict     `json:"verdicts,omitempty"`
	Baked    time.Duration `json:"baked,omitempty"`
}

// Gist is what the last decision came to.
func (r Rollout) Gist() Gist {
	g := Gist{Phase: r.Phase, Step: r.Step, Weight: r.Weight, Reason: r.Reason, Verdicts: r.Verdicts, Baked: r.Baked}
	if r.Hold != nil {
		g.Hold = &r.Hold.Reason
	}
	if r.Ending != nil {
		g.Ending = &r.Ending.Reason
	}
	return g
}

// String is where the rollout stands, and why.
func (g Gist) String() string {
	text := fmt.Sprintf("%s at %s, step %d: %s", g.Phase, g.Weight, g.Step+1, g.Reason.Text)
	if g.Hold != nil {
		text += " (held: " + g.Hold.Text + ")"
	}
	return text
}

// Differences is in what two decisions differ, a sentence each; nil when they agree.
func (g Gist) Differences(other Gist) []string {
	var all []string
	say := func(what string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			all = append(all, fmt.Sprintf("%s is %v, and was %v", what, shown(b), shown(a)))
		}
	}
	say("phase", g.Phase, other.Phase)
	say("step", g.Step+1, other.Step+1)
	say("weight", g.Weight, other.Weight)
	say("reason", g.Reason, other.Reason)
	say("hold", g.Hold, other.Hold)
	say("end", g.Ending, other.Ending)
	say("time baked", g.Baked, other.Baked)
	verdicts := map[string]Verdict{}
	for _, v := range other.Verdicts {
		verdicts[v.Gate] = v
	}
	for _, v := range g.Verdicts {
		say(fmt.Sprintf("gate %q", v.Gate), v, verdicts[v.Gate])
		delete(verdicts, v.Gate)
	}
	for _, v := range other.Verdicts {
		if _, left := verdicts[v.Gate]; left {
			say(fmt.Sprintf("gate %q", v.Gate), Verdict{}, v)
		}
	}
	return all
}

// shown is a part of a decision as people read it.
func shown(part any) any {
	switch v := part.(type) {
	case Reason:
		return fmt.Sprintf("%s (%s)", v.Code, v.Text)
	case *Reason:
		if v == nil {
			return "none"
		}
		return shown(*v)
	case Verdict:
		if v.Gate == "" {
			return "not asked"
		}
		return fmt.Sprintf("%s (%s; against %.6g, for %.6g)", v.State, v.Why, v.Against, v.For)
	}
	return part
}
