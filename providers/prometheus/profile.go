package prometheus

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/drover-dev/drover/strategy"
)

// Profile says how the requests of a release are found among the metrics. Its selectors are PromQL selectors of counters,
// as they are: Drover takes their increase itself, series by series. In them
//
//	${allocs}     is a pattern of the allocation ids of a track
//	${addresses}  is a pattern of the addresses of its allocations, host:port
//	${release}    is the name of the release
//	${track}      is "stable" or "canary", for what counts by track and not by allocation, and "shadow" for copies of requests
type Profile struct {
	// Requests selects the counters of requests.
	Requests string
	// Errors tells which of them failed: those of which any of these labels matches its pattern.
	Errors map[string]string
	// Label is the one that an allocation is told by: its value is, or holds, an allocation's id or address.
	Label string
	// Latency selects the histogram of the time to answer: its _bucket series, or a native one. "" for none.
	Latency string
	// LatencyLabel is Label for the histogram; "" for the same.
	LatencyLabel string
	// Unit is that of the histogram's bounds; 0 is a second.
	Unit time.Duration
	// Endpoints are labels that together name what a request asks for, those that are there.
	Endpoints []string
	// Source selects a series that is there whenever what counts is read, though it has counted nothing yet. "" where an
	// allocation has series besides, or none is known.
	Source string
	// Lacks is what it cannot say, for people.
	Lacks string
}

// probes are paths that no user asks for: checks and scrapes go to every allocation alike, whatever its weight.
const probes = "/metrics|/health.*|/livez|/readyz|/ready|/ping"

// Profiles are the ones that are shipped, by name.
func Profiles() map[string]Profile {
	return map[string]Profile{
		"prometheus": {
			Requests: `http_requests_total{alloc_id=~"${allocs}",` + unprobed("handler", "route", "path", "endpoint") + `}`,
			Errors:   map[string]string{"code": "5..", "status": "5..", "status_code": "5.."},
			Label:    "alloc_id", Latency: `http_request_duration_seconds_bucket{alloc_id=~"${allocs}",` + unprobed("handler", "route", "path", "endpoint") + `}`,
			Endpoints: []string{"method", "handler", "route", "path", "endpoint"},
		},
		"opentelemetry": {
			Requests: `http_server_request_duration_seconds_count{alloc_id=~"${allocs}",` + unprobed("http_route") + `}`,
			Errors:   map[string]string{"http_response_status_code": "5.."},
			Label:    "alloc_id", Latency: `http_server_request_duration_seconds_bucket{alloc_id=~"${allocs}",` + unprobed("http_route") + `}`,
			Endpoints: []string{"http_request_method", "http_route"},
		},
		"drover-proxy": {
			Requests: `drover_proxy_requests_total{release="${release}",track="${track}"}`,
			Errors:   map[string]string{"code": "5xx|error"},
			Latency:  `drover_proxy_request_seconds_bucket{release="${release}",track="${track}"}`, Endpoints: []string{"endpoint"},
			Source: `drover_proxy_requests_in_flight{}`,
		},
		"haproxy": {
			Requests: `{__name__=~"haproxy_server_(http_responses|connection_errors|response_errors)_total",server=~"(stable|canary)-(${allocs})"}`,
			Errors:   map[string]string{"__name__": ".*_errors_total", "code": "5xx"},
			Label:    "server", Lacks: "HAProxy exports mean times only, and no histogram: a gate on latency needs that of the service, by latency = \"prometheus\" or \"opentelemetry\"",
		},
		"nginx-vts": {
			Requests: `nginx_vts_upstream_requests_total{code=~"[1-5]xx",backend=~"${addresses}"}`,
			Errors:   map[string]string{"code": "5xx"},
			Label:    "backend", Latency: `nginx_vts_upstream_request_duration_seconds_bucket{backend=~"${addresses}"}`,
		},
		"traefik": {
			Requests: `traefik_service_requests_total{service=~"${release}[-_]${track}@.+"}`,
			Errors:   map[string]string{"code": "5.."},
			// What keeps a connection open takes as long as the user stays.
			Latency: `traefik_service_request_duration_seconds_bucket{service=~"${release}[-_]${track}@.+",protocol!~"websocket|sse"}`,
			Source:  `traefik_config_last_reload_success{}`,
		},
		"envoy": {
			Requests: `envoy_cluster_upstream_rq_xx{envoy_cluster_name="${release}-${track}"}`,
			Errors:   map[string]string{"envoy_response_code_class": "5"},
			Latency:  `envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="${release}-${track}"}`, Unit: time.Millisecond,
		},
	}
}

