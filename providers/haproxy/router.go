package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Options is what a Router is made of.
type Options struct {
	Name     string            // in Drover's configuration
	Sockets  []string          // the runtime API of every process: "unix:/run/haproxy.sock" or "tcp:10.0.0.7:9999"
	Backends map[string]string // by release; one that is not named has a backend of its own name
	Now      func() time.Time  // time.Now when nil
}

// Router steers every HAProxy process of one router, and is the meter of what went through them. It is safe for
// concurrent use.
type Router struct {
	name     string
	sockets  []socket
	backends map[string]string
	now      func() time.Time

	mu    sync.Mutex
	asked map[string]strategy.Split // what was applied last, by release; empty after a start
	added map[string]time.Time      // when a server was added, by socket and name
}

// New makes a router. It asks HAProxy nothing.
func New(o Options) (*Router, error) {
	if len(o.Sockets) == 0 {
		return nil, fmt.Errorf("router %q has no socket of HAProxy's runtime API", o.Name)
	}
	r := &Router{name: o.Name, backends: o.Backends, now: o.Now, asked: map[string]strategy.Split{}, added: map[string]time.Time{}}
	if r.now == nil {
		r.now = time.Now
	}
	for _, name := range o.Sockets {
		s, err := parseSocket(name)
		if err != nil {
			return nil, fmt.Errorf("router %q: %w", o.Name, err)
		}
		r.sockets = append(r.sockets, s)
	}
	return r, nil
}

func (r *Router) backend(release string) string {
	if name := r.backends[release]; name != "" {
		return name
	}
	return release
}

// Abilities is that it counts requests and errors by server. HAProxy keeps no histogram of latencies.
func (*Router) Abilities() strategy.Abilities {
	return strategy.Abilities{Kind: "haproxy", Static: true, Counts: true, Open: true}
}

// Share is what of a weight arrives at the canary, with so many servers on each track.
func (r *Router) Share(w strategy.Weight, stable, canary int) strategy.Weight {
	_, _, share := Levels(w, stable, canary)
	return share
}

// Apply brings every process to the split. Servers are added before weights change, and drained after that, so that
// nothing is dropped; weights change in an order in which the canary never has more than it had or is to get.
func (r *Router) Apply(ctx context.Context, split strategy.Split) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	problems := make([]error, len(r.sockets))
	var group sync.WaitGroup
	fresh := make([][]string, len(r.sockets))
	for i, s := range r.sockets {
		group.Go(func() { fresh[i], problems[i] = s.apply(ctx, r.backend(split.Release), split) })
	}
	group.Wait()
	for i, s := range r.sockets {
		for _, name := range fresh[i] {
			r.added[s.name+" "+name] = r.now()
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("set the split of %q on router %q: %w", split.Release, r.name, err)
	}
	r.asked[split.Release] = split
	return nil
}

// apply brings one process to the split, and returns the servers that it added.
func (s socket) apply(ctx context.Context, backend string, split strategy.Split) (fresh []string, err error) {
	have, err := s.servers(ctx, backend)
	if err != nil {
		return nil, err
	}
	want := wanted(split)
	adds, fresh := additions(backend, split.Check, have, want)
	if err := s.do(ctx, adds); err != nil {
		return nil, err
	}
	changes := append(levelChanges(backend, have, want), retirements(backend, have, want)...)
	return fresh, s.do(ctx, changes)
}

// wanted is the servers of a split, canaries last.
func wanted(split strategy.Split) []server {
	stable, canary, _ := Levels(split.Weight, len(split.Stable), len(split.Canary))
	var all []server
	for _, e := range split.Stable {
		all = append(all, server{name: serverName(strategy.Stable, e.Alloc), track: strategy.Stable, alloc: e.Alloc, address: e.Address, level: stable, serves: true})
	}
	for _, e := range split.Canary {
		all = append(all, server{name: serverName(strategy.Canary, e.Alloc), track: strategy.Canary, alloc: e.Alloc, address: e.Address, level: canary, serves: true})
	}
	return all
}

