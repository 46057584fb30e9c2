package reconcile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// rate is the requests a second of these stories.
const rate = 400

// quickPolicy makes a rollout of two short steps.
const quickPolicy = `policy "standard" {
  strategy "canary" {
    weights = ["20%", "100%"]
    bake    = "4s"
  }
  gate "errors" {
    metric = "error_rate"
    max    = "1%"
  }
}
`

// story is a rollout from 1.0.0 to another version, with the end that it must come to.
type story struct {
	name    string
	version string
	outcome strategy.OutcomeKind
	stable  string
}

func stories() []story {
	return []story{
		{name: "promoted", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0"},
		{name: "rolled back", version: "1.2.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0"},
	}
}

// outcome is all of the end that people and machines can see.
type outcome struct {
	Spec       string // of the job, without what the server adds
	Stable     strategy.Revision
	Last       strategy.OutcomeKind
	LastOf     strategy.Revision
	Condemned  []strategy.Revision
	Promoted   []strategy.Revision
	GoodRuns   bool // the version tagged good is the live one, or one of the same job
	Split      string
	Reverts    []string // messages of the commits that Drover pushed
	Issues     []string // markers
	IssueTitle []string
	File       string
	Outbox     int
}

// play plays a story with the damage, and checks all along that nothing is given to a condemned canary.
func (s story) play(t testing.TB, at point, d damage, armed bool) (outcome, *world) {
	t.Helper()
	w := newWorld(t, rate)
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	w.release(checkout, "1.0.0")
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.0.0" }); err != nil {
		t.Fatalf("release 1.0.0: %v", err)
	}
	w.tick() // A pass in which nothing is to be done.
	w.boundary = newBoundary()
	w.restart()
	if armed {
		w.boundary.arm(at, d)
	}
	watch := &condemnation{version: s.version}
	w.notify = watch.decided
	w.release(checkout, s.version)
	err := w.until(3*time.Minute, func() bool {
		watch.check(t, w)
		return w.rests(checkout) && w.rollout(checkout).Last.Revision.Version == s.version
	})
	if err != nil {
		t.Errorf("release %s: %v", s.version, err)
	}
	for range 3 {
		w.tick() // The end is one that stays.
		watch.check(t, w)
	}
	if armed && !w.boundary.struck {
		t.Errorf("%s was never reached", at)
	}
	if w.ledger.largest > recordLimit {
		t.Errorf("the largest record has %d bytes, more than %d", w.ledger.largest, recordLimit)
	}
	return w.outcome(), w
}

// condemnation watches that a canary gets nothing more once it was judged.
type condemnation struct {
	version string

	mu       sync.Mutex
	judged   time.Time // when the verdict was made
	answered float64   // by the canary up to then and the pass after it
	settled  bool
}

func (c *condemnation) decided(d reconcile.Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	condemned := func(r strategy.Rollout) bool {
		return slices.ContainsFunc(r.Condemned, func(rev strategy.Revision) bool { return rev.Version == c.version })
	}
	if c.judged.IsZero() && condemned(d.After) {
		c.judged = d.At
	}
}

// check looks at the world between two passes. The pass of the verdict takes the traffic away; when it is cut off, the
// next one does.
func (c *condemnation) check(t testing.TB, w *world) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.judged.IsZero() || w.now.Before(c.judged.Add(time.Second)) {
		return
	}
	since := fmt.Sprintf("%s was condemned at %s; at %s", c.version, c.judged.Format(time.TimeOnly), w.now.Format(time.TimeOnly))
	state, err := w.traffic.Read(t.Context(), checkout)
	if err != nil {
		t.Fatalf("read the split: %v", err)
	}
	if split := state.Splits[0]; split.Weight > 0 || len(split.Canary) > 0 {
		t.Errorf("%s it is given %s on %d allocations", since, split.Weight, len(split.Canary))
	}
	answered := w.traffic.Versions(checkout)[c.version]
	if !c.settled {
		c.answered, c.settled = answered, true
	}
	if more := answered - c.answered; more > 0 {
		t.Errorf("%s it has answered %.0f more requests", since, more)
	}
}

func (w *world) outcome() outcome {
	w.t.Helper()
	r := w.rollout(checkout)
	o := outcome{
		Stable: r.Stable.Revision, Last: r.Last.Kind, LastOf: r.Last.Revision, Condemned: r.Condemned, Promoted: r.Promoted,
		File: w.repo.content(releasePath(checkout)), Outbox: len(r.Outbox),
	}
	job := w.job(checkout)
	if job == nil {
		w.t.Fatal("the job is gone")
	}
	o.Spec = specOf(w.t, job)
	o.GoodRuns = w.goodVersionRuns(job)
	state, err := w.traffic.Read(w.t.Context(), checkout)
	if err != nil {
		w.t.Fatalf("read the split: %v", err)
	}
	split := state.Splits[0]
	o.Split = fmt.Sprintf("%s to %d canaries, rest to %d stable, resting %t", split.Weight, len(split.Canary), len(split.Stable), split.Resting)
	for _, sha := range w.repo.drover {
		subject, _, _ := strings.Cut(w.repo.commits[sha].message, "\n")
		o.Reverts = append(o.Reverts, subject)
	}
	for _, issue := range w.forge.issues {
		o.Issues = append(o.Issues, issue.Marker[:strings.LastIndex(issue.Marker, "-")])
		o.IssueTitle = append(o.IssueTitle, issue.Title[:strings.Index(issue.Title, ":")])
	}
	return o
}

