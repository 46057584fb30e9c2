package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Load is how much the releases are asked for.
type Load struct {
	RPS     float64 // requests in a second, of each release that has a split
	Poisson bool    // they arrive by chance, not evenly
}

// source is the one source of all counters.
const source = "sim"

// Traffic is the requests to the releases, with the router that divides them and the meter that counts them. Requests
// arrive as the simulated time advances, and each meets the fate that the behavior of the allocation says.
//
// It divides as Drover's own proxy does: the canary's share is exact over time; a canary that nobody answers for leaves
// its share to stable, and stable leaves none to the canary: what has no endpoint is an error on stable. Endpoints
// whose registration is gone get nothing, those whose checks fail only what no other can take. A release at rest
// follows the registrations of its service by itself.
//
// It is safe for concurrent use, and never blocks.
type Traffic struct {
	nomad    *Nomad
	load     Load
	since    time.Time
	releases map[string]*lane
	outside  map[string]Behaviour // endpoints that are no allocations, by id
	static   bool                 // it follows no registrations by itself
	skew     int                  // percent of the weight that it heeds in truth
	cut      int                  // connections that ended with their allocation
}

// lane is the traffic of one release.
type lane struct {
	split    strategy.Split
	arrived  float64 // requests due so far, with the part of the next
	taken    int     // of them, those that came
	count    int     // requests since the weight was set
	turn     [2]int  // whose turn it is on each track
	counters map[strategy.Track]*strategy.Counters
	versions map[string]float64
	queries  map[queried]float64 // events of the queries of gates
	served   map[string]float64  // requests by allocation
	open     []connection
	copied   float64 // copies of requests that are due
}

// connection is one that its user keeps.
type connection struct {
	alloc string
	until time.Time
}

// Traffic starts requests to every release that gets a split. Several may run at once, each with splits and counters
// of its own.
func (n *Nomad) Traffic(load Load) *Traffic {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := &Traffic{nomad: n, load: load, since: n.now, skew: 100, releases: map[string]*lane{}, outside: map[string]Behaviour{}}
	n.traffic = append(n.traffic, t)
	return t
}

// HoldStill makes it a router that follows no registrations by itself.
func (t *Traffic) HoldStill() {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	t.static = true
}

// Skew makes it heed so many percent of every weight, whatever it says.
func (t *Traffic) Skew(percent int) {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	t.skew = percent
}

// Forget loses every split, as a router does that keeps them in memory and is started anew. What was counted stays.
func (t *Traffic) Forget() {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	for _, l := range t.releases {
		l.split = strategy.Split{}
	}
}

// Abilities is all that a router can do.
func (t *Traffic) Abilities() strategy.Abilities {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	return strategy.Abilities{Kind: "sim", Static: t.static, Counts: true, Latency: true, Endpoints: true, Sessions: true, Copies: true, Copied: true, Open: true, Closes: true}
}

// latencyBounds are the upper bounds of the latency buckets, in seconds.
func latencyBounds() []float64 {
	return []float64{.005, .0075, .01, .015, .02, .03, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 1.5, 2.5, 5, 10}
}

// SetLoad changes how much comes from now on.
func (t *Traffic) SetLoad(load Load) {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	t.load = load
}

// Stand makes an endpoint that is no allocation and always runs, or changes how it behaves.
func (t *Traffic) Stand(id string, b Behaviour) strategy.Endpoint {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	t.outside[id] = b
	return strategy.Endpoint{Alloc: id, Address: "outside:" + id}
}

// Apply puts a split into effect for every request after it.
func (t *Traffic) Apply(ctx context.Context, split strategy.Split) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("apply weight %s to %q: %w", split.Weight, split.Release, err)
	}
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	l := t.releases[split.Release]
	if l == nil {
		l = &lane{counters: map[strategy.Track]*strategy.Counters{}, versions: map[string]float64{}, queries: map[queried]float64{}, served: map[string]float64{}}
		for _, track := range []strategy.Track{strategy.Stable, strategy.Canary} {
			l.counters[track] = &strategy.Counters{Buckets: make([]float64, len(latencyBounds()))}
		}
		t.releases[split.Release] = l
	}
	if l.split.Weight != split.Weight {
		l.count = 0
	}
	split.Stable, split.Canary = slices.Clone(split.Stable), slices.Clone(split.Canary)
	l.split = split
	l.open = slices.DeleteFunc(l.open, func(c connection) bool { return slices.Contains(split.Leaving, c.alloc) })
	return nil
}

// Connect has users open connections to what answers the release now, divided as requests are, and keep them for so long.
// They do not count as requests.
func (t *Traffic) Connect(release string, connections int, lasting time.Duration) {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	l := t.releases[release]
	if l == nil {
		return
	}
	stable, _ := t.endpoints(l, strategy.Stable)
	canary, _ := t.endpoints(l, strategy.Canary)
	toCanary := 0
	if len(canary) > 0 {
		toCanary = connections * int(l.split.Weight) / int(strategy.Full)
	}
	connect := func(endpoints []answerer, n int) {
		for i := range n {
			if len(endpoints) > 0 {
				l.open = append(l.open, connection{endpoints[i%len(endpoints)].id, t.nomad.now.Add(lasting)})
			}
		}
	}
	connect(canary, toCanary)
	connect(stable, connections-toCanary)
}

