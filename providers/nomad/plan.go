package nomad

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Plan asks Nomad what a registration would do, and changes nothing. strategy.ErrRefused says that the token may not ask:
// that of a workload before Nomad 2.0.4, or one without submit-job. strategy.ErrInvalid says that Nomad does not accept the
// spec.
func (c *Cluster) Plan(ctx context.Context, r strategy.Registration) (strategy.JobPlan, error) {
	failed := func(err error) (strategy.JobPlan, error) {
		return strategy.JobPlan{}, fmt.Errorf("plan job %s: %w", r.Job, err)
	}
	all, err := c.history(ctx, r.Job)
	if err != nil {
		return failed(err)
	}
	doc, _, err := c.spec(ctx, r, all)
	if err != nil {
		return failed(err)
	}
	if err := prepare(doc, r, all); err != nil {
		return failed(err)
	}
	var answer api.JobPlanResponse
	request := map[string]any{"Job": doc, "Diff": true}
	if _, err := c.client.Raw().Write(jobPath(r.Job.ID, "/plan"), request, &answer, write(ctx, r.Job.Namespace)); err != nil {
		body := bodyOf(err)
		switch {
		case statusOf(err) == http.StatusForbidden, strings.Contains(body, "acl token lookup failed"):
			return failed(fmt.Errorf("%w: %s", strategy.ErrRefused, body))
		case rejected.MatchString(body), statusOf(err) == http.StatusBadRequest:
			return failed(fmt.Errorf("%w: %s", strategy.ErrInvalid, flatten(body)))
		}
		return failed(err)
	}
	plan := strategy.JobPlan{Diff: diffText(answer.Diff)}
	for warning := range strings.Lines(answer.Warnings) {
		if said := strings.TrimSpace(warning); said != "" {
			plan.Warnings = append(plan.Warnings, strings.TrimPrefix(said, "* "))
		}
	}
	for _, group := range sortedKeys(answer.FailedTGAllocs) {
		plan.Unplaced = append(plan.Unplaced, placementFailure(group, answer.FailedTGAllocs[group]))
	}
	return plan, nil
}

// differ writes a diff as `nomad job plan` does, but for the colours and for what did not change.
type differ struct{ strings.Builder }

// diffText is the diff for people; "" when nothing changes.
func diffText(diff *api.JobDiff) string {
	if diff == nil || diff.Type == diffNone {
		return ""
	}
	var d differ
	d.line(0, diff.Type, fmt.Sprintf("Job: %q", diff.ID))
	if diff.Type == "Edited" {
		d.contents(0, diff.Fields, diff.Objects)
	}
	for _, group := range diff.TaskGroups {
		d.group(group)
	}
	return strings.TrimRight(d.String(), "\n")
}

// What Nomad calls a part of a diff that does not change.
const diffNone = "None"

// markOf is what stands before a line of the diff.
func markOf(kind string) string {
	switch kind {
	case "Added":
		return "+"
	case "Deleted":
		return "-"
	case "Edited":
		return "+/-"
	}
	return " "
}

func (d *differ) line(depth int, kind, text string) {
	fmt.Fprintf(d, "%s%-3s %s\n", strings.Repeat("  ", depth), markOf(kind), text)
}

func (d *differ) group(g *api.TaskGroupDiff) {
	if g.Type == diffNone && len(g.Updates) == 0 {
		return
	}
	text := fmt.Sprintf("Task Group: %q", g.Name)
	var updates []string
	for _, kind := range sortedKeys(g.Updates) {
		updates = append(updates, fmt.Sprintf("%d %s", g.Updates[kind], kind))
	}
	if len(updates) > 0 {
		text += " (" + strings.Join(updates, ", ") + ")"
	}
	d.line(0, g.Type, text)
	if g.Type == "Edited" {
		d.contents(0, g.Fields, g.Objects)
	}
	for _, task := range g.Tasks {
		if task.Type == diffNone {
			continue
		}
		d.line(1, task.Type, fmt.Sprintf("Task: %q%s", task.Name, annotations(task.Annotations)))
		if task.Type == "Edited" {
			d.contents(1, task.Fields, task.Objects)
		}
	}
}

// contents are the fields and objects that change. Those of a job, group or task that is new or gone as a whole are left
// out: all of them are, with every default.
func (d *differ) contents(depth int, fields []*api.FieldDiff, objects []*api.ObjectDiff) {
	for _, f := range fields {
		if f.Type == diffNone {
			continue
		}
		value := fmt.Sprintf("%q => %q", f.Old, f.New)
		switch f.Type {
		case "Added":
			value = fmt.Sprintf("%q", f.New)
		case "Deleted":
			value = fmt.Sprintf("%q", f.Old)
		}
		d.line(depth+1, f.Type, fmt.Sprintf("%s: %s%s", f.Name, value, annotations(f.Annotations)))
	}
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, func(a, b *api.ObjectDiff) int { return cmp.Compare(a.Name, b.Name) })
	for _, o := range sorted {
		if o.Type == diffNone {
			continue
		}
		d.line(depth+1, o.Type, o.Name+" {")
		d.contents(depth+1, o.Fields, o.Objects)
		d.line(depth+1, diffNone, "}")
	}
}

func annotations(said []string) string {
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, ", ") + ")"
}
