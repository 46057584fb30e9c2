package strategy_test

import (
	"encoding/json"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// TestBurstIsTakenBeforeAnythingIsJudged: errors that come five at a time are five times less evidence each. What comes after
// the first window changes nothing, and a record that was stored and read goes on.
func TestBurstIsTakenBeforeAnythingIsJudged(t *testing.T) {
	against := func(burst, later float64) float64 {
		c := trial{gate: errorGate, canary: counters(100, 2, 90, 100), stable: counters(900, 4, 850, 900), windows: 6, burst: burst, later: later}
		v := c.verdict(t)
		if v.State == strategy.Fail {
			t.Fatalf("fails: %s", v.Why)
		}
		return v.Against
	}
	usual, five := against(0, 0), against(5, 0)
	if !(five < usual && usual > 0) {
		t.Errorf("evidence is %v as usual and %v when errors come five at a time", usual, five)
	}
	if got := against(0, 5); got != usual {
		t.Errorf("evidence is %v when it is known later, want %v as if it were not", got, usual)
	}
	c := trial{gate: errorGate, canary: counters(100, 1, 90, 100), stable: counters(900, 4, 850, 900), windows: 6, burst: 5}
	r := c.run(t, c.plan())
	text, err := json.Marshal(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	var again strategy.Evidence
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if got, want := strategy.Judge(r.Plan, again, true)[0], strategy.Judge(r.Plan, r.Evidence, true)[0]; got != want {
		t.Errorf("read again it says %+v, want %+v", got, want)
	}
}
