package proxy

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Why connections are ended.
const (
	whyShutdown = "the proxy shuts down"
	whyReplaced = "this version is being replaced"
)

// parting is something long-lived that can be ended in order.
type parting interface {
	part(why string)
	Close() error
}

// home is where it lives.
type home struct{ release, alloc string }

// sockets are the connections of a proxy that live for as long as their user likes: upgraded ones, and streams of events.
type sockets struct {
	mu      sync.Mutex
	open    map[parting]openSocket
	leaving bool
}

type openSocket struct {
	home
	closed <-chan struct{}
}

// of makes the body of an answer that switched protocols one of the sockets.
func (ss *sockets) of(response *http.Response, at home) {
	endpoint, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		return
	}
	s := newSocket(endpoint, strings.EqualFold(response.Header.Get("Upgrade"), "websocket"))
	response.Body = s
	ss.add(s, at, s.closed)
	// Also when the user's side could not be switched, so that nobody reads it.
	context.AfterFunc(response.Request.Context(), func() { _ = s.Close() })
	go func() {
		<-s.closed
		ss.remove(s)
	}()
}

// stream makes the body of an answer that is a stream of events one of the sockets.
func (ss *sockets) stream(response *http.Response, at home) {
	s, closed := &stream{ReadCloser: response.Body}, make(chan struct{})
	s.close = sync.OnceFunc(func() {
		close(closed)
		ss.remove(s)
	})
	response.Body = s
	ss.add(s, at, closed)
}

func (ss *sockets) add(s parting, at home, closed <-chan struct{}) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.open == nil {
		ss.open = map[parting]openSocket{}
	}
	ss.open[s] = openSocket{at, closed}
	if ss.leaving {
		s.part(whyShutdown)
	}
}

func (ss *sockets) remove(s parting) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.open, s)
}

// part ends those of a release on these allocations. It does not wait for their end.
func (ss *sockets) part(release string, allocs []string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for s, at := range ss.open {
		if at.release == release && slices.Contains(allocs, at.alloc) {
			s.part(whyReplaced)
		}
	}
}

// end ends all of them and those that are still to come, and waits until they are closed, or cuts them when ctx is
// done.
func (ss *sockets) end(ctx context.Context) {
	ss.mu.Lock()
	ss.leaving = true
	open := make(map[parting]openSocket, len(ss.open))
	for s, at := range ss.open {
		open[s] = at
		s.part(whyShutdown)
	}
	ss.mu.Unlock()
	for s, at := range open {
		select {
		case <-at.closed:
		case <-ctx.Done():
			_ = s.Close()
		}
	}
}

// opened makes an answer one of the sockets, if it is one that lives long.
func (p *Proxy) opened(x *exchange, response *http.Response) {
	release := x.lane.split.Release
	at := home{release, x.backend.endpoint.Alloc}
	switch {
	case response.StatusCode == http.StatusSwitchingProtocols:
		p.sockets.of(response, at)
	case isStream(response.Header.Get("Content-Type")):
		p.sockets.stream(response, at)
	default:
		return
	}
	// A split that closes what is open here may have come since the request was on its way.
	if l := p.table.Load().lanes[release]; l != nil && slices.Contains(l.split.Leaving, at.alloc) {
		p.sockets.part(release, l.split.Leaving)
	}
}

// part closes what is still open where splits say that an allocation leaves. The caller holds mu, and the splits are in
// effect.
func (p *Proxy) part() {
	for _, s := range p.given {
		if len(s.Leaving) == 0 {
			continue
		}
		p.sockets.part(s.Release, s.Leaving)
		for key := range p.backends {
			if key.release == s.Release && slices.Contains(s.Leaving, key.endpoint.Alloc) {
				p.upstream.lines.drop(key.endpoint.Address)
			}
		}
	}
}

// openOn is how many connections and requests are open on the allocations of a release; those that have none are left
// out.
func (p *Proxy) openOn(release string) map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := map[string]int{}
	for key, b := range p.backends {
		if n := b.underWay.Load(); key.release == release && n > 0 {
			open[key.endpoint.Alloc] += int(n)
		}
	}
	return open
}
