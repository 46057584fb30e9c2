package reconcile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/sim"
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

// story is what people do to a release that runs 1.0.0, with the end that it must come to.
type story struct {
	name    string
	version string // that the end is about
	outcome strategy.OutcomeKind
	stable  string
	policy  string                                 // quickPolicy when empty
	fresh   bool                                   // nothing was released before
	before  func(w *world)                         // before the story, while nothing is damaged
	begin   func(w *world)                         // a person releases the version when nil
	during  func(w *world, once func(string) bool) // after every tick; once is true the first time for each word
	done    func(w *world) bool                    // besides resting; the last outcome is of the version when nil
}

// colours switches at once, and lets the old version stand by.
const colours = `policy "standard" {
  strategy "blue-green" {
    bake    = "3s"
    standby = "6s"
  }
  smoke "home" {
    path = "/"
  }
  gate "errors" {
    metric = "error_rate"
    max    = "1%"
  }
}
`

// inPhase acts once, when the release is in that phase.
func inPhase(phase strategy.Phase, do func(w *world)) func(*world, func(string) bool) {
	return func(w *world, once func(string) bool) {
		if w.rollout(checkout).Phase == phase && once("acted") {
			do(w)
		}
	}
}

func behaves(version string, b sim.Behaviour) func(*world) {
	return func(w *world) {
		w.nomad.SetBehaviour(func(t sim.Task) sim.Behaviour {
			if t.Version == version {
				return b
			}
			return sim.DemoBehaviour(t)
		})
	}
}

func failing(share float64) sim.Behaviour {
	b := sim.DemoBehaviour(sim.Task{})
	b.ErrorRate = share
	return b
}

func releases(version string) func(*world) {
	return func(w *world) { w.release(checkout, version) }
}

func stories() []story {
	return []story{
		{name: "promoted", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0"},
		{name: "rolled back", version: "1.2.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0"},
		{name: "blue-green", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0", policy: colours},
		{
			name: "fails in standby", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", policy: colours,
			during: inPhase(strategy.Standby, behaves("1.1.0", failing(0.2))),
		},
		{
			name: "smoke fails", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", policy: colours,
			before: func(w *world) { w.smoke = "canary answered 503" },
		},
		{
			name: "superseded", version: "1.1.1", outcome: strategy.OutcomePromoted, stable: "1.1.1",
			begin: releases("1.1.0"), during: inPhase(strategy.Stepping, releases("1.1.1")),
		},
		{
			name: "withdrawn", version: "1.1.0", outcome: strategy.OutcomeWithdrawn, stable: "1.0.0",
			during: inPhase(strategy.Stepping, func(w *world) { w.repo.undo(person) }),
		},
		{name: "going back", version: "1.0.0", outcome: strategy.OutcomePromoted, stable: "1.0.0", before: upgrade, begin: func(w *world) { w.repo.undo(person) }},
		{
			name: "fails in promotion", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", policy: partial,
			during: inPhase(strategy.Promoting, behaves("1.1.0", failing(0.5))),
		},
		{name: "canary crashes", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", before: behaves("1.1.0", sim.Behaviour{Crash: true})},
		{name: "first release", version: "1.0.0", outcome: strategy.OutcomePromoted, stable: "1.0.0", fresh: true},
		{name: "first release fails", version: "1.2.0", outcome: strategy.OutcomeCondemned, fresh: true},
		{
			name: "counts", version: "1.0.0", outcome: strategy.OutcomePromoted, stable: "1.0.0",
			begin: func(w *world) {
				w.repo.commit(person, "Five of them", map[string]string{jobspecPath(checkout): withCount(w.repo.content(jobspecPath(checkout)), "5")})
			},
			done: func(w *world) bool {
				return w.rollout(checkout).Counts["api"] == 5 && *w.job(checkout).TaskGroups[0].Count == 5
			},
		},
	}
}

// partial has one canary of three, so that the promotion replaces the others one after the other.
const partial = `policy "standard" {
  strategy "canary" {
    weights  = ["20%", "100%"]
    bake     = "4s"
    canaries = 1
  }
  gate "errors" {
    metric = "error_rate"
    max    = "1%"
  }
}
`

// upgrade brings 1.1.0 to its promotion.
func upgrade(w *world) {
	w.release(checkout, "1.1.0")
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.1.0" }); err != nil {
		w.t.Fatalf("release 1.1.0: %v", err)
	}
}

func withCount(jobspec, count string) string {
	return regexp.MustCompile(`count += .*`).ReplaceAllString(jobspec, "count = "+count)
}

// prepare brings a world to where the story begins.
func (s story) prepare(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, rate)
	policy := s.policy
	if policy == "" {
		policy = quickPolicy
	}
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: policy})
	if !s.fresh {
		w.release(checkout, "1.0.0")
		if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.0.0" }); err != nil {
			t.Fatalf("release 1.0.0: %v", err)
		}
	}
	w.tick() // A pass in which nothing is to be done.
	if s.before != nil {
		s.before(w)
	}
	return w
}

// run lets people do what the story says until its end, looking in every second.
func (s story) run(w *world, look func()) error {
	if s.begin == nil {
		w.release(checkout, s.version)
	} else {
		s.begin(w)
	}
	said := map[string]bool{}
	once := func(word string) bool { first := !said[word]; said[word] = true; return first }
	w.tick()
	err := w.until(5*time.Minute, func() bool {
		if s.during != nil {
			s.during(w, once)
		}
		look()
		return w.rests(checkout) && s.over(w)
	})
	for range 3 {
		w.tick() // The end is one that stays.
		look()
	}
	return err
}

func (s story) over(w *world) bool {
	if s.done != nil {
		return s.done(w)
	}
	last := w.rollout(checkout).Last
	return last.Revision.Version == s.version && last.Kind == s.outcome
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
	w := s.prepare(t)
	w.boundary = newBoundary()
	w.restart()
	if armed {
		w.boundary.arm(at, d)
	}
	watch := &condemnation{version: s.version}
	w.notify = watch.decided
	if err := s.run(w, func() { watch.check(t, w) }); err != nil {
		t.Errorf("%s: %v", s.name, err)
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
	// After its promotion it serves until the other is back.
	if c.judged.IsZero() && condemned(d.After) && d.After.Phase == strategy.Restoring {
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
		for _, phase := range []strategy.Phase{
			strategy.Placing, strategy.Stepping, strategy.Standby, strategy.Promoting, strategy.Restoring, strategy.Reversing, strategy.First, strategy.Resting,
		} {
			t.Run(s.name+"/"+string(phase), func(t *testing.T) {
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
