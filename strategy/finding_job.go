package strategy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Surroundings is what findings may rest on besides a release and its job. What is not known is zero.
type Surroundings struct {
	RPS    float64        // requests in a second to the release
	Errors float64        // share of them that fails; 0 is usual
	Every  time.Duration  // how far apart the readings of its counters are
	Live   map[string]int // allocations by group
	First  bool           // nothing runs yet
	// Late is the router, for people, that learns only from Drover which allocations end; "" for one that follows them.
	Late string
}

// Late is a router as Surroundings have it.
func (a Abilities) Late(name string) string {
	if !a.Static {
		return ""
	}
	return fmt.Sprintf("router %q (%s)", name, a.Kind)
}

// usualErrors is the share of requests that fail of a service that nobody measured.
const usualErrors = 0.001

// Surroundings is the traffic of a release, as its meter counted it since it began to; zero when that cannot be said. How
// much of it failed is not taken from that: a failure of long ago says nothing of now.
func (s Sample) Surroundings() Surroundings {
	const shortest = time.Minute // What was counted in less says nothing of an hour.
	around := Surroundings{Every: s.Every}
	for _, series := range s.Series {
		age := s.At.Sub(series.Since)
		if !series.isWhole() || series.Since.IsZero() || age < shortest {
			continue
		}
		around.RPS += series.Requests / age.Seconds()
	}
	return around
}

// isWhole tells whether a series counts all requests that users made to a track.
func (s Series) isWhole() bool {
	return s.Gate == "" && s.Endpoint == "" && (s.Track == Stable || s.Track == Canary)
}

// Whole are the series that count all requests that users made to a track: not those of gates, of endpoints or of copies.
func (s Sample) Whole() []Series {
	return slices.DeleteFunc(slices.Clone(s.Series), func(series Series) bool { return !series.isWhole() })
}

// Findings is what is to be said about a release with its job, in its surroundings, save what was accepted.
func (d Desired) Findings(around Surroundings) []Finding {
	plan := d.Release.Plan
	all := plan.findings(around.Every)
	say := sayerTo(&all, plan.Accepted)
	serving, serves := d.Job.Serving(d.Service)
	if serves && !slices.Contains(serving.Checked, d.Service) {
		say("DRV017", "add a check block to the service", "the service %q has no check: its canaries count as ready as soon as they run, and get traffic before they can answer", d.Service)
	}
	if around.First {
		say("DRV022", "release a version first that is known to be good", "it is the first release: there is no version to go back to, and when it fails the job is stopped")
		return all
	}
	plan.checkTraffic(say, around)
	if live := around.of(serving); serves && live > 1 && plan.Canaries.For(live, plan.Steps) == 1 {
		say("DRV019", `write canaries = 2 or more, "auto" or "full"`, "group %q gets one canary beside %d allocations: on a bad node a sound version looks like a bad one", serving.Name, live)
	}
	if serves && around.Late != "" && serving.ShutdownDelay <= 0 {
		say("DRV024", fmt.Sprintf("write shutdown_delay = \"3s\" into group %q", serving.Name),
			"group %q has no shutdown_delay: an allocation that ends does so at once, and %s learns of it a moment later: requests in between fail", serving.Name, around.Late)
	}
	d.checkGroups(say, around, serving.Name)
	return all
}

// of is how many allocations a group has.
func (s Surroundings) of(g GroupSpec) int {
	if live, known := s.Live[g.Name]; known {
		return live
	}
	return g.Count
}

// checkGroups looks for groups that a rollout does something to that they may not be made for.
func (d Desired) checkGroups(say sayer, around Surroundings, serving string) {
	var twice, scaled []string
	for _, g := range d.Job.Groups {
		if serving != "" && g.Name != serving && len(g.Services) == 0 && around.of(g) > 0 {
			twice = append(twice, fmt.Sprintf("%q", g.Name))
		}
		if g.Scaled {
			scaled = append(scaled, fmt.Sprintf("%q", g.Name))
		}
	}
	about := d.Release.Plan.Bake() + d.Release.Plan.Standby
	if len(twice) > 0 {
		say("DRV020", "move what works on its own into a job of its own, or make it safe to run beside another version",
			"%s of no service runs in both versions at once, for %s or more: both take from the same queues and schedules", groups(twice), about)
	}
	if len(scaled) > 0 {
		say("DRV021", "have room for the load of a rollout: a larger min, or shorter bakes", "Nomad refuses to scale %s while a rollout is under way, for %s or more", groups(scaled), about)
	}
}

func groups(names []string) string {
	if len(names) == 1 {
		return "group " + names[0]
	}
	return "groups " + strings.Join(names, ", ")
}

// checkTraffic looks for gates that the traffic cannot satisfy within the bake of the step that asks them first. It tells
// of the one that needs most.
func (p Plan) checkTraffic(say sayer, around Surroundings) {
	if around.RPS <= 0 {
		return
	}
	var worst Need
	errors := around.Errors
	if errors == 0 {
		errors = usualErrors
	}
	for _, n := range p.Needs(errors) {
		if n.RPS > around.RPS && n.RPS > worst.RPS {
			worst = n
		}
	}
	if worst.Gate == "" {
		return
	}
	if math.IsInf(worst.RPS, 0) {
		say("DRV018", "widen what it promotes within, or set its max above what is usual", "gate %q would never pass, with %s of the requests failing as they do now", worst.Gate, shareText(errors))
		return
	}
	step := p.firstAsking(worst.Gate)
	then := map[OnInconclusive]string{
		HoldInconclusive: "then it holds until they came", PromoteInconclusive: "then the next step begins all the same", RejectInconclusive: "then it is rolled back",
	}[p.OnInconclusive]
	if then == "" {
		then = "it bakes on, up to four times as long, and then holds"
	}
	need := time.Duration(worst.RPS / around.RPS * float64(step.Bake))
	say("DRV018", fmt.Sprintf("bake for %s, or see drover policies builtin/low-traffic", roundedUp(need)),
		"gate %q needs some %s requests a second to pass a sound version within %s at %s, and %s are made: %s", worst.Gate, rounded(worst.RPS), step.Bake, step.Weight, number(math.Round(around.RPS*10)/10), then)
}

func (p Plan) firstAsking(gate string) Step {
	for _, g := range p.Gates {
		if g.Name == gate {
			step, _ := p.firstStep(g)
			return step
		}
	}
	return Step{}
}

// roundedUp is a time as people write it into a policy.
func roundedUp(d time.Duration) time.Duration {
	unit := time.Second
	if d > 2*time.Minute {
		unit = time.Minute
	}
	return (d + unit - 1).Truncate(unit)
}

func shareText(share float64) string { return number(share*100) + "%" }
