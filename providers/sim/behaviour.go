package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// DemoBehaviour follows the conventions of the demo service: a version that ends in "-crash" crashes, one that ends
// in "-sick" never gets healthy, 1.2.0 answers eight of a hundred requests with an error, 1.3.0 is slow. Everything
// else is sound.
func DemoBehaviour(t Task) Behaviour {
	b := Behaviour{Latency: Latency{Median: 6 * time.Millisecond, Sigma: 0.35}}
	switch {
	case strings.HasSuffix(t.Version, "-crash"):
		b.Crash = true
	case strings.HasSuffix(t.Version, "-sick"):
		b.Sick = true
	case t.Version == "1.2.0":
		b.ErrorRate = 0.08
	case t.Version == "1.3.0":
		b.Latency = Latency{Median: 250 * time.Millisecond, Sigma: 0.45}
	}
	return b
}

// taskOf reads a task as behaviors see it.
func taskOf(job *api.Job, group string, t *api.Task) Task {
	out := Task{Job: *job.ID, Group: group, Name: t.Name, Driver: t.Driver, Env: t.Env, Version: t.Env["VERSION"]}
	if command, ok := t.Config["command"]; ok {
		out.Command = fmt.Sprint(command)
	}
	switch args := t.Config["args"].(type) {
	case []any:
		for _, a := range args {
			out.Args = append(out.Args, fmt.Sprint(a))
		}
	case []string:
		out.Args = args
	}
	for i, a := range out.Args {
		name, value, joined := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-"), "=")
		switch {
		case name != "version" || !strings.HasPrefix(a, "-"):
		case joined:
			out.Version = value
		case i+1 < len(out.Args):
			out.Version = out.Args[i+1]
		}
	}
	return out
}

// behaviourOf is how an allocation behaves: its tasks together.
func (n *Nomad) behaviourOf(a *alloc) Behaviour {
	var all Behaviour
	group := a.Job.LookupTaskGroup(a.TaskGroup)
	for i, t := range group.Tasks {
		task := taskOf(a.Job, a.TaskGroup, t)
		task.Placed = a.placed
		b := n.behaviour(task)
		all.Crash = all.Crash || b.Crash
		all.Sick = all.Sick || b.Sick
		all.StartDelay = max(all.StartDelay, b.StartDelay)
		if i == 0 || b.Latency.Median > all.Latency.Median {
			all.Latency = b.Latency
		}
		all.ErrorRate = max(all.ErrorRate, b.ErrorRate)
		for gate, answer := range b.Queries {
			if all.Queries == nil {
				all.Queries = map[string]float64{}
			}
			all.Queries[gate] = max(all.Queries[gate], answer)
		}
	}
	return all
}

// versionOf is the version an allocation runs, "" when none of its tasks says.
func versionOf(a *alloc) string {
	for _, t := range a.Job.LookupTaskGroup(a.TaskGroup).Tasks {
		if v := taskOf(a.Job, a.TaskGroup, t).Version; v != "" {
			return v
		}
	}
	return ""
}
