package proxy

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Options is what a Proxy is made of. The zero value works.
type Options struct {
	// Instance tells this proxy from others; the host's name when empty.
	Instance string
	// Routes say which requests are whose. Without any, a request belongs to the release that is named by the first
	// label of its host: checkout-api.example.org to checkout-api.
	Routes []Route
	// StateFile keeps the splits, so that a proxy that is started while nobody publishes any serves the last ones.
	// Its directory must exist. "" keeps none.
	StateFile string
	Timeouts  Timeouts
	// TrustForwarded extends the X-Forwarded headers of the client instead of replacing them. Set it only where every
	// client is itself a proxy.
	TrustForwarded bool
	Logger         *slog.Logger     // discards when nil
	Now            func() time.Time // time.Now when nil
}

// Route says whose the requests for some hosts are.
type Route struct {
	Release string
	Hosts   []string // without port, in any case; none makes it the route of all other hosts
	// H2C says that the endpoints speak HTTP/2 in the clear, as gRPC servers do. Upgrades go to them by HTTP/1.1.
	H2C bool
}

// Timeouts bound the exchange with an endpoint. Zero is the default.
type Timeouts struct {
	Connect time.Duration // default 2s
	Header  time.Duration // from the end of the request to the head of the answer; default 60s
	Idle    time.Duration // of a kept connection, below that of the services; default 4s
}

// Proxy divides requests between the tracks of releases. It is an http.Handler, safe for concurrent use.
type Proxy struct {
	options  Options
	hosts    map[string]string // host to release
	catchAll string            // release of all other hosts
	h2c      map[string]bool   // releases whose endpoints speak it
	upstream *upstream
	forward  *httputil.ReverseProxy
	metrics  *metrics
	table    atomic.Pointer[table]
	changed  chan struct{} // holds a token when Follow has to look again
	sockets  sockets
	copies   copies

	mu       sync.Mutex // guards what tables are built from
	given    []strategy.Split
	backends map[backendKey]*backend
	views    map[service]*view
	waiting  bool // whether time alone may change the table

	saving sync.Mutex // guards the state file
}

// table is all lanes in effect.
type table struct {
	splits []strategy.Split // as given
	lanes  map[string]*lane
}

// New makes a proxy that serves the splits of its state file, or none until Set. It returns an error when the routes
// contradict each other. Close it when done.
func New(o Options) (*Proxy, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Instance == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("name the instance by its host: %w", err)
		}
		o.Instance = name
	}
	p := &Proxy{
		options:  o,
		metrics:  newMetrics(o.Instance, o.Now()),
		changed:  make(chan struct{}, 1),
		backends: map[backendKey]*backend{},
		views:    map[service]*view{},
	}
	if err := p.route(o.Routes); err != nil {
		return nil, err
	}
	p.upstream = newUpstream(o.Timeouts, o.Logger, o.Now)
	p.forward = p.newForward()
	p.table.Store(&table{})
	if splits := p.loadState(); len(splits) > 0 {
		p.apply(splits)
	}
	return p, nil
}

func (p *Proxy) route(routes []Route) error {
	p.hosts, p.h2c = map[string]string{}, map[string]bool{}
	for i, r := range routes {
		if r.Release == "" {
			return fmt.Errorf("route %d names no release", i+1)
		}
		p.h2c[r.Release] = p.h2c[r.Release] || r.H2C
		if len(r.Hosts) == 0 {
			if p.catchAll != "" {
				return fmt.Errorf("the routes of %q and %q both take all other hosts: give one of them hosts", p.catchAll, r.Release)
			}
			p.catchAll = r.Release
		}
		for _, host := range r.Hosts {
			host = strings.ToLower(host)
			if other, taken := p.hosts[host]; taken && other != r.Release {
				return fmt.Errorf("host %q is routed to %q and to %q: name it once", host, other, r.Release)
			}
			p.hosts[host] = r.Release
		}
	}
	return nil
}

// Set replaces all splits. They are in effect for the next request after it returned; requests under way finish where
// they are. A release that is not among them is no longer served. The last of two splits of one release counts.
// It also writes the state file; when that is not possible it says so in the log.
func (p *Proxy) Set(splits []strategy.Split) {
	p.apply(splits)
	p.saveState()
}