// unprobed matches what is not a probe by any of these labels, which need not be there.
func unprobed(labels ...string) string {
	matchers := make([]string, 0, len(labels))
	for _, label := range labels {
		matchers = append(matchers, fmt.Sprintf("%s!~%q", label, probes))
	}
	return strings.Join(matchers, ",")
}

// unfit are profiles that people look for and that cannot be.
var unfit = map[string]string{
	"nginx": "the exporter of NGINX counts all requests in one number, and none by upstream server: use \"nginx-vts\" with the module nginx-module-vts, or measure the service itself by \"prometheus\" or \"opentelemetry\"",
	"nomad": "Nomad measures processors and memory, and no requests: gates on cpu and memory need no profile",
}

// Named is the shipped profile of that name. latency, where it is not "", is another one, whose histogram takes the place of
// its own. The error says what there is.
func Named(name, latency string) (Profile, error) {
	p, err := named(name)
	if err != nil || latency == "" {
		return p, err
	}
	times, err := named(latency)
	if err != nil {
		return p, err
	}
	if times.Latency == "" {
		return p, fmt.Errorf("profile %q has no latencies: %s", latency, times.Lacks)
	}
	p.Latency, p.LatencyLabel, p.Unit, p.Lacks = times.Latency, times.Label, times.Unit, ""
	return p, nil
}

func named(name string) (Profile, error) {
	p, known := Profiles()[name]
	if known {
		return p, nil
	}
	if why, asked := unfit[name]; asked {
		return p, fmt.Errorf("there is no profile %q: %s", name, why)
	}
	names := slices.Sorted(maps.Keys(Profiles()))
	return p, fmt.Errorf("there is no profile %q, there are %s%s", name, strings.Join(names, ", "), strategy.Meant(name, names))
}

// Copied tells whether copies of requests are counted by themselves: allocations answer both them and users.
func (p Profile) Copied() bool {
	return strings.Contains(p.Requests, "${track}") && (p.Latency == "" || strings.Contains(p.Latency, "${track}"))
}

// Check tells what is wrong with a profile.
func (p Profile) Check() error {
	var errs []error
	if p.Requests == "" {
		errs = append(errs, errors.New("requests is missing: a selector of the counters of requests"))
	}
	if len(p.Errors) == 0 {
		errs = append(errs, errors.New("errors is missing: which label of a counter says that its requests failed, such as { code = \"5..\" }"))
	}
	for label, pattern := range p.Errors {
		if _, err := regexp.Compile(pattern); err != nil {
			errs = append(errs, fmt.Errorf("errors: %s: %w", label, err))
		}
	}
	if err := checkSelector(p.Requests); err != nil {
		errs = append(errs, fmt.Errorf("requests: %w", err))
	}
	if err := checkSelector(p.Latency); err != nil {
		errs = append(errs, fmt.Errorf("latency: %w", err))
	}
	if p.Label == "" && strings.Contains(p.Requests, "${allocs}") {
		errs = append(errs, errors.New("label is missing: the one that an allocation is told by"))
	}
	return errors.Join(errs...)
}

func checkSelector(selector string) error {
	switch {
	case selector == "":
		return nil
	case strings.Contains(selector, "("+"${range}") || strings.HasSuffix(selector, "]") || !strings.HasSuffix(selector, "}"):
		return fmt.Errorf("%q is no selector of counters such as http_requests_total{alloc_id=~\"${allocs}\"}: Drover takes the increase itself", selector)
	case !strings.Contains(selector, "${allocs}") && !strings.Contains(selector, "${addresses}") && !strings.Contains(selector, "${track}"):
		return fmt.Errorf("%q has neither ${allocs}, ${addresses} nor ${track}, so that it would say the same of both tracks", selector)
	}
	return nil
}

// classifier tells failed requests by the labels of their counter.
type classifier map[string]*regexp.Regexp

func (p Profile) classifier() (classifier, error) {
	c := classifier{}
	for label, pattern := range p.Errors {
		compiled, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return nil, fmt.Errorf("errors: %s: %w", label, err)
		}
		c[label] = compiled
	}
	return c, nil
}

// endpoint is what the requests of a counter ask for; "" where that is not told.
func (p Profile) endpoint(labels model.Metric) string {
	var parts []string
	for _, label := range p.Endpoints {
		if value := labels[model.LabelName(label)]; value != "" {
			parts = append(parts, string(value))
		}
	}
	return strings.Join(parts, " ")
}

func (c classifier) failed(labels model.Metric) bool {
	for label, pattern := range c {
		if value, there := labels[model.LabelName(label)]; there && pattern.MatchString(string(value)) {
			return true
		}
	}
	return false
}
