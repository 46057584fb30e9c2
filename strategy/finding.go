package strategy

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Finding is something about a plan that people may regret: it is no mistake, and may be meant. Its code is for machines, and
// to accept it by.
type Finding struct {
	Code   string `json:"code"`
	Text   string `json:"text"` // what it is, and what may come of it
	Remedy string `json:"remedy"`
}

// String is the finding in one line, with how to mend and how to accept it.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s; to mend it, %s; to accept it, write accept = { %s = \"why\" }", f.Code, f.Text, f.Remedy, f.Code)
}

// FindingUnanswered is of a gate that gets no answer from the metrics for what is live.
const FindingUnanswered = "DRV030"

// findingCodes are all the codes there are, with what they are about.
var findingCodes = map[string]string{
	"DRV010": "no gate",
	"DRV011": "no gate that can fail",
	"DRV012": "bakes too short for the gates",
	"DRV013": "a first step above 5%",
	"DRV014": "gates that are never asked",
	"DRV015": "unproven versions are promoted",
	"DRV016": "the revert is not written to Git",
	"DRV017": "no readiness check",
	"DRV018": "too little traffic for the gates",
	"DRV019": "one canary among several allocations",
	"DRV020": "groups that run twice",
	"DRV021": "scaling is blocked",
	"DRV022": "nothing to go back to",
	"DRV023": "a policy that nobody uses",
	"DRV024": "no shutdown_delay, and a router that learns late",

	FindingUnanswered: "gates that the metrics do not answer",
}

// FindingCodes is every code, sorted.
func FindingCodes() []string { return slices.Sorted(maps.Keys(findingCodes)) }

const (
	// cautiousStart is the first weight that few people would notice.
	cautiousStart = 5
	// fewestWindows is how many readings a bake should have, so that two of them can decide within it.
	fewestWindows = 4
)

// sayer notes a finding.
type sayer func(code, remedy, text string, args ...any)

// sayerTo notes findings in a list, save those that were accepted.
func sayerTo(all *[]Finding, accepted map[string]string) sayer {
	return func(code, remedy, text string, args ...any) {
		if _, meant := accepted[code]; !meant {
			*all = append(*all, Finding{Code: code, Text: fmt.Sprintf(text, args...), Remedy: remedy})
		}
	}
}

// Findings is what is to be said about a plan, save what was accepted. Nothing in it depends on the job or the cluster.
func (p Plan) Findings() []Finding { return p.findings(0) }

// findings are those of a plan whose counts are read so often; 0 is at any time.
func (p Plan) findings(every time.Duration) []Finding {
	var all []Finding
	say := sayerTo(&all, p.Accepted)
	if len(p.Gates) == 0 {
		say("DRV010", `add one, such as gate "errors" { metric = "error_rate", max = "1%" }, or a policy that has some`, "there is no gate: only crashes and failing checks end a rollout")
	} else if !slices.ContainsFunc(p.Gates, Gate.canFail) {
		say("DRV011", "add a gate on error_rate or latency, or take one from its dry run", "no gate can fail: they are all on dry run, or on volume or saturation, which only hold")
	}
	if first := p.Steps[0]; first.Weight > Percent(cautiousStart) && first.Weight < Full {
		say("DRV013", fmt.Sprintf("begin with %d%% or less", cautiousStart), "the first step gives the canary %s of the traffic: so many users see a bad version first", first.Weight)
	}
	p.checkBakes(say, every)
	p.checkAsked(say)
	if p.OnInconclusive == PromoteInconclusive && len(p.Gates) > 0 {
		say("DRV015", `leave on_inconclusive at "extend", or use "hold"`, "a version that nothing was shown about is promoted (on_inconclusive = \"promote\")")
	}
	if p.Rollback.Commit == CommitNone {
		say("DRV016", `write commit = "push" or "pull_request", if the schema allows going back`, "after a rollback Git goes on asking for the bad version (commit = \"none\")")
	}
	return all
}

// canFail tells whether a gate can roll a rollout back.
func (g Gate) canFail() bool { return !g.DryRun && g.Metric != MetricRequests && !g.saturation() }

func (p Plan) checkBakes(say sayer, every time.Duration) {
	need := fewestWindows * time.Second
	why := "readings come a second apart at best"
	if every > time.Second {
		need, why = fewestWindows*every, fmt.Sprintf("readings come %s apart", every)
	}
	if slices.ContainsFunc(p.Gates, func(g Gate) bool { return g.Metric == MetricQuery || g.saturation() }) {
		need, why = max(need, fewestWindows*gaugeEvery), "gates with queries of their own are answered once a minute"
	}
	for i, s := range p.Steps {
		if s.Bake < need && len(p.Gates) > 0 {
			say("DRV012", fmt.Sprintf("bake for %s or more", need), "step %d bakes for %s, and %s: its gates hardly see anything", i+1, s.Bake, why)
			return
		}
	}
}

// checkAsked looks for gates that no step asks.
func (p Plan) checkAsked(say sayer) {
	compares := slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Weight < Full })
	for _, g := range p.Gates {
		versus := g.MaxVsStable != nil && g.Max == nil && g.Min == nil
		switch {
		case versus && !compares:
			say("DRV014", "give it a max, or the strategy steps below 100%", "gate %q is never asked: at 100%% there is no stable to compare with", g.Name)
			return
		case versus && g.From == Full:
			say("DRV014", "ask it from a lower weight, or give it a max", "gate %q is never asked: from 100%% on there is no stable to compare with", g.Name)
			return
		}
	}
}
