package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The bounds of what an endpoint may answer before its body.
const (
	maxHead         = 1 << 20 // bytes
	maxInterimHeads = 8       // answers with status 1xx
)

// keptLines is how many idle connections are kept for each endpoint.
const keptLines = 256

// lines exchange requests without a body over connections that are kept, on the goroutine of the caller: half the work
// of http.Transport, which takes two goroutines of its own for each connection. Everything else (bodies, upgrades,
// methods that must not be sent twice) is Transport's. It is safe for concurrent use.
type lines struct {
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	header time.Duration // for the head of an answer
	idle   time.Duration
	now    func() time.Time

	mu    sync.Mutex
	kept  map[string][]*line // by address, the latest used last
	sweep *time.Timer        // nil while nothing is kept
}

// line is a connection to an endpoint, used by one exchange at a time.
type line struct {
	net.Conn
	raw   syscall.RawConn // nil where there is none
	in    *bufio.Reader
	out   *bufio.Writer
	left  int // bytes that may still be read
	since time.Time
}

// Read bounds what is read.
func (l *line) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("the head of the answer has more than %d bytes", maxHead)
	}
	n, err := l.Conn.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}

// carries tells whether the request is one for a line.
func (ls *lines) carries(r *http.Request) bool {
	if r.Body != nil && r.Body != http.NoBody {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	return canProbe && r.Header["Upgrade"] == nil && r.Header["Connection"] == nil && r.Header["Expect"] == nil
}

// exchange sends a request to an address and returns the answer as soon as its head is there. The caller reads the
// body to its end, or closes it. The connection ends with the request's context.
func (ls *lines) exchange(r *http.Request, address string) (*http.Response, error) {
	for {
		l, reused := ls.take(address), true
		if l == nil {
			conn, err := ls.dial(r.Context(), "tcp", address)
			if err != nil {
				return nil, err // A *net.OpError, which names the address.
			}
			l, reused = newLine(conn), false
		}
		stop := context.AfterFunc(r.Context(), func() { _ = l.Close() })
		response, answering, err := ls.ask(l, r)
		if err == nil {
			return ls.answer(l, address, response, stop), nil
		}
		stop()
		_ = l.Close()
		if cause := r.Context().Err(); cause != nil {
			return nil, cause
		}
		// The endpoint hung up while the request was on its way: most likely it was about to anyway.
		if !reused || answering || isTimeout(err) {
			return nil, fmt.Errorf("ask %s: %w", address, err)
		}
		ls.drop(address)
	}
}

func newLine(conn net.Conn) *line {
	l := &line{Conn: conn, out: bufio.NewWriter(conn)}
	l.in = bufio.NewReader(l)
	if c, ok := conn.(syscall.Conn); ok {
		l.raw, _ = c.SyscallConn() // Without it the connection is not kept.
	}
	return l
}

// ask sends the request and reads the head of the answer. answering tells whether anything of it came.
func (ls *lines) ask(l *line, r *http.Request) (_ *http.Response, answering bool, err error) {
	if err := r.Write(l.out); err != nil {
		return nil, false, err
	}
	if err := l.out.Flush(); err != nil {
		return nil, false, err
	}
	if err := l.SetReadDeadline(ls.now().Add(ls.header)); err != nil {
		return nil, false, err
	}
	l.left = maxHead
	if _, err := l.in.Peek(1); err != nil {
		return nil, false, err
	}
	response, err := head(l.in, r)
	if err != nil {
		return nil, true, err
	}
	l.left = math.MaxInt
	if n := response.ContentLength; n >= 0 && n <= int64(l.in.Buffered()) {
		return response, true, nil // All is here; the next request has a deadline of its own.
	}
	return response, true, l.SetReadDeadline(time.Time{})
}

// head reads the head of the answer, and tells of those before it.
func head(in *bufio.Reader, r *http.Request) (*http.Response, error) {
	for range maxInterimHeads {
		response, err := http.ReadResponse(in, r)
		if err != nil {
			return nil, err
		}
		if err := checkStatus(response); err != nil {
			return nil, err
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("the endpoint switched protocols and was not asked to")
		}
		if response.StatusCode >= 200 {
			return response, nil
		}
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(response.StatusCode, textproto.MIMEHeader(response.Header)); err != nil {
				return nil, err
			}
		}
	}
	return nil, fmt.Errorf("the endpoint gave %d interim answers and no final one", maxInterimHeads)
}

// answer gives the response a body that keeps the line when it was read to its end.
func (ls *lines) answer(l *line, address string, response *http.Response, stop func() bool) *http.Response {
	done := func(whole bool) {
		// When the context has ended, the line is being closed.
		if stop() && whole && !response.Close && l.raw != nil && l.in.Buffered() == 0 {
			ls.keep(address, l)
			return
		}
		_ = l.Close()
	}
	if response.Body == http.NoBody {
		done(true)
		return response
	}
	response.Body = &lineBody{ReadCloser: response.Body, done: done}
	return response
}

// lineBody is the body of an answer.
type lineBody struct {
	io.ReadCloser
	done func(whole bool)
	over atomic.Bool // done was called
}

// Read lets go of the line at the end.
func (b *lineBody) Read(p []byte) (int, error) {
	if b.over.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.let(true)
		return n, io.EOF
	}
	return n, err
}

// Close ends the connection of a body that was not read to its end: what is left of it may be long.
func (b *lineBody) Close() error {
	b.let(false)
	return nil
}

// let lets go of the line, once. Another goroutine may do so while this one reads.
func (b *lineBody) let(whole bool) {
	if !b.over.Swap(true) {
		b.done(whole)
	}
}

// take is a kept connection on which nothing came since; nil when there is none.
func (ls *lines) take(address string) *line {
	for {
		ls.mu.Lock()
		kept := ls.kept[address]
		if len(kept) == 0 {
			ls.mu.Unlock()
			return nil
		}
		l := kept[len(kept)-1]
		ls.kept[address] = kept[:len(kept)-1]
		ls.mu.Unlock()
		if ls.now().Sub(l.since) < ls.idle && isQuiet(l.raw) {
			return l
		}
		_ = l.Close()
	}
}

func (ls *lines) keep(address string, l *line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.kept == nil || len(ls.kept[address]) >= keptLines {
		_ = l.Close()
		return
	}
	l.since = ls.now()
	ls.kept[address] = append(ls.kept[address], l)
	if ls.sweep == nil {
		ls.sweep = time.AfterFunc(ls.idle, ls.expire)
	}
}

// expire closes what was idle for too long, and looks again while anything is kept.
func (ls *lines) expire() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.sweep = nil
	now := ls.now()
	for address, kept := range ls.kept {
		fresh := 0
		for fresh < len(kept) && now.Sub(kept[fresh].since) >= ls.idle {
			_ = kept[fresh].Close()
			fresh++
		}
		if fresh == len(kept) {
			delete(ls.kept, address)
			continue
		}
		ls.kept[address] = append(kept[:0], kept[fresh:]...)
	}
	if len(ls.kept) > 0 {
		ls.sweep = time.AfterFunc(ls.idle, ls.expire)
	}
}

// drop closes the kept connections to an address.
func (ls *lines) drop(address string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.kept[address] {
		_ = l.Close()
	}
	delete(ls.kept, address)
}

// closeIdle closes all kept connections, and keeps no others.
func (ls *lines) closeIdle() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, kept := range ls.kept {
		for _, l := range kept {
			_ = l.Close()
		}
	}
	ls.kept = nil
	if ls.sweep != nil {
		ls.sweep.Stop()
	}
}
