package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/disk"
	"github.com/drover-dev/drover/strategy"
)

// read is every input kept of a release.
func read(t *testing.T, i *disk.Inputs, release string) []disk.Input {
	t.Helper()
	var text bytes.Buffer
	if err := i.WriteTo(&text, release); err != nil {
		t.Fatal(err)
	}
	var all []disk.Input
	if err := disk.ReadInputs(&text, func(_ int, in disk.Input) error { all = append(all, in); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestInputs reads back what was kept, the rollout only where it does not follow from what was before.
func TestInputs(t *testing.T) {
	i := disk.NewInputs(t.TempDir())
	at := time.Date(2026, 3, 2, 9, 0, 0, 1, time.UTC)
	one := strategy.Rollout{Release: "web", Phase: strategy.Stepping, Reason: strategy.Reason{Code: strategy.Baking, Text: "1"}}
	two := strategy.Rollout{Release: "web", Phase: strategy.Stepping, Step: 1, Reason: strategy.Reason{Code: strategy.Baking, Text: "1"}}
	o := strategy.Observation{ClusterProblem: "away", Desired: &strategy.Desired{Service: "web", Release: strategy.Release{Source: strategy.JobSource{Jobspec: "secret"}}}}
	later := o
	later.ClusterProblem, later.Sample = "", &strategy.Sample{At: at, Bounds: []float64{0.1}}
	for n, d := range []struct {
		before, after strategy.Rollout
		o             strategy.Observation
	}{{one, one, o}, {one, two, o}, {two, two, later}, {one, two, later}} {
		if err := i.Keep(at.Add(time.Duration(n)*time.Second), d.before, d.after, d.o); err != nil {
			t.Fatal(err)
		}
	}
	bare := *o.Desired
	bare.Release.Source.Jobspec = ""
	o.Desired, later.Desired = &bare, &bare
	want := []disk.Input{
		{At: at, Before: &one, Observation: o, Came: one.Gist()},
		{At: at.Add(time.Second), Observation: o, Came: two.Gist()},
		{At: at.Add(2 * time.Second), Observation: later, Came: two.Gist()},
		{At: at.Add(3 * time.Second), Before: &one, Observation: later, Came: two.Gist()},
	}
	if diff := cmp.Diff(want, read(t, i, "web")); diff != "" {
		t.Errorf("what is read differs (-want +got):\n%s", diff)
	}
	if err := i.WriteTo(&bytes.Buffer{}, "mail"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a release without any: %v", err)
	}
}

// TestInputsAreBounded keeps the newest, and each part can be read without those that were dropped.
func TestInputsAreBounded(t *testing.T) {
	dir := t.TempDir()
	i := disk.NewInputs(dir)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := strategy.Rollout{Release: "web", Phase: strategy.Stepping}
	const decisions = 60
	for n := range decisions {
		o := strategy.Observation{ClusterProblem: strings.Repeat(string(rune('a'+n%26)), 100<<10)}
		if err := i.Keep(at.Add(time.Duration(n)*time.Second), r, r, o); err != nil {
			t.Fatal(err)
		}
	}
	kept := read(t, i, "web")
	if len(kept) < 18 || len(kept) > 30 || kept[0].Before == nil || !kept[len(kept)-1].At.Equal(at.Add((decisions-1)*time.Second)) {
		t.Errorf("%d decisions are kept, want the newest 2 MiB", len(kept))
	}
	parts, err := filepath.Glob(filepath.Join(dir, "web", "*"))
	if err != nil || len(parts) > 4 {
		t.Errorf("%d parts are kept, %v", len(parts), err)
	}
	// What a crash cut off is left out, and a new process begins anew.
	file, err := os.OpenFile(parts[len(parts)-1], os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"at":`); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	again := disk.NewInputs(dir)
	if err := again.Keep(at.Add(time.Hour), r, r, strategy.Observation{}); err != nil {
		t.Fatal(err)
	}
	if kept := read(t, again, "web"); kept[len(kept)-1].Before == nil || kept[len(kept)-1].Observation.ClusterProblem != "" {
		t.Error("what a new process keeps needs what another one did")
	}
}
