package providertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// RouterHarness is a router with its meter, real or simulated, and the side doors that the suite needs. A nil Meter says
// that the router counts nothing itself.
type RouterHarness struct {
	// With says in the table which balancer a router of this kind was tried with; "" where there is one.
	With   string
	Router reconcile.Router
	Meter  reconcile.Meter
	// Start starts an endpoint of the release under this allocation id. It answers every request with status 200, at
	// once.
	Start func(release, alloc string) strategy.Endpoint
	// Behave changes how an endpoint answers from now on.
	Behave func(e strategy.Endpoint, b Behavior)
	// Send sends n requests of the release one after another, and counts the answers by the allocation that gave
	// them; those of no allocation are counted under "".
	Send func(release string, n int) map[string]int
	// Settle waits, bounded, until what was applied had the time to take effect, and so had the meter to see what was
	// sent. The suite calls it until the router reports the split.
	Settle func()
	// Count waits until the meter has seen what was sent; nil where Settle does.
	Count func()
	// Slack is how far the share of a track may be off, from 0 to 1; 0 where the router divides exactly.
	Slack float64
	// Share is what of a weight the router can bring to one canary beside one stable endpoint; nil where that is all of it.
	Share func(w strategy.Weight) strategy.Weight
	// Drawn says that each request is drawn by chance: shares are held to five standard deviations.
	Drawn bool
	// Connect opens a connection of the release that lives until somebody ends it, and says which allocation answers it.
	// ended gets how it ended: "1001" is the close frame of an endpoint that goes away. nil where the router keeps none, or
	// cannot tell what is open.
	Connect func(release string) (alloc string, ended <-chan string)
	// NewUser is somebody who keeps cookies: every call makes a request of the release, and says which allocation answers.
	// nil where the router cannot keep users on a track.
	NewUser func() func(release string) (alloc string)
	// Copied is how many requests an endpoint answered that were marked as copies. nil where the router copies none.
	Copied func(e strategy.Endpoint) int
	// Asked is what an endpoint was asked, save for "/"; nil where that is not known.
	Asked func(e strategy.Endpoint) []Request
	// Edge is the address at which users reach the router over HTTP, by the release's name as host; answers name their
	// allocation in X-Alloc. "" where there are no users, as in a simulation.
	Edge string
	// Others are the same addresses of further instances of the router, if there are any.
	Others []string
	// Changes is how many changes under load are enough where each takes its time; 0 is a hundred. The table has a hundred.
	Changes int
	// Brief says that fewer requests are enough where no table is made.
	Brief bool
	// Restart ends the instance at Edge and starts it anew; nil where that cannot be done.
	Restart func()
	// Reload has every instance read its configuration anew, while it serves; nil where that cannot be done.
	Reload func()
	// Forgets says that an instance that was started anew answers with errors until it is given its splits again.
	Forgets bool
	// Again is the router as a Drover has it that was started anew; nil where that cannot be done.
	Again func() reconcile.Router
	// NoLatency says that the meter does not know latencies.
	NoLatency bool
}

// Behavior is how an endpoint answers.
type Behavior struct {
	Fail  bool          // with status 500
	Delay time.Duration // after so long
}

// TestRouter holds a router and its meter to their contract. newHarness makes a fresh router, that knows no split and
// has counted nothing, and cleans up by t.
func TestRouter(t *testing.T, newHarness func(t *testing.T) RouterHarness) {
	var last *routerSuite
	known := &RouterRow{}
	for _, c := range []struct {
		name string
		test func(*testing.T, *routerSuite)
	}{
		{"share", routerShare},
		{"share of many requests", routerManyRequests},
		{"changes under load", routerUnderLoad},
		{"router started anew", routerRestart},
		{"router reloaded", routerReload},
		{"Drover started anew", routerDroverRestarts},
		{"change of weight", routerWeightChange},
		{"empty canary", routerEmptyCanary},
		{"closed canary gets nothing", routerClosedCanary},
		{"rest", routerRest},
		{"change of endpoints", routerEndpointChange},
		{"many allocations", routerManyAllocations},
		{"addresses", routerAddresses},
		{"same split again", routerApplyTwice},
		{"unknown release", routerUnknownRelease},
		{"two releases", routerTwoReleases},
		{"counts by track", routerTrackCounts},
		{"latency by track", routerTrackLatency},
		{"connection drain", routerDrain},
		{"sticky sessions", routerSticky},
		{"copies of requests", routerCopies},
		{"what is copied", routerCopiesWhat},
		{"ended context", routerEndedContext},
		{"what it declares is shown", routerDeclares},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &routerSuite{RouterHarness: newHarness(t), found: known}
			if s.Share == nil {
				s.Share = func(w strategy.Weight) strategy.Weight { return w }
			}
			if s.Count == nil {
				s.Count = s.Settle
			}
			c.test(t, s)
			last = s
		})
	}
	if last != nil {
		known.Finest = last.finest().String()
		known.saw(last.RouterHarness)
		known.Write(t)
	}
}

