package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// registerJob answers PUT /v1/jobs. A spec that is the live one is nothing to do: the answer names the index of the
// job's last change of any kind then, which is not its JobModifyIndex.
func registerJob(n *Nomad, r request) answer {
	var req api.JobRegisterRequest
	if bad := r.read(&req); bad != nil {
		return *bad
	}
	spec, bad := receive(r, req.Job)
	if bad != nil {
		return *bad
	}
	if problems := n.mistakes(spec); len(problems) > 0 {
		return refuse(http.StatusInternalServerError, "%s", multiError(problems))
	}
	k := key{*spec.Namespace, *spec.ID}
	j := n.jobs[k]
	if bad := enforce(j, req.EnforceIndex, req.JobModifyIndex); bad != nil {
		return *bad
	}
	if j != nil && req.PreserveCounts && !*j.current().Stop {
		for _, group := range spec.TaskGroups {
			if live := j.current().LookupTaskGroup(*group.Name); live != nil {
				group.Count = new(*live.Count)
			}
		}
	}
	if j == nil {
		j = &job{key: k, submissions: map[uint64]*api.JobSubmission{}}
		n.jobs[k] = j
	} else if sameSpec(j.current(), spec) {
		e := n.enqueue(j, triggerRegister)
		return ok(api.JobRegisterResponse{EvalID: e.ID, EvalCreateIndex: e.CreateIndex, JobModifyIndex: *j.current().ModifyIndex}, e.CreateIndex)
	}
	if req.Submission == nil && len(j.versions) > 0 {
		req.Submission = j.submissions[*j.current().Version] // As Nomad does, whosever it is.
	}
	n.addVersion(j, spec, req.Submission)
	return n.registered(j, triggerRegister)
}

// receive completes a job that was sent. What the server keeps of it is not the sender's to say.
func receive(r request, spec *api.Job) (*api.Job, *answer) {
	problem := ""
	switch {
	case spec == nil:
		problem = "Job must be specified"
	case spec.ID == nil || *spec.ID == "":
		problem = "Job ID hasn't been provided"
	}
	if problem != "" {
		return nil, &answer{status: http.StatusBadRequest, text: problem}
	}
	if spec.Namespace == nil || *spec.Namespace == "" {
		spec.Namespace = new(r.namespace())
	}
	spec.Status, spec.StatusDescription = new(""), new("")
	complete(spec)
	return spec, nil
}

// registered asks for the evaluation of a new version, and answers with both.
func (n *Nomad) registered(j *job, trigger string) answer {
	e := n.enqueue(j, trigger)
	index := *j.current().JobModifyIndex
	return ok(api.JobRegisterResponse{EvalID: e.ID, EvalCreateIndex: e.CreateIndex, JobModifyIndex: index}, index)
}

// enforce is compare-and-set on the index of a job's spec.
func enforce(j *job, on bool, index uint64) *answer {
	var problem string
	switch {
	case !on:
	case j == nil && index != 0:
		problem = "job does not exist"
	case j != nil && index == 0:
		problem = "job already exists"
	case j != nil && index != *j.current().JobModifyIndex:
		problem = fmt.Sprintf("job exists with conflicting job modify index: %d", *j.current().JobModifyIndex)
	}
	if problem == "" {
		return nil
	}
	a := refuse(http.StatusInternalServerError, "%s %d: %s", api.RegisterEnforceIndexErrPrefix, index, problem)
	return &a
}

// validateJob answers PUT /v1/validate/job.
func validateJob(n *Nomad, r request) answer {
	var req api.JobValidateRequest
	if bad := r.read(&req); bad != nil {
		return *bad
	}
	spec, bad := receive(r, req.Job)
	if bad != nil {
		return *bad
	}
	resp := api.JobValidateResponse{DriverConfigValidated: true, ValidationErrors: n.mistakes(spec)}
	if len(resp.ValidationErrors) > 0 {
		resp.Error = multiError(resp.ValidationErrors)
	}
	return ok(resp, 0)
}

