package prometheus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// tried is the time that queries are tried over.
const tried = 5 * time.Minute

// Try asks of the stable track what gates are going to ask, and finds what gets no answer: with a release under way it would
// hold it. It counts nothing, but says how many requests a second stable gets where it is asked for requests; 0 is not known.
func (m *Meter) Try(ctx context.Context, i strategy.Inquiry) (found []strategy.Finding, rps float64) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	say := func(remedy, text string, args ...any) {
		found = append(found, strategy.Finding{Code: strategy.FindingUnanswered, Text: fmt.Sprintf(text, args...), Remedy: remedy})
	}
	if i.Requests && m.profile != nil {
		rps = m.tryProfile(ctx, i, say)
	}
	for _, g := range i.Gates {
		for _, query := range queriesOf(g) {
			rendered := m.rendered(query, i.Stable, tried)
			_, answered, err := m.ask(ctx, query, i.Stable, tried, i.Now)
			switch {
			case err != nil:
				say("mend the query", "gate %q cannot be answered: %v: %s", g.Name, err, rendered)
			case !answered && g.Query != nil && !g.Query.Instant && query == g.Query.Text:
				say("see that the name and the labels are right: then nothing of the kind has happened yet", "gate %q: stable has no such series, so that the gate sees none on the canary either if its names are wrong: %s", g.Name, rendered)
			case !answered:
				say(remedyOf(g), "gate %q gets no answer for stable, and would hold the release: %s", g.Name, rendered)
			}
		}
	}
	return found, rps
}

// remedyOf is what helps a gate that gets no answer.
func remedyOf(g strategy.Gate) string {
	if _, known := machine[g.Metric]; known {
		return "set publish_allocation_metrics = true in the telemetry of Nomad's agents, and have Prometheus read them"
	}
	return "see that Prometheus reads the service, and that its series have the label alloc_id"
}

// queriesOf are all that a gate asks.
func queriesOf(g strategy.Gate) []string {
	if query, known := machine[g.Metric]; known {
		return []string{query}
	}
	if g.Query.Exposure != "" {
		return []string{g.Query.Exposure, g.Query.Text}
	}
	return []string{g.Query.Text}
}

// tryProfile looks whether requests and latencies of stable are found, and how many requests there are.
func (m *Meter) tryProfile(ctx context.Context, i strategy.Inquiry, say func(remedy, text string, args ...any)) (rps float64) {
	t := (&tally{}).list(i)
	selectors := []string{m.profile.Requests}
	if i.Latency {
		selectors = append(selectors, m.profile.Latency)
	}
	for _, selector := range selectors {
		if selector == "" {
			continue
		}
		rendered := m.selector(selector, t, i, strategy.Stable)
		n, found, err := m.ask(ctx, "count("+rendered+")", i.Stable, 0, i.Now)
		switch {
		case err != nil:
			say("see that drover.hcl has the right address and selectors", "the requests of stable cannot be counted: %v: %s", err, rendered)
		case !found || n == 0:
			say("see that Prometheus reads what the profile of drover.hcl is about, and that its labels are as expected",
				"no requests of stable are found, so that nothing could be judged: %s", rendered)
		case selector == m.profile.Requests:
			rps, _, _ = m.ask(ctx, "sum(rate("+rendered+"["+seconds(tried)+"]))", i.Stable, 0, i.Now)
		}
	}
	return rps
}

// rendered is a query as it is asked.
func (m *Meter) rendered(query string, allocs []string, span time.Duration) string {
	return strings.NewReplacer("${allocs}", strings.Join(allocs, "|"), "${range}", seconds(span)).Replace(query)
}
