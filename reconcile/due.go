package reconcile

import (
	"context"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// A split that was given to a router is in effect some milliseconds later, as a rule: it is looked for that soon, then
// less often, and in the end with everything else.
const (
	firstLook = 20 * time.Millisecond
	soonLooks = 6 // 20, 40, ... 640 ms: 1.3 s in all
)

// attention says when a release is looked at between two sweeps. The zero value is never, unless something comes up.
type attention struct {
	seen  string           // the content key that it was looked at with last
	stir  bool             // something came up that concerns it: in Nomad, or of what was to be said
	at    time.Time        // when to look again whether the router has its split; zero with the next sweep
	looks int              // made that soon, one after the other
	given *strategy.Action // the split that the router does not show yet
}

// settle takes in what the last look at a release came to.
func (a *attention) settle(key string, now time.Time, actions []strategy.Action) {
	before := a.given
	a.seen, a.stir, a.given = key, false, nil
	for _, action := range actions {
		if action.Kind == strategy.ActSetSplit {
			a.given = &action
		}
	}
	switch {
	case a.given == nil, before == nil, !before.Split.InEffect(*a.given.Split):
		a.looks = 0
		a.later(now)
	case !now.Before(a.at):
		a.later(now)
	}
}

// later is when to look again whether the router has the split.
func (a *attention) later(now time.Time) {
	a.at = time.Time{}
	if a.given != nil && a.looks < soonLooks {
		a.at = now.Add(firstLook << a.looks)
		a.looks++
	}
}

// forSplit tells whether a release is to be looked at only because its router may have its split by now.
func (l *Loop) forSplit(name string, t *tracked) bool {
	a := &t.attention
	return !a.stir && a.given != nil && t.restingOn == "" && a.seen == l.intent.key(name) && !l.isAsked(name)
}

// hasSplit tells whether the router of a release shows the split that it was given. Only the router is asked; what cannot be
// read is left to a decision.
func (l *Loop) hasSplit(ctx context.Context, name string, t *tracked, now time.Time) bool {
	a := &t.attention
	traffic, err := l.router(a.given.Router)
	if err != nil {
		return true
	}
	state, err := traffic.read(ctx, name)
	if err == nil && state.Has(*a.given.Split) {
		return true
	}
	a.later(now)
	return false
}

// due tells whether a release in motion has to be looked at before the next sweep.
func (a *attention) due(key string, now time.Time) bool {
	return a.stir || a.seen != key || (!a.at.IsZero() && !now.Before(a.at))
}

// stirRelease has a release looked at in the next pass, which is made now. It may be called at any time.
func (l *Loop) stirRelease(name string) {
	l.mu.Lock()
	l.stirred[name] = true
	l.mu.Unlock()
	l.Wake()
}

// takeStirred begins a pass: what came up since the last one is noted with the releases.
func (l *Loop) takeStirred() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.stirred {
		if t := l.releases[name]; t != nil {
			t.attention.stir, t.known = true, known{}
		}
	}
	clear(l.stirred)
}

// inMotion is the releases that do not rest.
func (l *Loop) inMotion() []string {
	var moving []string
	for name, t := range l.releases {
		if t.restingOn == "" {
			moving = append(moving, name)
		}
	}
	return moving
}

// nextLook is when the first of the releases wants to be looked at; zero when none does before the next sweep.
func (l *Loop) nextLook() time.Time {
	var first time.Time
	for _, t := range l.releases {
		if at := t.attention.at; !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
