package proxy

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/drover-dev/drover/strategy"
)

// headerInstance names the instance in answers of the admin handler.
const headerInstance = "Drover-Instance"

// Admin is the handler for Drover and for monitoring; keep it away from the traffic of users.
//
//	GET /splits    the splits in effect, as given to Set: a JSON array of strategy.Split; with ?release=NAME only
//	               that of one release, or none; each with what is open on its allocations
//	GET /metrics   counters, in the text format of Prometheus
//	GET /healthz   200 while the process lives
//
// The header Drover-Instance of every answer names the instance.
func (p *Proxy) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /splits", p.serveSplits)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerInstance, p.options.Instance)
		mux.ServeHTTP(w, r)
	})
}

// effectiveSplit is a split as an instance reports it.
type effectiveSplit struct {
	strategy.Split
	Open map[string]int `json:"open"` // connections and requests, by allocation; nil from an instance that does not know
}

func (p *Proxy) serveSplits(w http.ResponseWriter, r *http.Request) {
	splits := p.Splits()
	if release := r.URL.Query().Get("release"); release != "" {
		splits = slices.DeleteFunc(splits, func(s strategy.Split) bool { return s.Release != release })
	}
	effective := make([]effectiveSplit, len(splits))
	for i, split := range splits {
		effective[i] = effectiveSplit{split, p.openOn(split.Release)}
	}
	body, err := json.Marshal(effective)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}
