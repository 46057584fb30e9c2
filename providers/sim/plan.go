package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// The kinds of differences, in Nomad's words.
const (
	diffNone    = "None"
	diffAdded   = "Added"
	diffDeleted = "Deleted"
	diffEdited  = "Edited"
)

// planJob answers POST /v1/job/ID/plan: what an evaluation of the job would do to each group, and what changes in the job.
func planJob(n *Nomad, r request) answer {
	var req api.JobPlanRequest
	if bad := r.read(&req); bad != nil {
		return *bad
	}
	spec, bad := receive(r, req.Job)
	if bad != nil {
		return *bad
	}
	if *spec.ID != r.args["id"] {
		return refuse(http.StatusBadRequest, "Job ID does not match")
	}
	if problems := n.mistakes(spec); len(problems) > 0 {
		return refuse(http.StatusInternalServerError, "%s", multiError(problems))
	}
	resp := api.JobPlanResponse{Annotations: &api.PlanAnnotations{DesiredTGUpdates: map[string]*api.DesiredUpdates{}}}
	j := n.jobs[key{*spec.Namespace, *spec.ID}]
	var before *api.Job
	var d *api.Deployment
	version := uint64(0)
	if j == nil {
		j = &job{key: key{*spec.Namespace, *spec.ID}, versions: []*api.Job{spec}}
	} else {
		before = j.current()
		resp.JobModifyIndex, version = *before.JobModifyIndex, *before.Version
		d = n.latest(j)
		if !sameSpec(before, spec) {
			d = nil
			version++
		} else if d != nil && (d.JobVersion != version || d.Status != api.DeploymentStatusRunning && d.Status != api.DeploymentStatusFailed) {
			d = nil
		}
	}
	spec.Version = &version
	n.planGroups(j, spec, d, &resp)
	if req.Diff {
		resp.Diff = jobDiff(before, spec, resp.Annotations.DesiredTGUpdates)
	}
	return ok(resp, resp.JobModifyIndex)
}

// planGroups says what an evaluation would do to each group, and what there would be no room for.
func (n *Nomad) planGroups(j *job, spec *api.Job, d *api.Deployment, resp *api.JobPlanResponse) {
	room := n.cfg.Nodes - n.placed()
	for _, group := range spec.TaskGroups {
		s := n.settle(j, spec, d, group)
		resp.Annotations.DesiredTGUpdates[*group.Name] = &s.counts
		for range s.place {
			if room--; n.cfg.Nodes == 0 || room >= 0 {
				continue
			}
			if failed := resp.FailedTGAllocs[*group.Name]; failed != nil {
				failed.CoalescedFailures++
				continue
			}
			resp.FailedTGAllocs = withFailure(resp.FailedTGAllocs, *group.Name)
		}
	}
}

// jobDiff is what changes between two jobs; before is nil for a new one.
func jobDiff(before, after *api.Job, updates map[string]*api.DesiredUpdates) *api.JobDiff {
	old, now := shown(before), shown(after)
	for _, field := range []string{
		"Status", "StatusDescription", "Stable", "Version", "VersionTag", "SubmitTime", "CreateIndex", "ModifyIndex", "JobModifyIndex",
		"NomadTokenID", "TaskGroups", "ID",
	} {
		delete(old, field)
		delete(now, field)
	}
	diff := &api.JobDiff{ID: *after.ID, Type: diffNone}
	diff.Fields, diff.Objects = contents(old, now)
	changed := len(diff.Fields)+len(diff.Objects) > 0
	for _, group := range after.TaskGroups {
		var was *api.TaskGroup
		if before != nil {
			was = before.LookupTaskGroup(*group.Name)
		}
		g := groupDiff(was, group, before, after)
		g.Updates = updateCounts(updates[*group.Name])
		changed = changed || g.Type != diffNone
		diff.TaskGroups = append(diff.TaskGroups, g)
	}
	if before != nil {
		for _, group := range before.TaskGroups {
			if after.LookupTaskGroup(*group.Name) == nil {
				changed = true
				diff.TaskGroups = append(diff.TaskGroups, &api.TaskGroupDiff{Type: diffDeleted, Name: *group.Name})
			}
		}
	}
	switch {
	case before == nil:
		diff.Type = diffAdded
	case changed:
		diff.Type = diffEdited
	}
	return diff
}

