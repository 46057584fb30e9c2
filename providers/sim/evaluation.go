package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// What evaluations are made for, in Nomad's words.
const (
	triggerRegister   = "job-register"
	triggerDeregister = "job-deregister"
	triggerScaling    = "job-scaling"
	triggerDeployment = "deployment-watcher"
	triggerFailure    = "alloc-failure"
	triggerReschedule = "alloc-reschedule"
	triggerStop       = "alloc-stop"
	triggerNode       = "node-update"
	triggerQueued     = "queued-allocs"
)

// evaluationDelay is how long an evaluation waits for a scheduler.
const evaluationDelay = 10 * time.Millisecond

// newEval makes an evaluation of a job.
func (n *Nomad) newEval(j *job, trigger, status string) *api.Evaluation {
	e := &api.Evaluation{
		ID: n.newID(), Priority: 50, Type: *j.current().Type, TriggeredBy: trigger, Namespace: j.namespace, JobID: j.name,
		JobModifyIndex: *j.current().JobModifyIndex, Status: status, CreateTime: n.now.UnixNano(), ModifyTime: n.now.UnixNano(),
	}
	e.CreateIndex = n.touch(tableEvals)
	e.ModifyIndex = e.CreateIndex
	n.evals = append(n.evals, e)
	return e
}

func (n *Nomad) finishEval(e *api.Evaluation, status string) {
	e.Status, e.ModifyIndex, e.ModifyTime = status, n.touch(tableEvals), n.now.UnixNano()
}

// enqueue asks for an evaluation of a job, shortly.
func (n *Nomad) enqueue(j *job, trigger string) *api.Evaluation {
	e := n.newEval(j, trigger, api.EvalStatusPending)
	n.after(evaluationDelay, func() {
		// The job may have been purged, or another one have its name.
		if n.jobs[j.key] == j || j.purged {
			n.evaluate(j, e)
		}
	})
	return e
}

// evaluate settles every group of a job.
func (n *Nomad) evaluate(j *job, e *api.Evaluation) {
	spec := j.current()
	d := n.cancelOutdated(j)
	e.QueuedAllocations, e.FailedTGAllocs = map[string]int{}, nil
	if j.purged || *spec.Stop {
		n.stopAll(j)
	} else {
		n.stopRemovedGroups(j, spec)
		n.apply(j, spec, d, e)
	}
	n.block(j, e)
	n.finishEval(e, api.EvalStatusComplete)
	n.settleStatus(j)
}

func (n *Nomad) stopAll(j *job) {
	for _, a := range slices.Clone(n.allocs) {
		if a.job == j {
			a.replace = false
			n.stop(a, whyNotNeeded)
		}
	}
}

func (n *Nomad) stopRemovedGroups(j *job, spec *api.Job) {
	for _, a := range slices.Clone(n.allocs) {
		if a.job == j && spec.LookupTaskGroup(a.TaskGroup) == nil {
			n.stop(a, whyNotNeeded)
		}
	}
}

// apply carries the settlements of all groups out.
func (n *Nomad) apply(j *job, spec *api.Job, d *api.Deployment, e *api.Evaluation) {
	complete := true
	var settled []settlement
	for _, group := range spec.TaskGroups {
		s := n.settle(j, spec, d, group)
		complete = complete && s.complete
		settled = append(settled, s)
	}
	if d == nil && *spec.Type == api.JobTypeService && slices.ContainsFunc(settled, func(s settlement) bool { return s.creates }) {
		d = n.newDeployment(j, spec, settled)
	} else if d != nil && d.Status == api.DeploymentStatusRunning {
		for _, s := range settled {
			if d.TaskGroups[*s.group.Name] != nil {
				d.TaskGroups[*s.group.Name] = s.state
			}
		}
	}
	for _, s := range settled {
		n.applyGroup(j, spec, d, s, e)
	}
	if complete && d != nil && d.Status == api.DeploymentStatusRunning {
		n.succeed(j, d)
	}
}

