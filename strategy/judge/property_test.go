package judge_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/drover-dev/drover/strategy/judge"
)

var begin = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

// events is how many of n requests meet a fate of probability p, by chance.
func events(rng *rand.Rand, n, p float64) float64 {
	mean := n * p
	if mean > 200 { // Near enough to normal.
		return max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()))
	}
	x, limit, product := 0.0, math.Exp(-mean), rng.Float64()
	for product > limit {
		x, product = x+1, product*rng.Float64()
	}
	return min(x, n)
}

// TestFalseAlarmsUnderOptionalStopping looks after every window at canaries that stand exactly on the tolerance, while
// the rate of both tracks jumps about, and counts how many are ever called worse.
func TestFalseAlarmsUnderOptionalStopping(t *testing.T) {
	runs, windows := 2000, 200
	if testing.Short() {
		runs = 400
	}
	const level, margin = 0.05, 0.005
	for _, test := range []struct {
		name      string
		margin    judge.Margin
		nc, ns    float64
		base      float64
		jumps     bool
		notWorse  bool
		burstSize float64
	}{
		{"1.25x, a twentieth of the traffic", judge.Margin{Ratio: 1.25}, 50, 950, 0.01, false, false, 1},
		{"1.25x, half of it, with outages", judge.Margin{Ratio: 1.25}, 500, 500, 0.01, true, false, 1},
		{"0.5 points, rare errors", judge.Margin{Ratio: 1, Absolute: margin}, 100, 900, 0.0005, false, false, 1},
		{"1.5x with errors that come in threes", judge.Margin{Ratio: 1.5}, 100, 900, 0.01, false, false, 3},
		{"called good on the edge of what promotion asks", judge.Margin{Ratio: 1.5, Absolute: margin}, 100, 900, 0.01, true, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(11, uint64(len(test.name))))
			check := judge.Worse(test.margin, test.burstSize, 0)
			if test.notWorse {
				check = judge.NotWorse(test.margin, test.burstSize)
			}
			wrong := 0
			for range runs {
				w, theta := check.Start(), test.base
				for range windows {
					if test.jumps {
						theta = test.base * math.Exp(rng.NormFloat64())
					}
					tally := judge.Tally{
						NC: test.nc, XC: test.burstSize * events(rng, test.nc, (test.margin.Ratio*theta+test.margin.Absolute)/test.burstSize),
						NS: test.ns, XS: test.burstSize * events(rng, test.ns, theta/test.burstSize),
					}
					var err error
					if w, err = check.Add(w, tally); err != nil {
						t.Fatal(err)
					}
				}
				if w.Max >= judge.Threshold(level) {
					wrong++
				}
			}
			share, se := float64(wrong)/float64(runs), math.Sqrt(level*(1-level)/float64(runs))
			t.Logf("%d of %d canaries on the edge were called wrongly: %.2f%%", wrong, runs, share*100)
			if share > level+3*se {
				t.Errorf("got %.2f%%, want at most %.0f%%", share*100, level*100)
			}
		})
	}
}

// TestFalseRollbacksOfAWholeRollout has a healthy canary judged by four gates at once over 200 windows, a look after each.
func TestFalseRollbacksOfAWholeRollout(t *testing.T) {
	runs := 300
	if testing.Short() {
		runs = 60
	}
	rng := rand.New(rand.NewPCG(3, 4))
	rules := judge.Rules{Gates: []judge.Gate{
		{Name: "errors", Max: 0.02, MaxVsStable: &judge.Margin{Ratio: 1.5}, Burst: 1},
		{Name: "slow", MaxVsStable: &judge.Margin{Ratio: 1.4}, Burst: 1},
		{Name: "dependencies", MaxVsStable: &judge.Margin{Ratio: 1.5}, Burst: 1},
		{Name: "rare", Max: 0.001, Burst: 1},
	}}
	rates := map[string]float64{"errors": 0.01, "slow": 0.05, "dependencies": 0.002, "rare": 0.001}
	rolledBack := 0
	for range runs {
		rec := rules.Start()
		for i := range 200 {
			windows := map[string]judge.Window{}
			for name, rate := range rates {
				windows[name] = window(i, judge.Failures(100, events(rng, 100, rate)), judge.Failures(900, events(rng, 900, rate)))
			}
			rec = add(t, rules, rec, windows)
			if rec.Crossed != nil {
				rolledBack++
				break
			}
		}
	}
	share := float64(rolledBack) / float64(runs)
	t.Logf("%d of %d healthy canaries were rolled back: %.2f%%", rolledBack, runs, share*100)
	if share > 0.05+3*math.Sqrt(0.05*0.95/float64(runs)) {
		t.Errorf("got %.2f%%, want at most 5%%", share*100)
	}
}

