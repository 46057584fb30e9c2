package haproxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Options is what a Router is made of.
type Options struct {
	Name     string            // in Drover's configuration
	Sockets  []string          // the runtime API of every process: "unix:/run/haproxy.sock" or "tcp:10.0.0.7:9999"
	Backends map[string]string // by release; one that is not named has a backend of its own name
	// Folder is where Drover keeps a file for each release, with its servers, that HAProxy reads when it starts; "" for none.
	Folder string
	// Defaults is the section that the backend in that file takes its settings from, by release; one that is not named has one
	// of its backend's name.
	Defaults map[string]string
	Now      func() time.Time // time.Now when nil
}

// Router steers every HAProxy process of one router, and is the meter of what went through them. It is safe for
// concurrent use.
type Router struct {
	name     string
	sockets  []socket
	backends map[string]string
	folder   string
	defaults map[string]string
	now      func() time.Time

	mu    sync.Mutex
	asked map[string]strategy.Split // what was applied last, by release; empty after a start
	added map[string]time.Time      // when a server was added, by socket and name
	// ended is since when servers that left have nothing open, by release, socket and name.
	ended map[string]map[string]time.Time
}

// New makes a router. It asks HAProxy nothing.
func New(o Options) (*Router, error) {
	if len(o.Sockets) == 0 {
		return nil, fmt.Errorf("router %q has no socket of HAProxy's runtime API", o.Name)
	}
	r := &Router{
		name: o.Name, backends: o.Backends, folder: o.Folder, defaults: o.Defaults, now: o.Now,
		asked: map[string]strategy.Split{}, added: map[string]time.Time{}, ended: map[string]map[string]time.Time{},
	}
	if r.now == nil {
		r.now = time.Now
	}
	for _, name := range o.Sockets {
		s, err := parseSocket(name)
		if err != nil {
			return nil, fmt.Errorf("router %q: %w", o.Name, err)
		}
		s.folder = o.Folder
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

// Abilities is that it counts requests and errors by server, and keeps users on theirs. HAProxy has no histogram of latencies.
func (*Router) Abilities() strategy.Abilities {
	return strategy.Abilities{Kind: "haproxy", Static: true, Counts: true, Open: true, Sessions: true}
}

// Share is what of a weight arrives at the canary, with so many servers on each track.
func (r *Router) Share(w strategy.Weight, stable, canary int) strategy.Weight {
	_, _, share := Levels(w, stable, canary)
	return share
}

// Read is the split that every process has in effect. Weights that are none of those asked for, such as after a change by
// hand, are reported as the share that they make.
func (r *Router) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pools, problems := make([]pool, len(r.sockets)), make([]error, len(r.sockets), len(r.sockets)+1)
	var group sync.WaitGroup
	for i, s := range r.sockets {
		group.Go(func() { pools[i], problems[i] = s.pool(ctx, r.backend(release)) })
	}
	group.Wait()
	asked, known, err := r.remembers(release)
	if !known && r.backends[release] == "" {
		for i, problem := range problems {
			if errors.As(problem, new(noBackendError)) {
				problems[i] = nil // Nothing of it was ever asked for.
			}
		}
	}
	if err := errors.Join(append(problems, err)...); err != nil {
		return strategy.TrafficState{}, fmt.Errorf("read the split of %q from router %q: %w", release, r.name, err)
	}
	state := strategy.TrafficState{Open: map[string]int{}}
	for _, p := range pools {
		state.Splits = append(state.Splits, p.split(release, asked))
		for _, s := range p.servers {
			if s.track != "" {
				state.Open[s.alloc] += s.open
			}
		}
	}
	if known {
		r.tidy(ctx, asked, pools)
	}
	return state, nil
}

// remembers is the split that was asked for last: by what the file says, if there is one, which another Drover may have written.
// known is false where nothing is remembered, or somebody changed the file.
func (r *Router) remembers(release string) (asked strategy.Split, known bool, err error) {
	if r.folder == "" {
		asked, known = r.asked[release]
		return asked, known, nil
	}
	asked, err = r.written(release)
	if asked.Service == "" {
		return strategy.Split{}, false, err // Prepared at most.
	}
	return asked, true, err
}

// split is what a pool has in effect of what was asked for; of one of which nothing is known it is what the servers say.
func (p pool) split(release string, asked strategy.Split) strategy.Split {
	got := strategy.Split{Release: release, Stable: endpoints(p.servers, strategy.Stable), Canary: endpoints(p.servers, strategy.Canary), Weight: share(p.servers)}
	if asked.Release == "" {
		if len(got.Stable)+len(got.Canary) == 0 {
			return strategy.Split{}
		}
		return got
	}
	got.Namespace, got.Service, got.Resting, got.Check, got.Leaving = asked.Namespace, asked.Service, asked.Resting, asked.Check, asked.Leaving
	if p.keepsUsers() {
		got.Sessions = asked.Sessions
	}
	if len(levelChanges("", p.servers, wanted(asked))) == 0 {
		got.Weight = asked.Weight
	}
	return got
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
