package strategy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// event is something that happens outside, once.
type event struct {
	name string
	can  func(*world) bool
	do   func(*world)
}

func anyAlloc(which func(strategy.Alloc) bool) func(*world) bool {
	return func(w *world) bool { return slices.ContainsFunc(w.allocs, which) }
}

func isCanary(a strategy.Alloc) bool { return a.Canary && a.Fault == strategy.FaultNone }

func isSound(a strategy.Alloc) bool { return !a.Canary && a.Ready }

func spoil(fault strategy.Fault) func(*world) {
	return func(w *world) {
		i := slices.IndexFunc(w.allocs, isCanary)
		w.allocs[i].Fault, w.allocs[i].Ready, w.allocs[i].Why = fault, false, "told so"
	}
}

func events() []event {
	asks := func(v string) event {
		return event{"git asks for " + v, func(w *world) bool { return w.ask != v }, func(w *world) { w.ask = v }}
	}
	exists := func(w *world) bool { return len(w.specs) > 0 && !w.stopped }
	return []event{
		asks("a"), asks("b"), asks("c"), asks(""),
		{"the canary fails requests", func(w *world) bool { return w.quality != faulty }, func(w *world) { w.quality = faulty }},
		{"metrics go missing", func(w *world) bool { return w.quality != silent }, func(w *world) { w.quality = silent }},
		{"a canary crashes", anyAlloc(isCanary), spoil(strategy.FaultTask)},
		{"a canary stays unhealthy", anyAlloc(isCanary), spoil(strategy.FaultHealth)},
		{"a canary loses its node", anyAlloc(isCanary), spoil(strategy.FaultNode)},
		{"stable falls ill", anyAlloc(isSound), func(w *world) { w.ill(true) }},
		{"stable recovers", anyAlloc(func(a strategy.Alloc) bool { return !a.Canary && !a.Ready }), func(w *world) { w.ill(false) }},
		{"nomad goes away", func(w *world) bool { return w.nomadUp }, func(w *world) { w.nomadUp = false }},
		{"nomad comes back", func(w *world) bool { return !w.nomadUp }, func(w *world) { w.nomadUp = true }},
		{"the router goes away", func(w *world) bool { return w.routerUp }, func(w *world) { w.routerUp = false }},
		{"the router comes back", func(w *world) bool { return !w.routerUp }, func(w *world) { w.routerUp = true }},
		{"somebody registers f", exists, func(w *world) { w.register("f", strategy.Marker{}) }},
		{"somebody stops the job", exists, (*world).stop},
		{"somebody promotes", func(w *world) bool { return w.dep.ID != "" && !w.dep.Promoted }, (*world).promote},
		{"a person pauses", func(w *world) bool { return true }, command(strategy.CommandPause)},
		{"a person resumes", func(w *world) bool { return true }, command(strategy.CommandResume)},
		{"a person aborts", func(w *world) bool { return true }, command(strategy.CommandAbort)},
		{"a person retries", func(w *world) bool { return true }, command(strategy.CommandRetry)},
		{"Git holds at 20%", func(w *world) bool { return w.holdAt == nil }, func(w *world) { at := strategy.Percent(20); w.holdAt = &at }},
		{"Git holds no more", func(w *world) bool { return w.holdAt != nil }, func(w *world) { w.holdAt = nil }},
		{"Git changes the steps", func(w *world) bool { return len(w.plan.Steps) != 3 }, func(w *world) { w.plan = other(w.plan) }},
		{"the branch is forced", func(w *world) bool { return !w.forced }, func(w *world) { w.forced = true }},
		{"the head is accepted", func(w *world) bool { return w.forced }, func(w *world) { w.forced = false }},
		{"git goes away", func(w *world) bool { return !w.gitAway }, func(w *world) { w.gitAway = true }},
		{"git comes back", func(w *world) bool { return w.gitAway }, func(w *world) { w.gitAway = false }},
		{"the limits are reached", func(w *world) bool { return !w.wait }, func(w *world) { w.wait = true }},
		{"there is room again", func(w *world) bool { return w.wait }, func(w *world) { w.wait = false }},
		{"smoke checks will fail", func(w *world) bool { return !w.smokeBad && len(w.plan.Smoke) > 0 }, func(w *world) { w.smokeBad = true }},
		{"the next evaluation comes late", func(w *world) bool { return !w.slow }, func(w *world) { w.slow = true }},
		{"users open connections and keep them", func(w *world) bool { return w.plan.Drain > 0 && len(w.open) == 0 }, (*world).connect},
		{"nomad fails the deployment", func(w *world) bool { return w.dep.Status == strategy.DeploymentRunning }, func(w *world) { w.dep.Status = strategy.DeploymentFailed }},
	}
}