func window(i int, canary, stable judge.Counts) judge.Window {
	return judge.Window{From: begin.Add(time.Duration(i) * 15 * time.Second), To: begin.Add(time.Duration(i+1) * 15 * time.Second), Canary: canary, Stable: stable}
}

type failing interface{ Fatal(args ...any) }

func add(t failing, rules judge.Rules, rec judge.Record, windows map[string]judge.Window) judge.Record {
	next, err := rules.Add(rec, windows)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func tallies(t *rapid.T) judge.Tally {
	n := rapid.Float64Range(0.5, 1e6)
	tally := judge.Tally{NC: n.Draw(t, "nc"), NS: n.Draw(t, "ns")}
	tally.XC = rapid.Float64Range(0, 1).Draw(t, "canary rate") * tally.NC
	tally.XS = rapid.Float64Range(0, 1).Draw(t, "stable rate") * tally.NS
	return tally
}

func margins(t *rapid.T) judge.Margin {
	return judge.Margin{Ratio: rapid.Float64Range(0.5, 4).Draw(t, "ratio"), Absolute: rapid.Float64Range(0, 0.1).Draw(t, "absolute")}
}

func logE(t *rapid.T, check judge.Ratio, tallies ...judge.Tally) float64 {
	w := check.Start()
	for _, tally := range tallies {
		var err error
		if w, err = check.Add(w, tally); err != nil {
			t.Fatal(err)
		}
	}
	return w.LogE()
}

// TestMoreErrorsAreMoreEvidence: an error more on the canary never speaks for it, and one more on the stable never
// against it. Evidence that it is not worse goes the other way.
func TestMoreErrorsAreMoreEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tally, margin := tallies(t), margins(t)
		more := rapid.Float64Range(0, 1000).Draw(t, "more")
		canary, stable := tally, tally
		canary.XC += more
		stable.XS += more
		worse, notWorse := judge.Worse(margin, 2, 0), judge.NotWorse(margin, 2)
		const slack = 1e-7
		scale := 1 + math.Abs(logE(t, worse, tally))
		if logE(t, worse, canary) < logE(t, worse, tally)-slack*scale || logE(t, worse, stable) > logE(t, worse, tally)+slack*scale {
			t.Errorf("worse: %v, canary +%v: %v, stable +%v: %v", logE(t, worse, tally), more, logE(t, worse, canary), more, logE(t, worse, stable))
		}
		scale = 1 + math.Abs(logE(t, notWorse, tally))
		if logE(t, notWorse, canary) > logE(t, notWorse, tally)+slack*scale || logE(t, notWorse, stable) < logE(t, notWorse, tally)-slack*scale {
			t.Errorf("not worse: %v, canary +%v: %v, stable +%v: %v", logE(t, notWorse, tally), more, logE(t, notWorse, canary), more, logE(t, notWorse, stable))
		}
	})
}

// TestOnlyTheDivisionOfTrafficMatters: without an absolute margin, the evidence follows from the errors and from how the
// requests are divided, not from how many there are.
func TestOnlyTheDivisionOfTrafficMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tally, margin := tallies(t), margins(t)
		margin.Absolute = 0
		larger := tally
		factor := rapid.Float64Range(1, 1000).Draw(t, "factor")
		larger.NC, larger.NS = tally.NC*factor, tally.NS*factor
		a, b := logE(t, judge.Worse(margin, 1, 0), tally), logE(t, judge.Worse(margin, 1, 0), larger)
		if math.Abs(a-b) > 1e-9*(1+math.Abs(a)+tally.XC+tally.XS) {
			t.Errorf("got %v and %v", a, b)
		}
	})
}