// routerDeclares wants a way to try whatever a router declares that its users notice. A simulated one has no users.
func routerDeclares(t *testing.T, s *routerSuite) {
	if s.Edge == "" {
		return
	}
	a := s.Router.Abilities()
	for what, untried := range map[string]bool{
		"count requests": a.Counts && s.Meter == nil, "keep sessions": a.Sessions && s.NewUser == nil,
		"copy requests": a.Copies && s.Copied == nil, "tell what is open": a.Open && s.Connect == nil,
	} {
		if untried {
			t.Errorf("the router declares that it can %s, and the suite was given no way to try it", what)
		}
	}
}

// routerSuite is one case under way.
type routerSuite struct {
	RouterHarness
	found *RouterRow
}

// settles bounds how often a split that was applied is looked for.
const settles = 1000

const (
	shopRelease  = "shop"
	otherRelease = "other"
)

// split is a split of a release in mid-rollout with one endpoint a track.
func (s *routerSuite) split(release string, weight strategy.Weight) strategy.Split {
	return strategy.Split{
		Release: release, Namespace: "default", Service: release, Weight: weight,
		Stable: []strategy.Endpoint{s.Start(release, release+"-stable")},
		Canary: []strategy.Endpoint{s.Start(release, release+"-canary")},
	}
}

// apply applies a split and waits until every instance reports it.
func (s *routerSuite) apply(t *testing.T, split strategy.Split) {
	t.Helper()
	if err := s.Router.Apply(t.Context(), split); err != nil {
		t.Fatalf("apply %s of %s: %v", split.Weight, split.Release, err)
	}
	var got strategy.TrafficState
	for range settles {
		s.Settle()
		var err error
		if got, err = s.Router.Read(t.Context(), split.Release); err != nil {
			t.Fatalf("read the split of %s: %v", split.Release, err)
		}
		if inEffect(split, got) {
			return
		}
	}
	t.Fatalf("the split of %s is not in effect: got %+v, want %+v", split.Release, got.Splits, split)
}

func inEffect(want strategy.Split, got strategy.TrafficState) bool {
	return len(got.Splits) > 0 && !slices.ContainsFunc(got.Splits, func(s strategy.Split) bool { return !want.InEffect(s) })
}

// expect sends n requests and compares the share of the canary with the weight.
func (s *routerSuite) expect(t *testing.T, release string, n int, weight strategy.Weight) {
	t.Helper()
	got := s.Send(release, n)
	canary := int(math.Round(float64(n) * s.Share(weight).Share()))
	stable := n - canary
	slack := s.slack(n, weight.Share())
	if weight == 0 || weight == strategy.Full {
		slack = 0
	}
	for alloc, want := range map[string]int{release + "-canary": canary, release + "-stable": stable, "": 0} {
		allowed := slack
		if alloc == "" {
			allowed = 0
		}
		if diff := got[alloc] - want; diff > allowed || diff < -allowed {
			t.Errorf("at %s %q answered %d of %d requests, want %d (slack %d); all answers: %v", weight, alloc, got[alloc], n, want, allowed, got)
		}
	}
}

// slack is how many of n requests a track of this share may be off.
func (s *routerSuite) slack(n int, share float64) int {
	slack := s.Slack * float64(n)
	if s.Drawn {
		slack += 5 * math.Sqrt(float64(n)*share*(1-share))
	}
	return int(math.Ceil(slack))
}

func routerShare(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, 0)
	for _, c := range []struct {
		weight   strategy.Weight
		requests int
	}{
		{0, 200},
		{10, 2000},
		{strategy.Percent(5), 4000},
		{strategy.Percent(25), 400},
		{strategy.Percent(50), 400},
		{3330, 1000},
		{strategy.Percent(95), 400},
		{strategy.Full, 200},
	} {
		split.Weight = c.weight
		s.apply(t, split)
		s.expect(t, shopRelease, c.requests, c.weight)
	}
}

