package providertest

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// many is how often something is tried where the suite is neither short nor brief, and where it is.
func (s *routerSuite) many(long, short int) int {
	if testing.Short() || s.Brief && os.Getenv(tableVariable) == "" {
		return short
	}
	return long
}

// routerManyRequests holds the share of many requests to what the router is to bring, by the chi-square test: a router that
// keeps to it is refused once in a million times at most.
func routerManyRequests(t *testing.T, s *routerSuite) {
	requests := s.many(20000, 2000)
	split := s.split(shopRelease, strategy.Percent(5))
	s.apply(t, split)
	got := s.Send(shopRelease, requests)
	share := s.Share(split.Weight).Share()
	canary, stable := share*float64(requests), (1-share)*float64(requests)
	off := float64(got[split.Canary[0].Alloc]) - canary
	const critical = 23.93 // of one degree of freedom, at one in a million
	if chi := off * off * (1/canary + 1/stable); chi > critical || got[""] > 0 {
		t.Errorf("at 5%% the canary answered %d of %d, want %.0f: chi-square %.1f, at most %.1f; all answers: %v", got[split.Canary[0].Alloc], requests, canary, chi, critical, got)
	}
	s.found.Share = fmt.Sprintf("%.2f%%", 100*float64(got[split.Canary[0].Alloc])/float64(requests))
}

// routerUnderLoad changes weights and endpoints a hundred times while users ask, over kept connections and over new ones, and
// none of them is failed. Where there are several instances of the router they ask all of them, and where Drover can be started
// anew there are two that lead in turns. Endpoints that left fail everything soon after: nobody may be sent there any more.
func routerUnderLoad(t *testing.T, s *routerSuite) {
	if s.Edge == "" {
		return
	}
	changes := s.many(100, 20)
	if s.Changes > 0 && os.Getenv(tableVariable) == "" {
		changes = min(changes, s.Changes)
	}
	split := s.split(shopRelease, strategy.Percent(5))
	s.apply(t, split)
	leads := s.leads()
	users := s.crowd(t, shopRelease)
	weights := []strategy.Weight{strategy.Percent(50), strategy.Full, 0, strategy.Percent(5), strategy.Percent(95), 0}
	var ways []time.Duration // from asking for weight 0 to the last request that the canary answered
	for i := range changes {
		split.Weight = weights[i%len(weights)]
		gone := split.Canary
		if i%20 == 19 {
			split.Canary = []strategy.Endpoint{s.Start(shopRelease, fmt.Sprintf("%s-canary-%d", shopRelease, i))}
		}
		s.Router = leads(i)
		asked := time.Now()
		s.apply(t, split)
		if split.Weight == 0 {
			<-time.After(retires / 4)
			ways = append(ways, max(0, users.lastOf(gone[0].Alloc).Sub(asked)))
		}
		if gone[0] != split.Canary[0] {
			<-time.After(retires)
			s.Behave(gone[0], Behavior{Fail: true})
		}
	}
	users.end()
	for problem, n := range users.failed {
		t.Errorf("%d requests failed: %s", n, problem)
	}
	if users.elsewhere > 0 {
		t.Errorf("%d requests found no router", users.elsewhere)
	}
	if users.asked[true] < changes || users.asked[false] < changes {
		t.Errorf("asked %v requests in %d changes: too few to show anything", users.asked, changes)
	}
	slices.Sort(ways)
	s.found.Changes = fmt.Sprintf("0 of %d, 0 of %d", users.asked[true], users.asked[false]) // Else there is no table.
	s.found.Way = fmt.Sprintf("%d ms, at most %d ms", ways[len(ways)/2].Milliseconds(), ways[len(ways)-1].Milliseconds())
}

// retires is how long an endpoint that left the split may still be asked, by what was sent to it before.
const retires = 400 * time.Millisecond

// leads are the routers as two Drovers have them: after every ten changes the other leads, and one of the two is started anew
// now and then.
func (s *routerSuite) leads() func(change int) reconcile.Router {
	all := []reconcile.Router{s.Router, s.Router}
	if s.Again != nil {
		all[1] = s.Again()
	}
	return func(change int) reconcile.Router {
		turn := change / 10
		if change%10 == 0 && turn%3 == 2 && s.Again != nil {
			all[turn%2] = s.Again()
		}
		return all[turn%2]
	}
}

// finest is the smallest share that arrives of any weight, with one endpoint on each track.
func (s *routerSuite) finest() strategy.Weight {
	for w := strategy.Weight(1); w < strategy.Full; w++ {
		if share := s.Share(w); share > 0 {
			return share
		}
	}
	return strategy.Weight(math.MaxInt32)
}