func (p *Proxy) apply(splits []strategy.Split) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given = nil
	for _, s := range splits {
		s.Stable, s.Canary, s.Leaving = slices.Clone(s.Stable), slices.Clone(s.Canary), slices.Clone(s.Leaving)
		if s.Check != nil {
			check := *s.Check
			s.Check = &check
		}
		p.given = slices.DeleteFunc(p.given, func(other strategy.Split) bool { return other.Release == s.Release })
		p.given = append(p.given, s)
	}
	p.rebuild()
}

// Splits is what is in effect, as it was given to Set. What the splits point to is shared: callers do not change it.
func (p *Proxy) Splits() []strategy.Split { return slices.Clone(p.table.Load().splits) }

// Close cuts what is still open: long-lived connections, copies of requests that are under way, and idle connections to
// endpoints. Stop serving first.
func (p *Proxy) Close() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	p.sockets.end(now)
	p.copies.end()
	p.upstream.closeIdle()
}

// rebuild makes a table of the given splits and the registrations known, and puts it into effect. The caller holds mu.
func (p *Proxy) rebuild() {
	now := p.options.Now()
	old := p.table.Load()
	next := &table{splits: slices.Clone(p.given), lanes: make(map[string]*lane, len(p.given))}
	p.forget()
	p.waiting = false
	for _, split := range p.given {
		stable, canary := p.endpoints(split, now)
		counts := p.metrics.of(split.Release)
		l := &lane{
			split:  split,
			h2c:    p.h2c[split.Release],
			stable: track{name: strategy.Stable, backends: stable, turn: new(atomic.Uint64), counts: counts.stable},
			canary: track{name: strategy.Canary, backends: canary, turn: new(atomic.Uint64), counts: counts.canary},
		}
		if before := old.lanes[split.Release]; before != nil {
			l.stable.turn, l.canary.turn = before.stable.turn, before.canary.turn
			l.sequence = before.sequence
		}
		if c := split.Copies; c != nil {
			l.shadow = track{name: strategy.Shadow, backends: canary, turn: new(atomic.Uint64), counts: counts.copies()}
			l.copied = newSequence(c.Percent, p.seed(split, now)+1)
			if before := old.lanes[split.Release]; before != nil && before.copied != nil && before.copied.weight == l.copied.weight {
				l.copied = before.copied
			}
		}
		if l.sequence == nil || l.sequence.weight != clamp(split.Weight) {
			l.sequence = newSequence(split.Weight, p.seed(split, now))
		}
		next.lanes[split.Release] = l
	}
	p.table.Store(next)
	p.part()
	select {
	case p.changed <- struct{}{}:
	default: // Follow has been told already.
	}
}

// seed differs between instances and between weights, so that they do not favor the same places of a block.
func (p *Proxy) seed(split strategy.Split, now time.Time) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, p.options.Instance, "/", split.Release, "/", int(split.Weight), "/", now.UnixNano())
	return h.Sum64()
}

// release is whose the request is; "" when nobody's.
func (p *Proxy) release(t *table, r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	if len(p.options.Routes) > 0 {
		if release, ok := p.hosts[host]; ok {
			return release
		}
		return p.catchAll
	}
	label, _, _ := strings.Cut(host, ".")
	if t.lanes[label] == nil {
		return ""
	}
	return label
}

// known lists what requests can be for, for people.
func (p *Proxy) known(t *table) string {
	var names []string
	for host := range p.hosts {
		names = append(names, host)
	}
	if len(p.options.Routes) == 0 {
		for name := range t.lanes {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none yet"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// refuse answers a request that is nobody's.
func (p *Proxy) refuse(t *table, w http.ResponseWriter, r *http.Request) {
	what := "releases, by the first label of the host"
	if len(p.options.Routes) > 0 {
		what = "hosts"
	}
	http.Error(w, fmt.Sprintf("no release is routed for host %q; known %s: %s", r.Host, what, p.known(t)), http.StatusNotFound)
}