func routerWeightChange(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, strategy.Percent(5))
	for _, weight := range []strategy.Weight{strategy.Percent(5), strategy.Percent(50), 0, strategy.Full, strategy.Percent(25), 0} {
		split.Weight = weight
		s.apply(t, split)
		s.expect(t, shopRelease, 100, weight)
	}
}

func routerEmptyCanary(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, strategy.Percent(50))
	split.Canary = nil
	s.apply(t, split)
	s.expect(t, shopRelease, 100, 0)
	split.Weight = strategy.Full
	s.apply(t, split)
	s.expect(t, shopRelease, 100, 0)
}

func routerClosedCanary(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, strategy.Percent(50))
	s.apply(t, split)
	s.expect(t, shopRelease, 100, split.Weight)
	split.Weight = 0
	s.apply(t, split)
	s.expect(t, shopRelease, 200, 0)
	split.Stable = nil
	s.apply(t, split)
	got := s.Send(shopRelease, 100)
	if want := map[string]int{"": 100}; !cmp.Equal(got, want) {
		t.Errorf("at weight 0 and without stable endpoints requests were answered by %v, want none: %v", got, want)
	}
}

func routerRest(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, 0)
	split.Resting, split.Canary = true, nil
	s.apply(t, split)
	s.expect(t, shopRelease, 100, 0)
}

func routerEndpointChange(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, strategy.Percent(25))
	first := split.Canary[0]
	s.apply(t, split)
	s.expect(t, shopRelease, 100, split.Weight)
	split.Canary = []strategy.Endpoint{s.Start(shopRelease, "next"), s.Start(shopRelease, "second")}
	s.apply(t, split)
	got := s.Send(shopRelease, 400)
	if got[first.Alloc] != 0 || got["next"] == 0 || got["second"] == 0 {
		t.Errorf("after the canary's endpoints changed from %q to next and second, %v answered", first.Alloc, got)
	}
	if canary, want := got["next"]+got["second"], 100; math.Abs(float64(canary-want)) > float64(s.slack(400, 0.25)) {
		t.Errorf("at 25%% the canary's two endpoints answered %d of 400, want %d; all answers: %v", canary, want, got)
	}
}

func routerApplyTwice(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, strategy.Percent(50))
	canary := 0
	for range 20 {
		s.apply(t, split)
		canary += s.Send(shopRelease, 10)[split.Canary[0].Alloc]
	}
	if diff := math.Abs(float64(canary - 100)); diff > float64(s.slack(200, 0.5)) {
		t.Errorf("at 50%%, applied again every 10 requests, the canary answered %d of 200, want 100", canary)
	}
}

func routerUnknownRelease(t *testing.T, s *routerSuite) {
	s.apply(t, s.split(shopRelease, strategy.Percent(50)))
	got, err := s.Router.Read(t.Context(), "nobody")
	if err != nil {
		t.Fatalf("read an unknown release: %v", err)
	}
	if len(got.Splits) == 0 {
		t.Error("an unknown release has no split at all, want a zero one for each instance")
	}
	for _, split := range got.Splits {
		if diff := cmp.Diff(strategy.Split{}, split); diff != "" {
			t.Errorf("split of an unknown release (-want +got):\n%s", diff)
		}
	}
}

func routerTwoReleases(t *testing.T, s *routerSuite) {
	first, second := s.split(shopRelease, strategy.Percent(25)), s.split(otherRelease, strategy.Percent(50))
	s.apply(t, first)
	s.apply(t, second)
	s.expect(t, shopRelease, 400, first.Weight)
	s.expect(t, otherRelease, 400, second.Weight)
	s.undisturbed(t, first, second)
	second.Weight = 0
	s.apply(t, second)
	s.expect(t, shopRelease, 400, first.Weight)
	s.expect(t, otherRelease, 100, 0)
	if s.Meter == nil {
		return
	}
	s.Count()
	if got := s.sum(t, otherRelease); got[strategy.Stable].Requests+got[strategy.Canary].Requests != 500 {
		t.Errorf("500 requests of the second release were counted as %+v", got)
	}
	if got := s.sum(t, shopRelease); got[strategy.Stable].Requests+got[strategy.Canary].Requests != 800 {
		t.Errorf("800 requests of the first release were counted as %+v", got)
	}
}

