package strategy

import (
	"slices"
	"time"
)

// Observation is all that a decision may rest on, read at one moment. What could not be read is nil, with the
// problem beside it: absence is never taken for "nothing there".
type Observation struct {
	Desired    *Desired // what Git asks for; nil when it asks for nothing that can be read
	Heir       string   // the release that the job is of now, where this one is gone from Git; "" for none
	GitProblem string   // why Desired is nil: "deleted from Git", or the first mistake in its file

	// GitAway is why what Git asks for now is not known, though it is known what it asked for before; nil when it is.
	GitAway *Reason

	Job            JobRef // that Cluster is of; zero is the rollout's
	Cluster        *ClusterState
	ClusterProblem string
	ClusterDenied  bool // Nomad answers, and rejects our credentials
	// Unchanged is the rollout whose registration Nomad answered with "nothing to do": no job version carries its
	// marker, and none will.
	Unchanged string

	// ActProblem is why Nomad did not do what was asked of it last; "" when it did.
	ActProblem string

	Traffic        *TrafficState
	TrafficProblem string
	SplitProblem   string // why the router did not take the split that was asked for last; "" when it did
	SplitLost      string // that a split was in effect, and is not any more though nothing else was asked for; "" for no

	// Owner is another instance of Drover that registered what runs; "" for none.
	Owner string
	// Forced is the head of a branch that does not descend from the one seen before; "" when it does. Nothing that it asks
	// for is begun.
	Forced string
	// Wait is why no rollout may begin now, though Git asks for one; nil when it may.
	Wait *Reason
	// Prune says that the release is gone from Git for good, and that jobs of such releases are to be stopped.
	Prune bool

	// Smoke is what the smoke checks of the present rollout said, once they have run.
	Smoke *SmokeResult
	// Command is what a person asks for, in this observation only.
	Command *Command

	Sample        *Sample // nil also where no meter is configured
	SampleProblem string
}

// SmokeResult is what the canaries answered to the smoke checks of one rollout.
type SmokeResult struct {
	Rollout string
	Failed  string // the first answer that was not as expected, quoted; "" when all were
}

// Command is what a person asks for through the daemon.
type Command struct {
	Kind CommandKind
	By   string // who asks
	// Said is when it was said, where that was not just now: it is void for a rollout that began later.
	Said time.Time
}

// CommandKind is one of the commands.
type CommandKind string

// The commands.
const (
	CommandPause  CommandKind = "pause"  // hold the rollout, and its clocks
	CommandResume CommandKind = "resume" // let it go on
	CommandAbort  CommandKind = "abort"  // put the stable revision back, and park the one on trial
	// CommandApprove takes a person's word for gates that are inconclusive at the end of a bake: the next step begins.
	CommandApprove CommandKind = "approve"
	CommandRetry   CommandKind = "retry" // try a parked revision again, or go on from what is blocked
	// CommandAcceptHead is of no release: what a forced branch asks for may begin.
	CommandAcceptHead CommandKind = "accept-head"
)

// ClusterState is what Nomad runs of a job.
type ClusterState struct {
	Exists      bool
	Stopped     bool // registered, and stopped by a person or by Drover
	Version     uint64
	ModifyIndex uint64         // JobModifyIndex, for compare-and-set; 0 for a job that does not exist
	Marker      Marker         // who registered this version; zero when it was not Drover
	Revision    Revision       // of this version; Digest is "" when it cannot be known
	LastGood    Installed      // the version tagged good, else the newest one that Nomad calls stable; zero for none
	GoodVersion uint64         // the version that carries the good tag
	GoodTagged  bool           // whether any does
	Condemned   []Revision     // those whose versions carry a bad tag
	Oldest      uint64         // the oldest version that Nomad still keeps: what is older cannot be tagged
	Count       int            // of the group that serves, as it is live
	Counts      map[string]int // of every group, as they are live
	MaxParallel int            // of the group that serves: how many allocations Nomad replaces at a time; 0 when not known
	Deployment  Deployment
	Allocs      []Alloc // those that still run or should; old ones that ended are left out
	Unplaced    string  // why allocations could not be placed; "" when none is waiting
	Check       *Check  // of the service that takes traffic
	// Services are those of this version, by the names that Nomad registers; nil where they are not known.
	Services []string
	// ProgressDeadline bounds placing.
	ProgressDeadline time.Duration
}

