package prometheus

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/drover-dev/drover/strategy"
	"github.com/drover-dev/drover/strategy/judge"
)

const (
	// history is how far back it is read how errors come: bursts that were rare in it are underestimated.
	history = time.Hour
	// mostHistory bounds how many series it is read of: of more it is not worth the load.
	mostHistory = 500
)

// burst is how many errors one cause makes at a time, by how unevenly those of the last hour are spread over the allocations
// of stable; 0 when too little is known.
func (m *Meter) burst(ctx context.Context, i strategy.Inquiry) float64 {
	if len(i.Stable) < 2 || m.profile.Label == "" {
		return 0
	}
	i.Canary = nil
	past := (&tally{}).list(i)
	past.at = i.Now.Add(-history)
	selector := m.selector(m.profile.Requests, past, i, strategy.Stable)
	if n, found, err := m.ask(ctx, "count("+selector+")", i.Stable, 0, i.Now); err != nil || !found || n > mostHistory {
		return 0
	}
	all, err := m.read(ctx, m.profile.Requests, m.profile.Label, past, i)
	if err != nil {
		return 0 // What is not known is taken to be as usual.
	}
	estimate, usable := judge.EstimateBurst(m.rows(all, past.at, i.Now))
	if usable == 0 {
		return 0
	}
	return estimate
}

// rows is what each allocation counted in every interval between scrapes.
func (m *Meter) rows(all []reading, from, to time.Time) []judge.Row {
	var targets []string
	for _, r := range all {
		if !slices.Contains(targets, r.target) {
			targets = append(targets, r.target)
		}
	}
	rows := make([]judge.Row, int(to.Sub(from)/m.scrape)+1)
	for n := range rows {
		rows[n] = judge.Row{Events: make([]float64, len(targets)), Exposure: make([]float64, len(targets))}
	}
	for _, r := range all {
		who, failed := slices.Index(targets, r.target), m.failed.failed(r.Metric)
		var last *model.SamplePair
		for n := range r.Values {
			v := &r.Values[n]
			at := int(v.Timestamp.Time().Sub(from) / m.scrape)
			if last != nil && at >= 0 && at < len(rows) {
				grown := judge.Increase(float64(last.Value), float64(v.Value))
				rows[at].Exposure[who] += grown
				if failed {
					rows[at].Events[who] += grown
				}
			}
			last = v
		}
	}
	return rows
}
