package sim

import (
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// servicesOf is the services of an allocation that Nomad itself keeps, with the task that each belongs to, "" for the group.
func servicesOf(a *alloc) (services []*api.Service, tasks []string) {
	group := a.group()
	for _, s := range group.Services {
		services, tasks = append(services, s), append(tasks, "")
	}
	for _, t := range group.Tasks {
		for _, s := range t.Services {
			services, tasks = append(services, s), append(tasks, t.Name)
		}
	}
	return services, tasks
}

// registerServices makes the registrations of a running allocation, and brings those it has up to date: a canary
// carries its canary tags in place of the others.
func (n *Nomad) registerServices(a *alloc) {
	services, tasks := servicesOf(a)
	var now []*api.ServiceRegistration
	for i, s := range services {
		if s.Provider == providerNomad {
			now = append(now, registration(a, s, tasks[i]))
		}
	}
	before := a.services
	a.services = now
	if slices.EqualFunc(before, now, func(x, y *api.ServiceRegistration) bool { return x.ID == y.ID && slices.Equal(x.Tags, y.Tags) }) {
		a.services = before
		return
	}
	index := n.touch(tableServices)
	for _, r := range now {
		r.CreateIndex, r.ModifyIndex = index, index
		for _, old := range before {
			if old.ID == r.ID {
				r.CreateIndex = old.CreateIndex
			}
		}
	}
	n.emitServices(now, eventServiceRegistered, index)
}

// registration is that of one service, whose owner is a task, or "" for the group.
func registration(a *alloc, s *api.Service, task string) *api.ServiceRegistration {
	tags, owner := s.Tags, task
	if a.canary() && len(s.CanaryTags) > 0 {
		tags = s.CanaryTags
	}
	if owner == "" {
		owner = "group-" + a.TaskGroup
	}
	r := &api.ServiceRegistration{
		ID:          fmt.Sprintf("_nomad-task-%s-%s-%s-%s", a.ID, owner, s.Name, s.PortLabel),
		ServiceName: s.Name, Namespace: a.Namespace, NodeID: a.NodeID, Datacenter: "dc1", JobID: a.JobID, AllocID: a.ID,
		Tags: append([]string{}, tags...), Address: s.Address,
	}
	if p, ok := a.port(s.PortLabel); ok {
		r.Port = p.Value
		if r.Address == "" {
			r.Address = p.HostIP
		}
	}
	return r
}

func (n *Nomad) deregisterServices(a *alloc) {
	if len(a.services) > 0 {
		gone := a.services
		a.services = nil
		n.emitServices(gone, eventServiceDeregistered, n.touch(tableServices))
	}
}

// checks is what the client says of the checks of an allocation's services.
func (n *Nomad) checks(a *alloc) api.AllocCheckStatuses {
	out := api.AllocCheckStatuses{}
	if !a.running() {
		return out
	}
	services, tasks := servicesOf(a)
	for i, s := range services {
		if s.Provider != providerNomad {
			continue
		}
		for c, check := range s.Checks {
			status := api.AllocCheckStatus{
				ID: fmt.Sprintf("%s%02x%02x", a.ID[:8], i, c), Check: check.Name, Group: a.Name, Mode: "healthiness",
				Service: s.Name, Task: tasks[i], Timestamp: n.now.Unix(),
			}
			switch {
			case n.passing(a):
				status.Status, status.Output, status.StatusCode = "success", "nomad: http ok", 200
			case a.sick:
				status.Status, status.Output, status.StatusCode = "failure", "sick", 503
			default:
				status.Status, status.Output = "failure", "connection refused"
			}
			if check.Type == "tcp" {
				status.StatusCode = 0
			}
			out[status.ID] = status
		}
	}
	return out
}
