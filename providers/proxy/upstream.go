package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// upstream sends a request to an endpoint of its track, and to another one when that is safe: of the other track where
// none of the canary's could be connected to.
type upstream struct {
	transport *http.Transport
	lines     *lines          // for most requests
	h2c       *http.Transport // for endpoints that speak HTTP/2 in the clear
	logger    *slog.Logger
	now       func() time.Time
}

func newUpstream(t Timeouts, logger *slog.Logger, now func() time.Time) *upstream {
	dialer := &net.Dialer{Timeout: cmp.Or(t.Connect, 2*time.Second), KeepAlive: 30 * time.Second}
	idle, header := cmp.Or(t.Idle, 4*time.Second), cmp.Or(t.Header, time.Minute)
	return &upstream{
		logger: logger,
		now:    now,
		lines:  &lines{dial: dialer.DialContext, header: header, idle: idle, now: time.Now, kept: map[string][]*line{}},
		h2c:    newH2C(dialer, t),
		transport: &http.Transport{
			DialContext:           dialer.DialContext,
			MaxIdleConnsPerHost:   256,
			IdleConnTimeout:       idle,
			ResponseHeaderTimeout: header,
			ExpectContinueTimeout: time.Second,
			DisableCompression:    true, // The answer goes on as it came.
		},
	}
}

// newH2C finds out about connections that died while streams wait on them.
func newH2C(dialer *net.Dialer, t Timeouts) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		DialContext:           dialer.DialContext,
		Protocols:             protocols,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		IdleConnTimeout:       cmp.Or(t.Idle, 4*time.Second),
		ResponseHeaderTimeout: cmp.Or(t.Header, time.Minute),
		DisableCompression:    true,
	}
}

// RoundTrip implements http.RoundTripper for requests that carry an exchange.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	if x == nil {
		return nil, errors.New("the request belongs to no release")
	}
	var body *upload
	if r.Body != nil && r.Body != http.NoBody {
		body = &upload{body: r.Body, x: x} // It may still be on its way when the answer begins.
	}
	var tried []*backend
	var last error
	refused := true // by all that were tried: nothing was sent
	for {
		next := x.track.pick(u.now(), tried)
		if next == nil && refused && x.leave() {
			continue
		}
		if next == nil {
			return nil, last
		}
		if x.backend != nil {
			x.backend.underWay.Add(-1)
		}
		x.backend = next
		response, err := u.ask(x, attempt(r, body, next.endpoint.Address))
		if err == nil {
			x.status = response.StatusCode
			x.head.Store(true)
			return response, nil
		}
		last, refused = err, refused && isConnect(err)
		if r.Context().Err() != nil || x.gone.Load() {
			return nil, err
		}
		u.unanswered(x, next, err)
		if !retryable(r, body, err) {
			return nil, err
		}
		tried = append(tried, next)
	}
}

// unanswered notes an endpoint that did not answer.
func (u *upstream) unanswered(x *exchange, b *backend, err error) {
	level := slog.LevelDebug
	if isConnect(err) && b.markDown(u.now()) {
		level = slog.LevelWarn // Once a second an endpoint, however many requests there are.
	}
	u.logger.Log(context.Background(), level, "an endpoint did not answer", "release", x.lane.split.Release, "track", x.track.name,
		"alloc", b.endpoint.Alloc, "address", b.endpoint.Address, "error", err)
}

// ask sends a request to the host of its URL, and returns an answer that can be handed on.
func (u *upstream) ask(x *exchange, r *http.Request) (*http.Response, error) {
	response, err := u.send(x, r)
	if err == nil {
		err = checkStatus(response)
	}
	return response, err
}

// send sends a request to the host of its URL.
func (u *upstream) send(x *exchange, r *http.Request) (*http.Response, error) {
	switch {
	case x.lane.h2c && r.Header["Upgrade"] == nil:
		return u.h2c.RoundTrip(r)
	case u.lines.carries(r):
		return u.lines.exchange(r, r.URL.Host)
	}
	return u.transport.RoundTrip(r)
}

// checkStatus refuses, and ends, an answer whose status cannot be handed on.
func checkStatus(response *http.Response) error {
	if response.StatusCode >= http.StatusContinue {
		return nil
	}
	return errors.Join(fmt.Errorf("the endpoint gave status %03d, which is none", response.StatusCode), response.Body.Close())
}

// closeIdle closes the connections that no request uses.
func (u *upstream) closeIdle() {
	u.transport.CloseIdleConnections()
	u.h2c.CloseIdleConnections()
	u.lines.closeIdle()
}

// attempt is the request as it is sent to one address.
func attempt(r *http.Request, body *upload, address string) *http.Request {
	out := r.WithContext(r.Context())
	url := *r.URL
	url.Host = address
	out.URL = &url
	if body != nil {
		out.Body = body
	}
	return out
}

// retryable tells whether another endpoint may be asked: when nothing was sent, or when asking twice is as good as once.
func retryable(r *http.Request, body *upload, err error) bool {
	if isConnect(err) {
		return body == nil || !body.started
	}
	if body != nil || isTimeout(err) {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// isConnect tells whether there was no connection, so that nothing was sent.
func isConnect(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
