package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// plan is what drover plan shows, as it is printed with -json.
type plan struct {
	Releases []planned `json:"releases"`
	Changes  int       `json:"changes"`
	Problems int       `json:"problems"`
	Extra    int       `json:"extra_allocations"` // at the peak of all rollouts, no more at a time than the limits allow
	Mistakes []mistake `json:"mistakes,omitempty"`
	Unused   []unused  `json:"unused_policies,omitempty"`

	mistakes []strategy.Mistake
	one      bool // only one release was asked for
}

// planned is what would happen to one release.
type planned struct {
	reconcile.Foreseen
	Values []setting `json:"values,omitempty"`
}

// setting is an effective value, with where it was written.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

type mistake struct {
	Release string `json:"release,omitempty"`
	Path    string `json:"path"`
	Line    int    `json:"line"`
	Text    string `json:"text"`
}

// unused is a policy that no release refers to.
type unused struct {
	Policy  string           `json:"policy"`
	Path    string           `json:"path"`
	Line    int              `json:"line"`
	Finding strategy.Finding `json:"finding"`
}

// code is the exit code.
func (p *plan) code() int {
	switch {
	case p.Problems > 0, len(p.mistakes) > 0: // Not every mistake is of a release.
		return 1
	case p.Changes > 0:
		return 2
	}
	return 0
}

// add puts a release into the plan.
func (p *plan) add(preview reconcile.Preview, origins policies.Origins) {
	r := planned{Foreseen: preview.Foreseen()}
	switch r.Change {
	case reconcile.ForeseenProblem:
		p.Problems++
	case reconcile.ForeseenStarts:
		r.Values = settingsOf(preview.Desired, preview.Next, origins)
		p.Changes++
	case reconcile.ForeseenMoving, reconcile.ForeseenWaits:
		p.Changes++
	case reconcile.ForeseenNone:
	}
	p.Releases = append(p.Releases, r)
}

// settingsOf is every effective value of the release, with where it was written.
func settingsOf(d *strategy.Desired, next strategy.Rollout, origins policies.Origins) []setting {
	var all []setting
	add := func(name, value string, keys ...string) {
		from := policies.Origin{}
		for _, key := range append(keys, name) {
			if origin, ok := origins[key]; ok {
				from = origin
				break
			}
		}
		all = append(all, setting{name, value, from.String()})
	}
	given := func(name, value string) {
		if _, ok := origins[name]; ok {
			add(name, value)
		}
	}
	r, plan := d.Release, next.Plan
	add("version", r.Version)
	add("attempt", strconv.Itoa(r.Attempt))
	add("jobspec", r.Source.Path)
	given("policy", r.Policy)
	given("namespace", r.Source.Namespace)
	given("var_files", strings.Join(varFilesOf(r), ", "))
	given("variables", strings.Join(variableNames(r), ", "))
	if r.HoldAt != nil {
		add("hold_at", r.HoldAt.String())
	}
	router := r.Traffic.Router
	if router == "" {
		router = "the default one"
	}
	add("traffic.router", router)
	service := d.Service
	if r.Traffic.Service == "" {
		service += ", the only one"
	}
	add("traffic.service", service)
	addUsers(add, plan)
	add("strategy", string(plan.Kind))
	for i, s := range plan.Steps {
		add(fmt.Sprintf("step %d", i+1), fmt.Sprintf("%s for %s", s.Weight, short(s.Bake)), stepKey(plan, i), "step", "bake")
	}
	add("canaries", plan.Canaries.String())
	if plan.Kind == strategy.KindBlueGreen {
		add("standby", short(plan.Standby))
	}
	for _, check := range plan.Smoke {
		add(fmt.Sprintf("smoke %q", check.Name), reconcile.SmokeText(check))
	}
	for _, g := range plan.Gates {
		add(fmt.Sprintf("gate %q", g.Name), reconcile.GateText(g))
	}
	addJudgement(add, plan)
	add("max_duration", short(plan.MaxDuration))
	add("rollback.commit", string(plan.Rollback.Commit))
	add("rollback.issue", strconv.FormatBool(plan.Rollback.Issue))
	add("rollback.labels", strings.Join(plan.Rollback.Labels, ", "))
	drift := r.Drift
	if drift == "" {
		drift = strategy.DriftReport
	}
	add("drift", string(drift))
	return all
}

// addJudgement adds how the gates are judged, all together.
func addJudgement(add func(name, value string, keys ...string), plan strategy.Plan) {
	add("confidence", strconv.FormatFloat(confidence(plan)*100, 'g', -1, 64)+"%")
	add("on_inconclusive", string(cmp.Or(plan.OnInconclusive, strategy.ExtendBake)))
	add("early", strconv.FormatBool(plan.Early))
	for _, code := range slices.Sorted(maps.Keys(plan.Accepted)) {
		add("accept."+code, plan.Accepted[code])
	}
}

// addUsers adds what a plan says of the users' connections and sessions.
func addUsers(add func(name, value string, keys ...string), plan strategy.Plan) {
	if plan.Drain > 0 {
		add("traffic.connection_drain", short(plan.Drain))
	}
	if plan.Sticky {
		add("traffic.sessions", "sticky")
	}
	if s := plan.Shadow; s != nil {
		add("shadow", shadowText(*s), "shadow.percent")
		for _, g := range s.Gates {
			add(fmt.Sprintf("gate %q", g.Name), reconcile.GateText(g)+", on the copies")
		}
	}
}

// shadowText says which requests are copied to the canary.
func shadowText(s strategy.ShadowPlan) string {
	return fmt.Sprintf("copies of %s of %s to it for %s", s.Percent, strings.Join(s.Methods, ", "), reconcile.Short(s.Bake))
}

// stepKey is where a step of the plan was written: the last one of blue-green is the switch, which is said by its bake.
func stepKey(p strategy.Plan, step int) string {
	if p.Kind == strategy.KindBlueGreen && step == len(p.Steps)-1 {
		return "bake"
	}
	return "weights"
}

func varFilesOf(r strategy.Release) []string {
	return slices.DeleteFunc(slices.Clone(r.Files), func(path string) bool { return path == r.Path || path == r.Source.Path })
}

// variableNames are the names of the input variables. Their values stay where they are.
func variableNames(r strategy.Release) []string {
	var names []string
	for line := range strings.Lines(r.Source.Variables) {
		if name, _, ok := strings.Cut(line, " = "); ok && name != "version" {
			names = append(names, name)
		}
	}
	return names
}
