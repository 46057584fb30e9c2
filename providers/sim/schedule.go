package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Why allocations are told to stop, in Nomad's words.
const (
	whyNotNeeded = "alloc not needed due to job update"
	whyUpdated   = "alloc is being updated due to job update"
	whyMigrated  = "alloc is being migrated"
)

// placement is an allocation to be made.
type placement struct {
	name     string
	canary   bool
	replaces *alloc
	old      bool // with the spec of the allocation it replaces, not the current one
}

// settlement is what is to be done about one group.
type settlement struct {
	group    *api.TaskGroup
	state    *api.DeploymentState // nil when no deployment is concerned
	stop     map[*alloc]string
	inPlace  []*alloc
	place    []placement
	later    []*alloc // failed ones, to be looked at again
	counts   api.DesiredUpdates
	creates  bool // a deployment, when there is none
	complete bool
}

// settler works out a settlement. Nothing is changed while it does.
type settler struct {
	n      *Nomad
	job    *job
	spec   *api.Job
	d      *api.Deployment // of the current version, running or failed; else nil
	out    *settlement
	active bool // d goes on
	failed bool // d has failed
	exists bool // d knows the group

	canaries    []*alloc // of d, that should run
	others      []*alloc
	replaced    []*alloc // migrating, lost or rescheduled now
	destructive []*alloc
	hadRunning  bool
}

// settle compares what should run of a group with what does.
func (n *Nomad) settle(j *job, spec *api.Job, d *api.Deployment, group *api.TaskGroup) settlement {
	out := settlement{group: group, stop: map[*alloc]string{}}
	s := settler{n: n, job: j, spec: spec, d: d, out: &out}
	if d != nil {
		s.active, s.failed = d.Status == api.DeploymentStatusRunning, d.Status == api.DeploymentStatusFailed
		if state := d.TaskGroups[*group.Name]; state != nil {
			copied := *state
			out.state, s.exists = &copied, true
		}
	}
	if out.state == nil {
		out.state = newState(group.Update)
	}
	s.sort()
	s.cull()
	s.classify()
	if !s.exists {
		out.state.DesiredTotal = len(s.destructive) + len(out.inPlace)
	}
	needCanaries := s.placeCanaries()
	s.fill()
	s.update()
	s.conclude(needCanaries)
	return out
}

// newState is where a group begins in a deployment.
func newState(u *api.UpdateStrategy) *api.DeploymentState {
	if u == nil {
		return &api.DeploymentState{}
	}
	return &api.DeploymentState{AutoRevert: *u.AutoRevert, ProgressDeadline: *u.ProgressDeadline}
}

// conclude tells whether a deployment is needed, and whether there is nothing left to do. A version that ran before and
// changes nothing needs no deployment.
func (s *settler) conclude(needCanaries bool) {
	out, u := s.out, s.out.group.Update
	changes := len(s.destructive) + len(out.inPlace)
	out.creates = s.d == nil && u != nil && *u.MaxParallel > 0 && out.state.DesiredTotal > 0 && (!s.hadRunning || changes > 0)
	idle := changes+len(out.place)+len(out.later)+len(s.replaced) == 0
	healthy := !s.exists || out.state.HealthyAllocs >= max(out.state.DesiredTotal, out.state.DesiredCanaries)
	out.complete = idle && healthy && !needCanaries && !s.canarying()
	for _, why := range out.stop {
		if why != whyUpdated {
			out.counts.Stop++
		}
	}
}

// canarying tells whether canaries wait for their promotion.
func (s *settler) canarying() bool {
	return s.out.state.DesiredCanaries > 0 && !s.out.state.Promoted
}

// sort parts the allocations of the group. Canaries that no running deployment stands behind are stopped.
func (s *settler) sort() {
	for _, a := range s.concerned() {
		mine := s.d != nil && a.DeploymentID == s.d.ID
		switch {
		case a.canary() && (!mine || s.failed):
			s.out.stop[a] = whyNotNeeded
		case a.replace:
			s.replaced = append(s.replaced, a)
		case a.migrating():
			s.out.stop[a] = whyMigrated
			s.replaced = append(s.replaced, a)
			s.out.counts.Migrate++
		case s.reschedule(a, mine):
		case a.canary():
			s.canaries = append(s.canaries, a)
		default:
			s.others = append(s.others, a)
		}
	}
}

