package sim

import (
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"
)

// How long a client takes, as measured.
const (
	deregisterDelay = 60 * time.Millisecond  // from the word to stop to the services' end
	killDelay       = 100 * time.Millisecond // from there to the tasks' end, besides shutdown_delay
	crashDelay      = 10 * time.Millisecond  // that a crashing task runs
)

// alloc is an allocation: what the API shows, and what the client knows of it besides.
type alloc struct {
	api.Allocation
	job      *job
	placed   uint64    // the job version that it was placed by
	started  time.Time // since when the tasks run; zero when they do not
	ready    time.Time // from when the checks pass, unless sick
	sick     bool
	life     int // counts starts and ends, so that what was meant for an earlier life is dropped
	watch    int // counts what the health depends on, for the same reason
	restarts int
	window   time.Time // when the present interval of the restart policy began
	failed   time.Time
	followUp time.Time // when a failed one is looked at again
	replace  bool      // lost, and not replaced yet
	services []*api.ServiceRegistration
}

func (a *alloc) live() bool           { return a.DesiredStatus == api.AllocDesiredStatusRun }
func (a *alloc) running() bool        { return !a.started.IsZero() }
func (a *alloc) clientTerminal() bool { return a.ClientTerminalStatus() }
func (a *alloc) group() *api.TaskGroup {
	return a.Job.LookupTaskGroup(a.TaskGroup)
}

func (a *alloc) canary() bool { return a.DeploymentStatus != nil && a.DeploymentStatus.Canary }

// health is nil while it is not known.
func (a *alloc) health() *bool {
	if a.DeploymentStatus == nil {
		return nil
	}
	return a.DeploymentStatus.Healthy
}

// migrating tells whether somebody asked for the allocation to be stopped.
func (a *alloc) migrating() bool { return a.DesiredTransition.ShouldMigrate() }

func (n *Nomad) alloc(id string) *alloc {
	for _, a := range n.allocs {
		if a.ID == id {
			return a
		}
	}
	return nil
}

// changedAlloc marks an allocation as changed now.
func (n *Nomad) changedAlloc(a *alloc) {
	a.ModifyIndex = n.touch(tableAllocs, tableJobs)
	a.ModifyTime = n.now.UnixNano()
	a.job.summaryIndex = a.ModifyIndex
	n.settleStatus(a.job)
}

// place makes an allocation of a spec.
func (n *Nomad) place(j *job, spec *api.Job, group *api.TaskGroup, name, evalID string) *alloc {
	a := &alloc{job: j, placed: *spec.Version}
	a.Allocation = api.Allocation{
		ID: n.newID(), Namespace: j.namespace, EvalID: evalID, Name: name, NodeID: n.node, NodeName: "sim",
		JobID: j.name, Job: spec, TaskGroup: *group.Name, Metrics: &api.AllocationMetric{NodesEvaluated: 1, NodesInPool: 1, NodePool: "default"},
		DesiredStatus: api.AllocDesiredStatusRun, ClientStatus: api.AllocClientStatusPending, ClientDescription: "No tasks have started",
		CreateTime: n.now.UnixNano(), AllocatedResources: &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{}},
		TaskStates: map[string]*api.TaskState{},
	}
	n.allocatePorts(a, group)
	for _, t := range group.Tasks {
		used := &api.AllocatedTaskResources{}
		if t.Resources != nil && t.Resources.CPU != nil && t.Resources.MemoryMB != nil {
			used.Cpu.CpuShares, used.Memory.MemoryMB = int64(*t.Resources.CPU), int64(*t.Resources.MemoryMB)
		}
		a.AllocatedResources.Tasks[t.Name] = used
		a.TaskStates[t.Name] = &api.TaskState{State: "pending"}
	}
	n.taskEvent(a, api.TaskReceived, "Task received by client")
	n.allocs = append(n.allocs, a)
	n.changedAlloc(a)
	a.CreateIndex, a.AllocModifyIndex = a.ModifyIndex, a.ModifyIndex
	life := a.life
	n.after(n.cfg.StartDelay, func() {
		if a.life == life && a.live() {
			n.start(a)
		}
	})
	return a
}

// allocatePorts gives every port of the group's networks a number.
func (n *Nomad) allocatePorts(a *alloc, group *api.TaskGroup) {
	shared := &a.AllocatedResources.Shared
	for _, network := range group.Networks {
		given := &api.NetworkResource{Mode: network.Mode, IP: "127.0.0.1"}
		for _, p := range network.ReservedPorts {
			given.ReservedPorts = append(given.ReservedPorts, p)
			shared.Ports = append(shared.Ports, api.PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: given.IP})
		}
		for _, p := range network.DynamicPorts {
			p.Value = 20000 + (n.ports-20000+int(n.cfg.Seed%997))%12000
			n.ports++
			given.DynamicPorts = append(given.DynamicPorts, p)
			shared.Ports = append(shared.Ports, api.PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: given.IP})
		}
		shared.Networks = append(shared.Networks, given)
	}
}

// port is the number of a port by its label.
func (a *alloc) port(label string) (api.PortMapping, bool) {
	for _, p := range a.AllocatedResources.Shared.Ports {
		if p.Label == label {
			return p, true
		}
	}
	return api.PortMapping{}, false
}