// undisturbed changes the weight of one release, and wants the split of another to be said to be in effect all the while.
func (s *routerSuite) undisturbed(t *testing.T, kept, changed strategy.Split) {
	t.Helper()
	lost := 0
	for _, weight := range []strategy.Weight{strategy.Percent(10), strategy.Percent(20), changed.Weight} {
		changed.Weight = weight
		if err := s.Router.Apply(t.Context(), changed); err != nil {
			t.Fatalf("apply %s of %s: %v", changed.Weight, changed.Release, err)
		}
		for in := false; !in; s.pause() {
			state, err := s.Router.Read(t.Context(), kept.Release)
			if err != nil || !inEffect(kept, state) {
				lost++
			}
			if state, err = s.Router.Read(t.Context(), changed.Release); err != nil {
				t.Fatalf("read the split of %s: %v", changed.Release, err)
			}
			if in = inEffect(changed, state); !in {
				s.Settle()
			}
		}
	}
	if lost > 0 {
		t.Errorf("while the weight of %s changed, the split of %s was said %d times not to be in effect", changed.Release, kept.Release, lost)
	}
}

func routerTrackCounts(t *testing.T, s *routerSuite) {
	if s.Meter == nil {
		return
	}
	split := s.split(shopRelease, strategy.Percent(50))
	s.apply(t, split)
	before := s.sum(t, shopRelease)
	answers := s.Send(shopRelease, 200)
	s.Count()
	s.grown(t, before, answers, split, 0)

	s.Behave(split.Canary[0], Behavior{Fail: true})
	before = s.sum(t, shopRelease)
	answers = s.Send(shopRelease, 200)
	s.Count()
	s.grown(t, before, answers, split, answers[split.Canary[0].Alloc])

	s.Behave(split.Canary[0], Behavior{})
	before = s.sum(t, shopRelease)
	answers = s.Send(shopRelease, 200)
	s.Count()
	s.grown(t, before, answers, split, 0)
}

// grown compares the growth of the counters with the answers of the two endpoints.
func (s *routerSuite) grown(t *testing.T, before map[strategy.Track]strategy.Counters, answers map[string]int, split strategy.Split, errorsOfCanary int) {
	t.Helper()
	after := s.sum(t, split.Release)
	for track, want := range map[strategy.Track]struct{ requests, errors int }{
		strategy.Stable: {answers[split.Stable[0].Alloc], 0},
		strategy.Canary: {answers[split.Canary[0].Alloc], errorsOfCanary},
	} {
		requests, failed := after[track].Requests-before[track].Requests, after[track].Errors-before[track].Errors
		if int(requests) != want.requests || int(failed) != want.errors {
			t.Errorf("%s counted %.0f requests and %.0f errors, want %d and %d", track, requests, failed, want.requests, want.errors)
		}
	}
}

func routerTrackLatency(t *testing.T, s *routerSuite) {
	if s.Meter == nil {
		return
	}
	if s.NoLatency {
		if bounds := s.sample(t, shopRelease).Bounds; len(bounds) > 0 {
			t.Errorf("the meter knows no latencies, but has the bounds %v", bounds)
		}
		return
	}
	const delay, requests = 150 * time.Millisecond, 20
	split := s.split(shopRelease, strategy.Percent(50))
	s.Behave(split.Canary[0], Behavior{Delay: delay})
	s.apply(t, split)
	before := s.sum(t, shopRelease)
	answers := s.Send(shopRelease, requests)
	s.Count()
	after := s.sum(t, shopRelease)
	for i, bound := range s.sample(t, shopRelease).Bounds {
		fast := after[strategy.Canary].Buckets[i] - before[strategy.Canary].Buckets[i]
		if bound < delay.Seconds() && fast != 0 {
			t.Errorf("the canary takes %v, but %.0f of its requests are counted within %gs", delay, fast, bound)
		}
		if want := answers[split.Canary[0].Alloc]; bound > 10*delay.Seconds() && int(fast) != want {
			t.Errorf("the canary takes %v, and %.0f requests are counted within %gs, want %d", delay, fast, bound, want)
		}
		stable := after[strategy.Stable].Buckets[i] - before[strategy.Stable].Buckets[i]
		if want := answers[split.Stable[0].Alloc]; bound > delay.Seconds() && int(stable) != want {
			t.Errorf("stable answers at once, and %.0f requests are counted within %gs, want %d", stable, bound, want)
		}
	}
}

