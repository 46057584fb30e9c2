package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// version is one version of a job as Nomad keeps it.
type version struct {
	job *api.Job
	raw json.RawMessage
}

// doc is the whole of it, also what the client's structs do not know. It is decoded anew, since few ask.
func (v version) doc() (document, error) { return decodeDocument(v.raw) }

func (v version) number() uint64      { return deref(v.job.Version) }
func (v version) modifyIndex() uint64 { return deref(v.job.JobModifyIndex) }
func (v version) stopped() bool       { return deref(v.job.Stop) }

func (v version) tag() string {
	if v.job.VersionTag == nil {
		return ""
	}
	return v.job.VersionTag.Name
}

// history is the versions of a job that Nomad still has, the newest first. The first one is live.
type history []version

// history reads all versions of a job; it is empty when there is no such job.
func (c *Cluster) history(ctx context.Context, job strategy.JobRef) (history, error) {
	var answer struct{ Versions []json.RawMessage }
	_, err := c.client.Raw().Query(jobPath(job.ID, "/versions"), &answer, query(ctx, job.Namespace))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read versions of job %s: %w", job, err)
	}
	var all history
	for _, raw := range answer.Versions {
		var decoded api.Job
		if err := json.Unmarshal(raw, &decoded); err != nil {
			return nil, fmt.Errorf("read versions of job %s: %w", job, err)
		}
		all = append(all, version{job: &decoded, raw: raw})
	}
	slices.SortFunc(all, func(a, b version) int { return int(b.number()) - int(a.number()) })
	return all, nil
}

// recentLimit is how many histories are kept: more than there are jobs looked at and registered at one time.
const recentLimit = 16

// recentHistory is the history of a job that was read last.
type recentHistory struct {
	job strategy.JobRef
	all history
}

// remember keeps what was read of a job a moment ago, for its registration.
func (c *Cluster) remember(job strategy.JobRef, all history) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent = slices.DeleteFunc(c.recent, func(r recentHistory) bool { return r.job == job })
	c.recent = append(c.recent, recentHistory{job, all})
	c.recent = c.recent[max(0, len(c.recent)-recentLimit):]
}

// historyAt is the history of a job for an act that Nomad takes at that index alone: what was read before will do, as long
// as it was of that index.
func (c *Cluster) historyAt(ctx context.Context, job strategy.JobRef, index uint64) (history, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.recent, func(r recentHistory) bool { return r.job == job && r.all.live().modifyIndex() == index })
	if i >= 0 {
		defer c.mu.Unlock()
		return c.recent[i].all, nil
	}
	c.mu.Unlock()
	return c.history(ctx, job)
}

// live is the version that runs. The history must not be empty.
func (h history) live() version { return h[0] }

func (h history) find(number uint64) (version, bool) {
	i := slices.IndexFunc(h, func(v version) bool { return v.number() == number })
	if i < 0 {
		return version{}, false
	}
	return h[i], true
}

func (h history) tagged(tag string) (version, bool) {
	i := slices.IndexFunc(h, func(v version) bool { return v.tag() == tag })
	if i < 0 {
		return version{}, false
	}
	return h[i], true
}

// readJob is what was read of the versions of a job, once: versions do not change. They are known by their index: a job that
// was purged and registered again counts its versions anew, but never has the same index.
type readJob struct {
	revisions   map[uint64]known              // what a version is
	submissions map[uint64]*api.JobSubmission // the source that Nomad stores with it
}

// readOf is what was read of a job. The lock is held.
func (c *Cluster) readOf(job strategy.JobRef) *readJob {
	if c.read[job] == nil {
		c.read[job] = &readJob{revisions: map[uint64]known{}, submissions: map[uint64]*api.JobSubmission{}}
	}
	return c.read[job]
}

// known is what was found out about a version.
type known struct {
	marker   strategy.Marker
	revision strategy.Revision
	source   *api.JobSubmission // nil when the version has none
}

// identify tells who registered a version and which revision it is. Versions without a source of their own, such as
// those that scaling makes, are the revision of the newest older version with the same content.
func (c *Cluster) identify(ctx context.Context, ref strategy.JobRef, all history, v version) (known, error) {
	own, err := c.recognise(ctx, ref, all, v)
	if err != nil || !own.revision.IsZero() {
		return own, err
	}
	for _, older := range all {
		if older.number() >= v.number() {
			continue
		}
		same, err := sameVersion(older, v)
		if err != nil {
			return known{}, fmt.Errorf("compare versions of job %s: %w", ref, err)
		}
		if !same {
			continue
		}
		found, err := c.recognise(ctx, ref, all, older)
		if err != nil {
			return known{}, err
		}
		if !found.revision.IsZero() {
			own.revision = found.revision
			return own, nil
		}
	}
	return own, nil
}

