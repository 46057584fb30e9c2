package strategy

import (
	"strconv"
	"time"
)

// Release is what Git asks for: a service at a version, with its strategy, traffic and gates, as written in one
// `release` block and completed from its policy and the built-in defaults.
type Release struct {
	Name    string
	Version string
	Attempt int    // from 1; a higher one asks for a condemned revision again
	Policy  string // name of the policy it refers to, "" for none
	Source  JobSource
	Plan    Plan
	HoldAt  *Weight // the weight that is to be held; nil for none
	Traffic Traffic
	Drift   Drift    // what is done about a job that somebody else changed at rest
	Files   []string // every path the release names: its own file, the jobspec, the var files
	Path    string   // the release's own file
	Line    int      // of its block in that file
}

// Drift is what is done about a job that somebody else changed or stopped while its release was at rest.
type Drift string

// The answers to drift. The zero value reports.
const (
	DriftReport  Drift = "report"  // say so, and leave it alone
	DriftCorrect Drift = "correct" // bring back what Git asks for
)

// JobSource is the jobspec of a release as it stands in Git, ready to be parsed by Nomad.
type JobSource struct {
	Path      string // of the jobspec in the release repository
	Jobspec   string // HCL text, unchanged
	Variables string // HCL input variables, one `name = value` a line, sorted; always with `version`
	Namespace string // overrides the job's own; "" leaves it
}

// Traffic says which router divides the traffic of a release, and of which of its services.
type Traffic struct {
	Router  string // "" is the default router of Drover's configuration
	Service string // "" is the only service of the job
}

// Revision is what is rolled out. Two revisions are the same when all three parts are.
type Revision struct {
	Version string `json:"version"`
	Attempt int    `json:"attempt,omitempty"`
	Digest  string `json:"digest"` // of the parsed job, hexadecimal; see JobSpec.Digest
}

// IsZero tells whether no revision is meant.
func (r Revision) IsZero() bool { return r == Revision{} }

// String is the version, with the attempt when it is not the first.
func (r Revision) String() string {
	version := r.Version
	if version == "" {
		version = "(unknown version)"
	}
	if r.Attempt > 1 {
		return version + " (attempt " + strconv.Itoa(r.Attempt) + ")"
	}
	return version
}

// SameSpec tells whether both revisions run the same job, whatever they are called.
func (r Revision) SameSpec(other Revision) bool { return r.Digest != "" && r.Digest == other.Digest }

// JobRef names a job in Nomad.
type JobRef struct {
	Namespace string `json:"namespace"`
	ID        string `json:"id"`
}

// String is "namespace/id".
func (j JobRef) String() string { return j.Namespace + "/" + j.ID }

// JobSpec is what Nomad's parser says of a jobspec.
type JobSpec struct {
	Ref  JobRef
	Type string // service, batch, system, …
	// Digest identifies the job's content: of the parsed job without empty values, group counts and update blocks,
	// so that neither comments nor an upgrade of Nomad change it.
	Digest           string
	Groups           []GroupSpec
	ProgressDeadline time.Duration // the longest of its groups
	Refusals         []string      // why this job cannot be released by canary; empty when it can
	Warnings         []string      // what a person should know before the release
}

// GroupSpec is a task group of a JobSpec.
type GroupSpec struct {
	Name     string
	Count    int
	Services []string // names of its services of provider "nomad"
	Checked  []string // those of them that have a check
	Scaled   bool     // it has a scaling block: its count is an autoscaler's
	// MaxParallel is how many allocations a rolling update replaces at a time.
	MaxParallel int
	// ShutdownDelay is how long its tasks go on after its services were taken out of the registrations.
	ShutdownDelay time.Duration
}

// Desired is a release resolved: what Git asks for at one commit, with the job that Nomad made of it.
type Desired struct {
	Release  Release
	Revision Revision
	Job      JobSpec
	Service  string // of the job, that takes the traffic; "" when it has none
	Commit   Commit // the one that changed the release to this
	// Refusals is why the job cannot go through its plan; empty when it can.
	Refusals []string
}

// Commit is a Git commit, in short.
type Commit struct {
	SHA     string    `json:"sha"`
	Subject string    `json:"subject"`
	Author  string    `json:"author,omitempty"`
	Time    time.Time `json:"time,omitzero"`
}

// Short is the abbreviated hash that people read.
func (c Commit) Short() string { return c.SHA[:min(len(c.SHA), 7)] }
