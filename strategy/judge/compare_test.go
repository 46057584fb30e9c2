package judge_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// reading is what both tracks counted in 15 seconds: requests that failed, or how many took how long.
type reading struct {
	canary, stable judge.Counts
	times          struct{ canary, stable histogram }
}

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

// sum is several readings in one.
func sum(readings []reading) reading {
	var all reading
	for _, r := range readings {
		all.canary, all.stable = plus(all.canary, r.canary), plus(all.stable, r.stable)
		all.times.canary.add(r.times.canary)
		all.times.stable.add(r.times.stable)
	}
	return all
}

func plus(a, b judge.Counts) judge.Counts {
	return judge.Counts{Exposure: a.Exposure + b.Exposure, Events: a.Events + b.Events, Over: a.Over + b.Over}
}

// asked tells whether the canary had requests.
func (r reading) asked() bool { return r.canary.Exposure > 0 || r.times.canary.total() > 0 }

// perMinute is how many readings a minute has.
const perMinute = int(time.Minute / readEvery)

// threshold is a limit that the canary breaks in a minute, more than so many times in the whole rollout. Without data a
// minute fails where noData says so.
func threshold(failures int, noData bool, breaks func(minute reading) bool) rule {
	failed := 0
	return func(seen []reading, _ bool) bool {
		if len(seen)%perMinute == 0 {
			minute := sum(seen[len(seen)-perMinute:])
			if (!minute.asked() && noData) || (minute.asked() && breaks(minute)) {
				failed++
			}
		}
		return failed > failures
	}
}

// failsOften is a success rate below 99%.
func failsOften(minute reading) bool { return minute.canary.Events > 0.01*minute.canary.Exposure }

