package strategy

import "time"

// Action is something to be done in the world. All of them are idempotent, and are emitted again until an
// observation shows their effect. They are performed in the order given; when one fails, those after it wait for the
// next pass. A split that a router does not take holds nothing else up: what must come after it is not asked for before
// an observation shows it in effect.
//
// An action with Before may be performed before the rollout is stored: it only takes traffic away. All others are
// performed after.
type Action struct {
	Kind         ActionKind
	Before       bool
	Split        *Split        // of ActSetSplit
	Router       string        // of ActSetSplit: the one that the release names, "" for the default
	Registration *Registration // of ActRegister
	Job          JobRef        // of all that act on the job
	Deployment   string        // of ActPromote: the deployment to promote
	ModifyIndex  uint64        // of ActStop: compare-and-set
	Version      uint64        // of ActMarkGood and ActMarkBad: the job version to tag
	Task         *Task         // of ActDeliver
	Smoke        []Smoke       // of ActSmoke
	Endpoints    []Endpoint    // of ActSmoke: whom to ask
	Alloc        string        // of ActReplace
	Group        string        // of ActScale
	Count        int           // of ActScale
	Revision     Revision      // of ActMarkBad
}

// ActionKind is what an Action does.
type ActionKind string

// The actions.
const (
	ActSetSplit ActionKind = "set_split" // give the router this split
	ActRegister ActionKind = "register"  // register a job version
	ActPromote  ActionKind = "promote"   // promote the deployment
	ActStop     ActionKind = "stop"      // stop the job, not purging it
	ActMarkGood ActionKind = "mark_good" // move the good tag, so that Nomad keeps that version
	ActMarkBad  ActionKind = "mark_bad"  // tag the version of a condemned revision, so that it is known without the ledger
	ActScale    ActionKind = "scale"     // set the count of a group
	ActDeliver  ActionKind = "deliver"   // perform a task of the outbox
	ActSmoke    ActionKind = "smoke"     // ask the canaries, and observe what they answered
	ActReplace  ActionKind = "replace"   // stop an allocation that failed, so that Nomad places another
)

// Task is something to be said to Git or to the forge. It waits in the rollout's outbox until it is done; nothing in
// the cluster waits for it.
type Task struct {
	Kind     TaskKind  `json:"kind"`
	Rollout  string    `json:"rollout"`     // with Kind the identity of the task
	At       time.Time `json:"at,omitzero"` // when it came up
	Failed   Commit    `json:"failed"`      // that asked for the condemned revision
	Bad      Revision  `json:"bad"`
	Good     Revision  `json:"good,omitzero"` // the stable one; zero after a failed first release
	Reason   Reason    `json:"reason"`
	Step     int       `json:"step"` // counted from 1; 0 before the first
	Steps    int       `json:"steps"`
	Weight   Weight    `json:"weight"`
	Rollback Rollback  `json:"rollback"`
	// Incident is the failed commit whose issue is meant, of TaskClose.
	Incident string `json:"incident,omitempty"`
	// Evidence, for people.
	Verdicts []Verdict `json:"verdicts,omitempty"`
	Requests float64   `json:"requests"` // that the canary answered
	Errors   float64   `json:"errors"`   // of them
	Timeline []Event   `json:"timeline,omitempty"`
	// Result is what became of an earlier task of the same rollout: the revert, for the issue to name.
	Result string `json:"result,omitempty"`
}

// TaskKind is what a Task does.
type TaskKind string

// The tasks.
const (
	TaskRevert TaskKind = "revert" // commit the revert to the release repository
	TaskIssue  TaskKind = "issue"  // open an issue with the evidence
	TaskClose  TaskKind = "close"  // close that issue: a later version was promoted
)
