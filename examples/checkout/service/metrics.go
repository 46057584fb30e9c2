package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// instruments measure what is answered, under the names of both conventions there are: those of Prometheus' client
// libraries, and those of OpenTelemetry.
type instruments struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	duration *prometheus.HistogramVec
}

func newInstruments() instruments {
	registry := prometheus.NewRegistry()
	with := promauto.With(registry)
	buckets := []float64{.005, .01, .025, .05, .1, .2, .3, .5, 1, 2.5, 5}
	return instruments{
		registry: registry,
		requests: with.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests by what they ask for and the status of the answer.",
		}, []string{"method", "handler", "code"}),
		seconds: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time to the end of the answer.", Buckets: buckets,
		}, []string{"method", "handler"}),
		duration: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_server_request_duration_seconds", Help: "Duration of HTTP server requests.", Buckets: buckets,
		}, []string{"http_request_method", "http_route", "http_response_status_code"}),
	}
}

// handler shows what was measured.
func (i instruments) handler() http.Handler {
	return promhttp.HandlerFor(i.registry, promhttp.HandlerOpts{})
}

// measure has what a route answers measured.
func (i instruments) measure(method, route string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begun, seen := time.Now(), &statusSeen{ResponseWriter: w, status: http.StatusOK}
		next(seen, r)
		took, status := time.Since(begun).Seconds(), strconv.Itoa(seen.status)
		i.requests.WithLabelValues(method, route, status).Inc()
		i.seconds.WithLabelValues(method, route).Observe(took)
		i.duration.WithLabelValues(method, route, status).Observe(took)
	}
}

// statusSeen remembers the status of an answer.
type statusSeen struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (s *statusSeen) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
