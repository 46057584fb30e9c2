package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Directory knows which addresses are registered for a service.
type Directory interface {
	// Watch reports all registrations of a service, first as they are and then whenever they changed. It blocks until
	// ctx ends or the directory cannot be read, and returns why. An empty report says that nothing is registered.
	Watch(ctx context.Context, namespace, service string, report func([]strategy.Endpoint)) error
}

// The pause before a directory that failed is asked again doubles from the first to the second.
const (
	firstPause = time.Second
	lastPause  = 15 * time.Second
)

// Follow keeps the endpoints true between splits, until ctx ends: it runs the checks that splits ask for and, with a
// directory, takes out addresses that vanished from the registrations and, of releases at rest, adds new ones to
// stable once their check passes. While the directory fails, what it said last holds. A nil directory is none.
//
// It blocks, and everything it started has ended when it returns. One call a proxy at a time.
func (p *Proxy) Follow(ctx context.Context, directory Directory) {
	f := &follower{proxy: p, directory: directory, watches: map[service]context.CancelFunc{}, checks: map[watchedCheck]context.CancelFunc{}}
	ctx, cancel := context.WithCancel(ctx)
	defer f.group.Wait()
	defer cancel()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		f.adjust(ctx)
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		case <-ticker.C:
			p.expire()
		}
	}
}

// expire rebuilds the table when waiting for registrations may be over.
func (p *Proxy) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting {
		p.rebuild()
	}
}

// follower is one run of Follow.
type follower struct {
	proxy     *Proxy
	directory Directory
	watches   map[service]context.CancelFunc
	checks    map[watchedCheck]context.CancelFunc
	group     sync.WaitGroup
}

// watchedCheck is a check of one backend.
type watchedCheck struct {
	backend *backend
	check   strategy.Check
}

// adjust starts what the splits ask for and ends what they ask for no more.
func (f *follower) adjust(ctx context.Context) {
	services, checks := f.proxy.wanted()
	if f.directory == nil {
		clear(services)
	}
	for s, end := range f.watches {
		if !services[s] {
			end()
			delete(f.watches, s)
		}
	}
	for c, end := range f.checks {
		if !checks[c] {
			end()
			delete(f.checks, c)
		}
	}
	for s := range services {
		if f.watches[s] == nil {
			f.watches[s] = f.start(ctx, func(ctx context.Context) { f.watch(ctx, s) })
		}
	}
	for c := range checks {
		if f.checks[c] == nil {
			f.checks[c] = f.start(ctx, func(ctx context.Context) { runCheck(ctx, c.backend, c.check) })
		}
	}
}

func (f *follower) start(ctx context.Context, run func(context.Context)) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	f.group.Go(func() {
		defer cancel()
		run(ctx)
	})
	return cancel
}

// wanted is the services to be watched and the checks to be run.
func (p *Proxy) wanted() (services map[service]bool, checks map[watchedCheck]bool) {
	services, checks = map[service]bool{}, map[watchedCheck]bool{}
	for _, l := range p.table.Load().lanes {
		if l.split.Service != "" {
			services[service{l.split.Namespace, l.split.Service}] = true
		}
		if l.split.Check == nil {
			continue
		}
		for _, backends := range [][]*backend{l.stable.backends, l.canary.backends} {
			for _, b := range backends {
				checks[watchedCheck{b, *l.split.Check}] = true
			}
		}
	}
	return services, checks
}

// watch follows the registrations of one service until ctx ends.
func (f *follower) watch(ctx context.Context, s service) {
	var mine *view
	defer f.proxy.see(func(p *Proxy) {
		// By now another watch of the same service may have begun.
		if p.views[s] == mine {
			delete(p.views, s)
		}
	})
	pause := firstPause
	for {
		err := f.directory.Watch(ctx, s.namespace, s.name, func(registered []strategy.Endpoint) {
			pause = firstPause
			registered = slices.Clone(registered)
			f.proxy.see(func(p *Proxy) {
				mine = &view{known: true, current: true, registered: registered}
				p.views[s] = mine
			})
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the directory ended the watch")
		}
		f.proxy.options.Logger.Warn("the registrations of a service cannot be followed",
			"namespace", s.namespace, "service", s.name, "error", err, "again_in", pause)
		f.proxy.see(func(p *Proxy) {
			if mine != nil {
				mine = &view{known: true, registered: mine.registered}
				p.views[s] = mine
			}
		})
		if !wait(ctx, pause) {
			return
		}
		pause = min(2*pause, lastPause)
	}
}

// see changes what is known of registrations.
func (p *Proxy) see(change func(*Proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
	p.rebuild()
}

// wait pauses, and tells whether ctx still lives.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
