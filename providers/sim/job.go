package sim

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// trackedVersions is how many versions of a job without a tag are kept.
const trackedVersions = 6

const (
	providerNomad = "nomad"
	statusPending = "pending"
	statusRunning = "running"
	statusDead    = "dead"
)

// job is a job with its versions.
type job struct {
	key
	versions     []*api.Job // the newest first
	submissions  map[uint64]*api.JobSubmission
	summaryIndex uint64
	blocked      *api.Evaluation // that waits for room
	purged       bool
}

func (j *job) current() *api.Job { return j.versions[0] }

func (j *job) version(number uint64) *api.Job {
	for _, v := range j.versions {
		if *v.Version == number {
			return v
		}
	}
	return nil
}

// sortedJobs is every job, in the order of their names.
func (n *Nomad) sortedJobs() []*job {
	var out []*job
	for _, j := range n.jobs {
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b *job) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.namespace, b.namespace)) })
	return out
}

// clone copies a job to its last pointer.
func clone(j *api.Job) *api.Job {
	// A job came from JSON, so it goes there and back.
	encoded, err := json.Marshal(j)
	if err != nil {
		panic("sim: a job cannot be encoded: " + err.Error())
	}
	var out api.Job
	if err := json.Unmarshal(encoded, &out); err != nil {
		panic("sim: a job cannot be decoded: " + err.Error())
	}
	return &out
}

// addVersion makes spec the current version of a job.
func (n *Nomad) addVersion(j *job, spec *api.Job, submission *api.JobSubmission) {
	version, created := uint64(0), n.index+1
	if len(j.versions) > 0 {
		version, created = *j.current().Version+1, *j.current().CreateIndex
	}
	index := n.touch(tableJobs)
	submitted, modified := n.now.UnixNano(), index
	spec.Version, spec.CreateIndex, spec.ModifyIndex, spec.JobModifyIndex = &version, &created, &index, &modified
	spec.SubmitTime = &submitted
	spec.VersionTag = nil
	stable := false
	spec.Stable = &stable
	j.versions = slices.Insert(j.versions, 0, spec)
	if submission != nil {
		j.submissions[version] = submission
	}
	j.forget()
	kind := eventRegistered
	if spec.Stop != nil && *spec.Stop {
		kind = eventDeregistered
	}
	n.emit(j, kind, index)
	n.settleStatus(j)
}

// forget drops the oldest version that has no tag when there are too many, but not the newest stable one.
func (j *job) forget() {
	var untagged []*api.Job
	for _, v := range j.versions {
		if v.VersionTag == nil {
			untagged = append(untagged, v)
		}
	}
	if len(untagged) <= trackedVersions {
		return
	}
	stable := slices.IndexFunc(j.versions, func(v *api.Job) bool { return *v.Stable })
	drop := untagged[len(untagged)-1]
	if stable >= 0 && j.versions[stable] == drop {
		drop = untagged[len(untagged)-2]
	}
	delete(j.submissions, *drop.Version)
	j.versions = slices.DeleteFunc(j.versions, func(v *api.Job) bool { return v == drop })
}

// changedJob marks a version as changed, its spec not.
func (n *Nomad) changedJob(v *api.Job) {
	index := n.touch(tableJobs)
	v.ModifyIndex = &index
}

// settleStatus works out whether a job is pending, running or dead.
func (n *Nomad) settleStatus(j *job) {
	spec := j.current()
	status := statusDead
	if !*spec.Stop {
		status = statusPending
	}
	for _, a := range n.allocs {
		if a.job == j && !a.clientTerminal() {
			status = statusRunning
		}
	}
	if status == statusPending && *spec.Version > 0 {
		status = statusRunning
	}
	if spec.Status == nil || *spec.Status != status {
		spec.Status = &status
		n.changedJob(spec)
		n.emit(j, eventPlan, *spec.ModifyIndex)
	}
}

// complete fills in what Nomad's server adds to a job at registration.
func complete(spec *api.Job) {
	spec.Canonicalize()
	if len(spec.Datacenters) == 0 {
		spec.Datacenters = []string{"*"}
	}
	if *spec.NodePool == "" {
		spec.NodePool = new("default")
	}
	for _, group := range spec.TaskGroups {
		services := slices.Clone(group.Services)
		for _, t := range group.Tasks {
			services = append(services, t.Services...)
		}
		native := false
		for _, s := range services {
			native = native || s.Provider == providerNomad
			for i := range s.Checks {
				if s.Checks[i].Name == "" {
					s.Checks[i].Name = "service: \"" + s.Name + "\" check"
				}
			}
		}
		if native {
			constrain(group, &api.Constraint{LTarget: "${attr.nomad.service_discovery}", RTarget: "true", Operand: "="})
			constrain(group, &api.Constraint{LTarget: "${attr.nomad.version}", RTarget: ">= 1.4.0", Operand: "semver"})
		}
	}
}

func constrain(group *api.TaskGroup, c *api.Constraint) {
	if !slices.ContainsFunc(group.Constraints, func(have *api.Constraint) bool { return *have == *c }) {
		group.Constraints = append(group.Constraints, c)
	}
}

// sameSpec tells whether two completed jobs ask for the same, so that registering the one over the other is nothing
// to do.
func sameSpec(a, b *api.Job) bool {
	bare := func(j *api.Job) *api.Job {
		out := clone(j)
		out.Status, out.StatusDescription, out.Stable, out.Version, out.VersionTag = nil, nil, nil, nil, nil
		out.SubmitTime, out.CreateIndex, out.ModifyIndex, out.JobModifyIndex, out.NomadTokenID = nil, nil, nil, nil, nil
		return out
	}
	return equalJSON(bare(a), bare(b))
}

// destructive tells whether going from one version of a group to another needs new allocations. Priority, services,
// checks, update blocks and counts are changed in place.
func destructive(from, to *api.Job, group string) bool {
	return !equalJSON(essence(from, group), essence(to, group))
}

// essence is what cannot be changed in place.
func essence(j *api.Job, name string) any {
	group := j.LookupTaskGroup(name)
	type task struct {
		Name, Driver, User string
		Config             map[string]any
		Env, Meta          map[string]string
		Resources          *api.Resources
		Templates          []*api.Template
		Artifacts          []*api.TaskArtifact
		Vault              *api.Vault
		VolumeMounts       []*api.VolumeMount
		Lifecycle          *api.TaskLifecycle
	}
	var tasks []task
	for _, t := range group.Tasks {
		tasks = append(tasks, task{
			Name: t.Name, Driver: t.Driver, User: t.User, Config: t.Config, Env: t.Env, Meta: t.Meta, Resources: t.Resources,
			Templates: t.Templates, Artifacts: t.Artifacts, Vault: t.Vault, VolumeMounts: t.VolumeMounts, Lifecycle: t.Lifecycle,
		})
	}
	return []any{
		j.Meta, group.Meta, group.Networks, group.EphemeralDisk, group.Volumes, group.Affinities, j.Affinities,
		group.Spreads, j.Spreads, tasks,
	}
}

// equalJSON compares what the API would show.
func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil {
		return reflect.DeepEqual(a, b)
	}
	return string(x) == string(y)
}