// sameVersion tells whether two versions say the same.
func sameVersion(a, b version) (bool, error) {
	if a.modifyIndex() == b.modifyIndex() {
		return true, nil
	}
	left, err := a.doc()
	if err != nil {
		return false, err
	}
	right, err := b.doc()
	if err != nil {
		return false, err
	}
	return sameSpec(left, right)
}

// recognise reads a version's own source: its marker, else what Nomad makes of the source. It asks Nomad once a
// version.
func (c *Cluster) recognise(ctx context.Context, ref strategy.JobRef, all history, v version) (known, error) {
	index := v.modifyIndex()
	c.mu.Lock()
	found, ok := c.readOf(ref).revisions[index]
	c.mu.Unlock()
	if ok {
		return found, nil
	}
	found, err := c.readSource(ctx, ref, all, v)
	if err != nil {
		return known{}, err
	}
	c.mu.Lock()
	c.readOf(ref).revisions[index] = found
	c.mu.Unlock()
	return found, nil
}

// submission is the source that Nomad stores with a version; nil when there is none. It asks Nomad once a version.
func (c *Cluster) submission(ctx context.Context, ref strategy.JobRef, v version) (*api.JobSubmission, error) {
	index := v.modifyIndex()
	c.mu.Lock()
	found, ok := c.readOf(ref).submissions[index]
	c.mu.Unlock()
	if ok {
		return found, nil
	}
	found, _, err := c.client.Jobs().Submission(ref.ID, int(v.number()), query(ctx, ref.Namespace))
	if err != nil && !isNotFound(err) {
		return nil, fmt.Errorf("read source of job %s version %d: %w", ref, v.number(), err)
	}
	if err != nil {
		found = nil
	}
	c.mu.Lock()
	c.readOf(ref).submissions[index] = found
	c.mu.Unlock()
	return found, nil
}

// ownSource is the source that was registered with a version, nil when none was. Nomad hands the source of the version
// before on to one that is registered without any: to one that scaling made, whose source it is, and to one that somebody
// sent as JSON, whose source it is not. The oldest of a run of versions with one source is the one that it came with.
func (c *Cluster) ownSource(ctx context.Context, ref strategy.JobRef, all history, v version) (*api.JobSubmission, error) {
	own, err := c.submission(ctx, ref, v)
	if err != nil || own == nil {
		return nil, err
	}
	first := v
	for _, older := range all {
		if older.number() >= v.number() {
			continue
		}
		before, err := c.submission(ctx, ref, older)
		if err != nil {
			return nil, err
		}
		if before == nil || before.Source != own.Source || before.Variables != own.Variables || !maps.Equal(before.VariableFlags, own.VariableFlags) {
			break
		}
		first = older
	}
	same, err := sameVersion(first, v)
	if err != nil {
		return nil, fmt.Errorf("compare versions of job %s: %w", ref, err)
	}
	if !same {
		return nil, nil
	}
	return own, nil
}

func (c *Cluster) readSource(ctx context.Context, ref strategy.JobRef, all history, v version) (known, error) {
	submission, err := c.ownSource(ctx, ref, all, v)
	if err != nil || submission == nil {
		return known{}, err
	}
	found := known{source: submission}
	if marker, ok := readMarker(submission.Source); ok {
		found.marker, found.revision = marker, marker.Revision
		return found, nil
	}
	if submission.Format == "hcl1" || submission.Source == "" {
		return found, nil
	}
	variables := variablesOf(submission.Variables, submission.VariableFlags)
	source := strategy.JobSource{
		Path: fmt.Sprintf("source of job %s version %d", ref, v.number()), Jobspec: submission.Source,
		Variables: variables, Namespace: ref.Namespace,
	}
	parsed, err := c.parse(ctx, source)
	switch {
	case errors.Is(err, strategy.ErrInvalid):
		// Parsed where files could be read, or by another Nomad: its revision cannot be known.
		c.logger.DebugContext(ctx, "stored source cannot be parsed", "job", ref.String(), "version", v.number(), "error", err)
		return found, nil
	case err != nil:
		return known{}, err
	}
	sum, err := digest(parsed)
	if err != nil {
		return known{}, err
	}
	found.revision = strategy.Revision{Version: readVersion(variables), Attempt: 1, Digest: sum}
	return found, nil
}

// forget drops what was read of versions that Nomad no longer has.
func (c *Cluster) forget(ref strategy.JobRef, all history) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(all) == 0 {
		delete(c.read, ref)
		return
	}
	read := c.readOf(ref)
	gone := func(index uint64) bool {
		return !slices.ContainsFunc(all, func(v version) bool { return v.modifyIndex() == index })
	}
	maps.DeleteFunc(read.revisions, func(index uint64, _ known) bool { return gone(index) })
	maps.DeleteFunc(read.submissions, func(index uint64, _ *api.JobSubmission) bool { return gone(index) })
}
