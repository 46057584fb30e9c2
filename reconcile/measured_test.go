package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// counts is metrics that know the requests which the simulated router has carried. Where it is restarted, it is asked for
// the time since the evidence was written.
type counts struct {
	*world
	inquiries []strategy.Inquiry
	before    map[strategy.Track]strategy.Counters
	since     time.Time
	tried     []strategy.Finding
	rps       float64 // that Try says
}

// Measure answers with what was counted since it was asked first.
func (c *counts) Measure(ctx context.Context, i strategy.Inquiry) (strategy.Sample, error) {
	c.inquiries = append(c.inquiries, i)
	if c.blindMeter {
		return strategy.Sample{}, errors.New("the metrics do not answer")
	}
	s, err := c.traffic.Sample(ctx, i.Release)
	if err != nil || !i.Requests {
		return strategy.Sample{}, errors.Join(err, errors.New("asked for no requests"))
	}
	if c.before == nil {
		c.before, c.since = map[strategy.Track]strategy.Counters{}, i.Now
	}
	s.Series = slices.DeleteFunc(s.Series, func(s strategy.Series) bool { return s.Endpoint != "" })
	for n := range s.Series {
		one := &s.Series[n]
		if _, known := c.before[one.Track]; !known {
			c.before[one.Track] = one.Counters
		}
		before := c.before[one.Track]
		one.Source, one.Since, one.Until = strategy.AskedSource+"x", c.since, i.Now
		one.Requests, one.Errors, one.Buckets = one.Requests-before.Requests, one.Errors-before.Errors, slices.Clone(one.Buckets)
		for b := range one.Buckets {
			one.Buckets[b] -= before.Buckets[b]
		}
	}
	s.At = i.Now
	return s, nil
}

// Try finds what it was told to.
func (c *counts) Try(context.Context, strategy.Inquiry) ([]strategy.Finding, float64) {
	return slices.Clone(c.tried), c.rps
}

// TestMetricsCountInPlaceOfARouter: where a router has no meter and the metrics count, they decide alone: a good version is
// promoted, a bad one rolled back, and while they do not answer a rollout holds and says why.
func TestMetricsCountInPlaceOfARouter(t *testing.T) {
	w := condemned(t)
	c := &counts{world: w}
	options := w.options()
	options.Metrics = c
	options.Routers = map[string]reconcile.Traffic{"": {Router: router{w}, Measured: true, Timed: true}}
	w.loop = reconcile.New(options)

	w.release(checkout, "1.1.0")
	if err := w.until(time.Minute, func() bool { return w.rollout(checkout).Weight == strategy.Percent(20) }); err != nil {
		t.Fatalf("release 1.1.0: %v", err)
	}
	w.blindMeter = true
	if err := w.until(time.Minute, func() bool {
		r := w.rollout(checkout)
		return r.Hold != nil && r.Hold.Reason.Code == strategy.MetricsMissing
	}); err != nil {
		t.Fatalf("hold without metrics: %v", err)
	}
	if r := w.rollout(checkout); !strings.Contains(r.Hold.Reason.Text, "the metrics do not answer") || r.Weight != strategy.Percent(20) {
		t.Errorf("without metrics it is at %s: %s", r.Weight, r.Hold.Reason.Text)
	}
	w.blindMeter = false
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.1.0" }); err != nil {
		t.Fatalf("release 1.1.0: %v", err)
	}
	last := c.inquiries[len(c.inquiries)-1]
	if len(last.Canary) == 0 || last.Until[""].IsZero() || last.Since.IsZero() || last.Latency {
		t.Errorf("was asked %+v", last)
	}
	c.before = nil
	w.release(checkout, "1.2.0")
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Last.Kind == strategy.OutcomeCondemned }); err != nil {
		t.Fatalf("roll 1.2.0 back: %v", err)
	}
	if why := w.rollout(checkout).Last.Reason; why.Code != strategy.GateFailed {
		t.Errorf("rolled back for %q, want a failed gate", why.Text)
	}
}