// Installed is a revision with the job version of Nomad that carries its spec.
type Installed struct {
	Revision Revision `json:"revision"`
	Version  uint64   `json:"version"`
}

// Marker is what Drover writes beside a registration, to know its own again.
type Marker struct {
	Instance string   `json:"instance"`
	Rollout  string   `json:"rollout"`
	Revision Revision `json:"revision"`
	Role     Role     `json:"role"`
}

// Role is why a version was registered.
type Role string

// The roles.
const (
	RoleCanary  Role = "canary"  // the revision on trial
	RoleRestore Role = "restore" // the stable spec again, before promotion
	RoleReverse Role = "reverse" // the stable spec again, as canaries, after promotion
	RoleFirst   Role = "first"   // the first release of a job
)

// trial tells whether the version was registered as canaries that are to replace what runs.
func (r Role) trial() bool { return r == RoleCanary || r == RoleReverse }

// Deployment is the newest Nomad deployment of the job's current version.
type Deployment struct {
	ID       string // "" when there is none yet
	Status   DeploymentStatus
	Promoted bool           // or nothing in it needs promotion
	Canaries map[string]int // desired canaries by group, only groups that have any
	Text     string         // Nomad's description
}

// DeploymentStatus is Nomad's, reduced to what decisions need.
type DeploymentStatus string

// The statuses.
const (
	DeploymentNone       DeploymentStatus = ""
	DeploymentRunning    DeploymentStatus = "running"
	DeploymentSuccessful DeploymentStatus = "successful"
	DeploymentFailed     DeploymentStatus = "failed"
	DeploymentCancelled  DeploymentStatus = "cancelled"
)

// DesiredCanaries is the number of canaries over all groups.
func (d Deployment) DesiredCanaries() int {
	n := 0
	for _, c := range d.Canaries {
		n += c
	}
	return n
}

// Alloc is an allocation of the job.
type Alloc struct {
	ID      string
	Group   string
	Canary  bool   // belongs to the current deployment, as a canary, and that is not promoted
	Fresh   bool   // belongs to the current deployment at all
	Ready   bool   // running, healthy where a deployment says so, all its checks passing
	Ending  bool   // told to stop, and not ended yet
	Address string // of the service that takes traffic, host:port; "" when this group does not serve
	Fault   Fault
	Why     string // what the fault is, in Nomad's words
}

// Fault is whose fault it is that an allocation is not ready.
type Fault int

// The faults.
const (
	FaultNone   Fault = iota // none, or not yet
	FaultTask                // its own: a task failed for good
	FaultNode                // the node's: lost, drained, disconnected
	FaultHealth              // its own: it runs, and did not become healthy before the deadline
)

// Own tells whether it is the revision's.
func (f Fault) Own() bool { return f == FaultTask || f == FaultHealth }

// TrafficState is what the router's instances report as in effect for the release.
type TrafficState struct {
	Splits []Split // one for each instance; an instance that knows nothing of the release reports a zero Split
	// Static says that the router follows no allocations by itself, so that its lists are compared at rest too.
	Static bool
	// Share is what of the weight arrives at the canary, where that is less than the weight by the router's own means; nil
	// where it is the weight.
	Share *Weight
	// Open is how many connections and requests are open on an allocation, over all instances, by its id; one that is not
	// named has none. nil where the router cannot tell.
	Open map[string]int
}

// Has tells whether every instance does what want asks.
func (t TrafficState) Has(want Split) bool {
	return len(t.Splits) > 0 && !slices.ContainsFunc(t.Splits, func(got Split) bool {
		return !want.InEffect(got) || (t.Static && !want.sameEndpoints(got))
	})
}

// Registration asks Nomad for a new version of a job.
type Registration struct {
	Job         JobRef
	Source      *JobSource // the spec from Git; nil when Version is meant
	Version     uint64     // else the spec of this job version, as Nomad keeps it
	Marker      Marker
	Canaries    Canaries // written into the update block of every group, with auto_promote and auto_revert off
	Steps       []Step   // for Canaries.Auto
	ModifyIndex uint64   // compare-and-set: the live JobModifyIndex, 0 when the job must not exist
}

// JobPlan is what Nomad says it would do with a registration.
type JobPlan struct {
	Diff     string   // as `nomad job plan` shows it, without colours; "" when nothing changes
	Warnings []string // Nomad's own
	Unplaced []string // groups that could not be placed now, each with Nomad's reason
}