// concerned is the group's allocations that should run, or are lost and not replaced yet.
func (s *settler) concerned() []*alloc {
	var out []*alloc
	for _, a := range s.n.allocs {
		if a.job != s.job || a.TaskGroup != *s.out.group.Name {
			continue
		}
		s.hadRunning = s.hadRunning || *a.Job.Version == *s.spec.Version
		if a.live() || a.replace {
			out = append(out, a)
		}
	}
	return out
}

// reschedule tells whether a failed allocation is replaced now. While a deployment runs its own allocations are only
// replaced when they failed before they were healthy: one that was healthy stays failed.
func (s *settler) reschedule(a *alloc, mine bool) bool {
	healthy := a.health()
	switch {
	case a.ClientStatus != api.AllocClientStatusFailed:
		return false
	case mine && s.active && (healthy == nil || *healthy || s.out.state.ProgressDeadline == 0):
		return false
	case mine && s.failed:
		return false
	}
	at, possible := rescheduleAt(a)
	if !possible {
		return false
	}
	if at.After(s.n.now) {
		s.out.later = append(s.out.later, a)
		s.out.counts.RescheduleLater++
		return false
	}
	s.out.stop[a] = ""
	s.replaced = append(s.replaced, a)
	s.out.counts.RescheduleNow++
	return true
}

// rescheduleAt is when the policy lets a failed allocation be replaced.
func rescheduleAt(a *alloc) (time.Time, bool) {
	p := a.group().ReschedulePolicy
	if p == nil {
		return time.Time{}, false
	}
	tried, within := 0, 0
	if a.RescheduleTracker != nil {
		tried = len(a.RescheduleTracker.Events)
		for _, e := range a.RescheduleTracker.Events {
			if a.failed.Sub(time.Unix(0, e.RescheduleTime)) <= *p.Interval {
				within++
			}
		}
	}
	if !*p.Unlimited && within >= *p.Attempts {
		return time.Time{}, false
	}
	delay, before := *p.Delay, time.Duration(0)
	for range tried {
		next := delay
		switch *p.DelayFunction {
		case "exponential":
			next = delay * 2
		case "fibonacci":
			next = delay + max(before, *p.Delay*time.Duration(min(1, tried)))
		}
		before, delay = delay, next
		if *p.MaxDelay > 0 && delay > *p.MaxDelay {
			delay = *p.MaxDelay
		}
	}
	return a.failed.Add(delay), true
}