func command(kind strategy.CommandKind) func(*world) {
	return func(w *world) { w.command = &strategy.Command{Kind: kind, By: "robin"} }
}

// tester is a test, or a case of a property.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// state is the world with the machine in it.
type state struct {
	w     *world
	r     strategy.Rollout
	left  int // events that may still happen
	trail []string
}

// key is what distinguishes states for the machine: times become ages in ticks, identities become relations.
func (s state) key() string {
	r, w := s.r, s.w
	age := func(t time.Time, limit int) int { return min(int(w.now.Sub(t)/tick), limit) }
	hold := ""
	if r.Hold != nil {
		hold = fmt.Sprint(r.Hold.Reason.Code, age(r.Hold.Since, 3))
	}
	ending := ""
	if r.Ending != nil {
		ending = string(r.Ending.Kind)
	}
	fault := func(a strategy.Alloc) string { return fmt.Sprint(a.ID[:1], a.Canary, a.Fresh, a.Ready, a.Fault) }
	var allocs []string
	for _, a := range w.allocs {
		allocs = append(allocs, fault(a))
	}
	slices.Sort(allocs)
	spec := func(v uint64) string {
		if v < uint64(len(w.specs)) {
			return w.specs[v]
		}
		return "?"
	}
	corrected := 0
	if len(r.Timeline) > 0 && r.Timeline[0].Reason.Code == strategy.Correcting {
		corrected = 1 + age(r.Last.At, 21)
	}
	connected := 0
	for _, a := range w.allocs {
		connected += w.open[a.ID]
	}
	return fmt.Sprint(connected, len(w.open) > 0, r.Draining.IsZero(), age(r.Draining, 4), len(w.split.Leaving), r.Shadowing, w.split.Copies != nil, w.forced, w.gitAway, w.wait, w.bad, len(w.plan.Steps), len(r.Plan.Steps), r.Plan.Standby, spec(r.Placed), r.Placed > 0, corrected, r.Phase, age(r.Since, 3), age(r.Pending, 2), hold, r.Stable.Revision.Version, spec(r.Stable.Version), r.Canary.Revision.Version, r.Canary.Version > 0, r.Registered, r.Opened,
		r.Stuck, r.Step, r.Weight, min(r.Baked/tick, 2), min(r.Ran/tick, 8), ending, r.Evidence.Canary.Requests > 0, r.Evidence.Canary.Errors > 0, age(r.Evidence.At, 2), seen(r), len(r.Outbox), r.Last.Kind,
		r.Condemned, r.Parked.Version, r.Promoted, "|", w.ask, w.nomadUp, w.routerUp, w.quality, w.stopped, len(w.specs) > 0 && r.Stable.Version == uint64(len(w.specs)-1),
		r.Base == w.index, w.marker.Rollout == r.ID, w.marker.Role, w.marker.Revision.Version, w.dep.Status, w.dep.Promoted, len(w.dep.Canaries), allocs, w.tagged && spec(w.good) == spec(r.Stable.Version), spec(w.stable), w.slow, w.pending, r.Paused, w.holdAt != nil, w.smokeBad, w.smoke != nil && w.smoke.Rollout == r.ID, w.smoke != nil && w.smoke.Failed != "",
		w.split.Weight, w.split.Resting, endpoints(w.split.Stable), endpoints(w.split.Canary))
}

// seen is what the evidence says to the machine: the verdict of each gate, and whether the next bad window decides.
func seen(r strategy.Rollout) (text string) {
	if !r.Opened {
		return ""
	}
	for _, compare := range []bool{true, false} {
		for _, v := range strategy.Judge(r.Plan, r.Evidence, compare) {
			text += fmt.Sprint(v.State, min(int(v.Against*4), 2), min(int(v.For*4), 4))
		}
	}
	return text + fmt.Sprint(r.Evidence.Weight, r.Evidence.Turned.Equal(r.Evidence.At), r.Evidence.Open.From.Equal(r.Evidence.At))
}