func routerEndedContext(t *testing.T, s *routerSuite) {
	split := s.split(shopRelease, strategy.Percent(50))
	s.apply(t, split)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// A router that answers from memory may answer; one that has to ask says why it did not.
	if _, err := s.Router.Read(ctx, shopRelease); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("read with an ended context: %v, want %v", err, context.Canceled)
	}
	if s.Meter == nil {
		return
	}
	if _, err := s.Meter.Sample(ctx, shopRelease); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("sample with an ended context: %v, want %v", err, context.Canceled)
	}
	s.expect(t, shopRelease, 100, split.Weight)
}

// sample reads the meter and checks the form of what it says.
func (s *routerSuite) sample(t *testing.T, release string) strategy.Sample {
	t.Helper()
	sample, err := s.Meter.Sample(t.Context(), release)
	if err != nil {
		t.Fatalf("sample %s: %v", release, err)
	}
	if err := checkSample(sample, !s.NoLatency); err != nil {
		t.Fatalf("sample of %s: %v", release, err)
	}
	return sample
}

// checkSample says what is wrong with the form of a sample.
func checkSample(sample strategy.Sample, latencies bool) error {
	switch {
	case sample.At.IsZero():
		return errors.New("it does not say when it was taken")
	case (len(sample.Bounds) > 0) != latencies || !slices.IsSorted(sample.Bounds):
		return fmt.Errorf("latency bounds are %v, want them ascending if it knows latencies (%t)", sample.Bounds, latencies)
	case latencies && math.IsInf(sample.Bounds[len(sample.Bounds)-1], 1):
		return fmt.Errorf("latency bounds are %v, want them without infinity", sample.Bounds)
	}
	taken, byEndpoint, all := map[string]bool{}, map[string]float64{}, map[string]float64{}
	for _, series := range sample.Series {
		key := series.Source + "/" + string(series.Track) + "/" + series.Endpoint
		switch {
		case series.Source == "" || taken[key]:
			return fmt.Errorf("source %q of track %s is empty or there twice", series.Source, series.Track)
		case series.Track != strategy.Stable && series.Track != strategy.Canary && series.Track != strategy.Shadow:
			return fmt.Errorf("source %q counts for track %q", series.Source, series.Track)
		case series.Endpoint != "" && len(series.Buckets) > 0:
			return fmt.Errorf("source %q has buckets for endpoint %q, want them for all requests together", series.Source, series.Endpoint)
		case series.Endpoint != "":
			byEndpoint[series.Source+"/"+string(series.Track)] += series.Requests
			taken[key] = true
			continue
		case len(series.Buckets) != len(sample.Bounds):
			return fmt.Errorf("source %q has %d buckets for %d bounds", series.Source, len(series.Buckets), len(sample.Bounds))
		case !slices.IsSorted(series.Buckets):
			return fmt.Errorf("buckets of %q are %v, want them cumulative", series.Source, series.Buckets)
		case series.Errors > series.Requests || (latencies && series.Buckets[len(series.Buckets)-1] > series.Requests):
			return fmt.Errorf("source %q counts more errors or more latencies than requests: %+v", series.Source, series.Counters)
		}
		taken[key] = true
		all[series.Source+"/"+string(series.Track)] = series.Requests
	}
	for source, n := range byEndpoint {
		if all[source] != n {
			return fmt.Errorf("%s counts %v requests by endpoint, and %v in all", source, n, all[source])
		}
	}
	return nil
}

// sum is the counters of a release by track, over all sources.
func (s *routerSuite) sum(t *testing.T, release string) map[strategy.Track]strategy.Counters {
	t.Helper()
	sample := s.sample(t, release)
	sums := map[strategy.Track]strategy.Counters{}
	for _, track := range []strategy.Track{strategy.Stable, strategy.Canary} {
		total := strategy.Counters{Buckets: make([]float64, len(sample.Bounds))}
		for _, series := range sample.Series {
			if series.Track != track || series.Endpoint != "" {
				continue
			}
			total.Requests += series.Requests
			total.Errors += series.Errors
			for i, n := range series.Buckets {
				total.Buckets[i] += n
			}
		}
		sums[track] = total
	}
	return sums
}
