package traefik

import (
	"bytes"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// patience is how long an answer that would say nothing new is held back. It is well below the 5 seconds after which
	// Traefik gives up, and what Traefik waits for when it is ended.
	patience = time.Second
	// forgetful is how long it is remembered what a connection was told.
	forgetful = time.Minute
)

// Handler answers Traefik with the splits that it was given last. Until it was given any it answers with status 503, and
// Traefik goes on with what it has. Who asks again over the same connection is answered once there is something new, or a
// moment has passed: so a split is there at once, and not at Traefik's next poll. It is safe for concurrent use.
type Handler struct {
	// Copies is the address of Traefik's entry point for copies of requests; "" where none are made. Not to be changed once it
	// answers.
	Copies string

	mu      sync.Mutex
	content []byte // nil until the splits are known
	problem error
	changed chan struct{} // closed when there is something new
	told    map[string]telling
}

// telling is what a connection was told last.
type telling struct {
	content []byte
	at      time.Time
}

// Set replaces the splits.
func (h *Handler) Set(splits []strategy.Split) {
	content, err := configuration(splits, h.Copies)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && bytes.Equal(content, h.content) {
		return
	}
	h.content, h.problem = content, err
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// ServeHTTP answers with Traefik's dynamic configuration.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if news := h.news(r.RemoteAddr); news != nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-news:
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	content, err := h.tell(r.RemoteAddr)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case content == nil:
		http.Error(w, "the splits are not known yet: Nomad has not been read", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(content)
	}
}

// news is closed when there is something that a connection was not told yet; nil when there is.
func (h *Handler) news(connection string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, known := h.told[connection]
	if !known || time.Since(last.at) > forgetful || h.content == nil || !bytes.Equal(last.content, h.content) {
		return nil
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}

// tell is what a connection is told now, which is remembered.
func (h *Handler) tell(connection string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(h.told, func(_ string, t telling) bool { return now.Sub(t.at) > forgetful })
	if h.content == nil || h.problem != nil {
		return nil, h.problem
	}
	if h.told == nil {
		h.told = map[string]telling{}
	}
	h.told[connection] = telling{h.content, now}
	return h.content, nil
}