// mistakes is what Nomad refuses a job for.
func (n *Nomad) mistakes(spec *api.Job) []string {
	var problems []string
	if *spec.Namespace != api.DefaultNamespace && !slices.Contains(n.cfg.Namespaces, *spec.Namespace) {
		return []string{fmt.Sprintf("job %q is in nonexistent namespace %q", *spec.ID, *spec.Namespace)}
	}
	if strings.Contains(*spec.ID, " ") {
		problems = append(problems, "Job ID contains a space")
	}
	if len(spec.TaskGroups) == 0 {
		problems = append(problems, "Missing job task groups")
	}
	for _, group := range spec.TaskGroups {
		switch {
		case group.Name == nil || *group.Name == "":
			problems = append(problems, "Job task group 1 missing name")
		case len(group.Tasks) == 0:
			problems = append(problems, fmt.Sprintf("Task group %s validation failed: Missing tasks for task group", *group.Name))
		case *group.Count < 0:
			problems = append(problems, fmt.Sprintf("Task group %s validation failed: Task group count can't be negative", *group.Name))
		}
		for _, t := range group.Tasks {
			if t.Driver == "" {
				problems = append(problems, fmt.Sprintf("Task group %s validation failed: Task %s validation failed: Missing task driver", *group.Name, t.Name))
			}
		}
	}
	return problems
}

// stopJob answers DELETE /v1/job/ID.
func stopJob(n *Nomad, r request) answer {
	k := key{r.namespace(), r.args["id"]}
	j := n.jobs[k]
	if j == nil {
		return ok(api.JobDeregisterResponse{}, 0)
	}
	if r.flag("purge") {
		j.purged = true
		delete(n.jobs, k)
		e := n.enqueue(j, triggerDeregister)
		n.emit(j, eventDeregistered, e.CreateIndex)
		return ok(api.JobDeregisterResponse{EvalID: e.ID, EvalCreateIndex: e.CreateIndex, JobModifyIndex: e.CreateIndex}, e.CreateIndex)
	}
	if !*j.current().Stop {
		spec := clone(j.current())
		spec.Stop = new(true)
		n.addVersion(j, spec, j.submissions[*j.current().Version])
	}
	e := n.enqueue(j, triggerDeregister)
	index := *j.current().JobModifyIndex
	return ok(api.JobDeregisterResponse{EvalID: e.ID, EvalCreateIndex: e.CreateIndex, JobModifyIndex: index}, index)
}

// scaleJob answers PUT /v1/job/ID/scale.
func scaleJob(n *Nomad, r request) answer {
	var req api.ScalingRequest
	if bad := r.read(&req); bad != nil {
		return *bad
	}
	j := n.jobs[key{r.namespace(), r.args["id"]}]
	if j == nil {
		return refuse(http.StatusNotFound, "job %q not found", r.args["id"])
	}
	spec := clone(j.current())
	group := spec.LookupTaskGroup(req.Target["Group"])
	d := n.latest(j)
	switch {
	case group == nil:
		return refuse(http.StatusBadRequest, "task group %q specified for scaling does not exist in job", req.Target["Group"])
	case req.JobModifyIndex != 0 && req.JobModifyIndex != *spec.JobModifyIndex:
		return *enforce(j, true, req.JobModifyIndex)
	case req.Count == nil:
		return ok(api.JobRegisterResponse{JobModifyIndex: *spec.JobModifyIndex}, *spec.JobModifyIndex)
	case d != nil && d.Status == api.DeploymentStatusRunning:
		return refuse(http.StatusBadRequest, "job scaling blocked due to active deployment")
	}
	stable, tag := *spec.Stable, spec.VersionTag
	group.Count = new(int(*req.Count))
	n.addVersion(j, spec, j.submissions[*j.current().Version])
	j.current().Stable, j.current().VersionTag = &stable, tag // The tag is on both.
	return n.registered(j, triggerScaling)
}

