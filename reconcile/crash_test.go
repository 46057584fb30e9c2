package reconcile_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// outcome is all of the end that people and machines can see.
type outcome struct {
	Spec       string // of the job, without what the server adds
	Stable     strategy.Revision
	Last       strategy.OutcomeKind
	LastOf     strategy.Revision
	Condemned  []strategy.Revision
	Promoted   []strategy.Revision
	GoodRuns   bool     // the version tagged good is the live one, or one of the same job
	Bad        []string // what the versions ask for that are tagged as condemned
	Split      string
	Reverts    []string // messages of the commits that Drover pushed
	Issues     []string // markers
	IssueTitle []string
	File       string
	Outbox     int
	Hub        []string // pull requests, branches, comments and answers
}

// play plays a story, and checks all along that nothing is given to a condemned canary. arm is done before it begins.
func (s story) play(t testing.TB, arm func(*boundary)) (outcome, *world) {
	t.Helper()
	w := s.prepare(t)
	b := w.bound()
	w.restart()
	arm(b)
	watch := &condemnation{world: w, version: s.version}
	w.notify = watch.decided
	if err := s.run(w, func() { watch.check(t, w) }); err != nil {
		t.Errorf("%s: %v", s.name, err)
	}
	if b.armed && !b.struck {
		t.Errorf("%s was never reached", b.at)
	}
	if w.ledger.largest > recordLimit {
		t.Errorf("the largest record has %d bytes, more than %d", w.ledger.largest, recordLimit)
	}
	return w.outcome(), w
}

// calm is the story as nobody disturbs it: its end, and the calls that Drover makes in it.
type calm struct {
	story
	end   outcome
	calls map[string]int
	acts  map[string]bool
}

var undisturbed sync.Map // by the name of the story: a function that plays it once

// undisturbed plays the story once for all tests.
func (s story) undisturbed(t *testing.T) calm {
	t.Helper()
	play, _ := undisturbed.LoadOrStore(s.name, sync.OnceValue(func() calm {
		end, w := s.play(t, func(*boundary) {})
		return calm{story: s, end: end, calls: w.boundary.calls, acts: w.boundary.acts}
	}))
	c := play.(func() calm)()
	if c.end.Last != s.outcome || c.end.Stable.Version != s.stable {
		t.Fatalf("undisturbed, the story ends %s on %s, want %s on %s", c.end.Last, c.end.Stable, s.outcome, s.stable)
	}
	if condemned := s.outcome == strategy.OutcomeCondemned; condemned != slices.Equal(c.end.Bad, []string{s.version}) {
		t.Fatalf("undisturbed, the story ends %s with the versions %v kept as bad", s.outcome, c.end.Bad)
	}
	return c
}

// condemnation watches that a canary gets nothing more once it was judged.
type condemnation struct {
	world   *world
	version string

	mu       sync.Mutex
	judged   time.Time // when the verdict was made
	pass     int       // the pass that made it
	answered float64   // by the canary up to then and the pass after it
	settled  bool
}

func (c *condemnation) decided(d reconcile.Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	condemned := func(r strategy.Rollout) bool {
		return slices.ContainsFunc(r.Condemned, func(rev strategy.Revision) bool { return rev.Version == c.version })
	}
	// After its promotion it serves until the other is back.
	if c.judged.IsZero() && condemned(d.After) && d.After.Phase == strategy.Restoring {
		c.judged, c.pass = d.At, c.world.passes
	}
}

