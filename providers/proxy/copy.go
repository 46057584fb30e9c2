package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// HeaderShadow marks a copy of a request, so that the endpoint, and what it asks itself, can tell.
	HeaderShadow = "Drover-Shadow"
	// maxCopies is how many copies are under way at a time, over all releases.
	maxCopies = 64
	// maxCopied is the largest body that is copied, in bytes.
	maxCopied = 64 << 10
	// copyTimeout is how long an answer to a copy is waited for.
	copyTimeout = 30 * time.Second
)

// copies are the copies of requests that are under way.
type copies struct {
	mu      sync.Mutex
	running int
	ended   bool
	cancels map[*exchange]context.CancelFunc
	group   sync.WaitGroup
}

// begin makes room for a copy; false when there is none.
func (c *copies) begin(x *exchange, cancel context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.running >= maxCopies {
		return false
	}
	if c.cancels == nil {
		c.cancels = map[*exchange]context.CancelFunc{}
	}
	c.running++
	c.cancels[x] = cancel
	c.group.Add(1)
	return true
}

func (c *copies) done(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	delete(c.cancels, x)
	c.group.Done()
}

// end breaks all of them off, takes no more, and waits.
func (c *copies) end() {
	c.mu.Lock()
	c.ended = true
	for _, cancel := range c.cancels {
		cancel()
	}
	c.mu.Unlock()
	c.group.Wait()
}

// copy sends a copy of the request to the canary, if its turn has come, and returns the request to go on with: its body can
// be read only once. Nothing waits for the answer.
func (p *Proxy) copy(l *lane, r *http.Request) *http.Request {
	if !slices.Contains(l.split.Copies.Methods, r.Method) || r.Header["Upgrade"] != nil || r.Header[HeaderShadow] != nil || !l.copied.next() {
		return r
	}
	left := func() { p.metrics.copies.WithLabelValues(l.split.Release).Inc() }
	if len(l.shadow.backends) == 0 || r.ContentLength < 0 || r.ContentLength > maxCopied {
		left()
		return r
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCopied))
	if err != nil || int64(len(body)) != r.ContentLength {
		// The user broke off: the request is for the endpoint to refuse.
		return withBody(r, io.MultiReader(bytes.NewReader(body), r.Body))
	}
	x := &exchange{ResponseWriter: &nowhere{head: http.Header{}}, lane: l, track: &l.shadow, started: p.options.Now()}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), copyTimeout)
	if !p.copies.begin(x, cancel) {
		cancel()
		left()
	} else {
		twin := r.Clone(context.WithValue(ctx, exchangeKey{}, x))
		twin.Header.Set(HeaderShadow, l.split.Release)
		twin.Body = io.NopCloser(bytes.NewReader(body))
		if len(body) == 0 {
			twin.Body = http.NoBody
		}
		x.track.counts.underWay.Inc()
		go p.send(x, twin, cancel)
	}
	if len(body) == 0 {
		return r
	}
	return withBody(r, bytes.NewReader(body))
}

// send sends a copy and throws the answer away.
func (p *Proxy) send(x *exchange, twin *http.Request, cancel context.CancelFunc) {
	defer p.copies.done(x)
	defer cancel()
	defer func() {
		if broken := recover(); broken != nil {
			if err, ok := broken.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(broken)
			}
		}
	}()
	defer p.finish(x, twin)
	p.forward.ServeHTTP(x, twin)
	x.ended = true
}

// withBody is the request with what is left to be read of its body.
func withBody(r *http.Request, left io.Reader) *http.Request {
	again := r.WithContext(r.Context())
	again.Body = struct {
		io.Reader
		io.Closer
	}{left, r.Body}
	return again
}

// nowhere is where answers to copies go.
type nowhere struct{ head http.Header }

// Header implements http.ResponseWriter.
func (n *nowhere) Header() http.Header { return n.head }

// Write implements http.ResponseWriter.
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (n *nowhere) WriteHeader(int) {}

// Flush implements http.Flusher.
func (n *nowhere) Flush() {}
