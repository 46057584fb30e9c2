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

	mistakes []strategy.Mistake
	one      bool // only one release was asked for
}

// planned is what would happen to one release.
type planned struct {
	Release  string     `json:"release"`
	Change   planChange `json:"change"`
	Reason   string     `json:"reason"`
	From     string     `json:"from,omitempty"`
	To       string     `json:"to,omitempty"`
	Stages   []string   `json:"stages,omitempty"`
	Extra    int        `json:"extra_allocations,omitempty"`
	Warnings []string   `json:"warnings,omitempty"`
	Values   []setting  `json:"values,omitempty"`
	Nomad    *nomadPlan `json:"nomad,omitempty"`
}

// planChange is what a plan says of a release at a glance.
type planChange string

const (
	planNone    planChange = "none"
	planStarts  planChange = "starts"  // a rollout would begin
	planWaits   planChange = "waits"   // one is asked for, and something holds it
	planMoving  planChange = "moving"  // one is under way
	planProblem planChange = "problem" // it cannot be said, or Git asks for what cannot be done
)

// setting is an effective value, with where it was written.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// nomadPlan is what Nomad says it would do.
type nomadPlan struct {
	Diff     string   `json:"diff,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Unplaced []string `json:"unplaced,omitempty"`
	Problem  string   `json:"problem,omitempty"` // why it does not say
}

type mistake struct {
	Release string `json:"release,omitempty"`
	Path    string `json:"path"`
	Line    int    `json:"line"`
	Text    string `json:"text"`
}

// code is the exit code.
func (p *plan) code() int {
	switch {
	case p.Problems > 0:
		return 1
	case p.Changes > 0:
		return 2
	}
	return 0
}

// add puts a release into the plan.
func (p *plan) add(preview reconcile.Preview, origins policies.Origins) {
	next := preview.Next
	r := planned{Release: preview.Release, Change: planNone, Reason: preview.Reason.Text, Warnings: preview.Warnings}
	switch {
	case preview.Problem != "":
		r.Change, r.Reason = planProblem, preview.Problem
		p.Problems++
	case preview.Starts():
		r.Change = planStarts
		r.From, r.To = versionOf(next.Stable.Revision), next.Canary.Revision.String()
		r.Stages, r.Extra = stagesOf(preview), preview.Extra
		r.Values = settingsOf(preview.Desired, next, origins)
		for _, f := range next.Plan.Findings() {
			r.Warnings = append(r.Warnings, f.String())
		}
		if preview.Nomad != nil || preview.NomadProblem != "" {
			r.Nomad = &nomadPlan{Problem: preview.NomadProblem}
		}
		if n := preview.Nomad; n != nil {
			r.Nomad.Diff, r.Nomad.Warnings, r.Nomad.Unplaced = n.Diff, n.Warnings, n.Unplaced
		}
		p.Changes++
	case next.InMotion():
		r.Change, r.Reason, r.Extra = planMoving, next.Reason.Text, preview.Extra
		r.From, r.To = versionOf(next.Stable.Revision), versionOf(next.Canary.Revision)
		if next.Hold != nil {
			r.Change, r.Reason = planWaits, next.Hold.Reason.Text
		}
		p.Changes++
	case next.Hold != nil:
		r.Change, r.Reason = planWaits, next.Hold.Reason.Text
		p.Changes++
	}
	p.Releases = append(p.Releases, r)
}

func versionOf(r strategy.Revision) string {
	if r.IsZero() {
		return ""
	}
	return r.String()
}

// stagesOf is what the rollout would go through, a line each.
func stagesOf(p reconcile.Preview) []string {
	plan := p.Next.Plan
	var stages []string
	switch p.Next.Phase {
	case strategy.First:
		stages = append(stages, "place all allocations: there is nothing beside them yet")
		stages = append(stages, smokeStages(plan)...)
		return append(stages, fmt.Sprintf("all traffic, for %s", short(plan.Steps[len(plan.Steps)-1].Bake)))
	case strategy.Reversing:
		return []string{"it was live before: as many canaries as allocations", "all traffic when they are ready", "promote"}
	case strategy.Placing, strategy.Stepping, strategy.Standby, strategy.Promoting, strategy.Resting, strategy.Restoring, strategy.Blocked:
	}
	if group, ok := p.Desired.Job.Serving(p.Desired.Service); ok {
		live := group.Count
		if p.Live != nil && p.Live.Count > 0 {
			live = p.Live.Count
		}
		n := plan.Canaries.For(live, plan.Steps)
		stages = append(stages, fmt.Sprintf("place %s beside %s of group %q", count(n, "canary"), count(live, "allocation"), group.Name))
	}
	stages = append(stages, smokeStages(plan)...)
	for i, s := range plan.Steps {
		stage := fmt.Sprintf("%s for %s", s.Weight, short(s.Bake))
		if i < len(p.Arrives) && p.Arrives[i] != s.Weight {
			stage += fmt.Sprintf("; %s arrives, which is what the router can do", p.Arrives[i])
		}
		stages = append(stages, stage)
	}
	if plan.Standby > 0 {
		stages = append(stages, fmt.Sprintf("keep the old version beside it for %s: going back is instant", short(plan.Standby)))
	}
	return append(stages, fmt.Sprintf("promote, %s from the first step", short(plan.Bake()+plan.Standby)))
}

func smokeStages(plan strategy.Plan) []string {
	var stages []string
	for _, check := range plan.Smoke {
		stages = append(stages, fmt.Sprintf("smoke %q: %s", check.Name, smokeText(check)))
	}
	return stages
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
		add(fmt.Sprintf("smoke %q", check.Name), smokeText(check))
	}
	for _, g := range plan.Gates {
		add(fmt.Sprintf("gate %q", g.Name), gateText(g))
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

func smokeText(s strategy.Smoke) string {
	text := fmt.Sprintf("GET %s answers %d", s.Path, s.Status)
	if len(s.Header) > 0 {
		text += fmt.Sprintf(", with %s", count(len(s.Header), "header"))
	}
	if s.Body != "" {
		text += fmt.Sprintf(", body matches %q", s.Body)
	}
	text += " within " + short(s.Timeout)
	if s.Retries > 0 {
		text += ", " + count(s.Retries+1, "try")
	}
	return text
}

func gateText(g strategy.Gate) string {
	parts := []string{string(g.Metric)}
	if g.Quantile > 0 {
		parts[0] = fmt.Sprintf("%s p%g", g.Metric, g.Quantile*100)
	}
	if g.Query != nil {
		parts[0] = strings.Join(strings.Fields(g.Query.Text), " ")
		if g.Query.Exposure != "" {
			parts[0] += " of " + strings.Join(strings.Fields(g.Query.Exposure), " ")
		}
	}
	if g.Max != nil {
		parts = append(parts, "at most "+g.Max.Text)
	}
	if g.Min != nil {
		parts = append(parts, "at least "+g.Min.Text)
	}
	if g.MaxVsStable != nil {
		text := g.MaxVsStable.Text + " of stable"
		if strings.HasPrefix(g.MaxVsStable.Text, "+") {
			text = "stable " + g.MaxVsStable.Text
		}
		parts = append(parts, "at most "+text)
		parts = append(parts, promotionText(g)...)
	}
	if g.From > 0 {
		parts = append(parts, "from "+g.From.String())
	}
	if g.DryRun {
		parts = append(parts, "dry run")
	}
	return strings.Join(parts, ", ")
}

// promotionText is the margin that a gate is shown to be within before it passes, where it has one.
func promotionText(g strategy.Gate) []string {
	switch {
	case g.Metric == strategy.MetricErrorRate, g.Metric == strategy.MetricQuery && !g.Query.Instant:
		promote := g.MaxVsStable.Promotion()
		if g.Promote != nil {
			promote = *g.Promote
		}
		return []string{fmt.Sprintf("passes within %gx of stable + %gpp", promote.Ratio, promote.Plus*100)}
	case g.Promote != nil:
		return []string{"passes within " + g.Promote.Text + " of stable"}
	}
	return nil
}