func groupDiff(before, after *api.TaskGroup, oldJob, newJob *api.Job) *api.TaskGroupDiff {
	old, now := shown(before), shown(after)
	for _, field := range []string{"Name", "Tasks"} {
		delete(old, field)
		delete(now, field)
	}
	g := &api.TaskGroupDiff{Name: *after.Name, Type: diffNone}
	g.Fields, g.Objects = contents(old, now)
	changed := len(g.Fields)+len(g.Objects) > 0
	for _, t := range after.Tasks {
		var was *api.Task
		if before != nil {
			for _, o := range before.Tasks {
				if o.Name == t.Name {
					was = o
				}
			}
		}
		task := &api.TaskDiff{Name: t.Name, Type: diffNone}
		oldTask, newTask := shown(was), shown(t)
		delete(oldTask, "Name")
		delete(newTask, "Name")
		task.Fields, task.Objects = contents(oldTask, newTask)
		switch {
		case was == nil:
			task.Type, task.Annotations = diffAdded, []string{"forces create"}
		case len(task.Fields)+len(task.Objects) > 0:
			task.Type, task.Annotations = diffEdited, []string{"forces in-place update"}
			if destructive(oldJob, newJob, *after.Name) {
				task.Annotations = []string{"forces create/destroy update"}
			}
		}
		changed = changed || task.Type != diffNone
		g.Tasks = append(g.Tasks, task)
	}
	switch {
	case before == nil:
		g.Type = diffAdded
	case changed:
		g.Type = diffEdited
	}
	return g
}

// updateCounts is what is done to allocations, as the diff says it.
func updateCounts(u *api.DesiredUpdates) map[string]uint64 {
	counts := map[string]uint64{
		"ignore": u.Ignore, "create": u.Place, "migrate": u.Migrate, "destroy": u.Stop, "in-place update": u.InPlaceUpdate,
		"create/destroy update": u.DestructiveUpdate, "canary": u.Canary,
	}
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n == 0 })
	return counts
}

// shown is a part of a job as the API shows it; empty for nil.
func shown[T any](part *T) map[string]any {
	out := map[string]any{}
	if part == nil {
		return out
	}
	encoded, err := json.Marshal(part)
	if err != nil {
		return out
	}
	_ = json.Unmarshal(encoded, &out) // It was just encoded.
	return out
}

// contents compares two objects: their plain values, and the objects in them.
func contents(old, now map[string]any) (fields []*api.FieldDiff, objects []*api.ObjectDiff) {
	names := map[string]bool{}
	for name := range old {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, after := old[name], now[name]
		if equalJSON(before, after) {
			continue
		}
		_, wasObject := before.(map[string]any)
		_, isObject := after.(map[string]any)
		switch {
		case name == "Env" || name == "Meta":
			keyed, _ := contents(asObject(before), asObject(after))
			for _, f := range keyed {
				f.Name = name + "[" + f.Name + "]"
			}
			fields = append(fields, keyed...)
		case wasObject || isObject:
			o := &api.ObjectDiff{Name: name, Type: kindOf(before, after)}
			o.Fields, o.Objects = contents(asObject(before), asObject(after))
			objects = append(objects, o)
		case isList(before) || isList(after):
			items, more := contents(asObject(before), asObject(after))
			for _, f := range items {
				f.Name = name + "[" + f.Name + "]"
			}
			fields = append(fields, items...)
			for _, o := range more {
				o.Name = name
			}
			objects = append(objects, more...)
		default:
			fields = append(fields, &api.FieldDiff{Name: name, Type: kindOf(before, after), Old: valueText(before), New: valueText(after)})
		}
	}
	return fields, objects
}

func isList(value any) bool {
	_, is := value.([]any)
	return is
}

// asObject is an object, or a list by its indices.
func asObject(value any) map[string]any {
	switch value := value.(type) {
	case map[string]any:
		return value
	case []any:
		out := map[string]any{}
		for i, item := range value {
			out[fmt.Sprint(i)] = item
		}
		return out
	}
	return map[string]any{}
}

func kindOf(before, after any) string {
	switch {
	case before == nil || before == "":
		return diffAdded
	case after == nil || after == "":
		return diffDeleted
	}
	return diffEdited
}

// valueText is a plain value as the diff shows it.
func valueText(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case float64:
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprint(value)
}
