package nomad

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

func healthy(canary bool, health *bool) *api.AllocDeploymentStatus {
	return &api.AllocDeploymentStatus{Canary: canary, Healthy: health}
}

// crashed is a task whose program ended with status 1.
func crashed() map[string]*api.TaskState {
	return map[string]*api.TaskState{"server": {State: "dead", Failed: true, Events: []*api.TaskEvent{
		{Type: api.TaskTerminated, Details: map[string]string{"exit_code": "1"}, DisplayMessage: "Exit Code: 1"},
		{Type: api.TaskNotRestarting, DisplayMessage: "Policy allows no restarts"},
	}}}
}

func unhealthy() map[string]*api.TaskState {
	return map[string]*api.TaskState{"server": {State: "running", Events: []*api.TaskEvent{
		{Type: api.TaskStarted, DisplayMessage: "Task started by client"},
		{Type: "Alloc Unhealthy", DisplayMessage: "Task not running by deadline"},
	}}}
}

func TestAllocs(t *testing.T) {
	const run, stop, evict = "run", "stop", "evict"
	yes, no := new(true), new(false)
	tests := []struct {
		name     string
		stub     api.AllocationListStub
		member   bool
		promoted bool
		status   string // of the deployment; running when empty
		want     *strategy.Alloc
	}{
		{name: "stable", stub: api.AllocationListStub{DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(false, yes)}, want: &strategy.Alloc{Ready: true}},
		{name: "canary of an earlier deployment", stub: api.AllocationListStub{DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(true, yes)}, want: &strategy.Alloc{Canary: true, Ready: true}},
		{
			name: "canary, not healthy yet", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(true, nil)},
			want: &strategy.Alloc{Fresh: true, Canary: true},
		},
		{
			name: "canary", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(true, yes)},
			want: &strategy.Alloc{Fresh: true, Canary: true, Ready: true},
		},
		{
			name: "promoted canary", member: true, promoted: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(true, yes)},
			want: &strategy.Alloc{Fresh: true, Ready: true},
		},
		{
			name: "updated in place, health not known again", member: true,
			stub: api.AllocationListStub{CreateIndex: 40, DesiredStatus: run, ClientStatus: "running"},
			want: &strategy.Alloc{Fresh: true, Ready: true},
		},
		{
			name: "placed by the deployment, health not known", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "running"},
			want: &strategy.Alloc{Fresh: true},
		},
		{
			name: "checks fail past the deadline", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(true, no)},
			want: &strategy.Alloc{Fresh: true, Canary: true, Fault: strategy.FaultHealth, Why: "its checks did not pass by the deadline"},
		},
		{
			name: "not running long enough before the deadline", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(true, no), TaskStates: unhealthy()},
			want: &strategy.Alloc{Fresh: true, Canary: true, Fault: strategy.FaultHealth, Why: `task "server": Task not running by deadline`},
		},
		{
			name: "crashed, started again, and never healthy", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "running", DeploymentStatus: healthy(true, no), TaskStates: crashed()},
			want: &strategy.Alloc{Fresh: true, Canary: true, Fault: strategy.FaultTask, Why: `task "server": Exit Code: 1`},
		},
		{
			name: "crashed canary", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: run, ClientStatus: "failed", DeploymentStatus: healthy(true, no), TaskStates: crashed()},
			want: &strategy.Alloc{Fresh: true, Canary: true, Fault: strategy.FaultTask, Why: `task "server": Exit Code: 1`},
		},
		{
			name: "crashed canary of a failed deployment", member: true, status: api.DeploymentStatusFailed,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: stop, ClientStatus: "failed", DeploymentStatus: healthy(true, no), TaskStates: crashed()},
			want: &strategy.Alloc{Fresh: true, Canary: true, Fault: strategy.FaultTask, Why: `task "server": Exit Code: 1`},
		},
		{
			name: "crashed and replaced", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: stop, ClientStatus: "failed", NextAllocation: "b", TaskStates: crashed()},
		},
		{
			name: "crashed and replaced, and the deployment failed with nobody else to blame", member: true, status: api.DeploymentStatusFailed,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: stop, ClientStatus: "failed", NextAllocation: "b", DeploymentStatus: healthy(true, no), TaskStates: crashed()},
			want: &strategy.Alloc{Fresh: true, Canary: true, Fault: strategy.FaultTask, Why: `task "server": Exit Code: 1`},
		},
		{name: "ending", stub: api.AllocationListStub{DesiredStatus: stop, ClientStatus: "running"}, want: &strategy.Alloc{Ending: true}},
		{
			name: "preempted", stub: api.AllocationListStub{DesiredStatus: evict, ClientStatus: "running", PreemptedByAllocation: "b", DesiredDescription: "Preempted by alloc ID b"},
			want: &strategy.Alloc{Ending: true, Fault: strategy.FaultNode, Why: "Preempted by alloc ID b"},
		},
		{
			name: "drained", stub: api.AllocationListStub{DesiredStatus: stop, ClientStatus: "running", DesiredDescription: "alloc is being migrated"},
			want: &strategy.Alloc{Ending: true, Fault: strategy.FaultNode, Why: "alloc is being migrated"},
		},
		{
			name: "disconnected", stub: api.AllocationListStub{DesiredStatus: run, ClientStatus: "unknown", ClientDescription: "client disconnected"},
			want: &strategy.Alloc{Fault: strategy.FaultNode, Why: "client disconnected"},
		},
		{
			name: "lost canary, not replaced", member: true,
			stub: api.AllocationListStub{CreateIndex: 60, DesiredStatus: stop, ClientStatus: "lost", DeploymentStatus: healthy(true, nil), DesiredDescription: "alloc is lost since its node is down"},
			want: &strategy.Alloc{Fresh: true, Canary: true, Fault: strategy.FaultNode, Why: "alloc is lost since its node is down"},
		},
		{name: "old, complete", stub: api.AllocationListStub{DesiredStatus: stop, ClientStatus: "complete"}},
		{name: "old, failed", stub: api.AllocationListStub{DesiredStatus: stop, ClientStatus: "failed"}},
		{
			name: "stable that failed and waits for a replacement", stub: api.AllocationListStub{DesiredStatus: run, ClientStatus: "failed", ClientDescription: "Failed tasks"},
			want: &strategy.Alloc{Fault: strategy.FaultTask, Why: "Failed tasks"},
		},
		{name: "pending", stub: api.AllocationListStub{DesiredStatus: run, ClientStatus: "pending"}, want: &strategy.Alloc{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.stub.ID, test.stub.TaskGroup = "a", "g"
			if test.status == "" {
				test.status = api.DeploymentStatusRunning
			}
			s := scene{
				live:       version{job: &api.Job{JobModifyIndex: new(uint64(50))}},
				deployment: &api.Deployment{Status: test.status, TaskGroups: map[string]*api.DeploymentState{"g": {DesiredCanaries: 1, Promoted: test.promoted}}},
				members:    map[string]bool{"a": test.member},
				stubs:      []*api.AllocationListStub{&test.stub},
				addresses:  map[string]string{"a": "10.0.0.1:80"},
			}
			var want []strategy.Alloc
			if test.want != nil {
				test.want.ID, test.want.Group, test.want.Address = "a", "g", "10.0.0.1:80"
				want = []strategy.Alloc{*test.want}
			}
			if diff := cmp.Diff(want, s.allocs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllPass(t *testing.T) {
	tests := []struct {
		name     string
		statuses api.AllocCheckStatuses
		reports  bool
		want     bool
	}{
		{"passing", api.AllocCheckStatuses{"a": {Status: "success"}, "b": {Status: "success"}}, true, true},
		{"one fails", api.AllocCheckStatuses{"a": {Status: "success"}, "b": {Status: "failure"}}, true, false},
		{"one of an older version fails", api.AllocCheckStatuses{"a": {Status: "failure"}}, false, false},
		{"one not run yet", api.AllocCheckStatuses{"a": {Status: "pending"}}, true, false},
		{"no result", nil, true, false},
		{"no checks in an older version", nil, false, true},
	}
	for _, test := range tests {
		if got := allPass(test.statuses, test.reports); got != test.want {
			t.Errorf("%s: got %t, want %t", test.name, got, test.want)
		}
	}
}

func TestDeploymentState(t *testing.T) {
	none := deploymentState(nil)
	if none.ID != "" || none.Promoted {
		t.Errorf("got %+v of no deployment, want the zero value", none)
	}
	d := &api.Deployment{ID: "d", Status: "running", StatusDescription: "text", TaskGroups: map[string]*api.DeploymentState{"a": {DesiredCanaries: 2}, "b": {}}}
	want := strategy.Deployment{ID: "d", Status: strategy.DeploymentRunning, Canaries: map[string]int{"a": 2}, Text: "text"}
	if diff := cmp.Diff(want, deploymentState(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d.TaskGroups["a"].Promoted = true
	if got := deploymentState(d); !got.Promoted {
		t.Errorf("got %+v, want it promoted: group b needs none", got)
	}
	for status, want := range map[string]strategy.DeploymentStatus{
		"paused": strategy.DeploymentRunning, "failed": strategy.DeploymentFailed,
		"cancelled": strategy.DeploymentCancelled, "successful": strategy.DeploymentSuccessful,
	} {
		if got := deploymentStatus(status); got != want {
			t.Errorf("%s: got %q, want %q", status, got, want)
		}
	}
}
