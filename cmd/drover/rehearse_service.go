package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
	"github.com/drover-dev/drover/strategy/judge"
)

// service is the traffic of a release and how its stable version answers it.
type service struct {
	RPS    float64 `json:"rps"`
	Errors float64 `json:"errors"`             // share of requests
	P95    float64 `json:"p95_seconds"`        // of the time to answer
	Spread float64 `json:"spread"`             // of the logarithms of the times to answer
	From   string  `json:"measured,omitempty"` // how it was measured; "" when it was given
}

const (
	// usualSpread is that of services whose tail nobody measured: with it the quantiles near p95 lie as they usually do.
	usualSpread = 0.57
	sigmas95    = 1.6448536269514722 // of the normal distribution to its 95%
)

// quantile is the time in seconds within which that share of requests is answered.
func (s service) quantile(q float64) float64 {
	return s.median() * math.Exp(s.Spread*math.Sqrt2*math.Erfinv(2*q-1))
}

func (s service) median() float64 { return s.P95 * math.Exp(-sigmas95*s.Spread) }

// behaviour is that of its tasks. Gates that ask the metrics get the answers that a service without trouble gives.
func (s service) behaviour(gates []strategy.Gate) sim.Behaviour {
	b := sim.Behaviour{ErrorRate: s.Errors, Latency: sim.Latency{Median: time.Duration(s.median() * float64(time.Second)), Sigma: s.Spread}, Queries: map[string]float64{}}
	for _, g := range gates {
		b.Queries[g.Name] = s.usual(g)
	}
	return b
}

// usual is what a gate's query says of a service without trouble.
func (s service) usual(g strategy.Gate) float64 {
	switch {
	case g.Metric == strategy.MetricQuery && !g.Query.Instant:
		return s.Errors
	case g.Max != nil:
		return g.Max.Value / 2
	case g.Min != nil:
		return g.Min.Value * 2
	}
	return 0.5
}

// String is the service in a line.
func (s service) String() string {
	return fmt.Sprintf("%s requests/s, of which %s fail, p95 %s", digits(s.RPS), percent(s.Errors), time.Duration(s.P95*float64(time.Second)).Round(100*time.Microsecond))
}

// measured is the service that a meter saw between two samples.
func measured(before, after strategy.Sample) (service, error) {
	took := after.At.Sub(before.At).Seconds()
	if took <= 0 {
		return service{}, fmt.Errorf("the meter counted nothing anew between %s and %s", before.At.Format(time.TimeOnly), after.At.Format(time.TimeOnly))
	}
	type key struct {
		source string
		track  strategy.Track
	}
	was := map[key]strategy.Counters{}
	for _, s := range before.Whole() {
		was[key{s.Source, s.Track}] = s.Counters
	}
	var sum strategy.Counters
	sum.Buckets = make([]float64, len(after.Bounds))
	for _, s := range after.Whole() {
		old := was[key{s.Source, s.Track}]
		if s.Requests < old.Requests {
			continue
		}
		sum.Requests += s.Requests - old.Requests
		sum.Errors += s.Errors - old.Errors
		for i := range min(len(s.Buckets), len(sum.Buckets)) {
			sum.Buckets[i] += s.Buckets[i]
			if i < len(old.Buckets) {
				sum.Buckets[i] -= old.Buckets[i]
			}
		}
	}
	if sum.Requests == 0 {
		return service{}, fmt.Errorf("the release had no request in %.0f seconds: give its traffic with -rps", took)
	}
	s := service{RPS: sum.Requests / took, Errors: math.Max(0, sum.Errors/sum.Requests)}
	if len(after.Bounds) > 0 {
		p50, p95 := judge.Quantile(0.5, after.Bounds, sum.Buckets, sum.Requests), judge.Quantile(0.95, after.Bounds, sum.Buckets, sum.Requests)
		if p50 > 0 && p95 > p50 && !math.IsInf(p95, 0) {
			s.P95, s.Spread = p95, math.Log(p95/p50)/sigmas95
		}
	}
	return s, nil
}

// percent is a share as people write it.
func percent(share float64) string { return digits(share*100) + "%" }

// digits is a number with as many of them as people want.
func digits(v float64) string {
	const whole = 100
	if math.Abs(v) >= whole {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
