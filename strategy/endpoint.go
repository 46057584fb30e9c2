package strategy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/drover-dev/drover/strategy/judge"
)

// ByEndpoint has a gate asked of each endpoint by itself.
const ByEndpoint = "endpoint"

const (
	// maxEndpoints is how many endpoints a gate asks by themselves: the busiest when counting began. The others are asked
	// together. Each has its part of the gate's budget of false rollbacks, whether it is there or not, so that nothing has to
	// be known before.
	maxEndpoints = 5
	// proven is the part of the canary's requests that an endpoint makes up at least when it holds a step up until it is shown
	// to be good. A rare one is still rolled back for, and holds while it is under suspicion.
	proven = 0.1
	// suspicion is the part of what a rollback needs that makes an endpoint suspicious.
	suspicion = 0.5
	// longestEndpoint keeps what is remembered of an endpoint short.
	longestEndpoint = 80
	otherEndpoints  = "all other endpoints"
)

// slot is how the counts of an endpoint are called: "#1" is the first, "#0" all that have none of their own.
func slot(n int) string { return "#" + strconv.Itoa(n) }

// Tests is how many tests a gate is made of: one for each limit, of each endpoint.
func Tests(g Gate) int {
	n := 0
	if g.Max != nil {
		n++
	}
	if g.MaxVsStable != nil {
		n++
	}
	if g.By == ByEndpoint {
		n *= maxEndpoints + 1
	}
	return n
}

// byEndpoint tells whether any gate asks for endpoints.
func (p Plan) byEndpoint() bool {
	return slices.ContainsFunc(p.Gates, func(g Gate) bool { return g.By == ByEndpoint })
}

// endpoints puts the series of endpoints together as gates count them: the busiest by themselves, the others as one.
func (e *Evidence) endpoints(s Sample) []Series {
	var all []Series
	if e.ByEndpoint {
		e.name(s)
	}
	slots := map[string]int{}
	for _, series := range s.Series {
		switch {
		case series.Endpoint == "":
			all = append(all, series)
			continue
		case !e.ByEndpoint, series.Track != Canary && series.Track != Stable:
			continue
		}
		n := slices.Index(e.Endpoints, series.Endpoint) + 1
		series.Gate, series.Endpoint, series.Buckets = slot(n), "", nil
		if at, there := slots[series.key()]; there {
			all[at].Requests += series.Requests
			all[at].Errors += series.Errors
			continue
		}
		slots[series.key()] = len(all)
		all = append(all, series)
	}
	return all
}

// name gives the busiest endpoints that have no name yet one of their own, while there are any left. Which they are says
// nothing of how they fare.
func (e *Evidence) name(s Sample) {
	if len(e.Endpoints) >= maxEndpoints {
		return
	}
	busy := map[string]float64{}
	for _, series := range s.Series {
		if known := slices.Contains(e.Endpoints, series.Endpoint); series.Endpoint != "" && !known && len(series.Endpoint) <= longestEndpoint {
			busy[series.Endpoint] += series.Requests
		}
	}
	maps.DeleteFunc(busy, func(_ string, n float64) bool { return n == 0 })
	names := slices.SortedFunc(maps.Keys(busy), func(a, b string) int { return cmp.Or(cmp.Compare(busy[b], busy[a]), cmp.Compare(a, b)) })
	e.Endpoints = append(slices.Clone(e.Endpoints), names[:min(len(names), maxEndpoints-len(e.Endpoints))]...)
}

// endpoint is the name of a slot, for people.
func (e Evidence) endpoint(n int) string {
	if n == 0 {
		return otherEndpoints
	}
	return e.Endpoints[n-1]
}

// endpointRules are a gate's rules for each slot, which share its budget.
func (g Gate) endpointRules(p Plan) []judge.Gate {
	rules := make([]judge.Gate, 0, maxEndpoints+1)
	for n := range maxEndpoints + 1 {
		rule := g.rule(p, nil)
		rule.Name, rule.Budget = g.Name+slot(n), 1.0/(maxEndpoints+1)
		rules = append(rules, rule)
	}
	return rules
}

// endpointWindows are a gate's windows for each slot.
func (g Gate) endpointWindows(e Evidence, mixed bool, windows map[string]judge.Window) {
	for n := range maxEndpoints + 1 {
		open := e.Open.Gates[slot(n)]
		w := judge.Window{From: e.Open.From, To: e.At, Mixed: mixed}
		w.Canary, w.Stable = judge.Failures(open.Canary.Requests, open.Canary.Errors), judge.Failures(open.Stable.Requests, open.Stable.Errors)
		if e.Alone {
			w.Stable = judge.Counts{}
		}
		windows[g.Name+slot(n)] = w
	}
}

// judgeEndpoints is the verdict of a gate by endpoint: that of the worst.
func (g Gate) judgeEndpoints(e Evidence, found map[string]judge.Finding, compare bool) Verdict {
	if g.limit(compare) == "" {
		return Verdict{Gate: g.Name, State: Pass, For: 1, Why: g.what() + " is not asked: there is no stable beside the canary"}
	}
	var all []Verdict
	total := 0.0
	for n := range len(e.Endpoints) + 1 {
		one := g
		one.By = e.endpoint(n)
		v := one.judge(e, found[g.Name+slot(n)], compare)
		v.Gate = g.Name
		total += v.Samples
		all = append(all, v)
	}
	worst := Verdict{Gate: g.Name, Limit: g.limit(compare), Why: g.what() + ": no requests are known by endpoint", DryRun: g.DryRun}
	for _, v := range all {
		heeded := v.State == Fail || v.Against >= suspicion || (v.Samples > 0 && v.Samples >= proven*total)
		if heeded && (worst.Samples == 0 || v.worse(worst)) {
			worst = v
		}
	}
	if worst.State == Pass && worst.Samples > 0 {
		worst.Why = fmt.Sprintf("%s, the worst of %d", worst.Why, len(e.Endpoints))
	}
	return worst
}

// worse tells whether a verdict is worse than another.
func (v Verdict) worse(than Verdict) bool {
	rank := func(v Verdict) int { return map[VerdictState]int{Pass: 0, Inconclusive: 1, Fail: 2}[v.State] }
	if rank(v) != rank(than) {
		return rank(v) > rank(than)
	}
	return cmp.Or(cmp.Compare(v.Against, than.Against), cmp.Compare(than.For, v.For)) > 0
}

// counting tells whether a source was counted before.
func (e Evidence) counting(source string) bool {
	for key := range e.Prev {
		if len(key) > len(source) && key[:len(source)+1] == source+"/" {
			return true
		}
	}
	return false
}
