package strategy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plan is how one rollout is to go. It is frozen when the rollout starts.
type Plan struct {
	Kind        Kind          `json:"kind,omitempty"`
	Steps       []Step        `json:"steps"`
	Standby     time.Duration `json:"standby,omitempty"` // after the last step: how long the old revision is kept beside
	Smoke       []Smoke       `json:"smoke,omitempty"`
	Canaries    Canaries      `json:"canaries"`
	Gates       []Gate        `json:"gates,omitempty"`
	Rollback    Rollback      `json:"rollback"`
	MaxDuration time.Duration `json:"max_duration"` // bounds the rollout after placing; then it is aborted and parked

	Confidence     float64        `json:"confidence,omitempty"`      // of the gates, all together; 0 is 95%
	OnInconclusive OnInconclusive `json:"on_inconclusive,omitempty"` // what is done at the end of a bake that proved nothing
	Early          bool           `json:"early,omitempty"`           // a step may end before its bake is over, when every gate passes

	// Drain is how long connections that are open on allocations about to end may last; 0 does not wait for them.
	Drain time.Duration `json:"connection_drain,omitempty"`
	// Sticky keeps a user on the track that served first, while the traffic is divided.
	Sticky bool `json:"sticky,omitempty"`

	Shadow *ShadowPlan `json:"shadow,omitempty"` // before the first weight; nil for none

	Accepted map[string]string `json:"-"` // the reasons for findings that are meant, by code
}

// OnInconclusive is what is done when a bake is over and some gate is inconclusive.
type OnInconclusive string

// The answers. The zero value extends.
const (
	ExtendBake          OnInconclusive = "extend"   // bake on, three more times as long at most, and then hold
	HoldInconclusive    OnInconclusive = "hold"     // hold until every gate passes
	PromoteInconclusive OnInconclusive = "promote"  // go on: what has not failed is good enough
	RejectInconclusive  OnInconclusive = "rollback" // roll back: what has not passed is not good enough
)

const defaultConfidence = 0.95

// level is the chance that gates may be wrong with, all together.
func (p Plan) level() float64 {
	if p.Confidence == 0 {
		return 1 - defaultConfidence
	}
	return 1 - p.Confidence
}

// Kind is what a strategy is called. The zero value is a canary.
type Kind string

// The strategies.
const (
	KindCanary    Kind = "canary"     // the weight rises in steps
	KindBlueGreen Kind = "blue-green" // all traffic is switched at once, and the old revision stands by
)

// Smoke is a request that every canary must answer as expected before it gets any traffic.
type Smoke struct {
	Name    string            `json:"name"`
	Path    string            `json:"path"`
	Status  int               `json:"status"`           // expected
	Header  map[string]string `json:"header,omitempty"` // expected, by name
	Body    string            `json:"body,omitempty"`   // regular expression that the body must match; "" for any
	Timeout time.Duration     `json:"timeout"`          // of one try
	Retries int               `json:"retries,omitempty"`
}

// Step is one stage of a strategy: a weight for the canary, and how long it is observed before the next.
type Step struct {
	Weight Weight        `json:"weight"`
	Bake   time.Duration `json:"bake"`
}

// Canaries is how many canary allocations a group gets. The zero value is full.
type Canaries struct {
	Number int  `json:"number,omitempty"` // so many, when above 0
	Auto   bool `json:"auto,omitempty"`   // enough for the largest weight below 100%
}

// FullCanaries asks for as many canaries as there are stable allocations.
var FullCanaries = Canaries{}

// IsFull tells whether the canaries can carry all of the traffic.
func (c Canaries) IsFull() bool { return c.Number == 0 && !c.Auto }

// String is as the policy writes it.
func (c Canaries) String() string {
	switch {
	case c.Auto:
		return "auto"
	case c.Number > 0:
		return fmt.Sprint(c.Number)
	default:
		return "full"
	}
}

// For is the number of canaries for a group of count allocations under the given steps: at least 1, at most count.
func (c Canaries) For(count int, steps []Step) int {
	switch {
	case count <= 1 || c.IsFull():
		return max(count, 1)
	case c.Number > 0:
		return min(c.Number, count)
	}
	largest := Weight(0)
	for _, s := range steps {
		if s.Weight < Full {
			largest = max(largest, s.Weight)
		}
	}
	need := (count*int(largest) + int(Full) - 1) / int(Full)
	return min(max(need, 1), count)
}

// Carries is the largest weight that ready canaries out of count allocations can take.
func Carries(ready, count int) Weight {
	if ready <= 0 {
		return 0
	}
	return min(Full, Weight(int(Full)*ready/max(count, 1)))
}

// Rollback is what is said to people and to Git when a rollout is condemned.
type Rollback struct {
	Commit CommitMode `json:"commit"`
	Issue  bool       `json:"issue"`
	Labels []string   `json:"labels,omitempty"`
	// Assignees are the forge's names of those whom the issue is given to.
	Assignees []string `json:"assignees,omitempty"`
}

// CommitMode is the way a revert goes into the release repository.
type CommitMode string

// The commit modes.
const (
	CommitPush        CommitMode = "push"         // pushed to the branch
	CommitPullRequest CommitMode = "pull_request" // proposed as a pull request
	CommitNone        CommitMode = "none"         // not written: the schema forbids going back
)

// KindText is what the strategy is called.
func (p Plan) KindText() string {
	if p.Kind == "" {
		return string(KindCanary)
	}
	return string(p.Kind)
}

// Weights writes the steps as people say them: "5-25-50-100".
func (p Plan) Weights() string {
	var parts []string
	for _, s := range p.Steps {
		parts = append(parts, strings.TrimSuffix(s.Weight.String(), "%"))
	}
	return strings.Join(parts, "-")
}

// Bake is the time the steps take when nothing holds them.
func (p Plan) Bake() time.Duration {
	var sum time.Duration
	for _, s := range p.Steps {
		sum += s.Bake
	}
	return sum
}

// For is the plan for one job: it says why the job cannot go through it, or nil. A step that asks for more than the
// canaries can carry is refused, save 100% as the last one: that is then the promotion itself.
func (p Plan) For(job JobSpec, service string) (Plan, []string) {
	problems := append([]string(nil), job.Refusals...)
	group, ok := job.Serving(service)
	if !ok {
		return p, problems
	}
	canaries := p.Canaries.For(group.Count, p.Steps)
	carry := Carries(canaries, group.Count)
	fitted := p
	fitted.Steps = nil
	for i, s := range p.Steps {
		switch {
		case s.Weight <= carry:
			fitted.Steps = append(fitted.Steps, s)
		case s.Weight == Full && i == len(p.Steps)-1 && i > 0:
			// Left out: the promotion is this step.
		default:
			problems = append(problems, fmt.Sprintf("step %d asks for %s, but %d of %d allocations of group %q are canaries and carry at most %s: "+
				"set canaries = \"full\" (or \"auto\"), or lower the weight", i+1, s.Weight, canaries, group.Count, group.Name, carry))
		}
	}
	return fitted, problems
}

// Serving is the group that has the service, and whether there is one.
func (j JobSpec) Serving(service string) (GroupSpec, bool) {
	for _, g := range j.Groups {
		if slices.Contains(g.Services, service) {
			return g, true
		}
	}
	return GroupSpec{}, false
}
