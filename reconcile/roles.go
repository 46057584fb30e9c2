package reconcile

import (
	"context"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Repository is the release repository: one branch of one Git repository.
//
// Implementations are safe for concurrent use.
type Repository interface {
	// Head is the newest commit of the branch. It asks the remote, and fetches only when the branch moved. strategy.ErrDenied
	// says that the remote rejects our credentials.
	Head(ctx context.Context) (strategy.Commit, error)
	// Files is every file below the configured path at a commit that Head or Log returned. The result is shared:
	// callers do not change it.
	Files(ctx context.Context, sha string) (strategy.Tree, error)
	// Log is the first-parent history from sha on, the newest first, sha included, at most limit commits.
	Log(ctx context.Context, sha string, limit int) ([]strategy.Commit, error)
	// Changes is the paths below the configured path that differ between two commits that Head or Log returned, sorted.
	// It costs what changed, not what there is.
	Changes(ctx context.Context, older, newer string) ([]string, error)
	// Push commits the change on top of change.Parent and pushes it as compare-and-set: it returns strategy.ErrHeadMoved when
	// the branch is no longer at Parent, strategy.ErrRefused when the remote does not let us.
	Push(ctx context.Context, change strategy.Change) (strategy.Commit, error)
}

// Ancestry is what a Repository can do that tells a branch that grew from one that was forced.
type Ancestry interface {
	// Descends tells whether sha, which Head returned, is ancestor or comes after it on any line of history. An
	// ancestor that the repository does not have any more is none.
	Descends(ctx context.Context, sha, ancestor string) (bool, error)
}

// Messages is what a Repository can do that tells what is written with a commit: Drover knows its own reverts by it.
type Messages interface {
	// Message is the whole message of a commit that Head or Log returned.
	Message(ctx context.Context, sha string) (string, error)
}

// Brancher is what a Repository can do beside its branch.
type Brancher interface {
	// PushBranch commits the change on top of change.Parent and pushes it as a new branch. It is idempotent: a branch that
	// makes this change already is fine. It returns strategy.ErrRefused when the branch holds something else, or when the
	// remote does not let us.
	PushBranch(ctx context.Context, change strategy.Change, branch string) (strategy.Commit, error)
}

// Refs is what a Repository can do to read what is proposed to it.
type Refs interface {
	// FetchRef brings the commit that a ref is at, within bounds: what it holds may be a stranger's. Files and MergeBase
	// work on it then.
	FetchRef(ctx context.Context, ref string) (strategy.Commit, error)
	// MergeBase is where the histories of two commits part; "" when they have nothing in common.
	MergeBase(ctx context.Context, a, b string) (string, error)
}

// Loader reads the releases out of a tree. It returns every release that is sound, and every mistake there is; a
// mistake names its release where that is known. It is safe for concurrent use, and its results may be shared: callers do
// not change them.
type Loader func(tree strategy.Tree) ([]strategy.Release, []strategy.Mistake)

// Cluster is Nomad.
//
// Implementations are safe for concurrent use. Acts are idempotent. strategy.ErrConflict says that the job was changed since
// it was observed; any other error means that the act may or may not have happened.
type Cluster interface {
	// Parse asks Nomad what a jobspec says. strategy.ErrInvalid says that it is wrong; the text names file, line and remedy.
	Parse(ctx context.Context, source strategy.JobSource) (strategy.JobSpec, error)
	// Observe reads what runs of the job. service is the one that takes traffic, "" for none. strategy.ErrDenied says that
	// Nomad rejects our token.
	Observe(ctx context.Context, job strategy.JobRef, service string) (strategy.ClusterState, error)
	// Register makes a job version with the live counts. unchanged says that Nomad found nothing to do, so that no
	// version carries the marker.
	Register(ctx context.Context, r strategy.Registration) (unchanged bool, err error)
	// Promote promotes a deployment; one that is promoted already is no error.
	Promote(ctx context.Context, job strategy.JobRef, deployment string) error
	// Stop stops the job, not purging it. strategy.ErrConflict when it is no longer at modifyIndex.
	Stop(ctx context.Context, job strategy.JobRef, modifyIndex uint64) error
}

// Keeper is what a Cluster can do besides: keep what it would forget, and replace what it would leave lying.
type Keeper interface {
	// MarkGood moves the tag of the last good version to this one, so that Nomad keeps it.
	MarkGood(ctx context.Context, job strategy.JobRef, version uint64) error
	// Replace stops an allocation, so that another is placed for it. One that has ended already is no error.
	Replace(ctx context.Context, job strategy.JobRef, alloc string) error
}

// Scaler is what a Cluster can do that changes counts without a rollout.
type Scaler interface {
	// Scale sets the count of one group of a job that rests. Nomad refuses it while a deployment is under way.
	Scale(ctx context.Context, job strategy.JobRef, group string, count int) error
}

// Condemner is what a Cluster can do that remembers condemned revisions for us.
type Condemner interface {
	// MarkBad tags the job version of a condemned revision, so that it is known without the ledger. Only the newest five
	// of a job are kept. A version that Nomad does not keep any more is no error.
	MarkBad(ctx context.Context, job strategy.JobRef, version uint64, bad strategy.Revision) error
}

// Planner is what a Cluster can do that says beforehand what a registration would change.
type Planner interface {
	// Plan asks Nomad, changing nothing. An error that wraps strategy.ErrRefused says that our token may not ask.
	Plan(ctx context.Context, r strategy.Registration) (strategy.JobPlan, error)
}

// Events is what a Cluster can do that tells which jobs were registered, scaled or stopped.
type Events interface {
	// Follow calls changed with every job that was, in any namespace, until ctx is done; it returns its error. A zero
	// JobRef says that something may have been missed, so that every job is to be looked at: it comes first, and after
	// every loss of the stream.
	Follow(ctx context.Context, changed func(strategy.JobRef)) error
}

// Lock is held by the one instance that leads.
type Lock interface {
	// Lead waits for the lock, and calls work while it is held, with a context that ends when it is lost; then it waits
	// for work to return, and waits for the lock again. It returns when ctx is done, with the lock released.
	Lead(ctx context.Context, work func(ctx context.Context))
}

// Bookmark keeps the head of the repository that was seen last.
type Bookmark interface {
	// LoadHead is what StoreHead stored; zero when nothing was.
	LoadHead(ctx context.Context) (strategy.Heads, error)
	StoreHead(ctx context.Context, heads strategy.Heads) error
}

// Watcher is what a Cluster can do that says when something moved.
type Watcher interface {
	// Watch blocks until something of the job changed after index, and returns the new index. It returns early,
	// without a change, when the server's wait is over. An index of 0 returns at once.
	Watch(ctx context.Context, job strategy.JobRef, index uint64) (uint64, error)
}

// Router is a load balancer that Drover steers.
type Router interface {
	// Apply asks for a split. It returns when the split is published, not when it is in effect.
	Apply(ctx context.Context, split strategy.Split) error
	// Read is what is in effect, from every instance. An instance that does not answer is an error.
	Read(ctx context.Context, release string) (strategy.TrafficState, error)
	// Abilities is what it can do; it asks nobody, and never changes.
	Abilities() strategy.Abilities
}

// Sharer is a Router that cannot bring every weight to the canary.
type Sharer interface {
	// Share is what of a weight arrives at the canary, with so many endpoints on each track: never more than the weight.
	Share(w strategy.Weight, stable, canary int) strategy.Weight
}

// Surveyor is a Router that people configure for each release.
type Surveyor interface {
	// Lacks is what the balancer's own configuration lacks for a release, with what to add; "" when it is known to lack
	// nothing that the plan needs: for its split, for keeping users on their track, for copies of requests.
	Lacks(ctx context.Context, release string, plan strategy.Plan) (string, error)
}

// Prober asks the canaries of a release before they have traffic.
type Prober interface {
	// Smoke makes every check on every endpoint, with the retries that it is given. failed quotes the first answer that
	// is not as expected; it is "" when all are. An error means that nothing could be asked.
	Smoke(ctx context.Context, checks []strategy.Smoke, endpoints []strategy.Endpoint) (failed string, err error)
}

// Meter reads the metrics of a release.
type Meter interface {
	// Sample is the counters of both tracks now. An error means that nothing is known, not that nothing happened.
	Sample(ctx context.Context, release string) (strategy.Sample, error)
}

// Metrics answers the gates that have queries of their own, and those on requests where the router has no meter.
type Metrics interface {
	// Measure returns series for the gates that count and values for the others, at the time of the inquiry. The error says
	// what could not be answered, and why; what could be is returned with it. Nothing that is missing is a zero. When the
	// requests were asked for and are not known, the sample's time is zero.
	Measure(ctx context.Context, inquiry strategy.Inquiry) (strategy.Sample, error)
}

// Trier is what Metrics can do that says beforehand which gates would get no answer.
type Trier interface {
	// Try asks what an inquiry asks of its stable track, counting nothing. Where the inquiry wants requests it also says how
	// many a second the track gets now; 0 is not known.
	Try(ctx context.Context, inquiry strategy.Inquiry) (found []strategy.Finding, rps float64)
}

// Ledger keeps one record a release, with compare-and-set.
type Ledger interface {
	// Load is every record there is.
	Load(ctx context.Context) ([]strategy.Record, error)
	// Store writes a record and returns its new index. It returns strategy.ErrStale when the record stored is not of the
	// index given, and writes nothing; index 0 stores a record that is not there yet.
	Store(ctx context.Context, r strategy.Record) (index uint64, err error)
}

// Statuses is what a Forge can do that shows on its commits where a release stands.
type Statuses interface {
	// SetStatus sets the status of a commit; one that is so already is no error.
	SetStatus(ctx context.Context, sha string, status strategy.Status) error
}

// Pages is what a Forge can do that shows commits to people.
type Pages interface {
	// CommitURL is where a commit is shown.
	CommitURL(sha string) string
}

// Closer is what a Forge can do that ends what OpenIssue began.
type Closer interface {
	// CloseIssue ends a part of the issue of a marker, with a comment, and closes the issue with the last. One that is not
	// there, or is closed, is no error.
	CloseIssue(ctx context.Context, c strategy.Closing) error
}

// Pulls is what a Forge can do about pull requests.
type Pulls interface {
	// Pulls is the open pull requests to the release branch.
	Pulls(ctx context.Context) ([]strategy.Pull, error)
	// PullOf is the merged pull request that brought a commit to the release branch; its number is 0 when there is none.
	PullOf(ctx context.Context, sha string) (strategy.Pull, error)
	// Comment writes the one comment of ours with that marker below a pull request. edit is given its present text, ""
	// when there is none, and returns the one that it is to have; "" makes none. Nothing is sent when it stays.
	Comment(ctx context.Context, number int, marker string, edit func(old string) string) error
	// Propose opens a pull request, or finds the one of the same branch, and returns its address.
	Propose(ctx context.Context, p strategy.Proposal) (url string, err error)
}

// Words is what a Forge can do that lets people command Drover there.
type Words interface {
	// Words is what was written below pull requests since a time, the oldest first.
	Words(ctx context.Context, since time.Time) ([]strategy.Word, error)
	// IsAnswered tells whether Answer was called for a word, by whatever process.
	IsAnswered(ctx context.Context, id int64) (bool, error)
	// Answer shows below a word what became of it. It is idempotent.
	Answer(ctx context.Context, id int64, a strategy.Answer) error
	// MayCommand tells whether somebody may write to the repository.
	MayCommand(ctx context.Context, author string) (bool, error)
}

// Forge is where the repository is hosted. Its errors wrap strategy.ErrRefused when no later try can mend them; one with
// a method RetryAt says when to try again.
type Forge interface {
	// OpenIssue opens an issue, or finds the one that carries the same marker, and returns its address. Does that not tell
	// of the part yet, the part is told below it, it is open again, and has the part's labels and assignees too.
	OpenIssue(ctx context.Context, issue strategy.Issue) (url string, err error)
}
