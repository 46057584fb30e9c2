package providertest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// routerRestart starts an instance of the router anew: it has its split, or is given it again. Where there is another, users
// lose nothing by that, save what an instance answers that has to be given its split.
func routerRestart(t *testing.T, s *routerSuite) {
	if s.Restart == nil {
		return
	}
	split := s.split(shopRelease, strategy.Percent(25))
	s.apply(t, split)
	var users *crowd
	if len(s.Others) > 0 {
		users = s.crowd(t, shopRelease)
		users.ask(t, 200)
	}
	s.Restart()
	state, err := s.Router.Read(t.Context(), shopRelease)
	if err != nil {
		t.Fatalf("read the split of a router that was started anew: %v", err)
	}
	s.found.Restart = "has its split still"
	if !state.Has(split) {
		s.found.Restart = "is given its split again"
		if s.Router.Abilities().Kind != "proxy" && !s.Router.Abilities().Static {
			t.Error("it lost its split, and does not say that it has to be given it again")
		}
	}
	s.apply(t, split)
	if users != nil {
		s.lostInRestart(t, users)
		s.everywhere(t, split) // Whose turn it is depends on where the users left off.
		return
	}
	s.expect(t, shopRelease, 400, split.Weight)
}

// routerReload has the router read its configuration anew while users ask: nobody notices, it has its split still, and does what
// it is told after that.
func routerReload(t *testing.T, s *routerSuite) {
	if s.Reload == nil {
		return
	}
	split := s.split(shopRelease, strategy.Percent(25))
	s.apply(t, split)
	users := s.crowd(t, shopRelease)
	s.Drawn = true // Whose turn it is depends on the others, who ask too.
	for i, weight := range []strategy.Weight{strategy.Percent(25), strategy.Percent(50), strategy.Full, 0} {
		split.Weight = weight
		s.apply(t, split)
		s.Reload()
		if state, err := s.Router.Read(t.Context(), shopRelease); err != nil || !state.Has(split) {
			t.Fatalf("after a reload at %s the router has %+v, error %v, want %+v", weight, state.Splits, err, split)
		}
		s.expect(t, shopRelease, 400, weight)
		split.Canary = []strategy.Endpoint{s.Start(shopRelease, fmt.Sprintf("%s-canary-%d", shopRelease, i))}
		s.apply(t, split)
		if got := s.Send(shopRelease, 100)[split.Canary[0].Alloc]; (got > 0) != (weight > 0) {
			t.Errorf("at %s a canary that came after a reload answered %d of 100", weight, got)
		}
		split.Canary = []strategy.Endpoint{s.Start(shopRelease, shopRelease+"-canary")}
	}
	users.end()
	for problem, n := range users.failed {
		t.Errorf("while the router was reloaded, %d requests failed: %s", n, problem)
	}
	if users.asked[true] == 0 || users.asked[false] == 0 {
		t.Errorf("asked %v requests: too few to show anything", users.asked)
	}
	failed, asked := users.failures()
	s.found.Restart += fmt.Sprintf("; %d of %d requests failed in reloads", failed, asked)
}

// lostInRestart is what users lost while one instance of several was started anew.
func (s *routerSuite) lostInRestart(t *testing.T, users *crowd) {
	t.Helper()
	users.ask(t, 400)
	users.end()
	failed, asked := users.failures()
	if users.elsewhere == 0 {
		t.Error("nobody noticed that an instance was started anew: nothing was shown")
	}
	if !s.Forgets {
		for problem, n := range users.failed {
			t.Errorf("while one of two instances was started anew, %d requests failed: %s", n, problem)
		}
	}
	s.found.Restart += fmt.Sprintf("; beside another %d of %d requests failed", failed, asked)
}

// everywhere holds each instance to the share by itself.
func (s *routerSuite) everywhere(t *testing.T, split strategy.Split) {
	t.Helper()
	const requests = 400
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: slowly}
	share := s.Share(split.Weight).Share()
	for _, edge := range s.edges() {
		canary := 0
		for range requests {
			alloc, err := askAt(t.Context(), client, edge, split.Release)
			if err != nil {
				t.Fatalf("ask the instance at %s: %v", edge, err)
			}
			if alloc == split.Canary[0].Alloc {
				canary++
			}
		}
		if off, slack := canary-int(share*requests), s.slack(requests, share); off < -slack-1 || off > slack+1 {
			t.Errorf("of %d requests at the instance %s the canary answered %d, want %.0f", requests, edge, canary, share*requests)
		}
	}
}

// routerDroverRestarts has another Drover take the router over: until it says something everything stays, and then it is as
// it says.
func routerDroverRestarts(t *testing.T, s *routerSuite) {
	if s.Again == nil {
		return
	}
	split := s.split(shopRelease, strategy.Percent(25))
	s.apply(t, split)
	s.Router = s.Again()
	if _, err := s.Router.Read(t.Context(), shopRelease); err != nil {
		t.Fatalf("read the split that another Drover gave: %v", err)
	}
	s.expect(t, shopRelease, 400, split.Weight)
	s.apply(t, split)
	s.expect(t, shopRelease, 400, split.Weight)
	split.Weight, split.Canary = 0, nil
	s.apply(t, split)
	s.expect(t, shopRelease, 100, 0)
}
