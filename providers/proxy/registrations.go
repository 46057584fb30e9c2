package proxy

import (
	"time"

	"github.com/drover-dev/drover/strategy"
)

// catchUp is how long a listed endpoint may be missing among the registrations before it is taken for gone: the split
// may be newer than they are.
const catchUp = 5 * time.Second

// service names what is registered.
type service struct{ namespace, name string }

// backendKey tells backends apart: an address that another allocation has taken over is another backend.
type backendKey struct {
	release  string
	endpoint strategy.Endpoint
}

// view is the registrations of a service as they were reported last.
type view struct {
	known      bool // anything was reported
	current    bool // the directory has answered since it failed last
	registered []strategy.Endpoint
}

// has tells whether the endpoint is registered. A directory that knows no allocations is compared by address.
func (v *view) has(e strategy.Endpoint) bool {
	for _, r := range v.registered {
		if r.Address == e.Address && (r.Alloc == e.Alloc || r.Alloc == "" || e.Alloc == "") {
			return true
		}
	}
	return false
}

// endpoints are the backends of both tracks: those that the split lists, without those that vanished, and at rest
// those that are registered besides. The caller holds mu.
func (p *Proxy) endpoints(split strategy.Split, now time.Time) (stable, canary []*backend) {
	seen := p.views[service{split.Namespace, split.Service}]
	if seen == nil {
		seen = &view{}
	}
	listed := map[string]bool{}
	add := func(track []*backend, endpoints []strategy.Endpoint) []*backend {
		for _, e := range endpoints {
			if e.Address == "" || listed[e.Address] {
				continue
			}
			b := p.backend(split.Release, e)
			if b.listed.IsZero() {
				b.listed = now
			}
			if p.present(b, seen, now) { // Else its address may be another allocation's by now.
				listed[e.Address] = true
				track = append(track, b)
			}
		}
		return track
	}
	stable, canary = add(nil, split.Stable), add(nil, split.Canary)
	if !split.Resting {
		return stable, canary
	}
	for _, e := range seen.registered {
		if e.Address == "" || listed[e.Address] {
			continue
		}
		listed[e.Address] = true
		_, known := p.backends[backendKey{split.Release, e}]
		b := p.backend(split.Release, e)
		if !known && split.Check != nil {
			// Nobody has vouched for it yet: its first check does.
			b.sick.Store(true)
		}
		stable = append(stable, b)
	}
	return stable, canary
}

// present tells whether a listed backend still exists, as far as the registrations are known.
func (p *Proxy) present(b *backend, v *view, now time.Time) bool {
	switch {
	case !v.known:
		return true
	case v.has(b.endpoint):
		b.settled = true
		return true
	case b.settled:
		return false
	case !v.current:
		return true
	case now.Sub(b.listed) < catchUp:
		p.waiting = true
		return true
	}
	b.settled = true
	return false
}

// backend finds or makes the backend of an endpoint. The caller holds mu.
func (p *Proxy) backend(release string, e strategy.Endpoint) *backend {
	key := backendKey{release, e}
	b := p.backends[key]
	if b == nil {
		b = &backend{endpoint: e}
		p.backends[key] = b
	}
	return b
}

// forget drops the backends that neither a split nor a registration names, once nothing is open on them. The caller holds mu.
func (p *Proxy) forget() {
	named := make(map[backendKey]bool, len(p.backends))
	for _, s := range p.given {
		for _, endpoints := range [][]strategy.Endpoint{s.Stable, s.Canary, p.registered(s)} {
			for _, e := range endpoints {
				named[backendKey{s.Release, e}] = true
			}
		}
	}
	for key, b := range p.backends {
		if !named[key] && b.underWay.Load() == 0 {
			delete(p.backends, key)
		}
	}
}

func (p *Proxy) registered(s strategy.Split) []strategy.Endpoint {
	if v := p.views[service{s.Namespace, s.Service}]; v != nil {
		return v.registered
	}
	return nil
}
