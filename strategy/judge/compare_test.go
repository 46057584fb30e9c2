package judge_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

var compareTo = flag.String("compare", "", "write the comparison with other rules to this file (make bench-judge)")

// The rollout of the comparison: six steps of three minutes, read every 15 seconds.
const (
	readEvery    = 15 * time.Second
	readsPerStep = 12
)

var compareWeights = []float64{0.01, 0.05, 0.10, 0.25, 0.50, 1}

// reading is what both tracks counted in 15 seconds.
type reading struct{ canary, stable judge.Counts }

// rule looks at all readings so far, the newest last; stepEnd tells whether a step ends with it. It tells whether to roll back.
type rule func(seen []reading, stepEnd bool) bool

// ours is a gate of the standard kind: max_vs_stable = "1.5x" at 95%. burst is what is known of how errors come; 0 is nothing.
func ours(limit, burst float64) rule {
	rules := judge.Rules{Gates: []judge.Gate{{Name: "errors", MaxVsStable: &judge.Margin{Ratio: 1.5}, Max: limit, Burst: burst}}}
	rec := rules.Start()
	return func(seen []reading, _ bool) bool {
		i, now := len(seen)-1, seen[len(seen)-1]
		next, err := rules.Add(rec, map[string]judge.Window{"errors": window(i, now.canary, now.stable)})
		if err != nil {
			panic(err)
		}
		rec = next
		return rec.Crossed != nil
	}
}

// minutely is the readings of the newest minute, when one is over.
func minutely(seen []reading) (judge.Counts, bool) {
	const reads = 4
	if len(seen)%reads != 0 {
		return judge.Counts{}, false
	}
	var sum judge.Counts
	for _, r := range seen[len(seen)-reads:] {
		sum.Exposure += r.canary.Exposure
		sum.Events += r.canary.Events
	}
	return sum, true
}

// threshold is a success rate below 99% in a minute, more than so many times in the whole rollout. Without data a minute
// fails where noData says so.
func threshold(failures int, noData bool) rule {
	failed := 0
	return func(seen []reading, _ bool) bool {
		if minute, over := minutely(seen); over {
			if (minute.Exposure == 0 && noData) || minute.Events > 0.01*minute.Exposure {
				failed++
			}
		}
		return failed > failures
	}
}

// kayenta is a Mann-Whitney test at 98% of the error rates of each minute, at the end of every step, on all minutes so far: high
// when the lower end of the confidence interval of the shift exceeds a quarter of the shift.
func kayenta() rule {
	return func(seen []reading, stepEnd bool) bool {
		if !stepEnd {
			return false
		}
		var canary, stable []float64
		for i := 4; i <= len(seen); i += 4 {
			var c, s judge.Counts
			for _, r := range seen[i-4 : i] {
				c.Exposure, c.Events = c.Exposure+r.canary.Exposure, c.Events+r.canary.Events
				s.Exposure, s.Events = s.Exposure+r.stable.Exposure, s.Events+r.stable.Events
			}
			if c.Exposure > 0 && s.Exposure > 0 {
				canary, stable = append(canary, c.Rate()), append(stable, s.Rate())
			}
		}
		var shifts []float64
		for _, c := range canary {
			for _, s := range stable {
				shifts = append(shifts, c-s)
			}
		}
		slices.Sort(shifts)
		n, m := float64(len(canary)), float64(len(stable))
		lower := int(n*m/2 - 2.326*math.Sqrt(n*m*(n+m+1)/12))
		if lower < 0 || len(shifts) == 0 {
			return false
		}
		return shifts[lower] > 0.25*math.Abs(shifts[len(shifts)/2])
	}
}

// contender is a way to judge.
type contender struct {
	name string
	make func(s setting, rng *rand.Rand) rule
}

func contenders() []contender {
	return []contender{
		{"Drover, 1.5x", func(setting, *rand.Rand) rule { return ours(0, 0) }},
		{"Drover, 1.5x, bursts measured", func(s setting, rng *rand.Rand) rule { return ours(0, s.measured(rng)) }},
		{"Drover, 1.5x and max at 2x of the base", func(s setting, _ *rand.Rand) rule { return ours(2*s.base, 0) }},
		{"below 99% in 5 minutes in all (Flagger)", func(setting, *rand.Rand) rule { return threshold(4, true) }},
		{"below 99% in 1 minute (Argo Rollouts, failureLimit 0)", func(setting, *rand.Rand) rule { return threshold(0, false) }},
		{"below 99% in 4 minutes (Argo Rollouts, failureLimit 3)", func(setting, *rand.Rand) rule { return threshold(3, false) }},
		{"Mann-Whitney 98% at each step (Kayenta)", func(setting, *rand.Rand) rule { return kayenta() }},
	}
}

// setting is one kind of traffic.
type setting struct {
	rps, base float64
	effect    float64 // the canary's rate by the base rate; +Inf: all fail
	burst     float64 // errors that come at a time
}

func (s setting) canary() float64 { return math.Min(1, s.base*s.effect) }

