package reconcile

import (
	"fmt"
	"sync"

	"github.com/drover-dev/drover/strategy"
)

// Limits bound what one commit, or one bad hour, can do.
type Limits struct {
	MaxActive   int // rollouts at once; 0 is the default of 10
	MaxFailures int // after so many condemned releases of one commit no further release of it begins; 0 is the default of 3
}

// The limits when none are configured.
const (
	defaultActive   = 10
	defaultFailures = 3
)

func (l Limits) withDefaults() Limits {
	if l.MaxActive == 0 {
		l.MaxActive = defaultActive
	}
	if l.MaxFailures == 0 {
		l.MaxFailures = defaultFailures
	}
	return l
}

// slots hands out the right to begin a rollout. It is safe for concurrent use.
type slots struct {
	limits Limits

	mu       sync.Mutex
	active   map[string]bool            // releases that are in a rollout, or may begin one in this pass
	failures map[string]map[string]bool // releases that were condemned, by the commit that asked for them
}

// newSlots counts what is under way and what has failed.
func newSlots(limits Limits, releases map[string]*tracked) *slots {
	s := &slots{limits: limits.withDefaults(), active: map[string]bool{}, failures: map[string]map[string]bool{}}
	for name, t := range releases {
		s.count(name, t.record.Rollout)
	}
	return s
}

// count takes in where a release stands.
func (s *slots) count(name string, r strategy.Rollout) {
	delete(s.active, name)
	if !r.AtRest() {
		s.active[name] = true
	}
	failed := r.AtRest() && r.Last.Kind == strategy.OutcomeCondemned
	if r.Ending != nil {
		failed = r.Ending.Kind == strategy.OutcomeCondemned
	}
	if sha := r.Canary.Commit.SHA; failed && sha != "" {
		if s.failures[sha] == nil {
			s.failures[sha] = map[string]bool{}
		}
		s.failures[sha][name] = true
	}
}

// refusal is why a release may not begin a rollout.
type refusal struct {
	strategy.Reason
	queued bool // it may as soon as another rollout has ended, which may be before this is read; else only people can help
}

// take reserves a slot for a release that rests. It returns why none is free; nil when the release may begin a rollout
// until it is counted again.
func (s *slots) take(name string, r strategy.Rollout, d *strategy.Desired) *refusal {
	if d == nil || !r.AtRest() || d.Revision == r.Stable.Revision || d.Revision == r.Parked || r.IsCondemned(d.Revision) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.failures[d.Commit.SHA]); n >= s.limits.MaxFailures {
		return &refusal{Reason: strategy.Reason{Code: strategy.LimitReached, Text: fmt.Sprintf("%s is not begun: %d releases of commit %s failed (limits.max_failures): "+
			"revert it, or commit this release again", d.Revision, n, d.Commit.Short())}}
	}
	if len(s.active) >= s.limits.MaxActive && !s.active[name] {
		return &refusal{queued: true, Reason: strategy.Reason{Code: strategy.LimitReached, Text: fmt.Sprintf("%s waits: %d rollouts are under way (limits.max_active)", d.Revision, len(s.active))}}
	}
	s.active[name] = true
	return nil
}

// settle counts a release after it was looked at.
func (s *slots) settle(name string, r strategy.Rollout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(name, r)
}

// full tells whether no release that waits for a slot could have one.
func (s *slots) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active) >= s.limits.MaxActive
}