// find is the server of that name among all, nil when it is not there.
func find(all []server, name string) *server {
	if i := slices.IndexFunc(all, func(s server) bool { return s.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// additions adds the servers that are not there, without any traffic yet, and brings back those that were drained.
func additions(backend string, check *strategy.Check, have, want []server) (changes []change, fresh []string) {
	for _, w := range want {
		at := backend + "/" + w.name
		h := find(have, w.name)
		switch {
		case h == nil:
			add := fmt.Sprintf("add server %s %s weight 0", at, w.address)
			enable := []change{{command: "enable server " + at}}
			if check != nil {
				add += fmt.Sprintf(" check inter %d", max(check.Interval, time.Second).Milliseconds())
				enable = append(enable, change{command: "enable health " + at})
			}
			changes = append(changes, change{command: add, fine: []string{"registered", "Already exists a server"}})
			changes = append(changes, enable...)
			fresh = append(fresh, w.name)
		case h.address != w.address:
			host, port, _ := net.SplitHostPort(w.address) // HAProxy says what is wrong with it.
			changes = append(changes, change{command: fmt.Sprintf("set server %s addr %s port %s", at, host, port), fine: []string{"changed", "no need to change"}})
		}
		if h != nil && !h.serves {
			changes = append(changes, change{command: "set server " + at + " weight 0"}, change{command: "set server " + at + " state ready"})
		}
	}
	return changes, fresh
}

// levelChanges sets the weights that differ, one track after the other.
func levelChanges(backend string, have, want []server) []change {
	order := []strategy.Track{strategy.Canary, strategy.Stable}
	if stableFirst(levels(have), levels(want)) {
		slices.Reverse(order)
	}
	var changes []change
	for _, track := range order {
		for _, w := range want {
			if h := find(have, w.name); w.track == track && (h == nil || h.level != w.level || !h.serves) {
				changes = append(changes, change{command: fmt.Sprintf("set server %s/%s weight %d", backend, w.name, w.level)})
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

// retirements drains the servers of ours that the split does not have, and removes those that were drained before and
// have no connection left.
func retirements(backend string, have, want []server) []change {
	var changes []change
	for _, h := range have {
		if h.track == "" || find(want, h.name) != nil {
			continue
		}
		at := backend + "/" + h.name
		if h.serves {
			changes = append(changes, change{command: "set server " + at + " weight 0"}, change{command: "set server " + at + " state drain"})
			continue
		}
		// A server that still has connections is not removed: it stays drained, and is looked at again.
		changes = append(changes, change{command: "set server " + at + " state maint"}, change{
			command: "del server " + at, fine: []string{"deleted", "connections attached", "Still"},
		})
	}
	return changes
}

// Read is the split that every process has in effect. Weights that are none of those asked for, such as after a change by
// hand, are reported as the share that they make.
func (r *Router) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	splits, problems := make([]strategy.Split, len(r.sockets)), make([]error, len(r.sockets))
	open := make([]map[string]int, len(r.sockets))
	var group sync.WaitGroup
	for i, s := range r.sockets {
		group.Go(func() {
			if splits[i], problems[i] = r.read(ctx, s, release); problems[i] == nil && splits[i].Release != "" {
				// Asked after the split: what it counts is what is open since that is in effect.
				open[i], problems[i] = s.open(ctx, r.backend(release))
			}
		})
	}
	group.Wait()
	if err := errors.Join(problems...); err != nil {
		return strategy.TrafficState{}, fmt.Errorf("read the split of %q from router %q: %w", release, r.name, err)
	}
	state := strategy.TrafficState{Splits: splits, Open: map[string]int{}}
	for _, of := range open {
		for alloc, n := range of {
			state.Open[alloc] += n
		}
	}
	return state, nil
}

func (r *Router) read(ctx context.Context, s socket, release string) (strategy.Split, error) {
	asked, known := r.asked[release]
	have, err := s.servers(ctx, r.backend(release))
	if err != nil {
		if !known && r.backends[release] == "" {
			return strategy.Split{}, nil // Nothing of it was ever asked for.
		}
		return strategy.Split{}, err
	}
	got := strategy.Split{Release: release, Stable: endpoints(have, strategy.Stable), Canary: endpoints(have, strategy.Canary), Weight: share(have)}
	if !known {
		if len(got.Stable)+len(got.Canary) == 0 {
			return strategy.Split{}, nil
		}
		return got, nil
	}
	got.Namespace, got.Service, got.Resting, got.Check = asked.Namespace, asked.Service, asked.Resting, asked.Check
	got.Leaving, got.Sessions = asked.Leaving, asked.Sessions
	if len(levelChanges("", have, wanted(asked))) == 0 {
		got.Weight = asked.Weight
	}
	return got, nil
}

// share is what the weights of the servers make for the canary, rounded up.
func share(all []server) strategy.Weight {
	canary, sum := 0, 0
	for _, s := range all {
		if !s.serves {
			continue
		}
		sum += s.level
		if s.track == strategy.Canary {
			canary += s.level
		}
	}
	if sum == 0 {
		return 0
	}
	return strategy.Weight((canary*int(strategy.Full) + sum - 1) / sum)
}
