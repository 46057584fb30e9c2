package nomad

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// defaultProgressDeadline is Nomad's, for a group that names none.
const defaultProgressDeadline = 10 * time.Minute

// providerNomad is the provider of services that Nomad itself keeps.
const providerNomad = "nomad"

func jobType(job *api.Job) string { return cmp.Or(deref(job.Type), api.JobTypeService) }

// groupCount is how many allocations the group asks for, with Nomad's defaults.
func groupCount(group *api.TaskGroup) int {
	switch {
	case group.Count != nil:
		return *group.Count
	case group.Scaling != nil && group.Scaling.Min != nil:
		return int(*group.Scaling.Min)
	}
	return 1
}

// isScaled tells whether the count is an autoscaler's.
func isScaled(group *api.TaskGroup) bool {
	return group.Scaling != nil && (group.Scaling.Enabled == nil || *group.Scaling.Enabled)
}

// progressDeadline is the longest of the groups, each with what the job's own update block says.
func progressDeadline(job *api.Job) time.Duration {
	longest := time.Duration(0)
	for _, group := range job.TaskGroups {
		deadline := defaultProgressDeadline
		for _, update := range []*api.UpdateStrategy{job.Update, group.Update} {
			if update != nil && update.ProgressDeadline != nil {
				deadline = *update.ProgressDeadline
			}
		}
		longest = max(longest, deadline)
	}
	return cmp.Or(longest, defaultProgressDeadline)
}

// shutdownDelay is how long the tasks of the group go on after its services have left: what the group says, or one of its tasks.
func shutdownDelay(group *api.TaskGroup) time.Duration {
	longest := deref(group.ShutdownDelay)
	for _, task := range group.Tasks {
		longest = max(longest, task.ShutdownDelay)
	}
	return longest
}

// maxParallel is how many allocations of the group Nomad replaces at a time, with its default.
func maxParallel(job *api.Job, group *api.TaskGroup) int {
	n := 1
	for _, update := range []*api.UpdateStrategy{job.Update, group.Update} {
		if update != nil && update.MaxParallel != nil {
			n = *update.MaxParallel
		}
	}
	return n
}

// refusals are the reasons why Drover cannot release the job by canary.
func refusals(job *api.Job) []string {
	var why []string
	if t := jobType(job); t != api.JobTypeService {
		return append(why, fmt.Sprintf("jobs of type %s cannot be released progressively: Drover releases jobs of type service for now; register this one with nomad job run", t))
	}
	if job.IsPeriodic() || job.IsParameterized() {
		why = append(why, "periodic and parameterized jobs have no allocations of their own to release: register this one with nomad job run")
	}
	if job.IsMultiregion() {
		why = append(why, "the job has a multiregion block, which Drover does not release: write one release for each region")
	}
	if len(job.TaskGroups) == 0 {
		why = append(why, "the job has no group: add one with at least one task")
	}
	for _, group := range job.TaskGroups {
		why = append(why, groupRefusals(job, group)...)
	}
	return why
}

func groupRefusals(job *api.Job, group *api.TaskGroup) []string {
	var why []string
	name := deref(group.Name)
	for _, key := range sortedKeys(group.Volumes) {
		volume := group.Volumes[key]
		switch {
		case volume.PerAlloc:
			why = append(why, fmt.Sprintf("volume %q of group %q is per_alloc: a canary would need a volume of its own; use a shared one", key, name))
		case singleWriter(volume):
			why = append(why, fmt.Sprintf("volume %q of group %q has a single writer (%s): canary and stable cannot both mount it; use a multi-node access mode",
				key, name, volume.AccessMode))
		}
	}
	for _, update := range []*api.UpdateStrategy{job.Update, group.Update} {
		if update != nil && update.MaxParallel != nil && *update.MaxParallel == 0 {
			why = append(why, fmt.Sprintf("max_parallel = 0 in the update block for group %q turns deployments off: set it to 1 or more", name))
			break
		}
	}
	for _, service := range groupServices(group) {
		if provider := cmp.Or(service.Provider, api.ServiceProviderConsul); provider != providerNomad {
			why = append(why, fmt.Sprintf("service %q of group %q is of provider %q, whose routing Drover does not steer yet: set provider = \"nomad\"",
				serviceName(job, group, service), name, provider))
		}
	}
	return why
}

// singleWriter tells whether only one allocation can hold the volume to write.
func singleWriter(volume *api.VolumeRequest) bool {
	if volume.ReadOnly {
		return false
	}
	switch volume.AccessMode {
	case "single-node-writer", "single-node-single-writer", "multi-node-single-writer":
		return true
	}
	return false
}

// versionDeclared finds the declaration of the variable that Drover always passes.
var versionDeclared = regexp.MustCompile(`(?m)^\s*variable\s+"?version"?\s*\{`)

// warnings are what a person should know of the job before its release.
func warnings(job *api.Job, source strategy.JobSource) []string {
	var said []string
	if !versionDeclared.MatchString(source.Jobspec) && !strings.HasPrefix(strings.TrimSpace(source.Jobspec), "{") {
		said = append(said, fmt.Sprintf("%s declares no variable \"version\": the release's version changes nothing in the job", source.Path))
	}
	said = append(said, undeclared(source)...)
	for _, group := range job.TaskGroups {
		said = append(said, groupWarnings(job, group)...)
	}
	return said
}

var declaration = regexp.MustCompile(`(?m)^\s*variable\s+"?([^"\s{]+)"?\s*\{`)