func endpoints(list []strategy.Endpoint) (versions string) {
	for _, e := range list {
		versions += e.Alloc[:1]
	}
	return versions
}

// look is one pass of a loop: decide, check the decision, perform the first n actions, record.
func (s *state) look(t tester, n int) {
	t.Helper()
	o := s.w.observe()
	next, actions, reason := strategy.Advance(s.r, o, s.w.now)
	o.Command = nil // It is obeyed once.
	again, repeated, _ := strategy.Advance(next, o, s.w.now)
	if diff := cmp.Diff(next, again); diff != "" {
		s.fatal(t, "Advance does not rest on its own result: "+diff)
	}
	if diff := cmp.Diff(actions, repeated); diff != "" {
		s.fatal(t, "Advance does not repeat its actions: "+diff)
	}
	s.trail = append(slices.Clip(s.trail), fmt.Sprintf("  %s %s: %s %v", next.Phase, next.Weight, reason.Text, kinds(actions)))
	s.check(t, next, actions)
	for _, a := range actions[:min(n, len(actions))] {
		before := slices.Clone(s.w.allocs)
		s.w.perform(a)
		s.checkAct(t, a, before, next)
		switch {
		case a.Kind == strategy.ActDeliver:
			next = next.Delivered(*a.Task, "done")
		case a.Kind == strategy.ActSmoke && s.w.nomadUp:
			s.w.smoke = &strategy.SmokeResult{Rollout: next.ID}
			if s.w.smokeBad {
				s.w.smoke.Failed = "told so"
			}
		}
	}
	s.w.command = nil
	s.r = next
}

func kinds(actions []strategy.Action) (names []string) {
	for _, a := range actions {
		names = append(names, string(a.Kind))
	}
	return names
}

func (s *state) fatal(t tester, what string) {
	t.Helper()
	t.Fatalf("%s\nafter:\n%s", what, strings.Join(s.trail, "\n"))
}

// check holds the decision against the safety properties.
func (s *state) check(t tester, next strategy.Rollout, actions []strategy.Action) {
	t.Helper()
	for _, task := range next.Outbox {
		if task.Bad == task.Good {
			s.fatal(t, "the revert goes back to what was condemned")
		}
	}
	for _, v := range next.Verdicts {
		if v.State == strategy.Fail && next.Weight > s.r.Weight && next.Phase != strategy.Reversing { // There the weight is that of the way back.
			s.fatal(t, "the weight rises while a gate fails")
		}
	}
	// Coming back to the weight of the present step, after less was carried or asked for, is no rise.
	if next.Hold != nil && next.Weight > s.r.Weight && (next.Step > s.r.Step || next.Phase != s.r.Phase) {
		switch next.Hold.Reason.Code {
		case strategy.SplitNotInEffect, strategy.RouterUnreachable, strategy.CanaryNotReady: // The rise itself is what is waited for.
		default:
			s.fatal(t, "the weight rises while the rollout is held")
		}
	}
	if next.Ending != nil && next.Phase == strategy.Restoring && next.Weight > 0 {
		s.fatal(t, "traffic for a rollout that is being thrown away")
	}
	if onward := s.r.Phase == strategy.Resting && next.Phase == strategy.Placing; s.w.gitAway && (onward || next.Step > s.r.Step && next.ID == s.r.ID && len(next.Plan.Steps) == len(s.r.Plan.Steps)) {
		s.fatal(t, "the rollout goes forward though nobody knows what Git asks for")
	}
	for _, a := range actions {
		if a.Kind != strategy.ActSetSplit {
			if a.Before {
				s.fatal(t, string(a.Kind)+" may not come before the record")
			}
			continue
		}
		if a.Before && a.Split.Weight > s.w.split.Weight {
			s.fatal(t, "a split that raises the weight may not come before the record")
		}
		s.checkSplit(t, *a.Split, next)
	}
}