// Cut is how many connections ended because their allocation did.
func (t *Traffic) Cut() int {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	return t.cut
}

// hangUp ends the connections whose time is over, and those to allocations that do not run any more.
func (t *Traffic) hangUp(l *lane) {
	l.open = slices.DeleteFunc(l.open, func(c connection) bool { return !t.nomad.now.Before(c.until) })
	before := len(l.open)
	l.open = slices.DeleteFunc(l.open, func(c connection) bool {
		_, outside := t.outside[c.alloc]
		a := t.nomad.alloc(c.alloc)
		return !outside && (a == nil || !registered(a, l.split))
	})
	t.cut += before - len(l.open)
}

// Read is the split in effect, a zero one for a release that has none.
func (t *Traffic) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	if err := ctx.Err(); err != nil {
		return strategy.TrafficState{}, fmt.Errorf("read the split of %q: %w", release, err)
	}
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	var split strategy.Split
	if l := t.releases[release]; l != nil {
		split = l.split
		split.Stable, split.Canary = slices.Clone(split.Stable), slices.Clone(split.Canary)
	}
	state := strategy.TrafficState{Splits: []strategy.Split{split}, Open: map[string]int{}}
	if l := t.releases[release]; l != nil {
		t.hangUp(l)
		for _, c := range l.open {
			state.Open[c.alloc]++
		}
	}
	return state, nil
}

// Sample is what was counted so far, at the simulated time.
func (t *Traffic) Sample(ctx context.Context, release string) (strategy.Sample, error) {
	if err := ctx.Err(); err != nil {
		return strategy.Sample{}, fmt.Errorf("read the counters of %q: %w", release, err)
	}
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	sample := strategy.Sample{At: t.nomad.now, Bounds: latencyBounds()}
	for _, track := range []strategy.Track{strategy.Stable, strategy.Canary} {
		counters := strategy.Counters{Buckets: make([]float64, len(sample.Bounds))}
		if l := t.releases[release]; l != nil {
			counters = *l.counters[track]
			counters.Buckets = slices.Clone(counters.Buckets)
		}
		sample.Series = append(sample.Series, strategy.Series{Source: source, Since: t.since, Track: track, Counters: counters}, strategy.Series{
			Source: source, Since: t.since, Track: track, Endpoint: "GET /", // All users want the same.
			Counters: strategy.Counters{Requests: counters.Requests, Errors: counters.Errors},
		})
	}
	if l := t.releases[release]; l != nil && l.counters[strategy.Shadow] != nil {
		counters := *l.counters[strategy.Shadow]
		counters.Buckets = slices.Clone(counters.Buckets)
		sample.Series = append(sample.Series, strategy.Series{Source: source, Since: t.since, Track: strategy.Shadow, Counters: counters})
	}
	return sample, nil
}

// Versions is how many requests of a release each version of its tasks has answered.
func (t *Traffic) Versions(release string) map[string]float64 {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	if l := t.releases[release]; l != nil {
		return maps.Clone(l.versions)
	}
	return map[string]float64{}
}

// Send sends requests now, and counts the answers by the allocation that gave them; those nobody answered are counted
// under "".
func (t *Traffic) Send(release string, requests int) map[string]int {
	t.nomad.mu.Lock()
	defer t.nomad.mu.Unlock()
	if l := t.releases[release]; l != nil {
		return t.divide(l, requests)
	}
	if requests <= 0 {
		return map[string]int{}
	}
	return map[string]int{"": requests}
}

// flow sends what arrives between two moments.
func (t *Traffic) flow(from, to time.Time) {
	for _, name := range slices.Sorted(maps.Keys(t.releases)) {
		l := t.releases[name]
		t.hangUp(l)
		due := t.load.RPS * to.Sub(from).Seconds()
		if t.load.Poisson {
			due = float64(poisson(t.nomad.rng, due))
		}
		l.arrived += due
		now := int(l.arrived+1e-9) - l.taken
		l.taken += now
		if now > 0 {
			t.divide(l, now)
		}
	}
}

// divide gives requests to the tracks by the weight, and within a track to each endpoint in turn.
func (t *Traffic) divide(l *lane, requests int) map[string]int {
	stable, stableReady := t.endpoints(l, strategy.Stable)
	canary, canaryReady := t.endpoints(l, strategy.Canary)
	due := func(count int) int {
		return count * min(int(l.split.Weight)*t.skew/100, int(strategy.Full)) / int(strategy.Full)
	}
	toCanary := due(l.count+requests) - due(l.count)
	l.count += requests
	if len(canary) == 0 || (!canaryReady && stableReady) {
		toCanary = 0
	}
	answers := map[string]int{}
	t.answer(l, strategy.Canary, canary, toCanary, answers)
	t.answer(l, strategy.Stable, stable, requests-toCanary, answers)
	if l.split.Copies != nil {
		t.copy(l, canary, requests)
	}
	return answers
}

