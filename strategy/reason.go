package strategy

// Reason says why a decision was made, or why none can be. The code is for machines (log fields, metric labels); the
// text is the sentence that people read in the log, the status and the issue.
type Reason struct {
	Code ReasonCode `json:"code"`
	Text string     `json:"text"`
}

// ReasonCode is one of a closed set, so that it may label metrics.
type ReasonCode string

// Why a release rests.
const (
	UpToDate         ReasonCode = "up_to_date"        // Git asks for what runs
	Promoted         ReasonCode = "promoted"          // the last rollout succeeded
	NothingAsked     ReasonCode = "nothing_asked"     // the release is gone from Git, or cannot be read
	AlreadyCondemned ReasonCode = "already_condemned" // Git asks for a revision that was rejected
	Reverting        ReasonCode = "reverting"         // the same, and its revert is on its way
	AlreadyParked    ReasonCode = "already_parked"    // Git asks for a revision whose rollout was aborted
	StoppedByPerson  ReasonCode = "stopped_by_person" // the job was stopped, and stays so
	ChangedByOther   ReasonCode = "changed_by_other"  // the job was registered by somebody else
	Refused          ReasonCode = "refused"           // the job cannot be released as asked
	OtherInstance    ReasonCode = "other_instance"    // the job belongs to another instance of Drover
	ForcedHead       ReasonCode = "forced_head"       // the branch was force-pushed: nothing new begins
	LimitReached     ReasonCode = "limit_reached"     // too many rollouts are under way, or failed by this commit
	Scaling          ReasonCode = "scaling"           // the counts that Git changed are being applied
	Pruned           ReasonCode = "pruned"            // gone from Git, and stopped for it
)

// How a rollout moves.
const (
	Started     ReasonCode = "started"
	Superseded  ReasonCode = "superseded"
	StepEntered ReasonCode = "step_entered"
	Baking      ReasonCode = "baking"
	Extended    ReasonCode = "extended" // the bake is, because a gate is inconclusive
	StepsDone   ReasonCode = "steps_done"
	StandingBy  ReasonCode = "standing_by" // the old revision does
	Draining    ReasonCode = "draining"    // open connections end before their allocations do
	Waiting     ReasonCode = "waiting"     // for an effect of what was done
	GoingBack   ReasonCode = "going_back"
	Correcting  ReasonCode = "correcting" // what somebody else changed at rest
	Replanned   ReasonCode = "replanned"  // Git changed the steps in mid-rollout
	Restored    ReasonCode = "restored"

	ResumedByPerson ReasonCode = "resumed_by_person"
	SplitLost       ReasonCode = "split_lost" // the router had it in effect, and was started anew or changed by somebody else
)

// Why a rollout ends before its time.
const (
	GateFailed     ReasonCode = "gate_failed"
	CanaryCrashed  ReasonCode = "canary_crashed"
	CanaryUnready  ReasonCode = "canary_unhealthy" // past the deadline
	RevertedInGit  ReasonCode = "reverted_in_git"
	AbortedByHand  ReasonCode = "aborted_by_hand"
	SmokeFailed    ReasonCode = "smoke_failed"
	Unplaced       ReasonCode = "unplaced"
	NodeLost       ReasonCode = "node_lost"
	TookTooLong    ReasonCode = "took_too_long"
	PromoteRefused ReasonCode = "promote_refused"
	StableUnready  ReasonCode = "stable_unready" // the way back is blocked
)

// Why a rollout holds.
const (
	NomadUnreachable    ReasonCode = "nomad_unreachable"
	GitUnreachable      ReasonCode = "git_unreachable"
	CredentialsRejected ReasonCode = "credentials_rejected"
	RouterUnreachable   ReasonCode = "router_unreachable"
	SplitNotInEffect    ReasonCode = "split_not_in_effect"
	HeldByGit           ReasonCode = "held_by_git" // hold_at
	PausedByPerson      ReasonCode = "paused_by_person"
	MetricsMissing      ReasonCode = "metrics_missing"
	GateInconclusive    ReasonCode = "gate_inconclusive"
	CanaryNotReady      ReasonCode = "canary_not_ready"
	ForeignRegistration ReasonCode = "foreign_registration"
	IntentUnreadable    ReasonCode = "intent_unreadable" // the release cannot be read from Git
)

// Urgency is whether a person has to look, and how soon. The zero value is not at all.
type Urgency string

// The urgencies.
const (
	Alarm Urgency = "alarm" // soon: nothing goes forward until somebody looks
	Page  Urgency = "page"  // now: Drover cannot bring back what was trusted
)

// Urgency is what a reason asks of people while it holds. What they asked for themselves, and what only takes its time,
// asks for nothing.
func (c ReasonCode) Urgency() Urgency {
	switch c {
	case StableUnready:
		return Page
	case AlreadyParked, AlreadyCondemned, Refused, Unplaced, NodeLost, MetricsMissing, CanaryNotReady, ForeignRegistration, IntentUnreadable, CredentialsRejected,
		NomadUnreachable, RouterUnreachable, GitUnreachable, SplitNotInEffect, ForcedHead, OtherInstance:
		return Alarm
	case UpToDate, Promoted, NothingAsked, Reverting, StoppedByPerson, ChangedByOther, LimitReached, Scaling, Pruned, Started, Superseded, StepEntered, Baking, Extended, StepsDone, StandingBy, Draining, Waiting, GoingBack,
		Correcting, Replanned, Restored, GateFailed, CanaryCrashed, CanaryUnready, RevertedInGit, AbortedByHand, SmokeFailed,
		TookTooLong, PromoteRefused, HeldByGit, PausedByPerson, GateInconclusive, ResumedByPerson, SplitLost:
		return ""
	}
	return ""
}