func (s *state) checkSplit(t tester, split strategy.Split, next strategy.Rollout) {
	t.Helper()
	ready := 0
	for _, a := range s.w.allocs {
		given := slices.ContainsFunc(slices.Concat(split.Stable, split.Canary), func(e strategy.Endpoint) bool { return e.Alloc == a.ID })
		if given && !a.Ready && s.w.nomadUp {
			s.fatal(t, "traffic for an allocation that is not ready: "+a.ID)
		}
		if slices.ContainsFunc(split.Canary, func(e strategy.Endpoint) bool { return e.Alloc == a.ID }) {
			ready++
		} else if given && a.Canary && a.Ready && next.Phase != strategy.Blocked && s.w.nomadUp {
			s.fatal(t, "a canary is given the traffic of stable: "+a.ID)
		}
	}
	if split.Weight > strategy.Carries(ready, count) && (next.Phase == strategy.Stepping || next.Phase == strategy.Standby) {
		s.fatal(t, "more traffic than the ready canaries carry")
	}
	if split.Copies != nil && (next.Phase != strategy.Placing || split.Weight > 0) {
		s.fatal(t, "copies of requests in a phase that judges none")
	}
	if split.Weight > 0 && ready == 0 {
		s.fatal(t, "traffic for no canary")
	}
}

// checkAct sees to it that nothing but a promotion, and the end of a failed first release, ends stable allocations.
func (s *state) checkAct(t tester, a strategy.Action, before []strategy.Alloc, next strategy.Rollout) {
	t.Helper()
	if a.Kind == strategy.ActRegister && next.Phase == strategy.Blocked && next.IsCondemned(a.Registration.Marker.Revision) &&
		(next.Stuck == strategy.Reversing || a.Registration.Marker.Revision != next.Stable.Revision) { // What ran beside a trial runs again.
		s.fatal(t, "a condemned revision is registered again")
	}
	s.checkOpen(t, a, before, next)
	if a.Kind == strategy.ActPromote || a.Kind == strategy.ActStop || a.Kind == strategy.ActDeliver || a.Kind == strategy.ActReplace {
		return
	}
	for _, old := range before {
		if !old.Canary && !slices.ContainsFunc(s.w.allocs, func(x strategy.Alloc) bool { return x.ID == old.ID }) {
			s.fatal(t, fmt.Sprintf("%s ended the stable allocation %s in %s", a.Kind, old.ID, next.Phase))
		}
	}
}

// checkOpen sees to it that no act cuts a connection off that the plan lets end. Where nobody else serves, or the router does
// not answer, there is nothing to be waited for.
func (s *state) checkOpen(t tester, a strategy.Action, before []strategy.Alloc, next strategy.Rollout) {
	t.Helper()
	drained := !next.Draining.IsZero() && s.w.now.Sub(next.Draining) >= next.Plan.Drain
	lastResort := next.Phase == strategy.Restoring && !next.Pending.IsZero()
	if drained || lastResort || !s.w.routerUp || next.Phase == strategy.Blocked || a.Kind == strategy.ActReplace {
		return
	}
	for _, old := range before {
		if s.w.open[old.ID] > 0 && !slices.ContainsFunc(s.w.allocs, func(x strategy.Alloc) bool { return x.ID == old.ID }) {
			s.fatal(t, fmt.Sprintf("%s cut a connection to %s off in %s", a.Kind, old.ID, next.Phase))
		}
	}
}

// quiet lets everything come back and nothing else happen: it must end at rest, with nothing left over.
// States that are known to do so are in proven, which grows.
func (s state) quiet(t tester, proven map[string]bool) {
	t.Helper()
	s.w = s.w.clone()
	s.w.nomadUp, s.w.routerUp, s.w.holdAt, s.w.forced, s.w.gitAway, s.w.wait = true, true, nil, false, false, false
	if s.r.Paused != "" {
		s.w.command = &strategy.Command{Kind: strategy.CommandResume}
	}
	for range 80 {
		k := s.key()
		if proven[k] {
			return
		}
		proven[k] = true // The run fails the test when it is not so.
		s.look(t, 99)
		if s.r.Phase == strategy.Blocked || (s.r.Phase == strategy.Resting && len(s.r.Outbox) == 0 && s.w.split.Weight == 0) {
			before := s.r.Phase
			s.look(t, 99)
			if s.r.Phase == before {
				s.checkRest(t)
				return
			}
		}
		s.w.pass()
	}
	s.fatal(t, "a quiet run does not come to rest")
}