// start lets the tasks run.
func (n *Nomad) start(a *alloc) {
	a.life++
	a.started = n.now
	a.ClientStatus, a.ClientDescription = api.AllocClientStatusRunning, "Tasks are running"
	for _, state := range a.TaskStates {
		state.State, state.Failed, state.StartedAt = "running", false, n.now
	}
	n.taskEvent(a, api.TaskStarted, "Task started by client")
	n.changedAlloc(a)
	b := n.behaviourOf(a)
	a.ready, a.sick = n.now.Add(b.StartDelay), b.Sick
	n.after(b.StartDelay, n.wake) // Its checks pass from then on.
	n.registerServices(a)
	if b.Crash {
		life := a.life
		n.after(crashDelay, func() {
			if a.life == life {
				n.exited(a)
			}
		})
		return
	}
	n.watchHealth(a)
}

// behave looks again at how the tasks of a running allocation behave.
func (n *Nomad) behave(a *alloc) {
	b := n.behaviourOf(a)
	switch {
	case b.Crash:
		n.exited(a)
	case b.Sick != a.sick:
		a.sick, a.ready = b.Sick, n.now
		n.watchHealth(a)
	}
}

// passing tells whether all checks pass now.
func (n *Nomad) passing(a *alloc) bool { return a.running() && !a.sick && !n.now.Before(a.ready) }

// exited is the end of the tasks with code 1: they are restarted, or the allocation has failed.
func (n *Nomad) exited(a *alloc) {
	a.life++
	a.watch++
	a.started = time.Time{}
	n.deregisterServices(a)
	n.taskEvent(a, api.TaskTerminated, "Exit Code: 1")
	if wait, again := n.restart(a); again {
		a.ClientStatus, a.ClientDescription = api.AllocClientStatusPending, "No tasks have started"
		for _, state := range a.TaskStates {
			state.State, state.LastRestart = "pending", n.now
			state.Restarts++
		}
		n.taskEvent(a, api.TaskRestarting, fmt.Sprintf("Task restarting in %s", wait))
		n.changedAlloc(a)
		life := a.life
		n.after(wait, func() {
			if a.life == life && a.live() {
				n.start(a)
			}
		})
		return
	}
	a.failed = n.now
	a.ClientStatus, a.ClientDescription = api.AllocClientStatusFailed, "Failed tasks"
	for _, state := range a.TaskStates {
		state.State, state.Failed, state.FinishedAt = "dead", true, n.now
	}
	n.taskEvent(a, api.TaskNotRestarting, "Exceeded allowed attempts, applying a delay of 0s")
	n.changedAlloc(a)
	if a.DeploymentID != "" && a.health() == nil {
		n.setHealth(a, false)
	}
	n.enqueue(a.job, triggerFailure)
}

// restart is what the restart policy says after an exit.
func (n *Nomad) restart(a *alloc) (wait time.Duration, again bool) {
	policy := a.group().Tasks[0].RestartPolicy
	if policy == nil {
		return 0, false
	}
	if a.window.IsZero() || n.now.Sub(a.window) >= *policy.Interval {
		a.window, a.restarts = n.now, 0
	}
	if a.restarts < *policy.Attempts {
		a.restarts++
		return *policy.Delay, true
	}
	if *policy.Mode == "delay" {
		return a.window.Add(*policy.Interval).Sub(n.now), true
	}
	return 0, false
}

// stop tells an allocation to end.
func (n *Nomad) stop(a *alloc, why string) {
	a.replace = false
	if !a.live() {
		return
	}
	a.DesiredStatus, a.DesiredDescription = api.AllocDesiredStatusStop, why
	a.watch++
	n.changedAlloc(a)
	if a.clientTerminal() {
		return
	}
	a.life++
	life, delay := a.life, killDelay
	if d := a.group().ShutdownDelay; d != nil {
		delay += *d
	}
	n.taskEvent(a, api.TaskKilling, "Sent interrupt")
	n.after(deregisterDelay, func() {
		if a.life == life {
			n.deregisterServices(a)
		}
	})
	n.after(deregisterDelay+delay, func() {
		if a.life == life {
			n.ended(a, api.AllocClientStatusComplete, "All tasks have completed")
		}
	})
}

// ended is the end of an allocation that was told to, or whose node is gone.
func (n *Nomad) ended(a *alloc, status, description string) {
	a.life++
	a.watch++
	a.started = time.Time{}
	a.ClientStatus, a.ClientDescription = status, description
	for _, state := range a.TaskStates {
		state.State, state.FinishedAt = "dead", n.now
	}
	n.taskEvent(a, api.TaskKilled, "Task successfully killed")
	n.deregisterServices(a)
	n.changedAlloc(a)
	n.unblock()
}

// lost is the end of an allocation whose node is gone.
func (n *Nomad) lost(a *alloc) {
	a.replace = a.live()
	a.DesiredStatus, a.DesiredDescription = api.AllocDesiredStatusStop, "alloc is lost since its node is down"
	n.ended(a, api.AllocClientStatusLost, "alloc is lost since its node is down")
	n.enqueue(a.job, triggerNode)
}

// taskEvent notes what happened to the tasks.
func (n *Nomad) taskEvent(a *alloc, kind, text string) {
	for _, state := range a.TaskStates {
		e := &api.TaskEvent{Type: kind, Time: n.now.UnixNano(), DisplayMessage: text, Details: map[string]string{}}
		if kind == api.TaskTerminated {
			e.ExitCode, e.Details["exit_code"] = 1, "1"
		}
		state.Events = append(state.Events, e)
		if len(state.Events) > 10 {
			state.Events = state.Events[1:]
		}
	}
}
