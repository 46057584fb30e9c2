package sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// routes is the part of the API that is known.
func routes() []route {
	write := func(h handler) map[string]handler { return map[string]handler{http.MethodPut: h, http.MethodPost: h} }
	read := func(h handler) map[string]handler { return map[string]handler{http.MethodGet: h} }
	and := func(methods map[string]handler, method string, h handler) map[string]handler {
		methods[method] = h
		return methods
	}
	at := func(path string, methods map[string]handler) route {
		return route{strings.Split(strings.Trim(path, "/"), "/"), methods}
	}
	return []route{
		at("/v1/jobs", and(write(registerJob), http.MethodGet, listJobs)),
		at("/v1/jobs/parse", write(parseJob)),
		at("/v1/validate/job", write(validateJob)),
		at("/v1/job/:id", and(read(readJob), http.MethodDelete, stopJob)),
		at("/v1/job/:id/versions", read(jobVersions)),
		at("/v1/job/:id/versions/:name/tag", and(write(tagVersion), http.MethodDelete, untagVersion)),
		at("/v1/job/:id/submission", read(jobSubmission)),
		at("/v1/job/:id/allocations", read(jobAllocations)),
		at("/v1/job/:id/deployments", read(jobDeployments)),
		at("/v1/job/:id/deployment", read(jobDeployment)),
		at("/v1/job/:id/evaluations", read(jobEvaluations)),
		at("/v1/job/:id/plan", write(planJob)),
		at("/v1/job/:id/scale", write(scaleJob)),
		at("/v1/job/:id/revert", write(revertJob)),
		at("/v1/deployment/promote/:id", write(promoteDeployment)),
		at("/v1/deployment/fail/:id", write(failDeployment)),
		at("/v1/deployment/allocations/:id", read(deploymentAllocations)),
		at("/v1/deployment/:id", read(readDeployment)),
		at("/v1/allocation/:id", read(readAlloc)),
		at("/v1/allocation/:id/stop", write(stopAlloc)),
		at("/v1/client/allocation/:id/checks", read(readChecks)),
		at("/v1/services", read(listServices)),
		at("/v1/service/:name", read(readService)),
		at("/v1/vars", read(listVariables)),
		at("/v1/var/:path*", and(and(write(writeVariable), http.MethodGet, readVariable), http.MethodDelete, deleteVariable)),
		at("/v1/status/leader", read(func(*Nomad, request) answer { return ok("127.0.0.1:4647", 0) })),
		at("/v1/agent/self", read(agentSelf)),
		at("/v1/acl/token/self", read(withoutACL)),
		at("/v1/acl/policy/self", read(withoutACL)),
		at("/v1/nodes", read(listNodes)),
		at("/v1/namespaces", read(listNamespaces)),
		at("/v1/namespace", write(registerNamespace)),
	}
}

func (n *Nomad) job(r request) *job { return n.jobs[key{r.namespace(), r.args["id"]}] }

func listJobs(n *Nomad, r request) answer {
	stubs := []*api.JobListStub{}
	for _, j := range n.sortedJobs() {
		if !r.seen(j.namespace) || !strings.HasPrefix(j.name, r.query.Get("prefix")) {
			continue
		}
		v := j.current()
		stubs = append(stubs, &api.JobListStub{
			ID: j.name, Name: *v.Name, Namespace: j.namespace, Datacenters: v.Datacenters, Type: *v.Type, Priority: *v.Priority,
			Stop: *v.Stop, Status: *v.Status, JobSummary: n.summary(j), CreateIndex: *v.CreateIndex, ModifyIndex: *v.ModifyIndex,
			JobModifyIndex: *v.JobModifyIndex, SubmitTime: *v.SubmitTime,
		})
	}
	return ok(stubs, n.tables[tableJobs])
}

