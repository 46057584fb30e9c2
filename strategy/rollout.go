package strategy

import (
	"reflect"
	"slices"
	"time"
)

// Phase is where a release is in its rollout.
type Phase string

// The phases. Holding is no phase but an overlay: Rollout.Hold.
const (
	// Resting: stable serves all. Left when Git asks for another revision: to Placing, to First when the job does
	// not run, to Reversing when it was promoted before.
	Resting Phase = "resting"
	// Placing: the split is closed to the canaries and they are registered, weight 0. Left to Stepping when every
	// desired canary is ready; to Restoring on a crash (condemned), a deadline or an abort (parked).
	Placing Phase = "placing"
	// Stepping: weight of the current step, baking. Left to the next step or Promoting when the bake is over and
	// every gate passes; to Restoring when a gate fails (condemned), Git went back, or time is up (parked).
	Stepping Phase = "stepping"
	// Standby: all traffic on the canary, the deployment not promoted: the old revision stands by. Left to Promoting when
	// the time is over or Git asks for something new; to Restoring when a gate fails or Git went back.
	Standby Phase = "standby"
	// Promoting: Nomad's deployment is promoted, old allocations end. Left to Resting when it is successful; to
	// Reversing when it fails midway; to Restoring when the promotion stays refused.
	Promoting Phase = "promoting"
	// Restoring: weight 0, the stable spec registered again. Not interrupted. Left to Resting when stable is ready,
	// to Blocked when it does not get so.
	Restoring Phase = "restoring"
	// Reversing: the way back after promotion: the old spec as canaries, all traffic to them, promoted. Not
	// interrupted. Left to Resting, or to Blocked when they do not get ready.
	Reversing Phase = "reversing"
	// First: first release of a job; there is no stable beside it. Left to Resting when ready and baked; when it
	// fails the job is stopped, and it is Resting, condemned.
	First Phase = "first"
	// Blocked: stable cannot be made ready; what is ready serves. Left when stable becomes ready, or by a new commit.
	Blocked Phase = "blocked"
)

// Rollout is the record of one release: what is trusted, what is on trial, and how far it has come. It is a value;
// Advance returns a new one.
type Rollout struct {
	Release string    `json:"release"`
	Job     JobRef    `json:"job"`
	Phase   Phase     `json:"phase"`
	Entered time.Time `json:"entered,omitzero"` // when the phase, or its present step, began
	Since   time.Time `json:"since"`            // the same for deadlines: later by the time in which they stood still
	Hold    *Hold     `json:"hold,omitempty"`   // why it may not go forward now
	Reason  Reason    `json:"reason"`           // of the last decision
	Seen    time.Time `json:"seen"`             // when Advance last ran

	ID         string     `json:"id,omitempty"` // of the present or last rollout
	Stable     Installed  `json:"stable,omitzero"`
	Canary     Trial      `json:"canary,omitzero"`
	Plan       Plan       `json:"plan,omitzero"`        // frozen at the start
	Base       uint64     `json:"base,omitempty"`       // the JobModifyIndex that the rollout started from
	Paused     string     `json:"paused,omitempty"`     // by whom; "" when it is not
	Registered bool       `json:"registered,omitempty"` // our registration was seen in Nomad
	Placed     uint64     `json:"placed,omitempty"`     // the job version that our registration made, once it was seen
	Opened     bool       `json:"opened,omitempty"`     // the canary had traffic
	Stuck      Phase      `json:"stuck,omitempty"`      // in Blocked: the phase that could not end
	Step       int        `json:"step"`                 // index of the present step
	Pending    time.Time  `json:"pending,omitzero"`     // since when a split that was asked for is not in effect
	Weight     Weight     `json:"weight"`               // the one decided last
	Shadowing  bool       `json:"shadowing,omitempty"`  // the canary is judged by copies of requests
	Draining   time.Time  `json:"draining,omitzero"`    // since when open connections are waited for
	Baked      Elapsed    `json:"baked,omitempty"`      // of the present step, holds left out
	Ran        Elapsed    `json:"ran,omitempty"`        // since placed, for Plan.MaxDuration
	Ending     *Outcome   `json:"ending,omitempty"`     // how the rollout will end, once it is decided
	Evidence   Evidence   `json:"evidence,omitzero"`
	Verdicts   []Verdict  `json:"verdicts,omitempty"`
	Outbox     []Task     `json:"outbox,omitempty"`
	Reports    []Report   `json:"reports,omitempty"`   // what the statuses of commits are to say
	Incidents  []Incident `json:"incidents,omitempty"` // whose issues are to be closed when a later version is promoted
	Last       Outcome    `json:"last,omitzero"`       // of the last rollout
	Condemned  []Revision `json:"condemned,omitempty"`
	Parked     Revision   `json:"parked,omitzero"`
	Promoted   []Revision `json:"promoted,omitempty"` // the newest last
	// Counts is what Git asked for of each group when it was last applied: only a change of that is applied again.
	Counts   map[string]int `json:"counts,omitempty"`
	Timeline []Event        `json:"timeline,omitempty"` // of the present or last rollout
}

// Incident is a rollout that people were told of by an issue.
type Incident struct {
	Rollout string    `json:"rollout"`
	Commit  string    `json:"commit,omitempty"` // the hash of the failed one, which has one issue for all of its releases
	At      time.Time `json:"at"`
}