// check looks at the world between two passes. The pass of the verdict takes the traffic away; when it is cut off, the
// next one does.
func (c *condemnation) check(t testing.TB, w *world) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.judged.IsZero() || w.passes <= c.pass || !w.boundary.calm() {
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
	o.GoodRuns, o.Bad = w.tagged(job)
	state, err := w.traffic.Read(w.t.Context(), checkout)
	if err != nil {
		w.t.Fatalf("read the split: %v", err)
	}
	split := state.Splits[0]
	stable := fmt.Sprint(len(split.Stable))
	if split.Resting {
		stable = "what is" // At rest the router follows the allocations by itself.
	}
	o.Split = fmt.Sprintf("%s to %d canaries, rest to %s stable, resting %t", split.Weight, len(split.Canary), stable, split.Resting)
	for _, sha := range w.repo.drover {
		subject, _, _ := strings.Cut(w.repo.commits[sha].message, "\n")
		o.Reverts = append(o.Reverts, subject)
	}
	for _, issue := range w.forge.issues {
		o.Issues = append(o.Issues, issue.Part[:strings.LastIndex(issue.Part, "-")])
		o.IssueTitle = append(o.IssueTitle, issue.Title[:strings.Index(issue.Title, ":")])
	}
	if w.hub != nil {
		o.Hub = w.hub.ends(w.forge)
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

// tagged tells whether the version that is kept as good asks for what runs, and what those ask for that are kept as bad.
func (w *world) tagged(live *api.Job) (goodRuns bool, bad []string) {
	versions, _, _, err := w.client.Jobs().Versions(checkout, false, nil)
	if err != nil {
		w.t.Fatalf("read the versions: %v", err)
	}
	for _, v := range versions {
		switch {
		case v.VersionTag == nil:
		case v.VersionTag.Name == instance+"-good":
			goodRuns = versionOf(v) == versionOf(live)
		case strings.HasPrefix(v.VersionTag.Name, instance+"-bad-"):
			bad = append(bad, versionOf(v))
		}
	}
	return goodRuns, bad
}

// disturbance is one damage at one call of a story.
type disturbance struct {
	calm
	at     point
	damage damage
}

func (d disturbance) String() string { return fmt.Sprintf("%s/%s/%s", d.name, d.at, d.damage) }

// disturbances are all that can be done to the calls of a story. Calls that only look have no effect that could come
// before an error.
func (c calm) disturbances() (all []disturbance) {
	for _, call := range slices.Sorted(maps.Keys(c.calls)) {
		damages := []damage{crashBefore, failBefore, hang, away, handover}
		if c.acts[call] {
			damages = append(damages, crashAfter, failAfter)
		}
		for n := range c.calls[call] {
			for _, d := range damages {
				all = append(all, disturbance{c, point{call, n + 1}, d})
			}
		}
	}
	return all
}

// chosen tells whether a disturbance is played. All are when DROVER_TORTURE is set; else a sample of them that is the same
// every time: of the calls that change the world more than of those that look.
func (d disturbance) chosen() bool {
	one, of := uint32(30), uint32(300)
	switch {
	case os.Getenv("DROVER_TORTURE") != "":
		return true
	case testing.Short():
		one, of = 300, 3000
	}
	if !d.acts[d.at.call] {
		one = of
	}
	hash := fnv.New32a()
	fmt.Fprint(hash, d)
	return hash.Sum32()%one == 0
}

// TestDisturbances ends Drover, keeps it waiting, lets answers be lost, takes the provider away or lets another Drover
// take over, at every call that it makes to the outside, and compares the end with that of a Drover that nobody disturbed.
func TestDisturbances(t *testing.T) {
	t.Parallel()
	var points, total, played atomic.Int64
	t.Run("stories", func(t *testing.T) {
		for _, s := range stories() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				c := s.undisturbed(t)
				for _, n := range c.calls {
					points.Add(int64(n))
				}
				for _, d := range c.disturbances() {
					total.Add(1)
					if !d.chosen() {
						continue
					}
					played.Add(1)
					t.Run(fmt.Sprintf("%s/%s", d.at, d.damage), func(t *testing.T) {
						got, _ := d.play(t, func(b *boundary) { b.arm(d.at, d.damage) })
						if diff := cmp.Diff(d.end, got); diff != "" {
							t.Errorf("the end differs (-undisturbed +disturbed):\n%s", diff)
						}
					})
				}
			})
		}
	})
	t.Logf("explored %d of %d disturbances at %d points of %d stories", played.Load(), total.Load(), points.Load(), len(stories()))
}

// TestRestartInEveryPhase starts Drover anew when a phase is first seen, and at the first pass after it.
func TestRestartInEveryPhase(t *testing.T) {
	for i, s := range stories() {
		want := s.undisturbed(t).end
		for k, phase := range []strategy.Phase{
			strategy.Placing, strategy.Stepping, strategy.Standby, strategy.Promoting, strategy.Restoring, strategy.Reversing, strategy.First, strategy.Resting,
		} {
			if testing.Short() && (i+k)%5 != 0 {
				continue
			}
			t.Run(s.name+"/"+string(phase), func(t *testing.T) {
				t.Parallel()
				got := s.playRestarting(t, phase)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the end differs (-undisturbed +restarted):\n%s", diff)
				}
			})
		}
	}
}

// playRestarting plays a story with a new Drover after every other pass in which the phase was decided.
func (s story) playRestarting(t *testing.T, phase strategy.Phase) outcome {
	t.Helper()
	w := s.prepare(t)
	seen, fresh := false, false
	w.notify = func(d reconcile.Decision) { seen = seen || d.After.Phase == phase }
	err := s.run(w, func() {
		// Each Drover has the pass after its first to write down what it said beside it.
		if fresh = seen && !fresh && !(w.rests(checkout) && s.over(w)); fresh {
			w.restart()
		}
		seen = false
	})
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return w.outcome()
}
