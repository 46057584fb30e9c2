package strategy

import (
	"strconv"

	"github.com/drover-dev/drover/strategy/judge"
)

// Gate is a rule on a metric with a threshold, declared before the release.
type Gate struct {
	Name        string     `json:"name"`
	Metric      Metric     `json:"metric"`
	Quantile    float64    `json:"quantile,omitempty"`          // of a latency gate, in (0,1)
	Max         *Bound     `json:"max,omitempty"`               // error_rate, cpu, memory: a share from 0 to 1; latency: seconds
	Min         *Bound     `json:"min,omitempty"`               // requests: canary requests over the whole rollout; query: a value
	MaxVsStable *Tolerance `json:"max_vs_stable,omitempty"`     // not asked at weight 100% and without a stable
	Promote     *Tolerance `json:"promote_vs_stable,omitempty"` // shown to be within this before it passes; nil follows from MaxVsStable
	Query       *Query     `json:"query,omitempty"`             // of a query gate
	By          string     `json:"by,omitempty"`                // ByEndpoint: of each endpoint by itself; else the endpoint that it is about
	From        Weight     `json:"from,omitempty"`              // not asked below this weight
	DryRun      bool       `json:"dry_run,omitempty"`           // judged and shown, and heeded by nobody
}

// Query is what a gate asks of the metrics by itself.
type Query struct {
	Text     string `json:"text"`               // events in a time, or a value
	Exposure string `json:"exposure,omitempty"` // what the events are held against; "" for the requests of the release
	Instant  bool   `json:"instant,omitempty"`  // the answer is a value, not a count
}

// Metric is what a gate measures.
type Metric string

// The metrics.
const (
	MetricErrorRate Metric = "error_rate" // share of requests that failed: status 5xx, or no answer
	MetricLatency   Metric = "latency"    // a quantile of the time to answer
	MetricRequests  Metric = "requests"   // number of requests that the canary has taken
	MetricQuery     Metric = "query"      // what a query says
	MetricCPU       Metric = "cpu"        // mean share that allocations use of the processor time they have
	MetricMemory    Metric = "memory"     // mean share that allocations use of the memory they have
)

// Bound is an absolute limit, with the text it was written as.
type Bound struct {
	Value float64 `json:"value"`
	Text  string  `json:"text"`
}

// Tolerance is a limit against the stable track: canary <= stable*Ratio + Plus.
type Tolerance struct {
	Ratio float64 `json:"ratio"`          // "1.5x" is 1.5, "+20%" is 1.2
	Plus  float64 `json:"plus,omitempty"` // "+0.5pp" is 0.005
	Text  string  `json:"text"`
}

// Promotion is the margin that a canary is shown to be within before a gate passes, where the gate says none: twice as far
// from stable as the one that it fails for, and half a percent point more at least.
func (t Tolerance) Promotion() Tolerance {
	m := judge.Margin{Ratio: t.Ratio, Absolute: t.Plus}.Promotion()
	return Tolerance{Ratio: m.Ratio, Plus: m.Absolute}
}

// VerdictState is the answer of a gate. The zero value is inconclusive: what nobody judged has not passed.
type VerdictState int

// The three answers.
const (
	Inconclusive VerdictState = iota // too little, missing or stale data
	Pass
	Fail
)

// String is the word used everywhere.
func (s VerdictState) String() string {
	switch s {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case Inconclusive:
		return "inconclusive"
	}
	return "VerdictState(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText writes the word.
func (s VerdictState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word; anything unknown is inconclusive.
func (s *VerdictState) UnmarshalText(text []byte) error {
	switch string(text) {
	case "pass":
		*s = Pass
	case "fail":
		*s = Fail
	default:
		*s = Inconclusive
	}
	return nil
}

// Verdict is what a gate says now, with the reason.
type Verdict struct {
	Gate     string       `json:"gate"`
	State    VerdictState `json:"state"`
	Why      string       `json:"why"`                // a sentence with the numbers
	Limit    string       `json:"limit,omitempty"`    // as declared: "1%, 1.5x of stable"
	Canary   string       `json:"canary,omitempty"`   // reading of the canary, with its unit
	Stable   string       `json:"stable,omitempty"`   // reading of the stable, with its unit
	Samples  float64      `json:"samples,omitempty"`  // canary requests it rests on
	Against  float64      `json:"against,omitempty"`  // evidence against the canary: the share of what a rollback needs
	For      float64      `json:"for,omitempty"`      // evidence for it: the share of what passing needs
	P        float64      `json:"p,omitempty"`        // chance, at most, that a canary within the limits ever looks like this
	Forecast string       `json:"forecast,omitempty"` // how much more traffic it needs to pass
	DryRun   bool         `json:"dry_run,omitempty"`
}
