package nomad

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

func compareStrings(a, b string) int { return cmp.Compare(a, b) }

// allocs are the allocations that count, by id: those that run or should, and those of the current deployment that
// ended badly and were not replaced. Old ones are left out.
func (s scene) allocs() []strategy.Alloc {
	var kept []strategy.Alloc
	var replaced *api.AllocationListStub // the newest failure of the current deployment that was replaced
	blamed := false
	for _, stub := range s.stubs {
		if !s.counts(stub) {
			if s.members[stub.ID] && stub.ClientStatus == api.AllocClientStatusFailed && (replaced == nil || stub.CreateIndex > replaced.CreateIndex) {
				replaced = stub
			}
			continue
		}
		alloc := s.alloc(stub)
		blamed = blamed || alloc.Fault.Own()
		kept = append(kept, alloc)
	}
	// A deployment that failed while a replacement was on its way would else look as if nobody was to blame.
	if s.deployment != nil && s.deployment.Status == api.DeploymentStatusFailed && !blamed && replaced != nil {
		kept = append(kept, s.alloc(replaced))
	}
	sortAllocs(kept)
	return kept
}

// ended tells whether the allocation runs nothing any more.
func ended(stub *api.AllocationListStub) bool {
	switch stub.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

func (s scene) counts(stub *api.AllocationListStub) bool {
	if !ended(stub) {
		// One that never started and is told to stop has nothing to end.
		return stub.DesiredStatus == api.AllocDesiredStatusRun || stub.ClientStatus != api.AllocClientStatusPending || stub.NextAllocation == ""
	}
	if stub.NextAllocation != "" {
		return false
	}
	if stub.DesiredStatus == api.AllocDesiredStatusRun {
		return stub.ClientStatus != api.AllocClientStatusComplete
	}
	unfinished := s.deployment != nil && s.deployment.Status != api.DeploymentStatusSuccessful
	return unfinished && s.members[stub.ID] && stub.ClientStatus != api.AllocClientStatusComplete
}

func (s scene) alloc(stub *api.AllocationListStub) strategy.Alloc {
	fresh := s.members[stub.ID]
	alloc := strategy.Alloc{
		ID:      stub.ID,
		Group:   stub.TaskGroup,
		Fresh:   fresh,
		Canary:  s.isCanary(stub),
		Ending:  stub.DesiredStatus != api.AllocDesiredStatusRun && !ended(stub),
		Address: s.addresses[stub.ID],
	}
	placed := fresh && stub.CreateIndex >= s.live.modifyIndex()
	alloc.Fault, alloc.Why = fault(stub, placed)
	alloc.Ready = alloc.Fault == strategy.FaultNone && isReady(stub, placed)
	return alloc
}

// isCanary tells whether the allocation is a canary that nobody promoted. Nomad takes the mark off at promotion. One of
// an earlier deployment still bears it while it ends, and in the moment between a registration and its evaluation.
func (s scene) isCanary(stub *api.AllocationListStub) bool {
	if stub.DeploymentStatus == nil || !stub.DeploymentStatus.Canary {
		return false
	}
	if !s.members[stub.ID] {
		return true
	}
	group := s.deployment.TaskGroups[stub.TaskGroup]
	return group != nil && !group.Promoted
}

// isReady tells whether the allocation could take traffic, as far as Nomad's servers know. The health that a
// deployment found is asked for only where the deployment placed the allocation: one that it merely updated in place
// has none for a moment, and serves all the while; and what it found of such a one in the end is never looked at again.
func isReady(stub *api.AllocationListStub, placed bool) bool {
	if stub.ClientStatus != api.AllocClientStatusRunning || stub.DesiredStatus != api.AllocDesiredStatusRun {
		return false
	}
	if !placed {
		return true
	}
	return stub.DeploymentStatus != nil && deref(stub.DeploymentStatus.Healthy)
}

// fault tells whose fault it is that the allocation is not ready, in Nomad's words.
func fault(stub *api.AllocationListStub, placed bool) (strategy.Fault, string) {
	switch {
	case stub.ClientStatus == api.AllocClientStatusLost, stub.ClientStatus == api.AllocClientStatusUnknown:
		return strategy.FaultNode, cmp.Or(stub.DesiredDescription, stub.ClientDescription, "the node was lost")
	case stub.PreemptedByAllocation != "":
		return strategy.FaultNode, cmp.Or(stub.DesiredDescription, "preempted by another allocation")
	case leavesNode(stub.DesiredDescription):
		return strategy.FaultNode, stub.DesiredDescription
	case stub.ClientStatus == api.AllocClientStatusFailed:
		return strategy.FaultTask, cmp.Or(taskFailure(stub), stub.ClientDescription, "a task failed")
	case placed && stub.DeploymentStatus != nil && stub.DeploymentStatus.Healthy != nil && !*stub.DeploymentStatus.Healthy:
		why := cmp.Or(taskFailure(stub), "its checks did not pass by the deadline")
		if everFailed(stub) {
			return strategy.FaultTask, why
		}
		return strategy.FaultHealth, why
	}
	return strategy.FaultNone, ""
}

// everFailed tells whether a task of the allocation ever failed, whether or not it was started again.
func everFailed(stub *api.AllocationListStub) bool {
	for _, state := range stub.TaskStates {
		if state != nil && (state.Failed || slices.ContainsFunc(state.Events, func(e *api.TaskEvent) bool { return e.Type != allocUnhealthy && failure(e) })) {
			return true
		}
	}
	return false
}

// leavesNode tells whether an allocation was told to stop because of its node, in the words that Nomad's scheduler has
// for it.
func leavesNode(description string) bool {
	switch description {
	case "alloc is being migrated", "alloc is lost since its node is down", "alloc not needed as node is tainted":
		return true
	}
	return false
}

// taskFailure is what the events of the failed tasks say: `task "server": Exit Code: 1`.
func taskFailure(stub *api.AllocationListStub) string {
	var said []string
	for _, name := range sortedKeys(stub.TaskStates) {
		state := stub.TaskStates[name]
		if state == nil {
			continue
		}
		if why := lastFailure(state); why != "" {
			said = append(said, fmt.Sprintf("task %q: %s", name, why))
		}
	}
	return strings.Join(said, "; ")
}

// lastFailure is the newest event that tells why the task failed; "" when none does.
func lastFailure(state *api.TaskState) string {
	for _, event := range slices.Backward(state.Events) {
		if failure(event) {
			return eventText(event)
		}
	}
	return ""
}

// allocUnhealthy is the event of tasks whose allocation did not become healthy before the deadline.
const allocUnhealthy = "Alloc Unhealthy"

// failure tells whether an event is why a task failed.
func failure(event *api.TaskEvent) bool {
	switch event.Type {
	case api.TaskTerminated:
		return event.Details["exit_code"] != "0" || event.Details["oom_killed"] == "true"
	case api.TaskDriverFailure, api.TaskSetupFailure, api.TaskFailedValidation, api.TaskArtifactDownloadFailed,
		api.TaskSiblingFailed, "Task hook failed", allocUnhealthy:
		return true
	}
	return false
}

func eventText(event *api.TaskEvent) string {
	return cmp.Or(event.DisplayMessage, event.Message, event.Type)
}
