package strategy_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

func steps(bake time.Duration, percents ...int) (list []strategy.Step) {
	for _, p := range percents {
		list = append(list, strategy.Step{Weight: strategy.Percent(p), Bake: bake})
	}
	return list
}

func TestFindings(t *testing.T) {
	dry := errorGate
	dry.DryRun = true
	sound := strategy.Plan{Steps: steps(5*time.Minute, 5, 50, 100), Gates: []strategy.Gate{errorGate, volumeGate}, Rollback: strategy.Rollback{Commit: strategy.CommitPush}}
	if got := sound.Findings(); len(got) != 0 {
		t.Errorf("a sound plan: got %v", got)
	}
	seen := map[string]bool{}
	for _, test := range []struct {
		name   string
		change func(*strategy.Plan)
		want   string
	}{
		{"no gates", func(p *strategy.Plan) { p.Gates = nil }, "DRV010"},
		{"nothing that can fail", func(p *strategy.Plan) { p.Gates = []strategy.Gate{dry, volumeGate, cpuGate} }, "DRV011"},
		{"a short bake", func(p *strategy.Plan) { p.Steps = steps(time.Second, 5, 100) }, "DRV012"},
		{"a bake too short for a query", func(p *strategy.Plan) { p.Steps, p.Gates = steps(time.Minute, 5, 100), append(p.Gates, callsGate) }, "DRV012"},
		{"a large beginning", func(p *strategy.Plan) { p.Steps = steps(5*time.Minute, 20, 100) }, "DRV013"},
		{"never compared", func(p *strategy.Plan) { p.Steps, p.Gates = steps(5*time.Minute, 100), append(p.Gates, pointsGate) }, "DRV014"},
		{"compared from 100% on", func(p *strategy.Plan) { late := pointsGate; late.From = strategy.Full; p.Gates = append(p.Gates, late) }, "DRV014"},
		{"unproven", func(p *strategy.Plan) { p.OnInconclusive = strategy.PromoteInconclusive }, "DRV015"},
		{"no revert", func(p *strategy.Plan) { p.Rollback.Commit = strategy.CommitNone }, "DRV016"},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan := sound
			plan.Gates = slices.Clone(sound.Gates)
			test.change(&plan)
			got := plan.Findings()
			codes := []string{}
			for _, f := range got {
				codes = append(codes, f.Code)
				if f.Remedy == "" || !strings.Contains(f.String(), "accept = { "+f.Code) {
					t.Errorf("got %q", f)
				}
			}
			if !slices.Contains(codes, test.want) {
				t.Errorf("got %v, want %s", got, test.want)
			}
			seen[test.want] = true
			plan.Accepted = map[string]string{test.want: "it is meant"}
			if slices.ContainsFunc(plan.Findings(), func(f strategy.Finding) bool { return f.Code == test.want }) {
				t.Error("it was accepted, and is said all the same")
			}
		})
	}
	for _, test := range jobFindings {
		seen[test.want] = true
	}
	seen["DRV023"] = true                   // Of the whole repository: see policies.
	seen[strategy.FindingUnanswered] = true // Of the metrics: see providers/prometheus.
	for _, code := range strategy.FindingCodes() {
		if !seen[code] {
			t.Errorf("%s is not tested", code)
		}
	}
}

// jobFindings is what is found about a release with its job.
var jobFindings = []struct {
	name, want, text string
	change           func(*strategy.Desired, *strategy.Surroundings)
}{
	{"no check", "DRV017", `the service "web" has no check`, func(d *strategy.Desired, _ *strategy.Surroundings) { d.Job.Groups[0].Checked = nil }},
	{"too little traffic", "DRV018", "it bakes on, up to four times as long, and then holds", func(_ *strategy.Desired, a *strategy.Surroundings) { a.RPS = 2 }},
	{"too little traffic, held", "DRV018", "then it holds until they came", func(d *strategy.Desired, a *strategy.Surroundings) {
		a.RPS, d.Release.Plan.OnInconclusive = 2, strategy.HoldInconclusive
	}},
	{"never enough", "DRV018", "would never pass", func(d *strategy.Desired, a *strategy.Surroundings) {
		a.RPS, a.Errors = 200, 0.2
		d.Release.Plan.Gates = []strategy.Gate{{Name: "errors", Metric: strategy.MetricErrorRate, Max: &strategy.Bound{Value: 0.01, Text: "1%"}}}
	}},
	{"one canary", "DRV019", `group "api" gets one canary beside 10 allocations`, func(d *strategy.Desired, _ *strategy.Surroundings) {
		d.Release.Plan.Canaries = strategy.Canaries{Number: 1}
	}},
	{"a worker", "DRV020", `group "mailer" of no service runs in both versions at once, for 15m0s`, func(d *strategy.Desired, _ *strategy.Surroundings) {
		d.Job.Groups = append(d.Job.Groups, strategy.GroupSpec{Name: "mailer", Count: 1})
	}},
	{"workers", "DRV020", `groups "mailer", "cron" of no service`, func(d *strategy.Desired, _ *strategy.Surroundings) {
		d.Job.Groups = append(d.Job.Groups, strategy.GroupSpec{Name: "mailer", Count: 1}, strategy.GroupSpec{Name: "cron", Count: 1})
	}},
	{"scaled", "DRV021", `Nomad refuses to scale group "api"`, func(d *strategy.Desired, _ *strategy.Surroundings) { d.Job.Groups[0].Scaled = true }},
	{"ends at once", "DRV024", `group "api" has no shutdown_delay: an allocation that ends does so at once, and router "edge" (nginx) learns of it a moment later`, func(_ *strategy.Desired, a *strategy.Surroundings) {
		a.Late = strategy.Abilities{Kind: "nginx", Static: true}.Late("edge")
	}},
	{"the first", "DRV022", "there is no version to go back to", func(_ *strategy.Desired, a *strategy.Surroundings) { a.First = true }},
	{"rare readings", "DRV012", "readings come 2m0s apart", func(_ *strategy.Desired, a *strategy.Surroundings) { a.Every = 2 * time.Minute }},
}

