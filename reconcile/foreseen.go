package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Foreseen is a preview as people are told of it, on the command line and on pull requests.
type Foreseen struct {
	Release  string             `json:"release"`
	Change   ForeseenChange     `json:"change"`
	Reason   string             `json:"reason"`
	From     string             `json:"from,omitempty"`
	To       string             `json:"to,omitempty"`
	Strategy string             `json:"strategy,omitempty"` // in short, of a rollout that would begin
	About    time.Duration      `json:"-"`                  // that it takes when nothing holds it
	Stages   []string           `json:"stages,omitempty"`
	Extra    int                `json:"extra_allocations,omitempty"`
	Beside   int                `json:"-"` // those that serve now
	Warnings []string           `json:"warnings,omitempty"`
	Findings []strategy.Finding `json:"findings,omitempty"`
	Nomad    *NomadForesees     `json:"nomad,omitempty"`
}

// ForeseenChange is what a preview says of a release at a glance.
type ForeseenChange string

// The changes.
const (
	ForeseenNone    ForeseenChange = "none"
	ForeseenStarts  ForeseenChange = "starts"  // a rollout would begin
	ForeseenWaits   ForeseenChange = "waits"   // one is asked for, and something holds it
	ForeseenMoving  ForeseenChange = "moving"  // one is under way
	ForeseenProblem ForeseenChange = "problem" // it cannot be said, or Git asks for what cannot be done
)

// NomadForesees is what Nomad says it would do.
type NomadForesees struct {
	Diff     string   `json:"diff,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Unplaced []string `json:"unplaced,omitempty"`
	Problem  string   `json:"problem,omitempty"` // why it does not say
}

// Foreseen puts the preview into words.
func (p Preview) Foreseen() Foreseen {
	next := p.Next
	f := Foreseen{Release: p.Release, Change: ForeseenNone, Reason: p.Reason.Text, Warnings: p.Warnings}
	if p.Live != nil {
		f.Beside = p.Live.Count
	}
	switch {
	case p.Problem != "":
		f.Change, f.Reason = ForeseenProblem, p.Problem
	case p.Starts():
		f.Change = ForeseenStarts
		f.From, f.To = versionText(next.Stable.Revision), next.Canary.Revision.String()
		f.Strategy, f.About = p.strategyText()
		f.Stages, f.Extra = p.stages(), p.Extra
		f.Findings = p.Findings
		if p.Nomad != nil || p.NomadProblem != "" {
			f.Nomad = &NomadForesees{Problem: p.NomadProblem}
		}
		if n := p.Nomad; n != nil {
			f.Nomad.Diff, f.Nomad.Warnings, f.Nomad.Unplaced = n.Diff, n.Warnings, n.Unplaced
		}
	case next.InMotion():
		f.Change, f.Reason, f.Extra = ForeseenMoving, next.Reason.Text, p.Extra
		f.From, f.To = versionText(next.Stable.Revision), versionText(next.Canary.Revision)
		if next.Hold != nil {
			f.Change, f.Reason = ForeseenWaits, next.Hold.Reason.Text
		}
	case next.Hold != nil:
		f.Change, f.Reason = ForeseenWaits, next.Hold.Reason.Text
	}
	return f
}

func versionText(r strategy.Revision) string {
	if r.IsZero() {
		return ""
	}
	return r.String()
}

// strategyText is how a rollout that would begin goes, in short, and how long it takes when nothing holds it.
func (p Preview) strategyText() (text string, about time.Duration) {
	plan := p.Next.Plan
	switch p.Next.Phase {
	case strategy.First:
		return "all traffic at once: nothing runs yet", plan.Steps[len(plan.Steps)-1].Bake
	case strategy.Reversing:
		return "back at once: it was live before", 0
	case strategy.Placing, strategy.Stepping, strategy.Standby, strategy.Promoting, strategy.Resting, strategy.Restoring, strategy.Blocked:
	}
	return plan.KindText() + " " + plan.Weights(), plan.Bake() + plan.Standby
}

// stages is what the rollout would go through, a line each.
func (p Preview) stages() []string {
	plan := p.Next.Plan
	var stages []string
	switch p.Next.Phase {
	case strategy.First:
		stages = append(stages, "place all allocations: there is nothing beside them yet")
		stages = append(stages, smokeStages(plan)...)
		return append(stages, fmt.Sprintf("all traffic, for %s", Short(plan.Steps[len(plan.Steps)-1].Bake)))
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
		stages = append(stages, fmt.Sprintf("place %s beside %s of group %q", Count(n, "canary"), Count(live, "allocation"), group.Name))
	}
	stages = append(stages, smokeStages(plan)...)
	if s := plan.Shadow; s != nil {
		stages = append(stages, fmt.Sprintf("copies of %s of %s to it for %s; users see nothing of it", s.Percent, strings.Join(s.Methods, ", "), Short(s.Bake)))
	}
	for i, s := range plan.Steps {
		stage := fmt.Sprintf("%s for %s", s.Weight, Short(s.Bake))
		if i < len(p.Arrives) && p.Arrives[i] != s.Weight {
			stage += fmt.Sprintf("; %s arrives, which is what the router can do", p.Arrives[i])
		}
		stages = append(stages, stage)
	}
	if plan.Standby > 0 {
		stages = append(stages, fmt.Sprintf("keep the old version beside it for %s: going back is instant", Short(plan.Standby)))
	}
	return append(stages, fmt.Sprintf("promote, %s from the first step", Short(plan.Bake()+plan.Standby)))
}

func smokeStages(plan strategy.Plan) []string {
	var stages []string
	for _, check := range plan.Smoke {
		stages = append(stages, fmt.Sprintf("smoke %q: %s", check.Name, SmokeText(check)))
	}
	return stages
}

// SmokeText is a smoke check as people say it.
func SmokeText(s strategy.Smoke) string {
	text := fmt.Sprintf("GET %s answers %d", s.Path, s.Status)
	if len(s.Header) > 0 {
		text += fmt.Sprintf(", with %s", Count(len(s.Header), "header"))
	}
	if s.Body != "" {
		text += fmt.Sprintf(", body matches %q", s.Body)
	}
	text += " within " + Short(s.Timeout)
	if s.Retries > 0 {
		text += ", " + Count(s.Retries+1, "try")
	}
	return text
}

// GateText is a gate as people say it, without its name.
func GateText(g strategy.Gate) string {
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
	if g.By != "" {
		parts = append(parts, "by "+g.By)
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

// Count is a number of things: "1 release", "2 releases".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok && !strings.HasSuffix(stem, "a") && !strings.HasSuffix(stem, "e") {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Short is a duration without the parts that are zero: "5m", "1h30m".
func Short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
