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
	doc document
}

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
		doc, err := decodeDocument(raw)
		if err != nil {
			return nil, fmt.Errorf("read versions of job %s: %w", job, err)
		}
		var decoded api.Job
		if err := json.Unmarshal(raw, &decoded); err != nil {
			return nil, fmt.Errorf("read versions of job %s: %w", job, err)
		}
		all = append(all, version{job: &decoded, doc: doc})
	}
	slices.SortFunc(all, func(a, b version) int { return int(b.number()) - int(a.number()) })
	return all, nil
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

// versionKey identifies a version for good: a job that was purged and registered again counts its versions anew, but
// never has the same index.
type versionKey struct {
	job   strategy.JobRef
	index uint64
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
		same, err := sameSpec(older.doc, v.doc)
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

// recognise reads a version's own source: its marker, else what Nomad makes of the source. It asks Nomad once a
// version.
func (c *Cluster) recognise(ctx context.Context, ref strategy.JobRef, all history, v version) (known, error) {
	key := versionKey{job: ref, index: v.modifyIndex()}
	c.mu.Lock()
	found, ok := c.revisions[key]
	c.mu.Unlock()
	if ok {
		return found, nil
	}
	found, err := c.readSource(ctx, ref, all, v)
	if err != nil {
		return known{}, err
	}
	c.mu.Lock()
	c.revisions[key] = found
	c.mu.Unlock()
	return found, nil
}

// submission is the source that Nomad stores with a version; nil when there is none. It asks Nomad once a version.
func (c *Cluster) submission(ctx context.Context, ref strategy.JobRef, v version) (*api.JobSubmission, error) {
	key := versionKey{job: ref, index: v.modifyIndex()}
	c.mu.Lock()
	found, ok := c.submissions[key]
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
	c.submissions[key] = found
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
	same, err := sameSpec(first.doc, v.doc)
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

// forget drops what is cached of versions that Nomad no longer has.
func (c *Cluster) forget(ref strategy.JobRef, all history) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := func(key versionKey) bool {
		kept := func(v version) bool { return v.modifyIndex() == key.index }
		return key.job == ref && !slices.ContainsFunc(all, kept)
	}
	maps.DeleteFunc(c.revisions, func(key versionKey, _ known) bool { return gone(key) })
	maps.DeleteFunc(c.submissions, func(key versionKey, _ *api.JobSubmission) bool { return gone(key) })
}