// undeclared are the variables that the release sets and the jobspec does not know: most often they are mistyped.
func undeclared(source strategy.JobSource) []string {
	if strings.HasPrefix(strings.TrimSpace(source.Jobspec), "{") {
		return nil
	}
	var declared, said []string
	for _, match := range declaration.FindAllStringSubmatch(source.Jobspec, -1) {
		declared = append(declared, match[1])
	}
	for _, name := range variablesSet(source) {
		if name != "version" && !slices.Contains(declared, name) {
			said = append(said, fmt.Sprintf("the release sets the variable %q, which %s does not declare%s", name, source.Path, strategy.Meant(name, declared)))
		}
	}
	return said
}

func groupWarnings(job *api.Job, group *api.TaskGroup) []string {
	var said []string
	name := deref(group.Name)
	for _, port := range staticPorts(group) {
		said = append(said, fmt.Sprintf("group %q has the static port %s: a canary needs a node where it is free", name, port))
	}
	if groupCount(group) == 1 {
		said = append(said, fmt.Sprintf("group %q has count = 1: its one canary doubles it during a rollout", name))
	}
	var overridden []string
	for _, update := range []*api.UpdateStrategy{job.Update, group.Update} {
		if update == nil {
			continue
		}
		if update.Canary != nil && *update.Canary > 0 {
			overridden = appendNew(overridden, "canary")
		}
		if deref(update.AutoPromote) {
			overridden = appendNew(overridden, "auto_promote")
		}
		if deref(update.AutoRevert) {
			overridden = appendNew(overridden, "auto_revert")
		}
	}
	if len(overridden) > 0 {
		said = append(said, fmt.Sprintf("%s in the update block for group %q: Drover sets this itself, and promotes and rolls back by its own gates",
			strings.Join(overridden, ", "), name))
	}
	return said
}

func appendNew(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}

// staticPorts are the group's fixed ports, "label (number)".
func staticPorts(group *api.TaskGroup) []string {
	networks := append([]*api.NetworkResource(nil), group.Networks...)
	for _, task := range group.Tasks {
		if task.Resources != nil {
			networks = append(networks, task.Resources.Networks...)
		}
	}
	var ports []string
	for _, network := range networks {
		for _, port := range append(append([]api.Port(nil), network.ReservedPorts...), network.DynamicPorts...) {
			if port.Value > 0 {
				ports = append(ports, fmt.Sprintf("%q (%d)", port.Label, port.Value))
			}
		}
	}
	return ports
}

// groupServices are all services of a group, its tasks' included. A task's service names its task.
func groupServices(group *api.TaskGroup) []*api.Service {
	services := append([]*api.Service(nil), group.Services...)
	for _, task := range group.Tasks {
		for _, service := range task.Services {
			named := *service
			named.TaskName = cmp.Or(named.TaskName, task.Name)
			services = append(services, &named)
		}
	}
	return services
}

// serviceName is the name under which Nomad registers the service: its default and its own few placeholders filled in.
func serviceName(job *api.Job, group *api.TaskGroup, service *api.Service) string {
	jobName := cmp.Or(deref(job.Name), deref(job.ID))
	base := jobName + "-" + deref(group.Name)
	if service.TaskName != "" {
		base += "-" + service.TaskName
	}
	if service.Name == "" {
		return base
	}
	return strings.NewReplacer("${JOB}", jobName, "${TASKGROUP}", deref(group.Name), "${GROUP}", deref(group.Name),
		"${TASK}", service.TaskName, "${BASE}", base).Replace(service.Name)
}

// nomadServices are the names of the group's services that Nomad itself keeps.
func nomadServices(job *api.Job, group *api.TaskGroup) []string {
	var names []string
	for _, service := range groupServices(group) {
		if service.Provider == providerNomad {
			names = append(names, serviceName(job, group, service))
		}
	}
	return names
}

// withChecks are the services of the group that have a check which decides about readiness.
func withChecks(job *api.Job, group *api.TaskGroup) []string {
	var names []string
	for _, service := range groupServices(group) {
		decides := func(c api.ServiceCheck) bool { return c.OnUpdate != "ignore" }
		if service.Provider == providerNomad && slices.ContainsFunc(service.Checks, decides) {
			names = append(names, serviceName(job, group, service))
		}
	}
	return names
}

// servingGroup is the group that has the service, with the service; the first group when none is asked for.
func servingGroup(job *api.Job, name string) (*api.TaskGroup, *api.Service) {
	for _, group := range job.TaskGroups {
		for _, service := range groupServices(group) {
			if name != "" && serviceName(job, group, service) == name {
				return group, service
			}
		}
	}
	if len(job.TaskGroups) == 0 {
		return nil, nil
	}
	return job.TaskGroups[0], nil
}

// routerCheck is the first check of the service that a router can run too; nil when it has none.
func routerCheck(service *api.Service) *strategy.Check {
	if service == nil {
		return nil
	}
	for _, check := range service.Checks {
		if (check.Type == "http" || check.Type == "tcp") && ofTraffic(service, check) {
			return &strategy.Check{Type: check.Type, Path: check.Path, Interval: check.Interval, Timeout: check.Timeout}
		}
	}
	return nil
}

// ofTraffic tells whether a check asks what users ask, in a way that is said by its path: where it has a port of its own, or
// needs more than that, an answer to the path alone says nothing.
func ofTraffic(service *api.Service, check api.ServiceCheck) bool {
	plain := (check.Method == "" || check.Method == http.MethodGet) && (check.Protocol == "" || check.Protocol == "http") && len(check.Header) == 0 && check.Body == ""
	same := (check.PortLabel == "" || check.PortLabel == service.PortLabel) && (check.AddressMode == "" || check.AddressMode == service.AddressMode)
	return plain && same && check.OnUpdate != "ignore"
}