// TestWindowsMayBeCut: two windows of like proportions are as much evidence as the one that they make.
func TestWindowsMayBeCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tally, margin := tallies(t), margins(t)
		part := rapid.Float64Range(0.01, 0.99).Draw(t, "part")
		errorsIn := rapid.Float64Range(0, 1).Draw(t, "errors in the first")
		first := judge.Tally{XC: tally.XC * errorsIn, NC: tally.NC * part, XS: tally.XS * errorsIn, NS: tally.NS * part}
		second := judge.Tally{XC: tally.XC - first.XC, NC: tally.NC - first.NC, XS: tally.XS - first.XS, NS: tally.NS - first.NS}
		for _, check := range []judge.Ratio{judge.NotWorse(margin, 2), judge.Worse(margin, 2, 0)} {
			check.Share = 0
			a, b := logE(t, check, tally), logE(t, check, first, second)
			if math.Abs(a-b) > 1e-8*(1+math.Abs(a)+tally.XC+tally.XS+tally.NC*margin.Absolute) {
				t.Errorf("got %v in one window and %v in two", a, b)
			}
		}
	})
}

// rulesOfAll is a gate of each kind.
func rulesOfAll() judge.Rules {
	return judge.Rules{Gates: []judge.Gate{
		{Name: "errors", Max: 0.02, MaxVsStable: &judge.Margin{Ratio: 1.5}},
		{Name: "points", MaxVsStable: &judge.Margin{Ratio: 1, Absolute: 0.005}, Budget: 2},
		{Name: "ceiling", Max: 0.01, WarmUp: time.Minute},
		{Name: "restarts", MaxVsStable: &judge.Margin{Ratio: 2}, Unbounded: true, Burst: 1},
	}}
}

// TestRecordIsTheWholeMemory: a record that is written and read between any two windows goes on to the bit, and windows
// that come again, or late, change nothing.
func TestRecordIsTheWholeMemory(t *testing.T) {
	rules := rulesOfAll()
	if err := rules.Check(); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		kept, written := rules.Start(), rules.Start()
		for i := range rapid.IntRange(1, 30).Draw(t, "windows") {
			windows := map[string]judge.Window{}
			for _, g := range rules.Gates {
				c, s := rapid.Float64Range(0, 500).Draw(t, "canary"), rapid.Float64Range(0, 5000).Draw(t, "stable")
				rate := rapid.Float64Range(0, 0.2).Draw(t, "rate")
				windows[g.Name] = window(i, judge.Failures(c, c*rate), judge.Failures(s, s*rate/2))
			}
			kept, written = add(t, rules, kept, windows), add(t, rules, written, windows)
			if rapid.Bool().Draw(t, "restart") {
				text, err := json.Marshal(written)
				if err != nil {
					t.Fatal(err)
				}
				written = judge.Record{}
				if err := json.Unmarshal(text, &written); err != nil {
					t.Fatal(err)
				}
			}
			if rapid.Bool().Draw(t, "again") {
				again := add(t, rules, written, windows)
				if diff := cmp.Diff(written, again); diff != "" {
					t.Fatalf("the same windows again changed the record:\n%s", diff)
				}
			}
			if rapid.Bool().Draw(t, "step") {
				kept, written = kept.NextStep(), written.NextStep()
			}
		}
		if diff := cmp.Diff(kept, written); diff != "" {
			t.Errorf("kept (-) and written (+) differ:\n%s", diff)
		}
	})
}

// TestRulingIsConsistent: an answer says what its findings say, evidence once enough stays enough, and asking twice is
// asking once.
func TestRulingIsConsistent(t *testing.T) {
	rules := rulesOfAll()
	rapid.Check(t, func(t *rapid.T) {
		rec, beyond := rules.Start(), false
		for i := range rapid.IntRange(1, 20).Draw(t, "windows") {
			windows := map[string]judge.Window{}
			for _, g := range rules.Gates {
				windows[g.Name] = window(i, judge.Failures(100, rapid.Float64Range(0, 20).Draw(t, "errors")), judge.Failures(900, 9))
			}
			rec = add(t, rules, rec, windows)
			ruling, err := rules.Judge(rec, true)
			if err != nil {
				t.Fatal(err)
			}
			if beyond && ruling.Answer != judge.Beyond {
				t.Fatal("what was beyond its limits is not any more")
			}
			beyond = ruling.Answer == judge.Beyond
			within := true
			for _, f := range ruling.Findings {
				within = within && f.Answer == judge.Within
				if f.Evidence < 0 || f.Evidence > 1 || f.P < 0 || f.P > 1 {
					t.Errorf("gate %q: evidence %v, p %v", f.Gate, f.Evidence, f.P)
				}
			}
			if (ruling.Answer == judge.Within) != (within && !beyond) {
				t.Errorf("ruling %s of findings %+v", ruling.Answer, ruling.Findings)
			}
		}
	})
}
