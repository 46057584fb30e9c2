package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The waits of blocking queries, as Nomad has them.
const (
	defaultWait = 5 * time.Minute
	longestWait = 10 * time.Minute
)

// request is one call of the API, taken apart.
type request struct {
	args  map[string]string // the variable parts of the path
	query url.Values
	body  []byte
}

func (r request) namespace() string {
	if ns := r.query.Get("namespace"); ns != "" {
		return ns
	}
	return "default"
}

// seen tells whether the request's namespace shows objects of ns.
func (r request) seen(ns string) bool { return r.namespace() == "*" || r.namespace() == ns }

func (r request) flag(name string) bool {
	on, err := strconv.ParseBool(r.query.Get(name))
	return err == nil && on
}

// read decodes the body.
func (r request) read(into any) *answer {
	if err := json.Unmarshal(r.body, into); err != nil {
		return &answer{status: http.StatusBadRequest, text: err.Error()}
	}
	return nil
}

// answer is what a handler says: text for errors, body for the rest.
type answer struct {
	status int
	text   string
	body   any
	index  uint64
}

func ok(body any, index uint64) answer {
	return answer{status: http.StatusOK, body: body, index: index}
}

func refuse(status int, format string, args ...any) answer {
	return answer{status: status, text: fmt.Sprintf(format, args...)}
}

// missing is the answer for what is not there; it carries an index, so that one can wait for it.
func missing(what string, index uint64) answer {
	return answer{status: http.StatusNotFound, text: what + " not found", index: index}
}

// handler answers a request while the simulation is locked.
type handler func(*Nomad, request) answer

// route is a path of the API; parts that begin with a colon stand for anything, and one that ends with an asterisk for
// the whole rest.
type route struct {
	parts   []string
	methods map[string]handler
}

// match finds the route of an escaped path.
func (n *Nomad) match(escaped string) (route, map[string]string, bool) {
	parts := strings.Split(strings.Trim(escaped, "/"), "/")
	for i := range parts {
		if plain, err := url.PathUnescape(parts[i]); err == nil {
			parts[i] = plain
		}
	}
	for _, r := range n.routes {
		if args, ok := r.match(parts); ok {
			return r, args, true
		}
	}
	return route{}, nil, false
}

func (r route) match(parts []string) (map[string]string, bool) {
	args := map[string]string{}
	for i, want := range r.parts {
		name, variable := strings.CutPrefix(want, ":")
		rest, isRest := strings.CutSuffix(name, "*")
		switch {
		case i >= len(parts):
			return nil, false
		case isRest:
			args[rest] = strings.Join(parts[i:], "/")
			return args, true
		case variable:
			args[name] = parts[i]
		case want != parts[i]:
			return nil, false
		}
	}
	return args, len(parts) == len(r.parts)
}

// ServeHTTP answers as Nomad's agent does. A blocking query blocks until its index is passed, its wait is over in
// simulated time, or the request's context ends.
func (n *Nomad) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == streamPath && r.Method == http.MethodGet {
		n.serveStream(w, r)
		return
	}
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a, err := n.serve(r.Context(), r.Method, r.URL, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	a.write(w)
}

// serve finds the handler and waits for its answer; the body comes back encoded, so that nothing is shared. An error
// means that the cluster cannot be reached, or that the context ended.
func (n *Nomad) serve(ctx context.Context, method string, u *url.URL, body []byte) (answer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.journal = append(n.journal, method+" "+u.RequestURI())
	if n.down {
		return answer{}, errUnavailable
	}
	found, args, known := n.match(u.EscapedPath())
	if !known {
		n.unknown = append(n.unknown, method+" "+u.RequestURI())
		return answer{status: http.StatusNotFound}, nil
	}
	handle, allowed := found.methods[method]
	if !allowed {
		return answer{status: http.StatusMethodNotAllowed, text: "Invalid method"}, nil
	}
	if method != http.MethodGet {
		n.doings++
	}
	req := request{args: args, query: u.Query(), body: body}
	a := handle(n, req)
	if method == http.MethodGet {
		after, wait := blocking(req.query)
		deadline := n.now.Add(wait)
		for after > 0 && a.index <= after && n.now.Before(deadline) {
			if err := n.await(ctx); err != nil {
				return answer{}, err
			}
			if n.down {
				return answer{}, errUnavailable
			}
			a = handle(n, req)
		}
	}
	return a.encoded()
}

var errUnavailable = errors.New("no cluster leader")

// await lets go of the lock until something changed.
func (n *Nomad) await(ctx context.Context) error {
	changed := n.changed
	n.mu.Unlock()
	defer n.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// blocking reads what a blocking query asks for.
func blocking(q url.Values) (after uint64, wait time.Duration) {
	after, err := strconv.ParseUint(q.Get("index"), 10, 64)
	if err != nil {
		return 0, 0
	}
	wait, err = time.ParseDuration(q.Get("wait"))
	if err != nil || wait <= 0 {
		wait = defaultWait
	}
	return after, min(wait, longestWait)
}

func (a answer) encoded() (answer, error) {
	if a.text != "" || a.status == http.StatusNotFound || a.status == http.StatusNoContent {
		return a, nil
	}
	encoded, err := json.Marshal(a.body)
	a.body = encoded
	return a, err
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	if a.index > 0 || a.status < http.StatusInternalServerError {
		h.Set("X-Nomad-Index", strconv.FormatUint(a.index, 10))
		h.Set("X-Nomad-KnownLeader", "true")
		h.Set("X-Nomad-LastContact", "0")
	}
	encoded, isJSON := a.body.([]byte)
	if !isJSON {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		encoded = []byte(a.text)
	} else {
		h.Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.status)
	// An error here is a client that went away.
	_, _ = w.Write(encoded)
}

// Client is an HTTP client whose requests are answered by the simulation, whatever their host, in the goroutine that
// makes them.
func (n *Nomad) Client() *http.Client { return &http.Client{Transport: transport{n}} }

type transport struct{ nomad *Nomad }

// RoundTrip answers in the same goroutine, so that a simulated cluster may live in a bubble of testing/synctest.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.URL.Path == streamPath && r.Method == http.MethodGet {
		s, err := t.nomad.openStream(r.Context(), r.URL)
		if err != nil {
			return nil, fmt.Errorf("dial simulated Nomad: %w", syscall.ECONNREFUSED)
		}
		return &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Body: s, ContentLength: -1,
		}, nil
	}
	a, err := t.nomad.serve(r.Context(), r.Method, r.URL, body)
	if errors.Is(err, errUnavailable) {
		return nil, fmt.Errorf("dial simulated Nomad: %w", syscall.ECONNREFUSED)
	}
	if err != nil {
		return nil, err
	}
	rec := recorder{header: http.Header{}}
	a.write(&rec)
	return &http.Response{
		Status: strconv.Itoa(rec.status) + " " + http.StatusText(rec.status), StatusCode: rec.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: rec.header, Request: r,
		Body: io.NopCloser(bytes.NewReader(rec.body.Bytes())), ContentLength: int64(rec.body.Len()),
	}, nil
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body of %s %s: %w", r.Method, r.URL.Path, err)
	}
	return body, nil
}
