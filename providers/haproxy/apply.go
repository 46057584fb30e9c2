package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Apply brings every process to the split, and the file that HAProxy begins with. Servers are added before weights change, and
// taken out of service after that, so that nothing is dropped; weights change in an order in which the canary never has more
// than it had or is to get. The file comes last: what it would bring back is at most as far as what was in effect.
func (r *Router) Apply(ctx context.Context, split strategy.Split) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range slices.Concat(split.Stable, split.Canary) {
		if !plain.MatchString(e.Alloc) || !plain.MatchString(e.Address) {
			return fmt.Errorf("set the split of %q on router %q: %q at %q is no allocation and address", split.Release, r.name, e.Alloc, e.Address)
		}
	}
	for other, backend := range r.backends {
		if other != split.Release && backend == r.backend(split.Release) {
			return fmt.Errorf("set the split of %q on router %q: its backend %q is that of release %q: give it a route with a backend of its own", split.Release, r.name, backend, other)
		}
	}
	before, known, err := r.remembers(split.Release)
	if err != nil {
		known = false // It is written anew.
	}
	sameUsers := known && split.Sessions != "" && before.Sessions == split.Sessions
	problems := make([]error, len(r.sockets), len(r.sockets)+1)
	var group sync.WaitGroup
	fresh := make([][]string, len(r.sockets))
	for i, s := range r.sockets {
		group.Go(func() { fresh[i], problems[i] = s.apply(ctx, r.backend(split.Release), split, sameUsers) })
	}
	group.Wait()
	for i, s := range r.sockets {
		for _, name := range fresh[i] {
			r.added[s.name+" "+name] = r.now()
		}
	}
	begin := split
	if errors.As(errors.Join(problems...), new(noCookieError)) {
		begin = withoutCanary(split)
	}
	// A process that does not answer may be about to start: it is to begin with this, too.
	if err := errors.Join(append(problems, r.write(begin))...); err != nil {
		return fmt.Errorf("set the split of %q on router %q: %w", split.Release, r.name, err)
	}
	r.asked[split.Release] = split
	return nil
}

// plain is what goes into commands and files as it is.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.:\[\]-]+$`)

// apply brings one process to the split, and returns the servers that it added. sameUsers says that users are kept, and that
// the cookies which they carry are still good.
func (s socket) apply(ctx context.Context, backend string, split strategy.Split, sameUsers bool) (fresh []string, err error) {
	have, err := s.pool(ctx, backend)
	if err != nil {
		return nil, err
	}
	var keepsNobody error
	if split.Sessions != "" && have.cookie == "" {
		keepsNobody = noCookieError{s.name, split.Release, backend}
		switch had := levels(have.servers); {
		case had.stable+had.canary == 0:
			split = withoutCanary(split)
		case levels(wanted(split)).share() > had.share():
			return nil, keepsNobody
		}
	}
	want := wanted(split)
	adds, fresh := additions(backend, split.Check, have.servers, want)
	if err := s.do(ctx, adds); err != nil {
		return nil, errors.Join(err, keepsNobody)
	}
	var bequests []change
	var lost error // Users who change their track are no reason to leave a canary its traffic.
	if sameUsers && have.cookie != "" {
		bequests, lost = s.bequests(ctx, have, want, len(fresh) > 0)
	}
	changes := slices.Concat(have.keySetting(sessionKey(split)), bequests, levelChanges(backend, have.servers, want), retirements(backend, have.servers, want))
	return fresh, errors.Join(s.do(ctx, changes), lost, keepsNobody)
}

// withoutCanary is a split whose canary gets nothing.
func withoutCanary(split strategy.Split) strategy.Split {
	split.Weight, split.Canary = 0, nil
	return split
}

