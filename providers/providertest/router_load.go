package providertest

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// many is how often something is tried where the suite is not short, and in a short one.
func many(long, short int) int {
	if testing.Short() {
		return short
	}
	return long
}

// routerManyRequests holds the share of many requests to what the router is to bring, by the chi-square test: a router that
// keeps to it is refused once in a million times at most.
func routerManyRequests(t *testing.T, s *routerSuite) {
	requests := many(20000, 2000)
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
	s.found.share = fmt.Sprintf("%.2f%%", 100*float64(got[split.Canary[0].Alloc])/float64(requests))
}

// crowd asks all the time, over kept connections and over new ones.
type crowd struct {
	edge, release string
	ending        chan struct{}
	group         sync.WaitGroup

	mu     sync.Mutex
	asked  map[bool]int // whether over kept connections
	failed map[string]int
	last   map[string]time.Time // when the last request began that an allocation answered
}

const (
	crowdSize = 4 // of each kind
	// crowdPause keeps a small machine from being busy with the crowd alone.
	crowdPause = 2 * time.Millisecond
)

// crowd begins to ask for a release; it ends with the test at the latest.
func (s *routerSuite) crowd(t *testing.T, release string) *crowd {
	t.Helper()
	c := &crowd{edge: s.Edge, release: release, ending: make(chan struct{}), asked: map[bool]int{}, failed: map[string]int{}, last: map[string]time.Time{}}
	for _, keeps := range []bool{true, false} {
		transport := &http.Transport{DisableKeepAlives: !keeps, MaxIdleConnsPerHost: crowdSize}
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		for range crowdSize {
			c.group.Go(func() { c.work(client, keeps) })
		}
		t.Cleanup(transport.CloseIdleConnections)
	}
	t.Cleanup(c.end)
	return c
}

// end waits until nobody asks any more.
func (c *crowd) end() {
	c.mu.Lock()
	select {
	case <-c.ending:
	default:
		close(c.ending)
	}
	c.mu.Unlock()
	c.group.Wait()
}

func (c *crowd) work(client *http.Client, keeps bool) {
	for {
		select {
		case <-c.ending:
			return
		case <-time.After(crowdPause):
		}
		began := time.Now()
		alloc, problem := c.ask(client)
		c.mu.Lock()
		c.asked[keeps]++
		if problem != "" {
			c.failed[fmt.Sprintf("%s (connections kept: %t)", problem, keeps)]++
		} else if began.After(c.last[alloc]) {
			c.last[alloc] = began
		}
		c.mu.Unlock()
	}
}

func (c *crowd) ask(client *http.Client) (alloc, problem string) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+c.edge+"/", nil)
	if err != nil {
		return "", err.Error()
	}
	request.Host = c.release
	response, err := client.Do(request)
	if err != nil {
		return "", err.Error()
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err.Error()
	}
	if response.StatusCode != http.StatusOK {
		return "", response.Status
	}
	return response.Header.Get("X-Alloc"), ""
}

func (c *crowd) lastOf(alloc string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[alloc]
}

// routerUnderLoad changes weights and endpoints a hundred times while users ask, over kept connections and over new ones, and
// none of them is failed. Endpoints that left fail everything soon after: nobody may be sent there any more.
func routerUnderLoad(t *testing.T, s *routerSuite) {
	if s.Edge == "" {
		return
	}
	changes := many(100, 20)
	if s.Changes > 0 && os.Getenv(tableVariable) == "" {
		changes = min(changes, s.Changes)
	}
	split := s.split(shopRelease, strategy.Percent(5))
	s.apply(t, split)
	users := s.crowd(t, shopRelease)
	weights := []strategy.Weight{strategy.Percent(50), strategy.Full, 0, strategy.Percent(5), strategy.Percent(95), 0}
	var ways []time.Duration // from asking for weight 0 to the last request that the canary answered
	for i := range changes {
		split.Weight = weights[i%len(weights)]
		gone := split.Canary
		if i%20 == 19 {
			split.Canary = []strategy.Endpoint{s.Start(shopRelease, fmt.Sprintf("%s-canary-%d", shopRelease, i))}
		}
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
	if users.asked[true] < changes || users.asked[false] < changes {
		t.Errorf("asked %v requests in %d changes: too few to show anything", users.asked, changes)
	}
	slices.Sort(ways)
	s.found.changes = fmt.Sprintf("0 of %d, 0 of %d", users.asked[true], users.asked[false]) // Else there is no table.
	s.found.way = fmt.Sprintf("%d ms, at most %d ms", ways[len(ways)/2].Milliseconds(), ways[len(ways)-1].Milliseconds())
}

// retires is how long an endpoint that left the split may still be asked, by what was sent to it before.
const retires = 400 * time.Millisecond

// routerRestart starts the router anew: it has its split, or is given it again.
func routerRestart(t *testing.T, s *routerSuite) {
	if s.Restart == nil {
		return
	}
	split := s.split(shopRelease, strategy.Percent(25))
	s.apply(t, split)
	s.Restart()
	state, err := s.Router.Read(t.Context(), shopRelease)
	if err != nil {
		t.Fatalf("read the split of a router that was started anew: %v", err)
	}
	s.found.restart = "has its split still"
	if !state.Has(split) {
		s.found.restart = "is given its split again"
		if s.Router.Abilities().Kind != "proxy" && !s.Router.Abilities().Static {
			t.Error("it lost its split, and does not say that it has to be given it again")
		}
	}
	s.apply(t, split)
	s.expect(t, shopRelease, 400, split.Weight)
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

// finest is the smallest share that arrives of any weight, with one endpoint on each track.
func (s *routerSuite) finest() strategy.Weight {
	for w := strategy.Weight(1); w < strategy.Full; w++ {
		if share := s.Share(w); share > 0 {
			return share
		}
	}
	return strategy.Weight(math.MaxInt32)
}
