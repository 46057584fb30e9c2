package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/disk"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// recorded plays a rollout, and is what was kept of its decisions. Now and then Drover begins anew.
func recorded(t *testing.T, fault string) (inputs string, end take) {
	t.Helper()
	calls := strategy.Gate{Name: "calls", Metric: strategy.MetricQuery, Query: &strategy.Query{Text: "calls"}, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"}}
	plan := strategy.Plan{
		Steps: []strategy.Step{{Weight: strategy.Percent(20), Bake: time.Minute}, {Weight: strategy.Full, Bake: time.Minute}}, MaxDuration: time.Hour,
		Gates: []strategy.Gate{
			{Name: "errors", Metric: strategy.MetricErrorRate, Max: &strategy.Bound{Value: 0.02, Text: "2%"}, MaxVsStable: &strategy.Tolerance{Ratio: 2, Text: "2x"}},
			{Name: "latency", Metric: strategy.MetricLatency, Quantile: 0.95, MaxVsStable: &strategy.Tolerance{Ratio: 1.5, Text: "1.5x"}},
			calls,
		},
		Smoke: []strategy.Smoke{{Name: "home", Path: "/", Status: 200, Timeout: time.Second}},
	}
	release := strategy.Release{
		Name: "web", Version: "2", Attempt: 1, Path: "release.hcl", Files: []string{"release.hcl"}, Plan: plan,
		Source: strategy.JobSource{Path: "web.nomad.hcl", Jobspec: liveJob, Variables: "version = \"2\"\n"},
	}
	m := mishap{}
	if fault != "" {
		var err error
		if m, err = parseMishap(fault, plan.Asking()); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	keep, decisions := keepInputs(disk.NewInputs(dir), slog.New(slog.DiscardHandler)), 0
	r := rehearsal{release: release, stable: "1", sound: service{RPS: 300, Errors: 0.001, P95: 0.1, Spread: usualSpread}}
	r.notify = func(d reconcile.Decision) {
		if decisions++; decisions%40 == 0 { // Drover begins anew, and knows nothing of what it kept.
			keep = keepInputs(disk.NewInputs(dir), slog.New(slog.DiscardHandler))
		}
		keep(d)
	}
	end, err := r.play(t.Context(), m, 1)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := disk.NewInputs(dir).WriteTo(&text, "web"); err != nil {
		t.Fatal(err)
	}
	return text.String(), end
}

// replayed is what drover replay says of inputs.
func replayed(t *testing.T, inputs string) (code int, out string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "inputs.jsonl")
	if err := os.WriteFile(file, []byte(inputs), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code = runReplay(t.Context(), &console{&stdout, &stderr}, []string{file})
	return code, stdout.String() + stderr.String()
}

// TestReplay makes the decisions of whole rollouts again: they agree, and what was changed in them is found.
func TestReplay(t *testing.T) {
	for fault, want := range map[string]takeEnd{"": takePromoted, "errors=+5%": takeRolledBack, "calls=+5%": takeRolledBack, "crash": takeRolledBack} {
		t.Run(fmt.Sprintf("with %q", fault), func(t *testing.T) {
			inputs, end := recorded(t, fault)
			if end.End != want {
				t.Fatalf("the rollout is %s: %s", end.End, end.Reason)
			}
			if strings.Contains(inputs, "raw_exec") {
				t.Error("the inputs hold the jobspec")
			}
			code, out := replayed(t, inputs)
			if code != 0 || !strings.Contains(out, "made again: all agree") || !strings.Contains(out, "web 2: ") {
				t.Errorf("exit %d:\n%s", code, out)
			}
		})
	}
	inputs, _ := recorded(t, "errors=+5%")
	changed := strings.ReplaceAll(inputs, `"max_vs_stable":{"ratio":2,`, `"max_vs_stable":{"ratio":1000,`)
	if changed == inputs {
		t.Fatal("nothing was changed")
	}
	if code, out := replayed(t, changed); code != 1 || !strings.Contains(out, `gate "errors" is`) || !strings.Contains(out, "come to something else") {
		t.Errorf("with another limit: exit %d:\n%s", code, out)
	}
	first, rest, _ := strings.Cut(inputs, "\n")
	for broken, want := range map[string]string{"": "holds no decision", "{": "line 1: ", rest: "does not say what was decided about", first + "\n{}x": "line 2: "} {
		if code, out := replayed(t, broken); code != 1 || !strings.Contains(out, want) {
			t.Errorf("of what is broken it says, with exit %d, %s; want %s", code, out, want)
		}
	}
}