func (s *state) checkRest(t tester) {
	t.Helper()
	if s.r.Phase == strategy.Blocked {
		return
	}
	running := len(s.w.specs) > 0 && !s.w.stopped
	if running && (s.w.ask != "" || s.r.Canary.Service != "") && (!s.w.split.Resting || s.w.split.Weight != 0) {
		s.fatal(t, "at rest the split does not rest")
	}
	if running && s.w.marker.Rollout != "" && slices.ContainsFunc(s.w.allocs, func(a strategy.Alloc) bool { return a.Canary }) {
		s.fatal(t, "at rest a canary of ours is left over")
	}
	// Where even the way back failed, a condemned revision may be all there is.
	if running && s.r.IsCondemned(revision(s.w.spec())) && s.w.marker.Rollout != "" && !s.r.IsCondemned(s.r.Stable.Revision) {
		s.fatal(t, "a condemned revision is what the job runs")
	}
}

// canEnd proves that before promotion a failing gate and a revert in Git both take the traffic away at once.
func (s state) canEnd(t tester) {
	t.Helper()
	if s.r.Phase != strategy.Placing && s.r.Phase != strategy.Stepping && s.r.Phase != strategy.Standby {
		return
	}
	s.w = s.w.clone()
	s.w.ask, s.w.nomadUp, s.w.routerUp, s.w.forced = s.r.Stable.Revision.Version, true, true, false
	if s.w.stopped || s.r.Stable.Revision.Version == "f" {
		return
	}
	s.trail = append(slices.Clip(s.trail), "revert in Git")
	s.look(t, 99)
	if s.r.Weight != 0 || s.r.Phase == strategy.Placing || s.r.Phase == strategy.Stepping || s.r.Phase == strategy.Standby {
		s.fatal(t, "a revert in Git does not end the rollout")
	}
}

// TestExplore tries every order of up to two disturbances at every tick of a rollout. A disturbance is an event outside,
// or a tick whose actions are lost, all of them or all but the first.
func TestExplore(t *testing.T) {
	depth := 2
	if testing.Short() {
		depth = 1
	}
	states, looks := 0, 0
	phases := map[strategy.Phase]int{}
	worlds := []*world{newWorld("b", false), newWorld("b", true), newWorld("b", false), newWorld("b", false), newWorld("b", false)}
	worlds[2].plan = blueGreen()
	worlds[3].drift = strategy.DriftCorrect
	worlds[4].plan = draining()
	for _, w := range worlds {
		seen, proven := map[string]bool{}, map[string]bool{}
		queue := []state{{w: w, r: strategy.Rollout{Release: "web"}, left: depth}}
		if w.plan.Drain > 0 {
			queue[0].left = 1 // It differs little from the first; the properties go further.
		}
		for len(queue) > 0 {
			s := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			k := fmt.Sprint(s.left, s.key())
			if seen[k] {
				continue
			}
			seen[k] = true
			states++
			phases[s.r.Phase]++
			s.quiet(t, proven)
			s.canEnd(t)
			for _, next := range s.successors() {
				for _, performed := range []int{99, 1, 0} {
					n := state{w: next.w.clone(), r: next.r, left: next.left, trail: next.trail}
					if performed < 99 {
						n.left--
					}
					if n.left < 0 {
						break
					}
					n.look(t, performed)
					looks++
					n.w.pass()
					queue = append(queue, n)
				}
			}
		}
	}
	t.Logf("explored %d states, %d decisions, by phase %v", states, looks, phases)
	for _, p := range []strategy.Phase{strategy.Resting, strategy.Placing, strategy.Stepping, strategy.Standby, strategy.Promoting, strategy.Restoring, strategy.Reversing, strategy.First, strategy.Blocked} {
		if phases[p] == 0 && (p != strategy.Blocked || depth > 1) { // It takes two disturbances to block a rollout.
			t.Errorf("phase %s was never reached", p)
		}
	}
}

// successors are the state itself and what it is after each event that may happen.
func (s state) successors() []state {
	list := []state{{w: s.w, r: s.r, left: s.left, trail: append(slices.Clip(s.trail), "tick")}}
	if s.left == 0 {
		return list
	}
	for _, e := range events() {
		if !e.can(s.w) {
			continue
		}
		w := s.w.clone()
		e.do(w)
		list = append(list, state{w: w, r: s.r, left: s.left - 1, trail: append(slices.Clip(s.trail), e.name)})
	}
	return list
}
