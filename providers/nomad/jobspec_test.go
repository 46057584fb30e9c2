package nomad

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// webJob is a job that Drover takes without a word.
func webJob() *api.Job {
	return &api.Job{
		ID: new("web"), Name: new("web"),
		TaskGroups: []*api.TaskGroup{{
			Name: new("g"), Count: new(3),
			Services: []*api.Service{{Name: "web", Provider: "nomad", Checks: []api.ServiceCheck{
				{Type: "script"}, {Type: "http", Path: "/up", Interval: time.Second, Timeout: 2 * time.Second},
			}}},
			Tasks: []*api.Task{{Name: "t", Services: []*api.Service{{Provider: "nomad"}}}},
		}},
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(*api.Job, *api.TaskGroup)
		want   string // "" for none
	}{
		{"sound", func(*api.Job, *api.TaskGroup) {}, ""},
		{"batch", func(j *api.Job, _ *api.TaskGroup) { j.Type = new("batch") }, "type batch"},
		{"system", func(j *api.Job, _ *api.TaskGroup) { j.Type = new("system") }, "type system"},
		{"periodic", func(j *api.Job, _ *api.TaskGroup) { j.Periodic = &api.PeriodicConfig{} }, "periodic"},
		{"no group", func(j *api.Job, _ *api.TaskGroup) { j.TaskGroups = nil }, "no group"},
		{"per_alloc", func(_ *api.Job, g *api.TaskGroup) {
			g.Volumes = map[string]*api.VolumeRequest{"data": {PerAlloc: true}}
		}, `volume "data" of group "g" is per_alloc`},
		{"single writer", func(_ *api.Job, g *api.TaskGroup) {
			g.Volumes = map[string]*api.VolumeRequest{"data": {AccessMode: "single-node-writer"}}
		}, "single writer"},
		{"single writer that only reads", func(_ *api.Job, g *api.TaskGroup) {
			g.Volumes = map[string]*api.VolumeRequest{"data": {AccessMode: "single-node-writer", ReadOnly: true}}
		}, ""},
		{"max_parallel 0", func(_ *api.Job, g *api.TaskGroup) { g.Update = &api.UpdateStrategy{MaxParallel: new(0)} }, "max_parallel = 0"},
		{"max_parallel 0 of the job", func(j *api.Job, _ *api.TaskGroup) { j.Update = &api.UpdateStrategy{MaxParallel: new(0)} }, "max_parallel = 0"},
		{"consul", func(_ *api.Job, g *api.TaskGroup) { g.Services[0].Provider = "consul" }, `provider "consul"`},
		{"consul by default, in a task", func(_ *api.Job, g *api.TaskGroup) { g.Tasks[0].Services[0].Provider = "" }, `"web-g-t" of group "g" is of provider "consul"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			job := webJob()
			test.change(job, job.TaskGroups[0])
			got := strings.Join(refusals(job), "\n")
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	source := strategy.JobSource{Path: "web.hcl", Jobspec: "variable \"version\" {}\n"}
	tests := []struct {
		name   string
		change func(*api.Job, *api.TaskGroup)
		want   string
	}{
		{"sound", func(*api.Job, *api.TaskGroup) {}, ""},
		{"count 1", func(_ *api.Job, g *api.TaskGroup) { g.Count = nil }, "doubles"},
		{"static port", func(_ *api.Job, g *api.TaskGroup) {
			g.Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "http", Value: 80}}, DynamicPorts: []api.Port{{Label: "admin"}}}}
		}, `static port "http" (80)`},
		{"overridden", func(j *api.Job, g *api.TaskGroup) {
			j.Update = &api.UpdateStrategy{AutoRevert: new(true)}
			g.Update = &api.UpdateStrategy{Canary: new(1), AutoPromote: new(true)}
		}, "auto_revert, canary, auto_promote"},
		{"set off", func(_ *api.Job, g *api.TaskGroup) {
			g.Update = &api.UpdateStrategy{Canary: new(0), AutoRevert: new(false)}
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			job := webJob()
			test.change(job, job.TaskGroups[0])
			got := strings.Join(warnings(job, source), "\n")
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
	if got := warnings(webJob(), strategy.JobSource{Path: "web.hcl", Jobspec: "job \"web\" {}"}); len(got) != 1 || !strings.Contains(got[0], "version") {
		t.Errorf("got %q of a jobspec without the variable, want one warning", got)
	}
}

func TestUndeclaredVariables(t *testing.T) {
	source := strategy.JobSource{
		Path: "web.hcl", Jobspec: "variable \"version\" {}\nvariable replicas {\n  default = 3\n}\n",
		Variables: "datacenter = \"dc1\"\nreplcas = 4\nreplicas = 4\nversion = \"1\"\n",
	}
	want := []string{
		`the release sets the variable "datacenter", which web.hcl does not declare`,
		`the release sets the variable "replcas", which web.hcl does not declare: did you mean "replicas"?`,
	}
	if diff := cmp.Diff(want, warnings(webJob(), source)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	source.Jobspec = `{"Job": {}}`
	if got := warnings(webJob(), source); len(got) != 0 {
		t.Errorf("got %q of a jobspec in JSON, which is not looked into", got)
	}
}

func TestServices(t *testing.T) {
	job := webJob()
	if diff := cmp.Diff([]string{"web", "web-g-t"}, nomadServices(job, job.TaskGroups[0])); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	job.TaskGroups[0].Services[0].Name = "${JOB}-${TASKGROUP}-public"
	group, service := servingGroup(job, "web-g-public")
	if group == nil || service == nil {
		t.Fatalf("got group %v, service %v, want both", group, service)
	}
	want := &strategy.Check{Type: "http", Path: "/up", Interval: time.Second, Timeout: 2 * time.Second}
	if diff := cmp.Diff(want, routerCheck(service)); diff != "" {
		t.Errorf("check (-want +got):\n%s", diff)
	}
	plain := service.Checks[slices.IndexFunc(service.Checks, func(c api.ServiceCheck) bool { return c.Type == "http" })]
	plain.PortLabel, plain.Method, plain.Protocol = service.PortLabel, "GET", "http"
	service.Checks = nil
	for _, change := range []func(*api.ServiceCheck){
		func(c *api.ServiceCheck) { c.PortLabel = "admin" },
		func(c *api.ServiceCheck) { c.Method = "POST" },
		func(c *api.ServiceCheck) { c.Protocol = "https" },
		func(c *api.ServiceCheck) { c.Header = map[string][]string{"Host": {"shop"}} },
		func(c *api.ServiceCheck) { c.AddressMode = "driver" },
		func(c *api.ServiceCheck) { c.OnUpdate = "ignore" },
		func(c *api.ServiceCheck) { c.Type = "grpc" },
	} {
		other := plain
		change(&other)
		if service.Checks = append(service.Checks, other); routerCheck(service) != nil {
			t.Errorf("a router would run %+v, by %+v alone", other, routerCheck(service))
		}
	}
	service.Checks = append(service.Checks, plain)
	if diff := cmp.Diff(want, routerCheck(service)); diff != "" {
		t.Errorf("check among others (-want +got):\n%s", diff)
	}
	if group, service := servingGroup(job, ""); group == nil || service != nil {
		t.Errorf("got group %v, service %v without a service, want the first group alone", group, service)
	}
}

func TestProgressDeadline(t *testing.T) {
	job := webJob()
	if got := progressDeadline(job); got != 10*time.Minute {
		t.Errorf("got %s, want Nomad's default", got)
	}
	job.Update = &api.UpdateStrategy{ProgressDeadline: new(time.Hour)}
	if got := progressDeadline(job); got != time.Hour {
		t.Errorf("got %s, want the job's", got)
	}
	job.TaskGroups[0].Update = &api.UpdateStrategy{ProgressDeadline: new(time.Minute)}
	if got := progressDeadline(job); got != time.Minute {
		t.Errorf("got %s, want the group's", got)
	}
}

func TestPrepare(t *testing.T) {
	spec := func() document {
		t.Helper()
		doc, err := decodeDocument([]byte(`{"ID": "web", "Update": {"AutoPromote": true}, "TaskGroups": [
			{"Name": "g", "Count": 2, "Update": {"Canary": 1, "AutoRevert": true, "ProgressDeadline": 7}}, {"Name": "new", "Count": 4, "Update": null}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	running := webJob()
	running.TaskGroups[0].Count = new(5)
	stopped := webJob()
	stopped.Stop = new(true)
	tests := []struct {
		name   string
		role   strategy.Role
		all    history
		counts [2]int
		canary [2]any
	}{
		{"canaries follow the live count", strategy.RoleCanary, history{{job: running}}, [2]int{5, 4}, [2]any{5, 4}},
		{"reverse too", strategy.RoleReverse, history{{job: running}}, [2]int{5, 4}, [2]any{5, 4}},
		{"a restore leaves them", strategy.RoleRestore, history{{job: running}}, [2]int{5, 4}, [2]any{1, nil}},
		{"a first release keeps its counts", strategy.RoleFirst, nil, [2]int{2, 4}, [2]any{1, nil}},
		{"so does one that starts a stopped job", strategy.RoleFirst, history{{job: stopped}}, [2]int{2, 4}, [2]any{1, nil}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doc := spec()
			if err := prepare(doc, strategy.Registration{Marker: strategy.Marker{Role: test.role}}, test.all); err != nil {
				t.Fatal(err)
			}
			job, err := doc.job()
			if err != nil {
				t.Fatal(err)
			}
			for i, group := range job.TaskGroups {
				if got := groupCount(group); got != test.counts[i] {
					t.Errorf("group %d: got count %d, want %d", i, got, test.counts[i])
				}
				var canary any
				if group.Update.Canary != nil {
					canary = *group.Update.Canary
				}
				if canary != test.canary[i] {
					t.Errorf("group %d: got canary %v, want %v", i, canary, test.canary[i])
				}
				if group.Update.AutoPromote == nil || *group.Update.AutoPromote || group.Update.AutoRevert == nil || *group.Update.AutoRevert {
					t.Errorf("group %d: auto_promote and auto_revert are not off", i)
				}
			}
			if got := deref(job.TaskGroups[0].Update.ProgressDeadline); got != 7 {
				t.Errorf("got progress deadline %d, want it kept", got)
			}
		})
	}
}

// TestWithChecks tells the services whose readiness something decides about.
func TestWithChecks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*api.Service)
		want   []string
	}{
		"as it is":         {func(*api.Service) {}, []string{"web"}},
		"no check":         {func(s *api.Service) { s.Checks = nil }, nil},
		"checks ignored":   {func(s *api.Service) { s.Checks = []api.ServiceCheck{{Type: "http", OnUpdate: "ignore"}} }, nil},
		"another provider": {func(s *api.Service) { s.Provider = "consul" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			job := webJob()
			c.change(job.TaskGroups[0].Services[0])
			if got := withChecks(job, job.TaskGroups[0]); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for name, scaling := range map[string]*api.ScalingPolicy{"on": {}, "off": {Enabled: new(false)}} {
		job := webJob()
		job.TaskGroups[0].Scaling = scaling
		if got := isScaled(job.TaskGroups[0]); got != (name == "on") {
			t.Errorf("a scaling block that is %s: scaled is %t", name, got)
		}
	}
}

func TestShutdownDelay(t *testing.T) {
	job := webJob()
	group := job.TaskGroups[0]
	for _, c := range []struct {
		group *time.Duration
		task  time.Duration
		want  time.Duration
	}{{nil, 0, 0}, {new(3 * time.Second), 0, 3 * time.Second}, {nil, 5 * time.Second, 5 * time.Second}, {new(7 * time.Second), time.Second, 7 * time.Second}} {
		group.ShutdownDelay, group.Tasks[0].ShutdownDelay = c.group, c.task
		if got := shutdownDelay(group); got != c.want {
			t.Errorf("with %v for the group and %s for its task: got %s, want %s", c.group, c.task, got, c.want)
		}
	}
}