func (n *Nomad) summary(j *job) *api.JobSummary {
	out := &api.JobSummary{
		JobID: j.name, Namespace: j.namespace, Summary: map[string]api.TaskGroupSummary{},
		CreateIndex: *j.current().CreateIndex, ModifyIndex: max(j.summaryIndex, *j.current().CreateIndex),
	}
	for _, group := range j.current().TaskGroups {
		var sum api.TaskGroupSummary
		for _, a := range n.allocs {
			if a.job != j || a.TaskGroup != *group.Name {
				continue
			}
			switch a.ClientStatus {
			case api.AllocClientStatusPending:
				sum.Starting++
			case api.AllocClientStatusRunning:
				sum.Running++
			case api.AllocClientStatusComplete:
				sum.Complete++
			case api.AllocClientStatusFailed:
				sum.Failed++
			case api.AllocClientStatusLost:
				sum.Lost++
			}
		}
		if j.blocked != nil && j.blocked.FailedTGAllocs[*group.Name] != nil {
			sum.Queued = j.blocked.FailedTGAllocs[*group.Name].CoalescedFailures + 1
		}
		out.Summary[*group.Name] = sum
	}
	return out
}

func readJob(n *Nomad, r request) answer {
	j := n.job(r)
	if j == nil {
		return missing("job", n.tables[tableJobs])
	}
	return ok(j.current(), *j.current().ModifyIndex)
}

func jobVersions(n *Nomad, r request) answer {
	j := n.job(r)
	if j == nil {
		return missing("job versions", n.tables[tableJobs])
	}
	index := uint64(0)
	for _, v := range j.versions {
		index = max(index, *v.ModifyIndex)
	}
	return ok(api.JobVersionsResponse{Versions: j.versions}, index)
}

func jobSubmission(n *Nomad, r request) answer {
	version, err := strconv.ParseUint(r.query.Get("version"), 10, 64)
	if err != nil {
		return refuse(http.StatusBadRequest, "Error parsing job submission version: %v", err)
	}
	j := n.job(r)
	if j == nil || j.submissions[version] == nil {
		return missing("job source", n.tables[tableJobs])
	}
	out := struct {
		*api.JobSubmission
		Namespace, JobID        string
		Version, JobModifyIndex uint64
	}{j.submissions[version], j.namespace, j.name, version, 0}
	if v := j.version(version); v != nil {
		out.JobModifyIndex = *v.JobModifyIndex
	}
	return ok(out, out.JobModifyIndex)
}

func jobAllocations(n *Nomad, r request) answer {
	return n.stubs(r, func(a *alloc) bool { return a.JobID == r.args["id"] && a.Namespace == r.namespace() })
}

func deploymentAllocations(n *Nomad, r request) answer {
	return n.stubs(r, func(a *alloc) bool { return a.DeploymentID == r.args["id"] })
}

func (n *Nomad) stubs(r request, wanted func(*alloc) bool) answer {
	stubs := []*api.AllocationListStub{}
	for _, a := range slices.Backward(n.allocs) {
		if wanted(a) {
			stub := a.Stub()
			if r.flag("resources") {
				stub.AllocatedResources = a.AllocatedResources
			}
			stubs = append(stubs, stub)
		}
	}
	return ok(stubs, n.tables[tableAllocs])
}

func jobDeployments(n *Nomad, r request) answer {
	out := []*api.Deployment{}
	for _, d := range slices.Backward(n.deployments) {
		if d.JobID == r.args["id"] && d.Namespace == r.namespace() {
			out = append(out, d)
		}
	}
	return ok(out, n.tables[tableDeployments])
}

func jobDeployment(n *Nomad, r request) answer {
	j := n.job(r)
	if j == nil {
		return ok(nil, n.tables[tableDeployments])
	}
	d := n.latest(j)
	if d == nil {
		return ok(nil, n.tables[tableDeployments])
	}
	return ok(d, d.ModifyIndex)
}

func jobEvaluations(n *Nomad, r request) answer {
	out := []*api.Evaluation{}
	for _, e := range slices.Backward(n.evals) {
		if e.JobID == r.args["id"] && e.Namespace == r.namespace() {
			out = append(out, e)
		}
	}
	return ok(out, n.tables[tableEvals])
}