// revertJob answers PUT /v1/job/ID/revert.
func revertJob(n *Nomad, r request) answer {
	var req api.JobRevertRequest
	if bad := r.read(&req); bad != nil {
		return *bad
	}
	j := n.jobs[key{r.namespace(), r.args["id"]}]
	if j == nil {
		return refuse(http.StatusInternalServerError, "job %q not found", r.args["id"])
	}
	live, back := *j.current().Version, j.version(req.JobVersion)
	switch {
	case req.EnforcePriorVersion != nil && *req.EnforcePriorVersion != live:
		return refuse(http.StatusInternalServerError, "Current job has version %d; enforcing version %d", live, *req.EnforcePriorVersion)
	case req.JobVersion == live:
		return refuse(http.StatusInternalServerError, "can't revert to current version")
	case back == nil:
		return refuse(http.StatusInternalServerError, "job %q in namespace %q at version %d not found", j.name, j.namespace, req.JobVersion)
	}
	spec := clone(back)
	spec.Stop = new(false)
	if sameSpec(spec, j.current()) {
		e := n.enqueue(j, triggerRegister)
		return ok(api.JobRegisterResponse{EvalID: e.ID, EvalCreateIndex: e.CreateIndex, JobModifyIndex: *j.current().ModifyIndex}, e.CreateIndex)
	}
	n.addVersion(j, spec, j.submissions[req.JobVersion])
	return n.registered(j, triggerRegister)
}

// tagVersion answers PUT /v1/job/ID/versions/NAME/tag.
func tagVersion(n *Nomad, r request) answer {
	var req api.TagVersionRequest
	if len(r.body) > 0 {
		if bad := r.read(&req); bad != nil {
			return *bad
		}
	}
	j, id, name := n.jobs[key{r.namespace(), r.args["id"]}], r.args["id"], r.args["name"]
	var v *api.Job
	if j != nil {
		v = j.version(req.Version)
		if req.Latest {
			v = j.current()
		}
	}
	if v == nil {
		return refuse(http.StatusInternalServerError, "job %q version %d not found", id, req.Version)
	}
	for _, other := range j.versions {
		if other != v && other.VersionTag != nil && other.VersionTag.Name == name {
			return refuse(http.StatusInternalServerError, "tag %q already exists on a different version of job %q", name, id)
		}
	}
	v.VersionTag = &api.JobVersionTag{Name: name, Description: req.Description, TaggedTime: n.now.UnixNano()}
	n.changedJob(v)
	return ok(v.VersionTag, *v.ModifyIndex)
}

// untagVersion answers DELETE /v1/job/ID/versions/NAME/tag.
func untagVersion(n *Nomad, r request) answer {
	if j := n.jobs[key{r.namespace(), r.args["id"]}]; j != nil {
		for _, v := range j.versions {
			if v.VersionTag != nil && v.VersionTag.Name == r.args["name"] {
				v.VersionTag = nil
				n.changedJob(v)
				return ok(api.JobVersionTag{}, *v.ModifyIndex)
			}
		}
	}
	return refuse(http.StatusInternalServerError, "tag %q not found on job %q", r.args["name"], r.args["id"])
}

// stopAlloc answers PUT /v1/allocation/ID/stop: the allocation is stopped and replaced.
func stopAlloc(n *Nomad, r request) answer {
	a := n.alloc(r.args["id"])
	if a == nil {
		return refuse(http.StatusNotFound, "allocation not found")
	}
	a.DesiredTransition.Migrate = new(true)
	n.changedAlloc(a)
	e := n.enqueue(a.job, triggerStop)
	return ok(struct {
		EvalID string
		Index  uint64
	}{e.ID, e.CreateIndex}, e.CreateIndex)
}

// parseJob answers POST /v1/jobs/parse.
func parseJob(n *Nomad, r request) answer {
	var req api.JobsParseRequest
	if bad := r.read(&req); bad != nil {
		return *bad
	}
	if req.JobHCL == "" {
		return refuse(http.StatusBadRequest, "Job spec is empty")
	}
	spec, left, err := parse(req.JobHCL, req.Variables, n.cfg.Lenient)
	if err != nil {
		return refuse(http.StatusBadRequest, "Failed to parse job: %v", err)
	}
	n.left = left
	if req.Canonicalize {
		spec.Canonicalize()
	}
	encoded, err := json.Marshal(spec)
	if err != nil {
		return refuse(http.StatusInternalServerError, "%v", err)
	}
	return ok(json.RawMessage(encoded), 0)
}
