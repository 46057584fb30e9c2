package proxy

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/drover-dev/drover/strategy"
)

// The names of the metrics that Drover reads back.
const (
	metricRequests = "drover_proxy_requests_total"
	metricSeconds  = "drover_proxy_request_seconds"
	metricStarted  = "drover_proxy_started_seconds"
)

// classError is the code of a request without an answer, or whose answer broke off.
const classError = "error"

// classes are the codes of answers, by the first digit of the status.
var classes = [...]string{1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}

// latencyBounds are the upper bounds of the latency buckets in seconds.
func latencyBounds() []float64 {
	return []float64{.005, .0075, .01, .015, .02, .03, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 1.5, 2.5, 5, 10}
}

// metrics is what the proxy counts. Nothing of a release is forgotten while the proxy lives: counters only grow.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	underWay *prometheus.GaugeVec
	left     *prometheus.CounterVec
	copies   *prometheus.CounterVec

	releases sync.Map // name to *releaseCounts
}

// releaseCounts is the counters of one release.
type releaseCounts struct {
	stable, canary *trackCounts
	endpoints      endpoints
	copies         func() *trackCounts // of answers to copies, made when asked for first
}

// trackCounts is the counters of one track.
type trackCounts struct {
	requests *prometheus.CounterVec // by endpoint and code
	seconds  prometheus.Observer
	underWay prometheus.Gauge
	left     prometheus.Counter
}

func newMetrics(instance string, started time.Time) *metrics {
	registry := prometheus.NewRegistry()
	with := promauto.With(registry)
	m := &metrics{
		registry: registry,
		requests: with.NewCounterVec(prometheus.CounterOpts{
			Name: metricRequests,
			Help: "Requests by what became of them; code is the class of the status, or error when there was no answer.",
		}, []string{"release", "track", "endpoint", "code"}),
		seconds: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricSeconds, Buckets: latencyBounds(),
			Help: "Time from the request to the end of its answer; of connections that leave HTTP, to the head of it.",
		}, []string{"release", "track"}),
		underWay: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "drover_proxy_requests_in_flight",
			Help: "Requests under way.",
		}, []string{"release", "track"}),
		left: with.NewCounterVec(prometheus.CounterOpts{
			Name: "drover_proxy_requests_left_total",
			Help: "Requests of a track that none of its endpoints took a connection for: they were left to the other, and are counted there.",
		}, []string{"release", "track"}),
	}
	m.copies = with.NewCounterVec(prometheus.CounterOpts{
		Name: "drover_proxy_copies_left_out_total",
		Help: "Requests that were to be copied to the canary and were not: too many copies were under way, or the body was too large.",
	}, []string{"release"})
	with.NewGaugeVec(prometheus.GaugeOpts{
		Name: metricStarted,
		Help: "When the proxy began to count, in seconds of Unix time.",
	}, []string{"instance"}).WithLabelValues(instance).Set(float64(started.UnixNano()) / 1e9)
	return m
}

// of is the counters of a release, made when asked for first.
func (m *metrics) of(release string) *releaseCounts {
	if known, ok := m.releases.Load(release); ok {
		if counts, ok := known.(*releaseCounts); ok {
			return counts
		}
	}
	made := &releaseCounts{
		stable: m.track(release, strategy.Stable), canary: m.track(release, strategy.Canary),
		copies: sync.OnceValue(func() *trackCounts { return m.track(release, strategy.Shadow) }),
	}
	if known, loaded := m.releases.LoadOrStore(release, made); loaded {
		if counts, ok := known.(*releaseCounts); ok {
			return counts
		}
	}
	return made
}

func (m *metrics) track(release string, name strategy.Track) *trackCounts {
	labels := prometheus.Labels{"release": release, "track": string(name)}
	return &trackCounts{
		requests: m.requests.MustCurryWith(labels),
		seconds:  m.seconds.With(labels),
		underWay: m.underWay.With(labels),
		left:     m.left.With(labels),
	}
}

// count counts a request that ended. status 0 is one without an answer.
func (c *releaseCounts) count(t *trackCounts, r *http.Request, status int, class string) {
	t.requests.WithLabelValues(c.endpoints.label(r.Method, r.URL.Path, status), class).Inc()
}