func TestJobFindings(t *testing.T) {
	soundly := func() (strategy.Desired, strategy.Surroundings) {
		plan := strategy.Plan{Steps: steps(5*time.Minute, 5, 50, 100), Gates: []strategy.Gate{errorGate, volumeGate}, Rollback: strategy.Rollback{Commit: strategy.CommitPush}}
		group := strategy.GroupSpec{Name: "api", Count: 10, Services: []string{"web"}, Checked: []string{"web"}}
		return strategy.Desired{Release: strategy.Release{Plan: plan}, Job: strategy.JobSpec{Groups: []strategy.GroupSpec{group}}, Service: "web"}, strategy.Surroundings{RPS: 2000, Errors: 0.001}
	}
	d, around := soundly()
	if got := d.Findings(around); len(got) != 0 {
		t.Errorf("of a sound release: %v", got)
	}
	around.Late = strategy.Abilities{Kind: "proxy"}.Late("edge")
	if got := d.Findings(around); len(got) != 0 {
		t.Errorf("behind a router that follows allocations by itself: %v", got)
	}
	around.Late = strategy.Abilities{Kind: "nginx", Static: true}.Late("edge")
	d.Job.Groups[0].ShutdownDelay = time.Second
	if got := d.Findings(around); len(got) != 0 {
		t.Errorf("with a shutdown_delay: %v", got)
	}
	for _, test := range jobFindings {
		t.Run(test.name, func(t *testing.T) {
			d, around := soundly()
			test.change(&d, &around)
			got := d.Findings(around)
			if len(got) != 1 || got[0].Code != test.want || !strings.Contains(got[0].Text, test.text) || got[0].Remedy == "" {
				t.Errorf("got %v, want %s: %s", got, test.want, test.text)
			}
			d.Release.Plan.Accepted = map[string]string{test.want: "it is meant"}
			if got := d.Findings(around); len(got) != 0 {
				t.Errorf("it was accepted, and is said all the same: %v", got)
			}
		})
	}
}

// TestSurroundings reads the traffic out of what was counted for long enough.
func TestSurroundings(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	series := func(source string, age time.Duration, gate string) strategy.Series {
		return strategy.Series{Source: source, Since: at.Add(-age), Track: strategy.Stable, Gate: gate, Counters: strategy.Counters{Requests: 3600, Errors: 36}}
	}
	s := strategy.Sample{At: at, Every: 15 * time.Second, Series: []strategy.Series{
		series("a", time.Hour, ""), series("b", 2*time.Hour, ""), series("new", time.Second, ""), series("a", time.Hour, "calls"),
		{Source: "a", Since: at.Add(-time.Hour), Track: strategy.Stable, Endpoint: "GET /", Counters: strategy.Counters{Requests: 3600}},
		{Source: "a", Since: at.Add(-time.Hour), Track: strategy.Shadow, Counters: strategy.Counters{Requests: 3600}},
		{Source: "unknown", Track: strategy.Stable, Counters: strategy.Counters{Requests: 1e9}},
	}}
	got := s.Surroundings()
	if got.RPS != 1.5 || got.Every != 15*time.Second {
		t.Errorf("got %+v, want 1.5 requests a second", got)
	}
}

// TestManualListsFindings holds the table of the manual to the codes there are.
func TestManualListsFindings(t *testing.T) {
	manual, err := os.ReadFile("../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(manual)) {
		if code, ok := strings.CutPrefix(line, "| `DRV"); ok {
			listed = append(listed, "DRV"+code[:3])
		}
	}
	if want := strategy.FindingCodes(); !slices.Equal(listed, want) {
		t.Errorf("docs/releases.md lists %v, want %v", listed, want)
	}
}