// cull stops what is more than the count: after a promotion what the canaries stand for, then the highest names.
func (s *settler) cull() {
	excess := len(s.others) + s.stablesReplaced() - *s.out.group.Count
	if s.out.state.Promoted {
		placed := s.out.state.PlacedCanaries
		taken := map[string]bool{}
		for _, a := range s.others {
			if slices.Contains(placed, a.ID) {
				taken[a.Name] = true
			}
		}
		s.others = slices.DeleteFunc(s.others, func(a *alloc) bool {
			gone := excess > 0 && taken[a.Name] && !slices.Contains(placed, a.ID)
			if gone {
				s.out.stop[a] = whyNotNeeded
				excess--
			}
			return gone
		})
	}
	byName := slices.Clone(s.others)
	slices.SortStableFunc(byName, func(a, b *alloc) int {
		fresh := func(a *alloc) int {
			if *a.Job.Version == *s.spec.Version {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(fresh(a), fresh(b)), -cmp.Compare(nameIndex(a.Name), nameIndex(b.Name)))
	})
	for _, a := range byName[:max(0, min(excess, len(byName)))] {
		s.out.stop[a] = whyNotNeeded
		s.others = slices.DeleteFunc(s.others, func(o *alloc) bool { return o == a })
	}
}

// stablesReplaced is how many of the replaced ones are not canaries.
func (s *settler) stablesReplaced() int {
	count := 0
	for _, a := range s.replaced {
		if !a.canary() {
			count++
		}
	}
	return count
}

// classify finds what a change of the spec means for each allocation of an older version.
func (s *settler) classify() {
	for _, a := range s.others {
		switch {
		case *a.Job.Version == *s.spec.Version:
			s.out.counts.Ignore++
		case destructive(a.Job, s.spec, a.TaskGroup):
			s.destructive = append(s.destructive, a)
		default:
			s.out.inPlace = append(s.out.inPlace, a)
			s.out.counts.InPlaceUpdate++
		}
	}
}

// placeCanaries makes the canaries that are missing, and tells whether there were any.
func (s *settler) placeCanaries() bool {
	u := s.out.group.Update
	if u == nil || len(s.destructive) == 0 || s.out.state.Promoted {
		return false
	}
	have := len(s.canaries)
	for _, a := range s.replaced {
		if a.canary() {
			have++
		}
	}
	if have >= *u.Canary {
		return false
	}
	s.out.state.DesiredCanaries = *u.Canary
	if s.failed {
		return true
	}
	taken := map[int]bool{}
	for _, a := range slices.Concat(s.canaries, s.replaced) {
		if a.canary() {
			taken[nameIndex(a.Name)] = true
		}
	}
	for range *u.Canary - have {
		s.out.place = append(s.out.place, placement{name: s.freeName(taken), canary: true})
		s.out.counts.Canary++
	}
	return true
}

// freeName is the first name that is not taken, and takes it.
func (s *settler) freeName(taken map[int]bool) string {
	i := 0
	for taken[i] {
		i++
	}
	taken[i] = true
	return fmt.Sprintf("%s.%s[%d]", s.job.name, *s.out.group.Name, i)
}

func nameIndex(name string) int {
	var index int
	open := len(name) - 1
	for open > 0 && name[open] != '[' {
		open--
	}
	if _, err := fmt.Sscanf(name[open:], "[%d]", &index); err != nil {
		return 0
	}
	return index
}

// fill replaces what was lost, migrated or has failed, and places what is missing from the count. While canaries wait
// a stable allocation is replaced with its own version.
func (s *settler) fill() {
	taken := map[int]bool{}
	for _, a := range s.others {
		taken[nameIndex(a.Name)] = true
	}
	room := *s.out.group.Count - len(s.others)
	for _, a := range s.replaced {
		p := placement{name: a.Name, replaces: a, canary: a.canary()}
		if !p.canary {
			if room <= 0 {
				continue
			}
			room--
			taken[nameIndex(a.Name)] = true
			p.old = s.canarying()
		}
		s.out.place = append(s.out.place, p)
		s.out.counts.Place++
	}
	if s.canarying() || s.failed {
		if !s.exists {
			s.out.state.DesiredTotal += max(0, room)
		}
		return
	}
	limit := s.limit()
	for range max(0, room) {
		if !s.exists {
			s.out.state.DesiredTotal++
		}
		if s.active && s.exists && limit <= 0 {
			continue
		}
		limit--
		s.out.place = append(s.out.place, placement{name: s.freeName(taken)})
		s.out.counts.Place++
	}
}

// limit is how many allocations may be made now: those that are not yet healthy hold back others.
func (s *settler) limit() int {
	u := s.out.group.Update
	if u == nil || *u.MaxParallel == 0 {
		return *s.out.group.Count
	}
	limit := *u.MaxParallel
	if s.d == nil {
		return limit
	}
	for _, a := range s.others {
		if a.DeploymentID != s.d.ID {
			continue
		}
		switch healthy := a.health(); {
		case healthy == nil:
			limit--
		case !*healthy:
			return 0
		}
	}
	for _, p := range s.out.place {
		if !p.canary && !p.old {
			limit--
		}
	}
	return max(0, limit)
}

// update replaces allocations of an older version, as many at a time as the update block allows.
func (s *settler) update() {
	if s.canarying() || s.failed {
		s.out.counts.Ignore += uint64(len(s.destructive))
		return
	}
	slices.SortStableFunc(s.destructive, func(a, b *alloc) int { return cmp.Compare(nameIndex(a.Name), nameIndex(b.Name)) })
	now := min(s.limit(), len(s.destructive))
	for _, a := range s.destructive[:now] {
		s.out.stop[a] = whyUpdated
		s.out.place = append(s.out.place, placement{name: a.Name, replaces: a})
		s.out.counts.DestructiveUpdate++
	}
	s.out.counts.Ignore += uint64(len(s.destructive) - now)
}
