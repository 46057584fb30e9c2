package strategy_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestEvidenceStaysSmall has as many gates as a plan may have, each with both limits, judge a long rollout: what is
// remembered of it leaves room in a record of 16 KiB for the rest.
func TestEvidenceStaysSmall(t *testing.T) {
	const gates, most = 8, 9 << 10
	p := strategy.Plan{Steps: steps(time.Minute, 10, 100)}
	for i := range gates {
		g := errorGate
		if i%2 == 1 {
			g = latencyGate
		}
		g.Name = fmt.Sprintf("gate-number-%d", i)
		p.Gates = append(p.Gates, g)
	}
	c := trial{canary: counters(210.5, 0.75, 203.25, 208), stable: counters(4010, 11, 3900.5, 4005), windows: 100}
	r := c.run(t, p)
	stays(t, r, most, gates)
}

// TestEndpointsStaySmall: the same of as many limits as a plan may have, most of them of endpoints.
func TestEndpointsStaySmall(t *testing.T) {
	const most = 12 << 10
	byEndpoint := errorGate
	byEndpoint.Name, byEndpoint.By = "endpoints", strategy.ByEndpoint
	p := strategy.Plan{Steps: steps(time.Minute, 10, 100), Gates: []strategy.Gate{errorGate, latencyGate, byEndpoint}}
	c := trial{canary: counters(210.5, 0.75, 203.25, 208), stable: counters(4010, 11, 3900.5, 4005), windows: 100}
	for n := range 9 {
		c.endpoints = append(c.endpoints, endpoint{fmt.Sprintf("DELETE /orders/%d-of-a-kind/:id/positions", n), counters(20.5, 0.075), counters(400.25, 1.5)})
	}
	stays(t, c.run(t, p), most, len(p.Gates))
}

func stays(t *testing.T, r strategy.Rollout, most, gates int) {
	t.Helper()
	text, err := json.Marshal(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes for %d gates", len(text), gates)
	if len(text) > most {
		t.Errorf("got %d bytes, want at most %d", len(text), most)
	}
}