// Elapsed is time on a clock that stops while a rollout holds.
type Elapsed = time.Duration

// Trial is the revision on trial and the commit that asked for it.
type Trial struct {
	Revision Revision `json:"revision"`
	Commit   Commit   `json:"commit,omitzero"`
	// Version is the job version that carries the spec, in Reversing after a failed promotion; else the spec comes
	// from Git.
	Version uint64 `json:"version,omitempty"`
	Service string `json:"service,omitempty"` // that takes the traffic
	Router  string `json:"router,omitempty"`  // that divides it
}

// Hold is a reason not to go forward, and since when.
type Hold struct {
	Reason Reason    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Outcome is how a rollout ended.
type Outcome struct {
	Kind     OutcomeKind `json:"kind"`
	Revision Revision    `json:"revision"`
	Reason   Reason      `json:"reason"`
	At       time.Time   `json:"at,omitzero"`
}

// OutcomeKind is one of the ends of a rollout.
type OutcomeKind string

// The ends.
const (
	OutcomeNone       OutcomeKind = ""
	OutcomePromoted   OutcomeKind = "promoted"
	OutcomeCondemned  OutcomeKind = "condemned" // rejected for its own fault
	OutcomeParked     OutcomeKind = "parked"    // aborted for no fault of its own
	OutcomeWithdrawn  OutcomeKind = "withdrawn" // Git asked for the stable revision again
	OutcomeSuperseded OutcomeKind = "superseded"
)

// Event is one line of a rollout's timeline.
type Event struct {
	At     time.Time `json:"at"`
	Phase  Phase     `json:"phase"`
	Step   int       `json:"step,omitempty"` // counted from 1
	Weight Weight    `json:"weight"`
	Reason Reason    `json:"reason"`
}

// The bounds that keep a record below 16 KiB: numbers of entries, and bytes of a text.
const (
	maxTimeline  = 16
	maxPromoted  = 20
	maxCondemned = 20
	maxWaiting   = 4 // tasks of the outbox that keep their timeline
	maxIncidents = 4
	maxText      = 300
	maxLine      = 160 // of the timeline
)

// AtRest tells whether no rollout is under way.
func (r Rollout) AtRest() bool { return r.Phase == Resting || r.Phase == "" }

// InMotion tells whether the release needs looking at all the time.
func (r Rollout) InMotion() bool { return !r.AtRest() || len(r.Outbox) > 0 }

// Urgent is what a person may have to look at: why the rollout holds, or else the reason of the last decision.
func (r Rollout) Urgent() ReasonCode {
	switch {
	case r.Phase == Blocked:
		return StableUnready
	case r.Hold != nil:
		return r.Hold.Reason.Code
	}
	return r.Reason.Code
}

// IsCondemned tells whether the revision was rejected.
func (r Rollout) IsCondemned(rev Revision) bool { return slices.Contains(r.Condemned, rev) }

// WasPromoted tells whether the revision was live before.
func (r Rollout) WasPromoted(rev Revision) bool { return slices.Contains(r.Promoted, rev) }

// Delivered is the rollout with the task taken out of its outbox, and its result handed to the tasks that name it.
func (r Rollout) Delivered(done Task, result string) Rollout {
	r.Outbox = slices.Clone(r.Outbox)
	r.Outbox = slices.DeleteFunc(r.Outbox, func(t Task) bool { return t.Kind == done.Kind && t.Rollout == done.Rollout })
	for i := range r.Outbox {
		if r.Outbox[i].Rollout == done.Rollout {
			r.Outbox[i].Result = result
		}
	}
	return r
}

// Record is a rollout as it is stored.
type Record struct {
	Rollout Rollout
	Index   uint64
}

// Differs tells whether two records of a release differ in more than their clocks and readings, so that the change must
// be stored before anything is done about it.
func (r Rollout) Differs(other Rollout) bool {
	return !reflect.DeepEqual(r.settled(), other.settled())
}

// settled is the record without what changes from one look to the next.
func (r Rollout) settled() Rollout {
	r.Seen, r.Pending, r.Reason, r.Baked, r.Ran, r.Evidence, r.Verdicts = time.Time{}, time.Time{}, Reason{}, 0, 0, Evidence{}, nil
	if r.Hold != nil {
		r.Hold = &Hold{Reason: Reason{Code: r.Hold.Reason.Code}, Since: r.Hold.Since}
	}
	return r
}

// IsGoingBack tells whether what Git asks for is live no more, and was: a way back to it is under way, or about to be.
func (r Rollout) IsGoingBack(asked Revision) bool {
	return asked != r.Stable.Revision && r.WasPromoted(asked) && !r.IsCondemned(asked)
}

// Previous is the revision to go back to from the one that Git asks for: the stable one while that is not live, else
// what was live before it. Condemned ones are passed over.
func (r Rollout) Previous(asked Revision) (Revision, bool) {
	if asked != r.Stable.Revision && !r.Stable.Revision.IsZero() {
		return r.Stable.Revision, true
	}
	for _, rev := range slices.Backward(r.Promoted) {
		if rev != asked && !r.IsCondemned(rev) {
			return rev, true
		}
	}
	return Revision{}, false
}
