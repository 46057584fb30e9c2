package judge_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

func ratioOf(t *testing.T, check judge.Ratio, tallies ...judge.Tally) judge.Wealth {
	t.Helper()
	w := check.Start()
	for _, tally := range tallies {
		var err error
		if w, err = check.Add(w, tally); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestWindowsThatSayNothing(t *testing.T) {
	worse := judge.Worse(judge.Margin{Ratio: 1.5}, 2, 0)
	for name, tally := range map[string]judge.Tally{
		"zero everything": {}, "no canary": {XS: 5, NS: 900}, "no stable": {XC: 5, NC: 100}, "no errors": {NC: 100, NS: 900},
	} {
		if got, want := ratioOf(t, worse, tally).LogE(), worse.Start().LogE(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestExtremes(t *testing.T) {
	worse := judge.Worse(judge.Margin{Ratio: 1.25}, 1, 0)
	for name, tally := range map[string]judge.Tally{
		"one error only": {XC: 1, NC: 100, NS: 900}, "all fail": {XC: 100, NC: 100, XS: 1, NS: 900}, "fractions": {XC: 0.25, NC: 10.5, XS: 0.1, NS: 99.5},
		"a thousandth of the traffic": {XC: 1, NC: 10, XS: 12, NS: 9990}, "huge": {XC: 1e9, NC: 1e9, XS: 1e9, NS: 1e9},
	} {
		if got := ratioOf(t, worse, tally).LogE(); math.IsNaN(got) || math.IsInf(got, 0) {
			t.Errorf("%s: got %v", name, got)
		}
	}
	for name, tally := range map[string]judge.Tally{"NaN": {XC: math.NaN(), NC: 1, NS: 1}, "negative": {XC: -1, NC: 1, NS: 1}, "infinite": {NC: math.Inf(1), NS: 1}} {
		before := worse.Start()
		after, err := worse.Add(before, tally)
		if err == nil || after.LogE() != before.LogE() {
			t.Errorf("%s: got error %v and evidence %v", name, err, after.LogE())
		}
	}
}

// TestEqualRatesCostLittle: however long a canary is as good as the stable, what a later fault has to win back is bounded.
func TestEqualRatesCostLittle(t *testing.T) {
	worse := judge.Worse(judge.Margin{Ratio: 1.25}, 1, 0)
	w := worse.Start()
	for range 10_000 {
		var err error
		if w, err = worse.Add(w, judge.Tally{XC: 10, NC: 1000, XS: 10, NS: 1000}); err != nil {
			t.Fatal(err)
		}
		if got := w.LogE(); math.IsNaN(got) || got < math.Log(0.1)-2.8 {
			t.Fatalf("got %v, want at least %v", got, math.Log(0.1)-2.8)
		}
	}
}

func TestOneWindowAloneDecidesNothing(t *testing.T) {
	rules := judge.Rules{Gates: []judge.Gate{{Name: "errors", Max: 0.01, MaxVsStable: &judge.Margin{Ratio: 1.5}}}}
	all := func(i int) map[string]judge.Window {
		return map[string]judge.Window{"errors": window(i, judge.Failures(1000, 1000), judge.Failures(9000, 9))}
	}
	rec := add(t, rules, rules.Start(), all(0))
	if rec.Crossed != nil {
		t.Error("one catastrophic window is enough, want two")
	}
	if rec = add(t, rules, rec, all(1)); rec.Crossed == nil {
		t.Error("two catastrophic windows are not enough")
	}
}

func TestWindowsThatCannotBeUsed(t *testing.T) {
	rules := judge.Rules{Gates: []judge.Gate{{Name: "errors", Max: 0.01}}}
	rec := add(t, rules, rules.Start(), map[string]judge.Window{"errors": window(1, judge.Failures(100, 1), judge.Failures(900, 9))})
	overlapping := window(1, judge.Failures(100, 1), judge.Counts{})
	overlapping.To = overlapping.To.Add(time.Second)
	backwards := window(3, judge.Failures(100, 1), judge.Counts{})
	backwards.From, backwards.To = backwards.To, backwards.From
	for want, w := range map[string]judge.Window{
		"overlaps":        overlapping,
		"end after":       backwards,
		"events exceed":   window(3, judge.Failures(100, 101), judge.Counts{}),
		"want a count of": window(3, judge.Failures(-1, 0), judge.Counts{}),
	} {
		next, err := rules.Add(rec, map[string]judge.Window{"errors": w})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"errors"`) {
			t.Errorf("got error %v, want %q of gate errors", err, want)
		}
		if next.Gates[0].Over.LogE() != rec.Gates[0].Over.LogE() {
			t.Errorf("%s: the record changed", want)
		}
	}
	late, err := rules.Add(rec, map[string]judge.Window{"errors": window(0, judge.Failures(100, 100), judge.Counts{})})
	if err != nil || late.Gates[0].Canary != rec.Gates[0].Canary {
		t.Errorf("a window from before changed something, or is an error: %v", err)
	}
	if _, err := rules.Add(rec, map[string]judge.Window{"eror": window(4, judge.Counts{}, judge.Counts{})}); err == nil {
		t.Error("a window of an unknown gate is no error")
	}
	other := judge.Rules{Gates: []judge.Gate{{Name: "errors", Max: 0.02}}}
	if _, err := other.Add(rec, nil); err == nil || !strings.Contains(err.Error(), "start a new one") {
		t.Errorf("a record of other rules: got error %v", err)
	}
	if _, err := other.Judge(rec, true); err == nil {
		t.Error("a record of other rules can be judged")
	}
}

func TestWindowsThatAreLeftOut(t *testing.T) {
	rules := judge.Rules{Gates: []judge.Gate{{Name: "errors", MaxVsStable: &judge.Margin{Ratio: 1.5}, WarmUp: 30 * time.Second}}}
	bad := func(i int, mixed bool) map[string]judge.Window {
		w := window(i, judge.Failures(100, 100), judge.Failures(900, 1))
		w.Mixed = mixed
		return map[string]judge.Window{"errors": w}
	}
	rec := rules.Start()
	none := rec.Gates[0].Worse.LogE()
	for i := range 2 {
		rec = add(t, rules, rec, bad(i, false))
	}
	rec = add(t, rules, rec, bad(2, true))
	if got := rec.Gates[0].Worse.LogE(); got != none {
		t.Errorf("warming up, and while the weight changed: got evidence %v, want none", got)
	}
	if rec = add(t, rules, rec, bad(3, false)); rec.Gates[0].Worse.LogE() <= none {
		t.Error("after that nothing counts either")
	}
}

// TestRecordStaysSmall: a gate with both limits takes no more than 1100 bytes, after however long.
func TestRecordStaysSmall(t *testing.T) {
	rules := judge.Rules{Gates: []judge.Gate{{Name: "errors", Max: 0.02, MaxVsStable: &judge.Margin{Ratio: 1.5}}}}
	rec := rules.Start()
	for i := range 500 {
		n := 1000 / (1 + float64(i%7))
		rec = add(t, rules, rec, map[string]judge.Window{"errors": window(i, judge.Failures(n/3, n/700), judge.Failures(n*3, n/80))})
	}
	text, err := json.Marshal(rec.Gates[0])
	if err != nil || len(text) > 1100 {
		t.Errorf("got %d bytes, want at most 1100; %v", len(text), err)
	}
}

func TestTolerate(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		name     string
		le, cum  []float64
		boundary float64
		margin   judge.Margin
		wrong    string
	}{
		{"fine buckets", []float64{0.1, 0.2, 0.4, inf}, []float64{800, 950, 990, 1000}, 0.2, judge.Margin{Ratio: math.Pow(1.2, math.Log(20)/math.Log(4))}, ""},
		{"all within the first", []float64{0.1, 0.2, inf}, []float64{1000, 1000, 1000}, 0.1, judge.Margin{Ratio: 1, Absolute: 0.05}, ""},
		{"a gap around the quantile", []float64{0.1, 1, 2, inf}, []float64{500, 999, 1000, 1000}, 1, judge.Margin{Ratio: 1, Absolute: 0.049}, ""},
		{"beyond all bounds", []float64{0.1, 0.2, inf}, []float64{100, 200, 1000}, 0, judge.Margin{}, "too coarse"},
		{"nothing counted", []float64{0.1, inf}, []float64{0, 0}, 0, judge.Margin{}, "without requests"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tail, margin, err := judge.Tolerate(test.le, test.cum, 0.95, 0.2)
			if (err == nil) != (test.wrong == "") || (err != nil && !strings.Contains(err.Error(), test.wrong)) {
				t.Fatalf("got error %v, want %q", err, test.wrong)
			}
			if tail.Boundary != test.boundary || !near(margin.Ratio, test.margin.Ratio) || !near(margin.Absolute, test.margin.Absolute) {
				t.Errorf("got bound %v with %+v, want %v with %+v", tail.Boundary, margin, test.boundary, test.margin)
			}
		})
	}
}