// measured is how errors come, as it is read from an hour of eight allocations of the stable before the rollout.
func (s setting) measured(rng *rand.Rand) float64 {
	const allocations = 8
	rows := make([]judge.Row, time.Hour/readEvery)
	for i := range rows {
		rows[i] = judge.Row{Events: make([]float64, allocations), Exposure: make([]float64, allocations)}
		for j := range allocations {
			n := s.rps * readEvery.Seconds() / allocations
			rows[i].Exposure[j], rows[i].Events[j] = n, s.burst*events(rng, n, s.base/s.burst)
		}
	}
	burst, _ := judge.EstimateBurst(rows)
	return burst
}

func (s setting) play(rng *rand.Rand) []reading {
	seen := make([]reading, 0, len(compareWeights)*readsPerStep)
	count := func(n, rate float64) judge.Counts {
		n = math.Round(n)
		if rate == 1 {
			return judge.Failures(n, n)
		}
		return judge.Failures(n, min(n, s.burst*events(rng, n, rate/s.burst)))
	}
	for _, w := range compareWeights {
		for range readsPerStep {
			n := s.rps * readEvery.Seconds()
			c := events(rng, 2*n*w, 0.5) // By chance, so that a canary may be asked by nobody.
			seen = append(seen, reading{count(c, s.canary()), count(n*(1-w), s.base)})
		}
	}
	return seen
}

// result is how a rule did in a setting.
type result struct {
	rolledBack float64 // share of rollouts
	minutes    float64 // median, of those
	excess     float64 // mean errors above what the base rate would have made
}

func (r result) String() string {
	if r.rolledBack == 0 {
		return fmt.Sprintf("0%% / - / %.0f", r.excess)
	}
	return fmt.Sprintf("%.3g%% / %.3g / %.0f", r.rolledBack*100, r.minutes, r.excess)
}

func compare(c contender, s setting, runs int) result {
	rng := rand.New(rand.NewPCG(uint64(s.rps), uint64(s.base*1e6+s.effect*1e3+s.burst)))
	past := rand.New(rand.NewPCG(uint64(s.rps), uint64(s.base*1e6))) // Of its own, so that all contenders see the same rollouts.
	var ended []float64
	excess := 0.0
	for range runs {
		judgeNow, all := c.make(s, past), s.play(rng)
		for i := range all {
			excess += all[i].canary.Events - s.base*all[i].canary.Exposure
			if judgeNow(all[:i+1], (i+1)%readsPerStep == 0) {
				ended = append(ended, float64(i+1)*readEvery.Minutes())
				break
			}
		}
	}
	slices.Sort(ended)
	r := result{rolledBack: float64(len(ended)) / float64(runs), excess: max(0, excess/float64(runs))}
	if len(ended) > 0 {
		r.minutes = ended[len(ended)/2]
	}
	return r
}

func settings() []setting {
	var all []setting
	for _, burst := range []float64{1, 5} {
		for _, rps := range []float64{2, 20, 200, 2000} {
			for _, base := range []float64{0.001, 0.01} {
				for _, effect := range []float64{1, 1.2, 2, 10, math.Inf(1)} {
					if burst > 1 && effect != 1 && effect != 10 {
						continue
					}
					all = append(all, setting{rps, base, effect, burst})
				}
			}
		}
	}
	return all
}

// TestComparison holds the promise that the manual makes, on a few settings, and with -compare writes all of its tables.
func TestComparison(t *testing.T) {
	if *compareTo == "" {
		healthy := compare(contenders()[0], setting{200, 0.01, 1, 1}, 60)
		failing := compare(contenders()[0], setting{200, 0.01, 10, 1}, 60)
		if healthy.rolledBack > 0.1 || failing.rolledBack < 0.9 {
			t.Errorf("healthy: %s, ten times worse: %s", healthy, failing)
		}
		return
	}
	const runs = 300
	var b strings.Builder
	for _, s := range settings() {
		what := fmt.Sprintf("x%g", s.effect)
		if math.IsInf(s.effect, 1) {
			what = "all fail"
		}
		if s.effect == 1 {
			what = "**healthy**"
		}
		if s.burst > 1 {
			what += fmt.Sprintf(", %g at a time", s.burst)
		}
		fmt.Fprintf(&b, "| %g, %g%%, %s |", s.rps, s.base*100, what)
		for _, c := range contenders() {
			fmt.Fprintf(&b, " %s |", compare(c, s, runs))
		}
		b.WriteString("\n")
	}
	head := "| requests/s, base, canary |"
	rule := "| --- |"
	for _, c := range contenders() {
		head, rule = head+" "+c.name+" |", rule+" --- |"
	}
	table := head + "\n" + rule + "\n" + b.String()
	fmt.Print(table)
	text, err := os.ReadFile(*compareTo)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "<!-- table -->\n")
	_, after, closed := strings.Cut(rest, "<!-- end -->\n")
	if !found || !closed {
		t.Fatalf("%s has no place for the table", *compareTo)
	}
	if err := os.WriteFile(*compareTo, []byte(before+"<!-- table -->\n"+table+"<!-- end -->\n"+after), 0o644); err != nil { //nolint:gosec // A page of the manual.
		t.Fatal(err)
	}
}
