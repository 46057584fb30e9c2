package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// statusGone is what a client that did not wait for its answer is counted as.
const statusGone = 499

// exchange is one request on its way. It is the response writer of the forwarding, to learn who broke off.
type exchange struct {
	http.ResponseWriter
	lane    *lane
	track   *track
	started time.Time
	backend *backend       // that answered, or was tried last
	rpc     *http.Response // the answer, of one whose status comes after its body

	status   int         // of the answer
	head     atomic.Bool // that of the answer is there
	gone     atomic.Bool // the client did not wait, or did not send what it promised
	noAnswer bool        // no endpoint answered, or not to the end
	ended    bool        // forwarding returned: it was not aborted in mid-answer
	secure   bool        // the user came by TLS
	first    bool        // of a user who is to stay on the track
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// Write notes a client that went away.
func (x *exchange) Write(b []byte) (int, error) {
	n, err := x.ResponseWriter.Write(b)
	if err != nil {
		x.gone.Store(true)
	}
	return n, err
}

// Unwrap lets connections be flushed and hijacked.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// leave hands a request of a canary that nobody can connect to over to stable, which it counts for from now on. It tells
// whether there was anything to hand over, and to whom.
func (x *exchange) leave() bool {
	if x.track != &x.lane.canary || len(x.lane.stable.backends) == 0 {
		return false
	}
	x.track.counts.left.Inc()
	x.track.counts.underWay.Dec()
	x.track = &x.lane.stable
	x.track.counts.underWay.Inc()
	return true
}

// upgraded tells whether the connection left HTTP.
func (x *exchange) upgraded() bool { return x.status == http.StatusSwitchingProtocols }

// class is the outcome as the metrics have it.
func (x *exchange) class() string {
	switch {
	case x.gone.Load() && x.status < 500:
		return classes[statusGone/100]
	case x.noAnswer:
		return classError
	case x.rpc != nil:
		return classRPC(x.rpc)
	case x.status >= 100 && x.status < 600:
		return classes[x.status/100]
	}
	return classError
}

// ServeHTTP forwards a request to an endpoint of its release.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := p.table.Load()
	release := p.release(t, r)
	if release == "" {
		p.refuse(t, w, r)
		return
	}
	started := p.options.Now()
	l := t.lanes[release]
	if l == nil {
		http.Error(w, fmt.Sprintf("release %q has no split yet: Drover has published none for it", release), http.StatusServiceUnavailable)
		counts := p.metrics.of(release)
		counts.count(counts.stable, r, http.StatusServiceUnavailable, classError)
		return
	}
	x := &exchange{ResponseWriter: w, lane: l, started: started}
	x.choose(r)
	x.track.counts.underWay.Inc()
	defer p.finish(x, r)
	if len(x.track.backends) == 0 {
		x.noAnswer, x.status, x.ended = true, http.StatusServiceUnavailable, true
		http.Error(w, noEndpoint(l), http.StatusServiceUnavailable)
		return
	}
	if l.copied != nil {
		r = p.copy(l, r)
	}
	p.forward.ServeHTTP(x, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	x.ended = true
}

func noEndpoint(l *lane) string {
	text := fmt.Sprintf("release %q has no stable endpoint", l.split.Release)
	if n := len(l.canary.backends); n > 0 {
		text += fmt.Sprintf("; its %d canary endpoints get %s of the requests and no more", n, l.split.Weight)
	}
	return text
}

// finish counts the request. It runs also when forwarding was aborted in mid-answer by a panic, which goes on.
func (p *Proxy) finish(x *exchange, r *http.Request) {
	defer x.track.counts.underWay.Dec() // After the rest: who sees none under way sees all counted.
	if x.backend != nil {
		x.backend.underWay.Add(-1)
	}
	if !x.ended {
		if r.Context().Err() != nil {
			x.gone.Store(true)
		}
		x.noAnswer = true
	}
	if !x.upgraded() { // Which was counted when it was.
		p.count(x, r)
	}
}

func (p *Proxy) count(x *exchange, r *http.Request) {
	x.track.counts.seconds.Observe(p.options.Now().Sub(x.started).Seconds())
	p.metrics.of(x.lane.split.Release).count(x.track.counts, r, x.status, x.class())
}

// answered sees the head of an answer. A connection that leaves HTTP is counted here: it may live for days.
func (p *Proxy) answered(response *http.Response) error {
	x := exchangeOf(response.Request.Context())
	if x == nil {
		return nil
	}
	if x.first {
		x.keep(response.Header, x.secure)
	}
	switch {
	case response.StatusCode == http.StatusSwitchingProtocols:
		p.count(x, response.Request)
	case isRPC(response.Header):
		x.rpc = response
	}
	p.opened(x, response)
	return nil
}

func (p *Proxy) newForward() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      p.upstream,
		ModifyResponse: p.answered,
		ErrorHandler:   p.answerError,
		BufferPool:     newBuffers(),
		ErrorLog:       slog.NewLogLogger(p.options.Logger.Handler(), slog.LevelDebug),
	}
}

