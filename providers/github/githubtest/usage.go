package githubtest

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usage counts requests as GitHub does: by the hour, and what is created by the minute too.
type usage struct {
	reset   time.Time
	used    int
	total   int // over all hours
	most    int // in one hour
	created []time.Time
}

// What GitHub lets one create in a minute and in an hour.
const (
	createdInMinute = 80
	createdInHour   = 500
)

// Fault is what goes wrong with one request.
type Fault struct {
	Method string // "" for any
	Path   string // that the request's path holds
	After  int    // so many such requests pass before
	Times  int    // that it strikes; 0 is once
	Kind   FaultKind
	// Wait is what a Limited answer asks for.
	Wait time.Duration
}

// FaultKind is how a request goes wrong.
type FaultKind string

// The kinds.
const (
	Broken  FaultKind = "broken"  // 500, and nothing was done
	TimeOut FaultKind = "timeout" // no answer, and nothing was done
	Cut     FaultKind = "cut"     // it was done, and the answer was lost
	Limited FaultKind = "limited" // a secondary limit
	Denied  FaultKind = "denied"  // 403: the token may not
)

var errNoAnswer = errors.New("no answer")

// Fail has a request go wrong.
func (h *Hub) Fail(f Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.Times = max(f.Times, 1)
	h.faults = append(h.faults, &f)
}

// Down has every request fail from now on, until it is called with false.
func (h *Hub) Down(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = nil
	if down {
		h.faults = []*Fault{{Kind: TimeOut, Times: 1 << 30}}
	}
}

// struck is the fault that strikes a request, if any.
func (h *Hub) struck(r *http.Request) *Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, f := range h.faults {
		if (f.Method != "" && f.Method != r.Method) || !strings.Contains(r.URL.Path, f.Path) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times--; f.Times <= 0 {
			h.faults = slices.Delete(h.faults, i, i+1)
		}
		return f
	}
	return nil
}

// Used is how many requests were counted against the limit in the present hour, in all, and at most in one hour.
func (h *Hub) Used() (now, total, most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.usage.used, h.usage.total, max(h.usage.most, h.usage.used)
}

// Calls is every request so far, as METHOD PATH.
func (h *Hub) Calls() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// limited counts, refuses what is too much, and does the faults.
func (h *Hub) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.calls = append(h.calls, r.Method+" "+r.URL.Path)
		h.mu.Unlock()
		fault := h.struck(r)
		switch {
		case fault != nil && fault.Kind == TimeOut:
			panic(errNoAnswer)
		case fault != nil && fault.Kind == Broken:
			fail(w, http.StatusInternalServerError, "Server Error")
			return
		case fault != nil && fault.Kind == Denied:
			fail(w, http.StatusForbidden, "Resource not accessible by personal access token")
			return
		case fault != nil && fault.Kind == Limited:
			w.Header().Set("Retry-After", strconv.Itoa(int(fault.Wait/time.Second)))
			fail(w, http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
			return
		}
		said := httptest.NewRecorder()
		if !h.admit(said, r) {
			next.ServeHTTP(said, r)
		}
		if said.Code != http.StatusNotModified && said.Code != http.StatusTooManyRequests {
			h.spend()
		}
		maps.Copy(w.Header(), said.Header())
		h.rate(w)
		if fault != nil && fault.Kind == Cut {
			panic(errNoAnswer)
		}
		w.WriteHeader(said.Code)
		_, _ = w.Write(said.Body.Bytes())
	})
}

// admit tells whether it answered that there were too many requests.
func (h *Hub) admit(w http.ResponseWriter, r *http.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.options.Now()
	if !now.Before(h.usage.reset) {
		h.usage.most = max(h.usage.most, h.usage.used)
		h.usage.reset, h.usage.used = now.Add(time.Hour), 0
	}
	if h.usage.used >= h.options.Limit {
		fail(w, http.StatusForbidden, "API rate limit exceeded for user.")
		return true
	}
	if r.Method != http.MethodPost || !creates(r.URL.Path) {
		return false
	}
	h.usage.created = slices.DeleteFunc(h.usage.created, func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	inMinute := 0
	for _, at := range h.usage.created {
		if now.Sub(at) < time.Minute {
			inMinute++
		}
	}
	if inMinute >= createdInMinute || len(h.usage.created) >= createdInHour {
		w.Header().Set("Retry-After", "60")
		fail(w, http.StatusForbidden, "You have exceeded a secondary rate limit and have been temporarily blocked from content creation.")
		return true
	}
	h.usage.created = append(h.usage.created, now)
	return false
}

// creates tells whether people are notified of what a request makes.
func creates(path string) bool {
	return strings.HasSuffix(path, "/issues") || strings.HasSuffix(path, "/comments") || strings.HasSuffix(path, "/pulls")
}

func (h *Hub) spend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.usage.used++
	h.usage.total++
}

// rate writes what is left.
func (h *Hub) rate(w http.ResponseWriter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(h.options.Limit))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(h.options.Limit-h.usage.used, 0)))
	w.Header().Set("X-RateLimit-Used", strconv.Itoa(h.usage.used))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(h.usage.reset.Unix(), 10))
	w.Header().Set("X-RateLimit-Resource", "core")
}

// ServeHTTP answers as the API does, below /api/v3 too.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if fault := recover(); fault != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	h.answer(w, r)
}

func (h *Hub) answer(w http.ResponseWriter, r *http.Request) {
	if path, ok := strings.CutPrefix(r.URL.Path, "/api/v3/"); ok {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath, r.RequestURI = "/"+path, "", ""
	}
	h.handler.ServeHTTP(w, r)
}

// Handler answers over a network, where a GitHub Enterprise Server does.
func (h *Hub) Handler() http.Handler { return http.StripPrefix("/api/v3", http.HandlerFunc(h.answer)) }

// Transport answers requests without a network.
func (h *Hub) Transport() http.RoundTripper { return transport{h} }

type transport struct{ hub *Hub }

// RoundTrip answers in the same goroutine.
func (t transport) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	defer func() {
		switch fault := recover(); fault {
		case nil:
		case errNoAnswer:
			response, err = nil, errNoAnswer
		default:
			panic(fault)
		}
	}()
	inner := r.Clone(r.Context())
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	t.hub.answer(w, inner)
	response = w.Result()
	response.Request = r
	return response, nil
}