// specOf is the job as somebody would register it, without what the server keeps beside it.
func specOf(t testing.TB, job *api.Job) string {
	t.Helper()
	spec := *job
	spec.Version, spec.VersionTag, spec.Stable, spec.Status, spec.StatusDescription = nil, nil, nil, nil, nil
	spec.SubmitTime, spec.CreateIndex, spec.ModifyIndex, spec.JobModifyIndex = nil, nil, nil, nil
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatalf("encode the job: %v", err)
	}
	return string(text)
}

// goodVersionRuns tells whether the version that is kept as good asks for what runs.
func (w *world) goodVersionRuns(live *api.Job) bool {
	versions, _, _, err := w.client.Jobs().Versions(checkout, false, nil)
	if err != nil {
		w.t.Fatalf("read the versions: %v", err)
	}
	for _, v := range versions {
		if v.VersionTag != nil && v.VersionTag.Name == instance+"-good" {
			return versionOf(v) == versionOf(live)
		}
	}
	return false
}

// points are all calls of the undisturbed story. Calls that only look have no effect that could come before an error.
func points(calls map[string]int) (all []point) {
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		for n := 1; n <= calls[call]; n++ {
			all = append(all, point{call, n})
		}
	}
	return all
}

func damages(call string) []damage {
	if slices.Contains(acts(), call) {
		return []damage{crashBefore, crashAfter, failBefore, failAfter}
	}
	return []damage{crashBefore, failBefore}
}

// TestCrashAtEveryPoint ends Drover, or lets an answer be lost, at every call that it makes to the outside, and compares
// the end with that of a Drover that nobody disturbed.
func TestCrashAtEveryPoint(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want, calm := s.play(t, point{}, crashBefore, false)
			if want.Last != s.outcome || want.Stable.Version != s.stable {
				t.Fatalf("undisturbed, the story ends %s on %s, want %s on %s", want.Last, want.Stable, s.outcome, s.stable)
			}
			everyAct, played := points(calm.boundary.calls), 0
			for i, at := range everyAct {
				if isAct := slices.Contains(acts(), at.call); testing.Short() && ((isAct && i%12 != 0) || (!isAct && i%97 != 0)) {
					continue
				}
				for _, d := range damages(at.call) {
					played++
					t.Run(fmt.Sprintf("%s/%s", at, d), func(t *testing.T) {
						got, _ := s.play(t, at, d, true)
						if diff := cmp.Diff(want, got); diff != "" {
							t.Errorf("the end differs (-undisturbed +disturbed):\n%s", diff)
						}
					})
				}
			}
			t.Logf("%d points, damaged in %d ways", len(everyAct), played)
		})
	}
}

// TestRestartInEveryPhase starts Drover anew when a phase is first seen, and at the first pass after it.
func TestRestartInEveryPhase(t *testing.T) {
	for _, s := range stories() {
		want, _ := s.play(t, point{}, crashBefore, false)
		for _, phase := range []strategy.Phase{strategy.Placing, strategy.Stepping, strategy.Promoting, strategy.Restoring, strategy.Resting} {
			t.Run(s.name+"/"+string(phase), func(t *testing.T) {
				got := s.playRestarting(t, phase)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the end differs (-undisturbed +restarted):\n%s", diff)
				}
			})
		}
	}
}

// playRestarting plays a story with a new Drover for every pass that follows one in which the phase was decided.
func (s story) playRestarting(t *testing.T, phase strategy.Phase) outcome {
	t.Helper()
	w := newWorld(t, rate)
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	w.release(checkout, "1.0.0")
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.0.0" }); err != nil {
		t.Fatalf("release 1.0.0: %v", err)
	}
	w.tick()
	seen := false
	w.notify = func(d reconcile.Decision) { seen = seen || d.After.Phase == phase }
	w.release(checkout, s.version)
	done := func() bool { return w.rests(checkout) && w.rollout(checkout).Last.Revision.Version == s.version }
	err := w.until(3*time.Minute, func() bool {
		if done() {
			return true
		}
		if seen {
			w.restart()
			seen = false
		}
		return false
	})
	if err != nil {
		t.Fatalf("release %s: %v", s.version, err)
	}
	for range 3 {
		w.tick()
	}
	return w.outcome()
}
