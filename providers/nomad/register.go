package nomad

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Register makes a job version, with the counts that are live and the marker beside it. A job that does not run gets
// the counts of the spec; a stopped one is started. strategy.ErrConflict says that the job is no longer at
// r.ModifyIndex; strategy.ErrInvalid that Nomad does not accept the spec. unchanged says that Nomad found nothing to
// do: no version carries the marker then.
func (c *Cluster) Register(ctx context.Context, r strategy.Registration) (unchanged bool, err error) {
	all, err := c.historyAt(ctx, r.Job, r.ModifyIndex)
	if err != nil {
		return false, fmt.Errorf("register job %s: %w", r.Job, err)
	}
	index := uint64(0)
	if len(all) > 0 {
		index = all.live().modifyIndex()
	}
	if index != r.ModifyIndex {
		return false, fmt.Errorf("register job %s: it is at index %d, not %d: %w", r.Job, index, r.ModifyIndex, strategy.ErrConflict)
	}
	doc, submission, err := c.spec(ctx, r, all)
	if err != nil {
		return false, err
	}
	if err := prepare(doc, r, all); err != nil {
		return false, fmt.Errorf("register job %s: %w", r.Job, err)
	}
	request := map[string]any{"Job": doc, "EnforceIndex": true, "JobModifyIndex": r.ModifyIndex, "Submission": submission}
	if _, err := c.client.Raw().Write("/v1/jobs", request, nil, write(ctx, r.Job.Namespace)); err != nil {
		return false, registrationError(r, err)
	}
	if len(all) == 0 {
		return false, nil
	}
	// Nomad's answer has a new index also where it found nothing to do.
	after, err := c.history(ctx, r.Job)
	if err != nil {
		return false, fmt.Errorf("look at job %s after its registration: %w", r.Job, err)
	}
	return len(after) > 0 && after.live().modifyIndex() == index, nil
}

// spec is the job to register, as Git has it or as Nomad kept it, and the source to store with it.
func (c *Cluster) spec(ctx context.Context, r strategy.Registration, all history) (document, *api.JobSubmission, error) {
	source := &api.JobSubmission{Format: "hcl2"}
	var doc document
	switch {
	case r.Source != nil:
		parsed, err := c.parse(ctx, *r.Source)
		if err != nil {
			return nil, nil, fmt.Errorf("register job %s: %w", r.Job, err)
		}
		if id := parsed["ID"]; id != r.Job.ID {
			return nil, nil, fmt.Errorf("register job %s: %w: %s is of job %q", r.Job, strategy.ErrInvalid, r.Source.Path, id)
		}
		doc, source.Source, source.Variables = parsed, r.Source.Jobspec, r.Source.Variables
	default:
		stored, ok := all.find(r.Version)
		if !ok {
			return nil, nil, fmt.Errorf("register job %s: nomad no longer keeps its version %d: release the revision from git again", r.Job, r.Version)
		}
		found, err := c.recognise(ctx, r.Job, all, stored)
		if err != nil {
			return nil, nil, fmt.Errorf("register job %s: %w", r.Job, err)
		}
		if found.source != nil {
			*source = *found.source
		}
		if doc, err = stored.doc(); err != nil {
			return nil, nil, fmt.Errorf("register job %s: %w", r.Job, err)
		}
	}
	doc.forgetServer()
	doc["Namespace"] = r.Job.Namespace
	marked, err := markSource(r.Marker, source.Source)
	if err != nil {
		return nil, nil, fmt.Errorf("register job %s: %w", r.Job, err)
	}
	source.Source = marked
	return doc, source, nil
}

// prepare writes into the groups what a canary needs, and the counts that are live.
func prepare(doc document, r strategy.Registration, all history) error {
	running := len(all) > 0 && !all.live().stopped()
	live := map[string]int{}
	if running {
		live = counts(all.live().job)
	}
	job, err := doc.job()
	if err != nil {
		return err
	}
	setsCanaries := r.Marker.Role != strategy.RoleFirst && r.Marker.Role != strategy.RoleRestore
	for _, group := range doc.groups() {
		name, _ := group["Name"].(string)
		count, known := live[name]
		if known {
			group["Count"] = count
		} else {
			count = declaredCount(job, name)
		}
		update, ok := group["Update"].(map[string]any)
		if !ok {
			update = map[string]any{}
			group["Update"] = update
		}
		// Said for every group, since a group takes from the job's own block what it leaves out.
		update["AutoPromote"], update["AutoRevert"] = false, false
		if setsCanaries {
			update["Canary"] = r.Canaries.For(count, r.Steps)
		}
	}
	return nil
}

func declaredCount(job *api.Job, group string) int {
	for _, g := range job.TaskGroups {
		if deref(g.Name) == group {
			return groupCount(g)
		}
	}
	return 1
}

// rejected begins Nomad's answer when a job does not pass its validation.
var rejected = regexp.MustCompile(`^\d+ errors? occurred:`)

func registrationError(r strategy.Registration, err error) error {
	body := bodyOf(err)
	switch {
	case strings.Contains(body, api.RegisterEnforceIndexErrPrefix):
		return fmt.Errorf("register job %s: %s: %w", r.Job, body, strategy.ErrConflict)
	case rejected.MatchString(body), statusOf(err) == http.StatusBadRequest:
		where := fmt.Sprintf("version %d", r.Version)
		if r.Source != nil {
			where = r.Source.Path
		}
		return fmt.Errorf("register job %s: %w: %s: %s", r.Job, strategy.ErrInvalid, where, flatten(body))
	}
	return fmt.Errorf("register job %s: %w", r.Job, err)
}