// TestTriedBeforehand: what the metrics do not answer for what is live stands among the findings of a rollout that would begin.
func TestTriedBeforehand(t *testing.T) {
	w := condemned(t)
	options := w.options()
	options.Metrics = &counts{world: w, rps: 0.01, tried: []strategy.Finding{{Code: strategy.FindingUnanswered, Text: "no answer for sum(x)", Remedy: "mend it"}}}
	options.Routers = map[string]reconcile.Traffic{"": {Router: router{w}, Measured: true, Timed: true, Every: time.Hour}}
	w.loop = reconcile.New(options)
	w.release(checkout, "1.1.0")
	previews, err := w.loop.Preview(t.Context(), w.now)
	if err != nil || len(previews) != 1 {
		t.Fatalf("%d previews: %v", len(previews), err)
	}
	found := previews[0].Foreseen().Findings
	if !slices.ContainsFunc(found, func(f strategy.Finding) bool {
		return f.Code == strategy.FindingUnanswered && strings.Contains(f.Text, "sum(x)")
	}) {
		t.Errorf("found %v", found)
	}
	if !slices.ContainsFunc(found, func(f strategy.Finding) bool { return f.Code == "DRV012" && strings.Contains(f.Text, "1h") }) {
		t.Errorf("bakes of seconds are not said to be too short for readings an hour apart: %v", found)
	}
	if !slices.ContainsFunc(found, func(f strategy.Finding) bool { return f.Code == "DRV018" }) {
		t.Errorf("a request in a hundred seconds, as the metrics count, is not said to be too few: %v", found)
	}
}

// copying tries a version on copies of requests first.
var copying = strings.TrimSuffix(quickPolicy, "}\n") + `  shadow {
    percent = 50
    bake    = "10s"
  }
  gate "copies" {
    metric = "error_rate"
    max    = "1%"
    on     = "shadow"
  }
}
`

// TestMetricsCountCopies: where the metrics tell copies of requests apart, gates on copies are judged by them, and a bad version
// is gone before it answers a user. Where they do not, the release is refused.
func TestMetricsCountCopies(t *testing.T) {
	w := condemned(t)
	w.repo.commit(person, "Try versions on copies first", map[string]string{policyPath: copying})
	c := &counts{world: w}
	options := w.options()
	options.Metrics = c
	options.Routers = map[string]reconcile.Traffic{"": {Router: router{w}, Measured: true, Timed: true, Copied: true}}
	w.loop = reconcile.New(options)
	copies, users := 0, 0
	asked := func() {
		for _, i := range c.inquiries {
			if i.Copies {
				copies++
			} else {
				users++
			}
		}
		c.inquiries, c.before = nil, nil
	}
	w.release(checkout, "1.1.0")
	if err := w.until(3*time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.1.0" }); err != nil {
		t.Fatalf("release 1.1.0: %v", err)
	}
	if asked(); copies == 0 || users == 0 {
		t.Errorf("was asked about copies %d times, and %d times about users' requests", copies, users)
	}
	w.release(checkout, "1.2.0")
	if err := w.until(2*time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Last.Kind == strategy.OutcomeCondemned }); err != nil {
		t.Fatalf("roll 1.2.0 back: %v", err)
	}
	if why := w.rollout(checkout).Last.Reason; why.Code != strategy.GateFailed || !strings.Contains(why.Text, "on copies of requests") {
		t.Errorf("rolled back for %q, want a gate that failed on copies of requests", why.Text)
	}
	users = 0
	if asked(); users > 0 {
		t.Errorf("was asked about users' requests %d times, of a version that none came to", users)
	}
	options = w.options()
	options.Metrics = c
	options.Routers = map[string]reconcile.Traffic{"": {Router: router{w}, Measured: true, Timed: true}}
	w.loop = reconcile.New(options)
	w.release(checkout, "1.3.0")
	if err := w.until(time.Minute, func() bool { return strings.Contains(w.rollout(checkout).Reason.Text, "know none") }); err != nil {
		t.Errorf("metrics that know no copies: %v: %s", err, w.rollout(checkout).Reason.Text)
	}
}