// copy lets the canary answer copies of requests. Nobody sees the answers; they are counted by a track of their own.
func (t *Traffic) copy(l *lane, endpoints []answerer, requests int) {
	l.copied += float64(requests) * l.split.Copies.Percent.Share()
	n := int(l.copied)
	l.copied -= float64(n)
	counters := l.counters[strategy.Shadow]
	if counters == nil {
		counters = &strategy.Counters{Buckets: make([]float64, len(latencyBounds()))}
		l.counters[strategy.Shadow] = counters
	}
	for i, e := range endpoints {
		share := n / len(endpoints)
		if i < n%len(endpoints) {
			share++
		}
		counters.Requests += float64(share)
		counters.Errors += float64(binomial(t.nomad.rng, share, e.behaviour.ErrorRate))
		t.spread(counters, share, e.behaviour.Latency)
	}
}

// endpoints is who answers on a track: those with nothing against them, else those whose checks fail.
func (t *Traffic) endpoints(l *lane, track strategy.Track) (answering []answerer, ready bool) {
	listed := l.split.Stable
	if track == strategy.Canary {
		listed = l.split.Canary
	}
	var sound, sick []answerer
	add := func(id string) {
		if b, ok := t.outside[id]; ok {
			sound = append(sound, answerer{id: id, behaviour: b})
			return
		}
		a := t.nomad.alloc(id)
		if a == nil || !registered(a, l.split) {
			return
		}
		who := answerer{id: id, version: versionOf(a), behaviour: t.nomad.behaviourOf(a)}
		if l.split.Check != nil && !t.nomad.passing(a) {
			sick = append(sick, who)
		} else {
			sound = append(sound, who)
		}
	}
	for _, e := range listed {
		add(e.Alloc)
	}
	if l.split.Resting && track == strategy.Stable && !t.static {
		for _, id := range t.unlisted(l.split) {
			add(id)
		}
	}
	if len(sound) > 0 {
		return sound, true
	}
	return sick, false
}

// unlisted is the allocations that are registered and stand on neither list of a split.
func (t *Traffic) unlisted(split strategy.Split) (ids []string) {
	for _, a := range t.nomad.allocs {
		known := func(e strategy.Endpoint) bool { return e.Alloc == a.ID }
		if registered(a, split) && !slices.ContainsFunc(split.Stable, known) && !slices.ContainsFunc(split.Canary, known) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// registered tells whether an allocation has a registration of the split's service.
func registered(a *alloc, split strategy.Split) bool {
	for _, s := range a.services {
		if s.ServiceName == split.Service && s.Namespace == split.Namespace {
			return true
		}
	}
	return false
}

// answerer is an endpoint that takes requests.
type answerer struct {
	id, version string
	behaviour   Behaviour
}

// answer lets the endpoints of a track answer in turn. Without any, every request is an error.
func (t *Traffic) answer(l *lane, track strategy.Track, endpoints []answerer, requests int, answers map[string]int) {
	if requests <= 0 {
		return
	}
	counters := l.counters[track]
	counters.Requests += float64(requests)
	if len(endpoints) == 0 {
		answers[""] += requests
		counters.Errors += float64(requests)
		t.spread(counters, requests, Latency{})
		return
	}
	turn := &l.turn[0]
	if track == strategy.Canary {
		turn = &l.turn[1]
	}
	for i := range endpoints {
		e := endpoints[(*turn+i)%len(endpoints)]
		share := requests / len(endpoints)
		if i < requests%len(endpoints) {
			share++
		}
		if share == 0 {
			continue
		}
		answers[e.id] += share
		l.versions[e.version] += float64(share)
		l.served[e.id] += float64(share)
		for _, gate := range slices.Sorted(maps.Keys(e.behaviour.Queries)) {
			l.queries[queried{e.id, gate}] += float64(binomial(t.nomad.rng, share, e.behaviour.Queries[gate]))
		}
		counters.Errors += float64(binomial(t.nomad.rng, share, e.behaviour.ErrorRate))
		t.spread(counters, share, e.behaviour.Latency)
	}
	*turn = (*turn + requests) % len(endpoints)
}

// spread counts the latencies of requests.
func (t *Traffic) spread(counters *strategy.Counters, requests int, latency Latency) {
	left, within, below := requests, 0, 0.0
	for i, bound := range latencyBounds() {
		share := latency.share(bound)
		if left > 0 && share > below {
			more := binomial(t.nomad.rng, left, (share-below)/(1-below))
			within, left = within+more, left-more
		}
		below = share
		counters.Buckets[i] += float64(within)
	}
}
