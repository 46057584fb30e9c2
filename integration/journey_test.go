package integration_test

import (
	"flag"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// torture has every disturbance tried in every phase; without it each is tried in a few.
var torture = flag.Bool("torture", false, "disturb rollouts in every phase")

// phases is every phase that a release can be disturbed in, in the order in which a journey comes through them.
var phases = []strategy.Phase{
	strategy.First, strategy.Placing, strategy.Stepping, strategy.Standby, strategy.Promoting, strategy.Restoring, strategy.Reversing,
}

// journey is a release that comes through every phase: a first release, one that is promoted after a standby, one that
// is rolled back, and a person who goes back.
type journey struct {
	*story
	// disturb is done to it as soon as it has entered one of its phases, once each.
	disturb func(strategy.Phase)
	at      []strategy.Phase
	// forgets says that the disturbance may take the record: then a rollout may begin anew.
	forgets bool
}

// patient bakes for long enough that a disturbance in mid-step is one.
var patient = policy{bake: "4s", deadline: "60s"}

// disturbed waits until a rollout enters a phase, and disturbs it.
func (j *journey) disturbed(version string, phase strategy.Phase) {
	j.t.Helper()
	for _, p := range j.at {
		if p == phase {
			j.enters(version, phase)
			j.t.Logf("disturbed in %s", phase)
			j.disturb(phase)
		}
	}
}

// arrives waits until the release rests on a version.
func (j *journey) arrives(version string, ends ...strategy.OutcomeKind) strategy.Rollout {
	j.t.Helper()
	if j.forgets {
		ends = append(ends, strategy.OutcomeNone, strategy.OutcomeWithdrawn)
	}
	return j.becomes("it rests on "+version, func(r strategy.Rollout) bool {
		for _, end := range ends {
			if r.Phase == strategy.Resting && r.Stable.Revision.Version == version && len(r.Outbox) == 0 && r.Hold == nil && r.Last.Kind == end {
				return r.Reason.Code == strategy.Promoted || r.Reason.Code == strategy.UpToDate
			}
		}
		return false
	})
}

// travel takes the journey, and holds its end: whatever was done to it, it is the one that an undisturbed one has.
func (j *journey) travel() {
	t := j.t
	t.Helper()
	j.commit("1.0.0", patient)
	j.runProxy()
	j.drover.start()
	j.disturbed("1.0.0", strategy.First)
	j.arrives("1.0.0", strategy.OutcomePromoted)
	j.welcome()
	old := j.allocs()

	j.commit("1.1.0", patient.blueGreen("6s", `weights = ["25%"]`))
	j.disturbed("1.1.0", strategy.Placing)
	j.disturbed("1.1.0", strategy.Stepping)
	j.disturbed("1.1.0", strategy.Standby)
	j.disturbed("1.1.0", strategy.Promoting)
	r := j.arrives("1.1.0", strategy.OutcomePromoted)
	if !j.forgets {
		j.steps(r)
	}
	j.until("nothing of 1.0.0 runs", func() bool { return len(j.allocs()) == len(old) })
	j.replaced(old)
	good, live := j.shop.head(), j.allocs()

	failed := j.commit("1.2.0", patient)
	j.disturbed("1.2.0", strategy.Restoring)
	j.until("a revert is pushed", func() bool { return j.shop.head() != failed })
	j.arrives("1.1.0", strategy.OutcomeCondemned)
	j.reverted(failed, good)
	j.runs(live)

	j.shop.pull()
	j.shop.git(j.shop.clone, "checkout", "-q", good+"~", "--", "releases")
	j.shop.push("Go back to 1.0.0")
	j.disturbed("1.0.0", strategy.Reversing)
	j.arrives("1.0.0", strategy.OutcomePromoted)
	back := time.Now()
	j.until("users see 1.0.0", func() bool { return j.users.answered("1.0.0", back) > 20 })
	j.only("1.0.0", back)
	j.replaced(live)

	j.staysPut(3 * time.Second)
	j.nobodyFailed(time.Time{}, "1.2.0")
	j.planned(planAtRest)
	if diff := cmp.Diff([]string{person, person, person, "Drover", person}, j.shop.authors()); diff != "" {
		t.Errorf("authors of the commits (-want +got):\n%s", diff)
	}
	j.drover.stop()
}