func readDeployment(n *Nomad, r request) answer {
	if len(r.args["id"]) != 36 {
		return refuse(http.StatusInternalServerError, "deployment lookup failed: index error: UUID must be 36 characters")
	}
	d := n.deployment(r.args["id"])
	if d == nil {
		return missing("deployment", n.tables[tableDeployments])
	}
	return ok(d, d.ModifyIndex)
}

func readAlloc(n *Nomad, r request) answer {
	if len(r.args["id"]) != 36 {
		return refuse(http.StatusInternalServerError, "alloc lookup failed: index error: UUID must be 36 characters")
	}
	a := n.alloc(r.args["id"])
	if a == nil {
		return missing("alloc", n.tables[tableAllocs])
	}
	return ok(&a.Allocation, a.ModifyIndex)
}

func readChecks(n *Nomad, r request) answer {
	a := n.alloc(r.args["id"])
	if a == nil || a.ClientStatus == api.AllocClientStatusLost {
		return refuse(http.StatusNotFound, "Unknown allocation %q", r.args["id"])
	}
	return ok(n.checks(a), 0)
}

// registrations is every service registration that the request may see, in the order of placing.
func (n *Nomad) registrations(r request) []*api.ServiceRegistration {
	out := []*api.ServiceRegistration{}
	for _, a := range n.allocs {
		if r.seen(a.Namespace) {
			out = append(out, a.services...)
		}
	}
	return out
}

func listServices(n *Nomad, r request) answer {
	byNamespace := map[string]*api.ServiceRegistrationListStub{}
	out := []*api.ServiceRegistrationListStub{}
	stubs := map[key]*api.ServiceRegistrationStub{}
	for _, s := range n.registrations(r) {
		list := byNamespace[s.Namespace]
		if list == nil {
			list = &api.ServiceRegistrationListStub{Namespace: s.Namespace}
			byNamespace[s.Namespace] = list
			out = append(out, list)
		}
		stub := stubs[key{s.Namespace, s.ServiceName}]
		if stub == nil {
			stub = &api.ServiceRegistrationStub{ServiceName: s.ServiceName, Tags: []string{}}
			stubs[key{s.Namespace, s.ServiceName}] = stub
			list.Services = append(list.Services, stub)
		}
		for _, tag := range s.Tags {
			if !slices.Contains(stub.Tags, tag) {
				stub.Tags = append(stub.Tags, tag)
			}
		}
	}
	return ok(out, max(1, n.tables[tableServices]))
}

func readService(n *Nomad, r request) answer {
	out := []*api.ServiceRegistration{}
	for _, s := range n.registrations(r) {
		if s.ServiceName == r.args["name"] {
			out = append(out, s)
		}
	}
	return ok(out, max(1, n.tables[tableServices]))
}

func agentSelf(*Nomad, request) answer {
	return ok(api.AgentSelf{
		Config: map[string]any{"Region": api.GlobalRegion, "Datacenter": "dc1", "Version": map[string]any{"Version": "1.11.3"}},
		Member: api.AgentMember{Name: "sim.global", Status: "alive", Tags: map[string]string{"build": "1.11.3", "region": api.GlobalRegion}},
		Stats:  map[string]map[string]string{"nomad": {"server": "true", "leader": "true", "known_regions": "1"}},
	}, 0)
}

func listNodes(n *Nomad, _ request) answer {
	return ok([]*api.NodeListStub{{
		ID: n.node, Name: "sim", Address: "127.0.0.1", Datacenter: "dc1", NodePool: "default", Version: "1.11.3",
		Status: "ready", SchedulingEligibility: "eligible", CreateIndex: 1, ModifyIndex: 1,
	}}, 1)
}

// withoutACL is what a server answers whose ACLs are off.
func withoutACL(*Nomad, request) answer {
	return ok(api.ACLToken{AccessorID: "acls-disabled", Name: "ACLs disabled token", Type: "client"}, 0)
}
