package reconcile_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/sim"
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
	jobspec func(string) string                    // changes that of the example
	fresh   bool                                   // nothing was released before
	hub     bool                                   // the forge has pull requests, and a later release is brought by one
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

// longStandby has the old version stand by for longer than anybody is away.
var longStandby = strings.Replace(colours, `standby = "6s"`, `standby = "40s"`, 1)

// inPhase acts once, when the release is in that phase.
func inPhase(phase strategy.Phase, do func(w *world)) func(*world, func(string) bool) {
	return func(w *world, once func(string) bool) {
		if w.rollout(checkout).Phase == phase && once("acted") {
			do(w)
		}
	}
}

// onceReplacing acts once, when Nomad has begun to replace the old allocations with new ones.
func onceReplacing(do func(w *world)) func(*world, func(string) bool) {
	return func(w *world, once func(string) bool) {
		d, _, err := w.client.Jobs().LatestDeployment(checkout, nil)
		if err != nil {
			w.t.Fatalf("read the deployment: %v", err)
		}
		if d != nil && d.Status == api.DeploymentStatusRunning && d.TaskGroups["api"].Promoted && d.TaskGroups["api"].DesiredCanaries > 0 && once("acted") {
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

// merges has a version brought by a pull request.
func merges(version string) func(*world) {
	return func(w *world) { w.hub.brought[w.release(checkout, version).SHA] = 7 }
}

// opens has a version, with more lines in its file, proposed by a pull request.
func opens(w *world, number int, version, more string) {
	ref := fmt.Sprintf("refs/pull/%d/head", number)
	files := map[string]string{releasePath(checkout): releaseText(checkout, version, more), jobspecPath(checkout): jobspec(w.t, checkout)}
	w.hub.open(number, ref, w.repo.branch(person, "Release "+checkout+" "+version, ref, files))
}

// said tells whether a rollout ended so, and everything is said of it.
func said(end strategy.OutcomeKind) func(*world) bool {
	return func(w *world) bool {
		r := w.rollout(checkout)
		answered := !slices.ContainsFunc(w.hub.words, func(word strategy.Word) bool { return w.hub.answers[word.ID] == "" })
		return r.Last.Kind == end && len(r.Untold()) == 0 && answered
	}
}

// slowly leaves people the time to act, and the gates the time to see, whoever is away for a while.
const slowly = `policy "standard" {
  strategy "canary" {
    weights = ["20%", "100%"]
    bake    = "30s"
  }
  gate "errors" {
    metric = "error_rate"
    max    = "1%"
  }
}
`

func stories() []story {
	return []story{
		{name: "promoted", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0"},
		{name: "rolled back", version: "1.2.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0"},
		{name: "blue-green", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0", policy: colours},
		{
			name: "fails in standby", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", policy: longStandby,
			during: inPhase(strategy.Standby, behaves("1.1.0", failing(0.2))),
		},
		{
			name: "smoke fails", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", policy: colours,
			before: func(w *world) { w.smoke = "canary answered 503" },
		},
		{
			name: "superseded", version: "1.1.1", outcome: strategy.OutcomePromoted, stable: "1.1.1", policy: slowly,
			begin: releases("1.1.0"), during: inPhase(strategy.Stepping, releases("1.1.1")),
		},
		{
			name: "asked for again in mid-rollout", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0", policy: slowly,
			during: inPhase(strategy.Stepping, func(w *world) {
				w.repo.commit(person, "Release 1.1.0 again", map[string]string{releasePath(checkout): releaseText(checkout, "1.1.0", "  attempt = 2\n")})
			}),
			done: func(w *world) bool { return w.rollout(checkout).Stable.Revision.Attempt == 2 },
		},
		{
			name: "withdrawn", version: "1.1.0", outcome: strategy.OutcomeWithdrawn, stable: "1.0.0", policy: slowly,
			during: inPhase(strategy.Stepping, func(w *world) { w.repo.undo(person) }),
		},
		{name: "going back", version: "1.0.0", outcome: strategy.OutcomePromoted, stable: "1.0.0", before: upgrade, begin: func(w *world) { w.repo.undo(person) }},
		{
			name: "fails in promotion", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", policy: partial, jobspec: slowHealth,
			during: onceReplacing(behaves("1.1.0", failing(0.5))),
		},
		{name: "canary crashes", version: "1.1.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", before: behaves("1.1.0", sim.Behaviour{Crash: true})},
		{name: "first release", version: "1.0.0", outcome: strategy.OutcomePromoted, stable: "1.0.0", fresh: true},
		{name: "first release fails", version: "1.2.0", outcome: strategy.OutcomeCondemned, fresh: true, policy: slowly},
		{
			name: "reverted by pull request", version: "1.2.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", hub: true,
			before: func(w *world) { w.repo.refuse = "the branch is protected" },
			begin:  merges("1.2.0"), done: said(strategy.OutcomeCondemned),
		},
		{
			name: "aborted in a comment", version: "1.1.0", outcome: strategy.OutcomeParked, stable: "1.0.0", hub: true, policy: slowly,
			begin: merges("1.1.0"), done: said(strategy.OutcomeParked),
			during: inPhase(strategy.Stepping, func(w *world) {
				w.hub.write(w.now, 7, "stranger", "/drover pause")
				w.hub.write(w.now, 7, person, "/drover abort")
			}),
		},
		{
			name: "planned and merged", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0", hub: true,
			before: func(w *world) { opens(w, 8, "1.0.0", "  max_duration = \"1h\"\n") },
			begin:  func(w *world) { opens(w, 7, "1.1.0", "") },
			during: func(w *world, once func(string) bool) {
				if w.planned(7) == "checkout-api 1.0.0 -> 1.1.0, canary 20-100, about 8 s; DRV013" && once("merged") {
					w.hub.merged(7, w.repo.merge(person, "Merge 7", w.repo.head, releaseFiles(w.t, checkout, "1.1.0")))
				}
			},
			// What is open still is merged with the branch as it is by then, and compared with what is live.
			done: func(w *world) bool {
				return said(strategy.OutcomePromoted)(w) && w.rollout(checkout).Stable.Revision.Version == "1.1.0" &&
					w.planned(8) == "checkout-api 1.1.0, no rollout; DRV013"
			},
		},
		{
			name: "drained", version: "1.1.0", outcome: strategy.OutcomePromoted, stable: "1.1.0", policy: draining,
			before: func(w *world) { w.traffic.Connect(checkout, 10, time.Hour) },
		},
		{
			name: "drained and rolled back", version: "1.2.0", outcome: strategy.OutcomeCondemned, stable: "1.0.0", policy: draining,
			during: inPhase(strategy.Stepping, func(w *world) { w.traffic.Connect(checkout, 20, time.Hour) }),
		},
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

// draining tries a version on copies of requests, and lets open connections end.
var draining = strings.TrimSuffix(quickPolicy, "}\n") + `  shadow {
    percent = 5
    bake    = "4s"
  }
  gate "copies" {
    metric = "error_rate"
    max    = "50%"
    on     = "shadow"
  }
  traffic {
    connection_drain = "12s"
  }
}
`

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

// slowHealth has Nomad take its time with each allocation of a promotion.
func slowHealth(jobspec string) string {
	return strings.NewReplacer(
		`min_healthy_time  = "1s"`, `min_healthy_time  = "25s"`, `healthy_deadline  = "20s"`, `healthy_deadline  = "2m"`, `progress_deadline = "30s"`, `progress_deadline = "3m"`,
	).Replace(jobspec)
}

func withCount(jobspec, count string) string {
	return regexp.MustCompile(`count += .*`).ReplaceAllString(jobspec, "count = "+count)
}

// prepare brings a world to where the story begins.
func (s story) prepare(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, rate)
	w.jobspec = s.jobspec
	if s.hub {
		w.hub = newHub()
		w.restart()
	}
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
