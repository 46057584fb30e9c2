package proxy

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/drover-dev/drover/strategy"
)

// Sample reads the counters of every instance. Each instance gives one series a track, zero where it has counted
// nothing yet, so that the first requests are seen as growth. Any instance that does not answer is an error that names
// it.
func (c *Client) Sample(ctx context.Context, release string) (strategy.Sample, error) {
	sample := strategy.Sample{At: c.options.Now(), Bounds: latencyBounds()}
	found, err := each(ctx, c, func(ctx context.Context, instance string) ([]strategy.Series, error) {
		return c.scrape(ctx, instance, release)
	})
	if err != nil {
		return strategy.Sample{}, fmt.Errorf("read the counters of %q from router %q: %w", release, c.options.Router, err)
	}
	taken := map[string]bool{}
	for _, series := range found {
		// One process may be listed under two addresses.
		if source := series[0].Source; !taken[source] {
			taken[source] = true
			sample.Series = append(sample.Series, series...)
		}
	}
	return sample, nil
}

// scrape is the series of both tracks of one instance.
func (c *Client) scrape(ctx context.Context, instance, release string) ([]strategy.Series, error) {
	read, err := c.read(ctx, instance)
	if err != nil {
		return nil, err
	}
	requests, seconds := read.requests[release], read.seconds[release]
	series := make([]strategy.Series, 0, 3)
	tracks := []strategy.Track{strategy.Stable, strategy.Canary}
	if slices.ContainsFunc(seconds, func(m *dto.Metric) bool { return belongs(m, strategy.Shadow) }) {
		tracks = append(tracks, strategy.Shadow)
	}
	for _, track := range tracks {
		counters, err := countersOf(requests, seconds, track)
		if err != nil {
			return nil, fmt.Errorf("understand the metrics of %s: %w", instance, err)
		}
		series = append(series, strategy.Series{Source: read.source, Since: read.since, Track: track, Counters: counters})
		for endpoint, counters := range endpointsOf(requests, track) {
			series = append(series, strategy.Series{Source: read.source, Since: read.since, Track: track, Endpoint: endpoint, Counters: counters})
		}
	}
	return series, nil
}

// identity is the name of the process that counts, and when it began.
func identity(started *dto.MetricFamily) (source string, since time.Time, err error) {
	if n := len(started.GetMetric()); n != 1 {
		return "", time.Time{}, fmt.Errorf("%s is there %d times, want once", metricStarted, n)
	}
	metric := started.GetMetric()[0]
	seconds, fraction := math.Modf(metric.GetGauge().GetValue())
	since = time.Unix(int64(seconds), int64(math.Round(fraction*1e6))*1000)
	source = labelOf(metric, "instance") + "@" + strconv.FormatFloat(metric.GetGauge().GetValue(), 'f', 6, 64)
	return source, since, nil
}

// countersOf is what a track of the release counted whose metrics these are.
func countersOf(requests, seconds []*dto.Metric, track strategy.Track) (strategy.Counters, error) {
	counters := strategy.Counters{Buckets: make([]float64, len(latencyBounds()))}
	for _, metric := range requests {
		if !belongs(metric, track) {
			continue
		}
		counters.Requests += metric.GetCounter().GetValue()
		if isError(labelOf(metric, "code")) {
			counters.Errors += metric.GetCounter().GetValue()
		}
	}
	for _, metric := range seconds {
		if !belongs(metric, track) {
			continue
		}
		var bounds []float64
		for _, bucket := range metric.GetHistogram().GetBucket() {
			if math.IsInf(bucket.GetUpperBound(), 1) {
				continue
			}
			if i := len(bounds); i < len(counters.Buckets) {
				// The two metrics are not read at the same instant.
				counters.Buckets[i] = min(float64(bucket.GetCumulativeCount()), counters.Requests)
			}
			bounds = append(bounds, bucket.GetUpperBound())
		}
		if !slices.Equal(bounds, latencyBounds()) {
			return strategy.Counters{}, fmt.Errorf("latency buckets are %v, want %v: run the same version of the proxy and of Drover", bounds, latencyBounds())
		}
	}
	return counters, nil
}

// endpointsOf is what a track counted by endpoint.
func endpointsOf(requests []*dto.Metric, track strategy.Track) map[string]strategy.Counters {
	all := map[string]strategy.Counters{}
	for _, metric := range requests {
		if !belongs(metric, track) {
			continue
		}
		endpoint := labelOf(metric, "endpoint")
		c := all[endpoint]
		c.Requests += metric.GetCounter().GetValue()
		if isError(labelOf(metric, "code")) {
			c.Errors += metric.GetCounter().GetValue()
		}
		all[endpoint] = c
	}
	return all
}

func isError(code string) bool { return code == "5xx" || code == classError }

func belongs(metric *dto.Metric, track strategy.Track) bool {
	return labelOf(metric, "track") == string(track)
}

func labelOf(metric *dto.Metric, name string) string {
	for _, label := range metric.GetLabel() {
		if label.GetName() == name {
			return label.GetValue()
		}
	}
	return ""
}
