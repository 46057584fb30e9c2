package traefik

import (
	"net/http"
	"slices"
	"sync"

	"github.com/drover-dev/drover/strategy"
)

// Handler answers Traefik with the splits that it was given last. Until it was given any it answers with status 503, and
// Traefik goes on with what it has. It is safe for concurrent use.
type Handler struct {
	// Copies is the address of Traefik's entry point for copies of requests; "" where none are made. Not to be changed once it
	// answers.
	Copies string

	mu     sync.RWMutex
	known  bool
	splits []strategy.Split
}

// Set replaces the splits.
func (h *Handler) Set(splits []strategy.Split) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known, h.splits = true, slices.Clone(splits)
}

// ServeHTTP answers with Traefik's dynamic configuration.
func (h *Handler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h.mu.RLock()
	known, splits := h.known, h.splits
	h.mu.RUnlock()
	if !known {
		http.Error(w, "the splits are not known yet: Nomad has not been read", http.StatusServiceUnavailable)
		return
	}
	content, err := configuration(splits, h.Copies)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(content)
}