func (n *Nomad) applyGroup(j *job, spec *api.Job, d *api.Deployment, s settlement, e *api.Evaluation) {
	name := *s.group.Name
	e.QueuedAllocations[name] = 0
	// In the order of placing, for the same history every time.
	for _, a := range slices.Clone(n.allocs) {
		if why, told := s.stop[a]; told {
			n.stop(a, why)
		}
	}
	for _, a := range s.inPlace {
		a.Job, a.EvalID = spec, e.ID
		a.DeploymentID, a.DeploymentStatus = "", nil
		n.join(a, d, false)
		n.changedAlloc(a)
		if a.running() {
			n.registerServices(a)
		}
	}
	for _, p := range s.place {
		if n.cfg.Nodes > 0 && n.placed() >= n.cfg.Nodes {
			e.QueuedAllocations[name]++
			failed := e.FailedTGAllocs[name]
			if failed == nil {
				e.FailedTGAllocs = withFailure(e.FailedTGAllocs, name)
			} else {
				failed.CoalescedFailures++
			}
			continue
		}
		n.carryOut(j, spec, d, s.group, p, e)
	}
	for _, a := range s.later {
		at, _ := rescheduleAt(a)
		if a.followUp.Equal(at) {
			continue
		}
		a.followUp = at
		follow := n.newEval(j, triggerReschedule, api.EvalStatusPending)
		follow.StatusDescription, follow.WaitUntil = "created for delayed rescheduling", at
		a.FollowupEvalID = follow.ID
		n.after(at.Sub(n.now), func() {
			if n.jobs[j.key] == j {
				n.evaluate(j, follow)
			}
		})
	}
}

// carryOut makes one allocation.
func (n *Nomad) carryOut(j *job, spec *api.Job, d *api.Deployment, group *api.TaskGroup, p placement, e *api.Evaluation) {
	if p.old && p.replaces != nil {
		spec = p.replaces.Job
		group = spec.LookupTaskGroup(p.replaces.TaskGroup)
		d = n.deployment(p.replaces.DeploymentID)
	}
	a := n.place(j, spec, group, p.name, e.ID)
	n.join(a, d, p.canary)
	old := p.replaces
	if old == nil {
		return
	}
	old.replace = false
	a.PreviousAllocation, old.NextAllocation = old.ID, a.ID
	if old.ClientStatus == api.AllocClientStatusFailed && old.DesiredDescription == "" {
		a.RescheduleTracker = &api.RescheduleTracker{LastReschedule: "ok"}
		if old.RescheduleTracker != nil {
			a.RescheduleTracker.Events = slices.Clone(old.RescheduleTracker.Events)
		}
		a.RescheduleTracker.Events = append(a.RescheduleTracker.Events,
			&api.RescheduleEvent{RescheduleTime: n.now.UnixNano(), PrevAllocID: old.ID, PrevNodeID: old.NodeID})
	}
	n.changedAlloc(old)
}

// placed is how many allocations take room.
func (n *Nomad) placed() int {
	count := 0
	for _, a := range n.allocs {
		if a.live() && !a.clientTerminal() {
			count++
		}
	}
	return count
}

func withFailure(failures map[string]*api.AllocationMetric, group string) map[string]*api.AllocationMetric {
	if failures == nil {
		failures = map[string]*api.AllocationMetric{}
	}
	failures[group] = &api.AllocationMetric{
		NodesEvaluated: 1, NodesInPool: 1, NodePool: "default", NodesAvailable: map[string]int{"dc1": 1},
		NodesExhausted: 1, DimensionExhausted: map[string]int{"memory": 1},
	}
	return failures
}

// block makes the evaluation that waits for room, in place of the one before it.
func (n *Nomad) block(j *job, e *api.Evaluation) {
	if j.blocked != nil && j.blocked != e {
		j.blocked.StatusDescription = fmt.Sprintf("evaluation %q successful", e.ID)
		n.finishEval(j.blocked, api.EvalStatusCancelled)
	}
	j.blocked = nil
	if len(e.FailedTGAllocs) == 0 {
		return
	}
	j.blocked = n.newEval(j, triggerQueued, api.EvalStatusBlocked)
	j.blocked.StatusDescription, j.blocked.PreviousEval = "created to place remaining allocations", e.ID
	j.blocked.FailedTGAllocs = e.FailedTGAllocs
	e.BlockedEval = j.blocked.ID
}

// unblock lets what waits for room try again.
func (n *Nomad) unblock() {
	for _, j := range n.sortedJobs() {
		e := j.blocked
		if e == nil {
			continue
		}
		j.blocked = nil
		e.Status, e.StatusDescription = api.EvalStatusPending, ""
		n.after(evaluationDelay, func() {
			if n.jobs[j.key] == j {
				n.evaluate(j, e)
			}
		})
	}
}