// wanted is the servers of a split, canaries last. The track that gets nothing is closed: a weight of 0 alone would leave the
// users to it who carry its cookie.
func wanted(split strategy.Split) []server {
	stable, canary, _ := Levels(split.Weight, len(split.Stable), len(split.Canary))
	var all []server
	add := func(track strategy.Track, level int, endpoints []strategy.Endpoint) {
		serves := level > 0
		if !serves {
			level = closedLevel
		}
		for _, e := range endpoints {
			all = append(all, server{
				name: serverName(track, e.Alloc), track: track, alloc: e.Alloc, address: e.Address,
				level: level, serves: serves, closed: !serves,
			})
		}
	}
	add(strategy.Stable, stable, split.Stable)
	add(strategy.Canary, canary, split.Canary)
	return all
}

// find is the server of that name among all, nil when it is not there.
func find(all []server, name string) *server {
	if i := slices.IndexFunc(all, func(s server) bool { return s.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// additions adds the servers that are not there, in maintenance.
func additions(backend string, check *strategy.Check, have, want []server) (changes []change, fresh []string) {
	for _, w := range want {
		at := backend + "/" + w.name
		h := find(have, w.name)
		switch {
		case h == nil:
			changes = append(changes, change{
				command: fmt.Sprintf("add server %s %s weight %d%s", at, w.address, retiredLevel, checking(check)),
				fine:    []string{"registered", "Already exists a server"},
			})
			if check != nil {
				changes = append(changes, change{command: "enable health " + at})
			}
			fresh = append(fresh, w.name)
		case h.address != w.address:
			host, port, _ := net.SplitHostPort(w.address) // HAProxy says what is wrong with it.
			changes = append(changes, change{command: fmt.Sprintf("set server %s addr %s port %s", at, host, port), fine: []string{"changed", "no need to change"}})
		}
	}
	return changes, fresh
}

// checking is how a server is checked, in HAProxy's words.
func checking(check *strategy.Check) string {
	if check == nil {
		return ""
	}
	return fmt.Sprintf(" check inter %d", max(check.Interval, time.Second).Milliseconds())
}

// levelChanges brings the servers that differ to their weights, into service or out of it, one track after the other.
func levelChanges(backend string, have, want []server) []change {
	order := []strategy.Track{strategy.Canary, strategy.Stable}
	if stableFirst(levels(have), levels(want)) {
		slices.Reverse(order)
	}
	var changes []change
	for _, track := range order {
		for _, w := range want {
			h := find(have, w.name)
			if w.track != track || h != nil && h.level == w.level && h.serves == w.serves && h.closed == w.closed {
				continue
			}
			at := "set server " + backend + "/" + w.name
			level := change{command: fmt.Sprintf("%s weight %d", at, w.level)}
			if w.serves {
				changes = append(changes, level, change{command: at + " state ready"})
			} else {
				changes = append(changes, change{command: at + " state maint"}, level)
			}
		}
	}
	return changes
}

// division is the sum of the levels of each track.
type division struct{ stable, canary int }

func levels(all []server) (d division) {
	for _, s := range all {
		switch {
		case !s.serves:
		case s.track == strategy.Stable:
			d.stable += s.level
		case s.track == strategy.Canary:
			d.canary += s.level
		}
	}
	return d
}

// share is what the canary has; more than all when nobody has anything.
func (d division) share() float64 {
	if d.stable+d.canary == 0 {
		return 2
	}
	return float64(d.canary) / float64(d.stable+d.canary)
}

// stableFirst tells whether stable's levels are to change before the canary's: so that somebody serves in between, and the
// canary has as little as may be, which is never more than it had or is to get.
func stableFirst(have, want division) bool {
	return division{stable: want.stable, canary: have.canary}.share() < division{stable: have.stable, canary: want.canary}.share()
}

// retirements takes the servers of ours that the split does not have out of service. What is open on them goes on; a server
// that were only drained would still get the users who carry its cookie.
func retirements(backend string, have, want []server) []change {
	var changes []change
	for _, h := range have {
		if h.track == "" || h.retired() || find(want, h.name) != nil {
			continue
		}
		at := "set server " + backend + "/" + h.name
		changes = append(changes, change{command: at + " state maint"}, change{command: fmt.Sprintf("%s weight %d", at, retiredLevel)})
	}
	return changes
}