// kayenta is a Mann-Whitney test at 98% of what each minute shows, at the end of every step, on all minutes so far: high
// when the lower end of the confidence interval of the shift exceeds a quarter of the shift.
func kayenta(value func(minute reading) (canary, stable float64)) rule {
	return func(seen []reading, stepEnd bool) bool {
		if !stepEnd {
			return false
		}
		var canary, stable []float64
		for i := perMinute; i <= len(seen); i += perMinute {
			if c, s := value(sum(seen[i-perMinute : i])); !math.IsNaN(c) && !math.IsNaN(s) {
				canary, stable = append(canary, c), append(stable, s)
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

// errorRates are those of both tracks; not a number where nobody asked.
func errorRates(minute reading) (canary, stable float64) {
	rate := func(c judge.Counts) float64 { return c.Events / c.Exposure }
	return rate(minute.canary), rate(minute.stable)
}

// traffic is one kind of it, with what is wrong with the canary.
type traffic interface {
	fmt.Stringer
	play(rng *rand.Rand) []reading
	bad(r reading) float64 // requests to the canary that users had more trouble with than usual
	seed() (uint64, uint64)
}

// contender is a way to judge.
type contender[T traffic] struct {
	name string
	make func(of T, rng *rand.Rand) rule
}

func contenders() []contender[setting] {
	return []contender[setting]{
		{"Drover, 1.5x", func(setting, *rand.Rand) rule { return ours(0, 0) }},
		{"Drover, 1.5x, bursts measured", func(s setting, rng *rand.Rand) rule { return ours(0, s.measured(rng)) }},
		{"Drover, 1.5x and max at 2x of the base", func(s setting, _ *rand.Rand) rule { return ours(2*s.base, 0) }},
		{"below 99% in 5 minutes in all (Flagger)", func(setting, *rand.Rand) rule { return threshold(4, true, failsOften) }},
		{"below 99% in 1 minute (Argo Rollouts, failureLimit 0)", func(setting, *rand.Rand) rule { return threshold(0, false, failsOften) }},
		{"below 99% in 4 minutes (Argo Rollouts, failureLimit 3)", func(setting, *rand.Rand) rule { return threshold(3, false, failsOften) }},
		{"Mann-Whitney 98% at each step (Kayenta)", func(setting, *rand.Rand) rule { return kayenta(errorRates) }},
	}
}

// setting is traffic of which requests fail.
type setting struct {
	rps, base float64
	effect    float64 // the canary's rate by the base rate; +Inf: all fail
	burst     float64 // errors that come at a time
}

func (s setting) canary() float64 { return math.Min(1, s.base*s.effect) }

func (s setting) String() string {
	what := fmt.Sprintf("x%g", s.effect)
	switch {
	case s.effect == 1:
		what = "**healthy**"
	case math.IsInf(s.effect, 1):
		what = "all fail"
	}
	if s.burst > 1 {
		what += fmt.Sprintf(", %g at a time", s.burst)
	}
	return fmt.Sprintf("%g, %g%%, %s", s.rps, s.base*100, what)
}

func (s setting) seed() (uint64, uint64) {
	return uint64(s.rps), uint64(s.base*1e6 + min(s.effect, 1e3)*1e3 + s.burst)
}

func (s setting) bad(r reading) float64 { return r.canary.Events - s.base*r.canary.Exposure }

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
			seen = append(seen, reading{canary: count(c, s.canary()), stable: count(n*(1-w), s.base)})
		}
	}
	return seen
}

// result is how a rule did with a kind of traffic.
type result struct {
	rolledBack float64 // share of rollouts
	minutes    float64 // median, of those
	bad        float64 // mean requests that users had more trouble with than usual
}

func (r result) String() string {
	if r.rolledBack == 0 {
		return fmt.Sprintf("0%% / - / %.0f", r.bad)
	}
	return fmt.Sprintf("%.3g%% / %.3g / %.0f", r.rolledBack*100, r.minutes, r.bad)
}

func compare[T traffic](c contender[T], of T, runs int) result {
	a, b := of.seed()
	rng := rand.New(rand.NewPCG(a, b))
	past := rand.New(rand.NewPCG(b, a)) // Of its own, so that all contenders see the same rollouts.
	var ended []float64
	bad := 0.0
	for range runs {
		judgeNow, all := c.make(of, past), of.play(rng)
		for i := range all {
			bad += of.bad(all[i])
			if judgeNow(all[:i+1], (i+1)%readsPerStep == 0) {
				ended = append(ended, float64(i+1)*readEvery.Minutes())
				break
			}
		}
	}
	slices.Sort(ended)
	r := result{rolledBack: float64(len(ended)) / float64(runs), bad: max(0, bad/float64(runs))}
	if len(ended) > 0 {
		r.minutes = ended[len(ended)/2]
	}
	return r
}

// comparison is every contender on every kind of traffic: a row of results for each of those.
func comparison[T traffic](all []contender[T], kinds []T) [][]result {
	const runs = 300
	rows := make([][]result, len(kinds))
	for i, of := range kinds {
		for _, c := range all {
			rows[i] = append(rows[i], compare(c, of, runs))
		}
	}
	return rows
}

// table is a comparison for the manual.
func table[T traffic](title string, all []contender[T], kinds []T, rows [][]result) string {
	head, rule := "| "+title+" |", "| --- |"
	for _, c := range all {
		head, rule = head+" "+c.name+" |", rule+" --- |"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", head, rule)
	for i, of := range kinds {
		fmt.Fprintf(&b, "| %s |", of)
		for _, r := range rows[i] {
			fmt.Fprintf(&b, " %s |", r)
		}
		b.WriteString("\n")
	}
	return b.String()
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

// TestComparison holds the promise that the manual makes, on a few settings, and with -compare writes all of its tables
// and pictures.
func TestComparison(t *testing.T) {
	if *compareTo == "" {
		healthy := compare(contenders()[0], setting{200, 0.01, 1, 1}, 60)
		failing := compare(contenders()[0], setting{200, 0.01, 10, 1}, 60)
		if healthy.rolledBack > 0.1 || failing.rolledBack < 0.9 {
			t.Errorf("healthy: %s, ten times worse: %s", healthy, failing)
		}
		usual := compare(slowContenders()[0], slowdown{200, 1}, 60)
		slow := compare(slowContenders()[0], slowdown{200, 1.5}, 60)
		if usual.rolledBack > 0.1 || slow.rolledBack < 0.9 {
			t.Errorf("as fast as usual: %s, half as slow again: %s", usual, slow)
		}
		return
	}
	errorRows, slowRows := comparison(contenders(), settings()), comparison(slowContenders(), slowdowns())
	write(t, *compareTo, "errors", table("requests/s, base, canary", contenders(), settings(), errorRows))
	write(t, *compareTo, "latency", table("requests/s, canary", slowContenders(), slowdowns(), slowRows))
	drawComparisons(t, filepath.Dir(*compareTo), errorRows, slowRows)
}

// write puts a table into its place on a page of the manual.
func write(t *testing.T, page, name, table string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table of %s", page, name)
	}
	if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil { //nolint:gosec // A page of the manual.
		t.Fatal(err)
	}
}