func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	// The query goes on as it came, also where this program would not parse it. HTTP/2 may bring spaces, which would end it.
	r.Out.URL.RawQuery = strings.ReplaceAll(r.In.URL.RawQuery, " ", "%20")
	r.Out.Trailer = r.In.Trailer // Its values come after the body, which a copy made before would miss.
	withoutHTTP2(r.Out.Header)
	if p.options.TrustForwarded {
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
	}
	if x := exchangeOf(r.In.Context()); x != nil && x.lane.split.Sessions != "" {
		withoutCookie(r.Out.Header, x.lane.cookieName())
	}
	r.SetXForwarded()
	if p.options.TrustForwarded {
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
			if values := r.In.Header[name]; len(values) > 0 {
				r.Out.Header[name] = values
			}
		}
	}
}

// withoutHTTP2 takes out the offer to go on in HTTP/2, which is the proxy's to take or leave: over such a connection
// users would ask an endpoint for more, unrouted and uncounted. Who offers it is answered in HTTP/1.1.
func withoutHTTP2(h http.Header) {
	offered := h.Get("Upgrade")
	if offered == "" {
		return
	}
	var others []string
	for offer := range strings.SplitSeq(offered, ",") {
		if offer = strings.TrimSpace(offer); !strings.EqualFold(offer, "h2c") {
			others = append(others, offer)
		}
	}
	h.Del("Http2-Settings")
	if len(others) > 0 {
		h.Set("Upgrade", strings.Join(others, ", "))
		return
	}
	h.Del("Upgrade")
	h.Del("Connection")
}

// answerError answers a request that no endpoint answered.
func (p *Proxy) answerError(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	if x == nil {
		http.Error(w, "the request was not routed", http.StatusInternalServerError)
		return
	}
	if x.gone.Load() || errors.Is(r.Context().Err(), context.Canceled) {
		x.gone.Store(true)
		x.status = statusGone
		w.WriteHeader(statusGone)
		return
	}
	x.noAnswer, x.status = true, http.StatusBadGateway
	text := "answered"
	if isTimeout(err) {
		x.status = http.StatusGatewayTimeout
		text = "answered in time"
	}
	http.Error(w, fmt.Sprintf("no %s endpoint of release %q %s", x.track.name, x.lane.split.Release, text), x.status)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
}

// buffers are what answers are copied through.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{pool: sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}}
}

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	buffer, _ := b.pool.Get().(*[]byte)
	return *buffer
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }

// upload is a request's body. It can be sent again as long as nothing was read from it.
type upload struct {
	body    io.Reader
	x       *exchange
	started bool
	ended   atomic.Bool
}

// Read notes that the body is on its way, and a client that breaks off. Once the answer is there nobody has to send all
// of it.
func (u *upload) Read(b []byte) (int, error) {
	u.started = true
	n, err := u.body.Read(b)
	if err != nil {
		u.ended.Store(true)
	}
	if err != nil && !errors.Is(err, io.EOF) && !u.x.head.Load() {
		u.x.gone.Store(true)
	}
	return n, err
}

// Close leaves the body open for another endpoint; the server closes it in the end. A call of HTTP/2 may be over before
// its body is, and waits for the read that is under way: it is broken off.
func (u *upload) Close() error {
	if u.x.lane.h2c && u.x.head.Load() && !u.ended.Load() {
		return http.NewResponseController(u.x.ResponseWriter).SetReadDeadline(u.x.started)
	}
	return nil
}
