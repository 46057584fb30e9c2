package sim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The states of deployments, in Nomad's words.
const (
	describeRunning     = "Deployment is running"
	describeManual      = "Deployment is running but requires manual promotion"
	describeAutomatic   = "Deployment is running pending automatic promotion"
	describeSuccessful  = "Deployment completed successfully"
	describeNewer       = "Cancelled due to newer version of job"
	describeStopped     = "Cancelled because job is stopped"
	describeDeadline    = "Failed due to progress deadline"
	describeUnhealthy   = "Failed due to unhealthy allocations"
	describeFailedByAPI = "Deployment marked as failed"
)

func (n *Nomad) deployment(id string) *api.Deployment {
	for _, d := range n.deployments {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// latest is the newest deployment of a job, nil when it has none.
func (n *Nomad) latest(j *job) *api.Deployment {
	for _, d := range slices.Backward(n.deployments) {
		if d.JobID == j.name && d.Namespace == j.namespace && d.JobCreateIndex == *j.current().CreateIndex {
			return d
		}
	}
	return nil
}

func (n *Nomad) setStatus(d *api.Deployment, status, description string) uint64 {
	d.Status, d.StatusDescription = status, description
	return n.changedDeployment(d)
}

func (n *Nomad) changedDeployment(d *api.Deployment) uint64 {
	d.ModifyIndex, d.ModifyTime = n.touch(tableDeployments), n.now.UnixNano()
	return d.ModifyIndex
}

// cancelOutdated ends the deployment of an older version, and returns the one that concerns the current version: one
// that runs or has failed.
func (n *Nomad) cancelOutdated(j *job) *api.Deployment {
	d, spec := n.latest(j), j.current()
	switch {
	case d == nil:
		return nil
	case d.Status == api.DeploymentStatusRunning && (*spec.Stop || j.purged):
		n.setStatus(d, api.DeploymentStatusCancelled, describeStopped)
		return nil
	case d.JobVersion != *spec.Version:
		if d.Status == api.DeploymentStatusRunning {
			n.setStatus(d, api.DeploymentStatusCancelled, describeNewer)
		}
		return nil
	case d.Status == api.DeploymentStatusRunning || d.Status == api.DeploymentStatusFailed:
		return d
	}
	return nil
}

// newDeployment makes the deployment that the settlements ask for.
func (n *Nomad) newDeployment(j *job, spec *api.Job, settled []settlement) *api.Deployment {
	d := &api.Deployment{
		ID: n.newID(), Namespace: j.namespace, JobID: j.name, JobVersion: *spec.Version, JobModifyIndex: *spec.ModifyIndex,
		JobSpecModifyIndex: *spec.JobModifyIndex, JobCreateIndex: *spec.CreateIndex, TaskGroups: map[string]*api.DeploymentState{},
		CreateTime: n.now.UnixNano(),
	}
	description, automatic := describeRunning, true
	for _, s := range settled {
		if !s.creates {
			continue
		}
		if s.state.DesiredCanaries > 0 {
			description = describeManual
			automatic = automatic && *s.group.Update.AutoPromote
		}
		s.state.RequireProgressBy = n.now.Add(s.state.ProgressDeadline)
		d.TaskGroups[*s.group.Name] = s.state
		n.watchDeadline(d, s.state.ProgressDeadline)
	}
	if description == describeManual && automatic {
		description = describeAutomatic
	}
	n.setStatus(d, api.DeploymentStatusRunning, description)
	d.CreateIndex = d.ModifyIndex
	n.deployments = append(n.deployments, d)
	return d
}

// join makes an allocation part of a deployment, which waits for its health.
func (n *Nomad) join(a *alloc, d *api.Deployment, canary bool) {
	if d == nil {
		return
	}
	state := d.TaskGroups[a.TaskGroup]
	if state == nil {
		return
	}
	a.DeploymentID = d.ID
	if canary {
		a.DeploymentStatus = &api.AllocDeploymentStatus{Canary: true, ModifyIndex: n.index}
		state.PlacedCanaries = append(state.PlacedCanaries, a.ID)
	}
	state.PlacedAllocs++
	n.changedDeployment(d)
	if u := a.group().Update; u != nil {
		n.after(*u.HealthyDeadline, func() {
			if a.live() && a.DeploymentID == d.ID && a.health() == nil {
				n.setHealth(a, false)
			}
		})
	}
	n.watchHealth(a)
}

// watchHealth makes an allocation healthy when its tasks run, and its checks pass, for long enough.
func (n *Nomad) watchHealth(a *alloc) {
	a.watch++
	u := a.group().Update
	if u == nil || !a.running() || a.DeploymentID == "" || a.health() != nil || *u.HealthCheck == "manual" {
		return
	}
	since := a.started
	if *u.HealthCheck == "checks" {
		if a.sick {
			return
		}
		since = later(since, a.ready)
	}
	wait := later(since, n.now).Add(*u.MinHealthyTime).Sub(n.now)
	watch := a.watch
	n.after(wait, func() {
		if a.watch == watch && a.live() && a.health() == nil {
			n.setHealth(a, true)
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// setHealth notes the health of an allocation with its deployment, whose counters only grow.
func (n *Nomad) setHealth(a *alloc, healthy bool) {
	if a.DeploymentStatus == nil {
		a.DeploymentStatus = &api.AllocDeploymentStatus{}
	} else {
		status := *a.DeploymentStatus
		a.DeploymentStatus = &status
	}
	a.DeploymentStatus.Healthy, a.DeploymentStatus.Timestamp = &healthy, n.now
	n.changedAlloc(a)
	a.DeploymentStatus.ModifyIndex = a.ModifyIndex
	d := n.deployment(a.DeploymentID)
	if d == nil || d.TaskGroups[a.TaskGroup] == nil {
		return
	}
	state := d.TaskGroups[a.TaskGroup]
	if healthy {
		state.HealthyAllocs++
		state.RequireProgressBy = n.now.Add(state.ProgressDeadline)
		n.watchDeadline(d, state.ProgressDeadline)
	} else {
		state.UnhealthyAllocs++
	}
	n.changedDeployment(d)
	if d.Status != api.DeploymentStatusRunning {
		return
	}
	if !healthy && state.ProgressDeadline == 0 {
		n.fail(d, describeUnhealthy)
		return
	}
	if d.StatusDescription == describeAutomatic && n.unhealthyCanaries(d) == nil {
		n.promote(d)
	}
	if j := n.jobs[key{d.Namespace, d.JobID}]; j != nil {
		n.enqueue(j, triggerDeployment)
	}
}

// watchDeadline looks at the deployment when its time may be over.
func (n *Nomad) watchDeadline(d *api.Deployment, wait time.Duration) {
	if wait <= 0 {
		return
	}
	n.after(wait, func() {
		if d.Status == api.DeploymentStatusRunning && n.overdue(d) {
			n.fail(d, describeDeadline)
		}
	})
}

// overdue tells whether a group has made no progress in its time. One whose canaries are healthy waits for ever.
func (n *Nomad) overdue(d *api.Deployment) bool {
	for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
		s := d.TaskGroups[name]
		if s.ProgressDeadline == 0 || s.RequireProgressBy.After(n.now) {
			continue
		}
		want := s.DesiredTotal
		if s.DesiredCanaries > 0 && !s.Promoted {
			want = s.DesiredCanaries
		}
		if s.HealthyAllocs < want {
			return true
		}
	}
	return false
}

// fail ends a deployment, and reverts the job where its update block asks for it. It returns the version gone back to.
func (n *Nomad) fail(d *api.Deployment, why string) *uint64 {
	j := n.jobs[key{d.Namespace, d.JobID}]
	var revert *api.Job
	asked := false
	for _, s := range d.TaskGroups {
		asked = asked || s.AutoRevert
	}
	if asked && j != nil {
		for _, v := range j.versions {
			if *v.Stable && *v.Version < d.JobVersion {
				revert = v
				break
			}
		}
		if revert == nil {
			why += " - no stable job version to auto revert to"
		} else {
			why += fmt.Sprintf(" - rolling back to job version %d", *revert.Version)
		}
	}
	n.setStatus(d, api.DeploymentStatusFailed, why)
	if j == nil {
		return nil
	}
	n.enqueue(j, triggerDeployment)
	if revert == nil {
		return nil
	}
	n.addVersion(j, clone(revert), j.submissions[*revert.Version])
	n.enqueue(j, triggerDeployment)
	version := *revert.Version
	return &version
}

// succeed ends a deployment well: its version is stable.
func (n *Nomad) succeed(j *job, d *api.Deployment) {
	n.setStatus(d, api.DeploymentStatusSuccessful, describeSuccessful)
	if v := j.version(d.JobVersion); v != nil {
		stable := true
		v.Stable = &stable
		n.changedJob(v)
		n.emit(j, eventPlan, *v.ModifyIndex)
	}
}

// unhealthyCanaries says for each group what keeps it from promotion.
func (n *Nomad) unhealthyCanaries(d *api.Deployment) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
		s := d.TaskGroups[name]
		if s.DesiredCanaries == 0 {
			continue
		}
		healthy := 0
		for _, a := range n.allocs {
			if a.DeploymentID == d.ID && a.TaskGroup == name && a.live() && a.canary() && a.health() != nil && *a.health() {
				healthy++
			}
		}
		if healthy < s.DesiredCanaries && !s.Promoted {
			problems = append(problems, fmt.Sprintf("Task group %q has %d/%d healthy allocations", name, healthy, s.DesiredCanaries))
		}
	}
	return problems
}

// promote makes the canaries ordinary allocations. What they replace ends with the evaluation that follows.
func (n *Nomad) promote(d *api.Deployment) uint64 {
	for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
		if s := d.TaskGroups[name]; s.DesiredCanaries > 0 {
			s.Promoted = true
			s.RequireProgressBy = n.now.Add(s.ProgressDeadline)
			n.watchDeadline(d, s.ProgressDeadline)
		}
	}
	index := n.setStatus(d, api.DeploymentStatusRunning, describeRunning)
	for _, a := range n.allocs {
		if a.DeploymentID == d.ID && a.canary() && a.live() {
			status := *a.DeploymentStatus
			status.Canary = false
			a.DeploymentStatus = &status
			n.changedAlloc(a)
			if a.running() {
				n.registerServices(a)
			}
		}
	}
	return index
}

// promoteDeployment answers POST /v1/deployment/promote/ID.
func promoteDeployment(n *Nomad, r request) answer {
	d := n.deployment(r.args["id"])
	switch {
	case d == nil:
		return refuse(http.StatusInternalServerError, "deployment not found")
	case d.Status != api.DeploymentStatusRunning:
		return refuse(http.StatusInternalServerError, "can't promote terminal deployment")
	}
	var req api.DeploymentPromoteRequest
	if bad := r.read(&req); bad != nil {
		return *bad
	}
	if !req.All {
		return refuse(http.StatusNotImplemented, "the simulated Nomad promotes all groups of a deployment only: ask for All")
	}
	if problems := n.unhealthyCanaries(d); len(problems) > 0 {
		return refuse(http.StatusInternalServerError, "%s", multiError(problems))
	}
	index := n.promote(d)
	e := n.enqueue(n.jobs[key{d.Namespace, d.JobID}], triggerDeployment)
	return ok(api.DeploymentUpdateResponse{EvalID: e.ID, EvalCreateIndex: e.CreateIndex, DeploymentModifyIndex: index}, index)
}

// failDeployment answers POST /v1/deployment/fail/ID.
func failDeployment(n *Nomad, r request) answer {
	d := n.deployment(r.args["id"])
	switch {
	case d == nil:
		return refuse(http.StatusInternalServerError, "deployment not found")
	case d.Status != api.DeploymentStatusRunning:
		return refuse(http.StatusInternalServerError, "can't fail terminal deployment")
	}
	reverted := n.fail(d, describeFailedByAPI)
	return ok(api.DeploymentUpdateResponse{DeploymentModifyIndex: d.ModifyIndex, RevertedJobVersion: reverted}, d.ModifyIndex)
}

// multiError writes several mistakes as Nomad does.
func multiError(problems []string) string {
	var b strings.Builder
	plural := "s"
	if len(problems) == 1 {
		plural = ""
	}
	fmt.Fprintf(&b, "%d error%s occurred:\n", len(problems), plural)
	for _, p := range problems {
		fmt.Fprintf(&b, "\t* %s\n", p)
	}
	return b.String() + "\n"
}
