package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

// mishap is what is wrong with the version that is rehearsed. The zero value is nothing.
type mishap struct {
	text    string
	errors  change // of the share of requests that fail
	latency change // of the quantile, in seconds
	at      float64
	queries map[string]change // of what the query of a gate answers, by the gate's name
	crash   bool
	sick    bool
	from    strategy.Weight // it shows from this weight on
}

// change is what becomes of a value. The zero value leaves it as it is.
type change struct {
	times, plus float64
	to          *float64
}

func (c change) isZero() bool { return c == change{} }

func (c change) of(v float64) float64 {
	switch {
	case c.to != nil:
		return *c.to
	case c.times > 0:
		return v * c.times
	}
	return v + c.plus
}

const mishapForms = "errors=+2%, errors=3x, errors=10%, p95=+30%, p99=2x, p95=400ms, GATE=… for a gate with a query or on cpu or memory, crash, sick, and from=25% for the weight from which it shows"

// parseMishap reads "errors=+2%,p95=+30%,from=25%". gates are those that a fault may name.
func parseMishap(text string, gates []strategy.Gate) (mishap, error) {
	m := mishap{text: text, queries: map[string]change{}}
	for part := range strings.SplitSeq(text, ",") {
		if err := m.take(strings.TrimSpace(part), gates); err != nil {
			return m, fmt.Errorf("-fault %q: %w", text, err)
		}
	}
	if m.errors.isZero() && m.latency.isZero() && len(m.queries) == 0 && !m.crash && !m.sick {
		return m, fmt.Errorf("-fault %q says nothing that goes wrong: write some of %s", text, mishapForms)
	}
	return m, nil
}

var quantileName = regexp.MustCompile(`^p(\d{1,2}(?:\.\d+)?)$`)

func (m *mishap) take(part string, gates []strategy.Gate) error {
	name, value, valued := strings.Cut(part, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case part == "crash":
		m.crash = true
		return nil
	case part == "sick":
		m.sick = true
		return nil
	case !valued || value == "":
		return fmt.Errorf("%q is no fault: write some of %s", part, mishapForms)
	case name == "from":
		from, err := strategy.ParseWeight(value)
		if err != nil || from <= 0 || from > strategy.Full {
			return fmt.Errorf("from = %q is not a weight: write such as 25%%", value)
		}
		m.from = from
		return nil
	}
	var err error
	if name == "errors" {
		m.errors, err = shareChange(value)
		return err
	}
	if q := quantileName.FindStringSubmatch(name); q != nil {
		if !m.latency.isZero() {
			return fmt.Errorf("%s: one quantile is enough, the others move with it", name)
		}
		percent, _ := strconv.ParseFloat(q[1], 64) // It is a number by its form.
		m.at = percent / 100
		m.latency, err = latencyChange(value)
		return err
	}
	n := slices.IndexFunc(gates, func(g strategy.Gate) bool { return g.Name == name })
	if n < 0 {
		return fmt.Errorf("%q is no fault, and no gate that asks the metrics: write some of %s", name, mishapForms)
	}
	m.queries[name], err = shareChange(value)
	return err
}

// shareChange reads "+2%" or "+2pp", "3x", "10%", and a plain number.
func shareChange(text string) (change, error) {
	number, plus := strings.CutPrefix(text, "+")
	unit := strings.TrimLeft(number, "0123456789.")
	v, err := strconv.ParseFloat(strings.TrimSuffix(number, unit), 64)
	if err == nil {
		switch {
		case unit == "x" && !plus && v > 0:
			return change{times: v}, nil
		case (unit == "%" || unit == "pp") && v <= 100:
			v /= 100
		case unit != "":
			err = strconv.ErrSyntax
		}
	}
	switch {
	case err != nil:
		return change{}, fmt.Errorf("%q is not such as +2%% (of all requests more), 3x (times as many), 10%% (so many), or a value", text)
	case plus:
		return change{plus: v}, nil
	}
	return change{to: &v}, nil
}

// latencyChange reads "+30%", "2x" and "400ms".
func latencyChange(text string) (change, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		seconds := d.Seconds()
		return change{to: &seconds}, nil
	}
	if number, ok := strings.CutSuffix(text, "x"); ok {
		if v, err := strconv.ParseFloat(number, 64); err == nil && v > 0 {
			return change{times: v}, nil
		}
	}
	if number, ok := strings.CutSuffix(strings.TrimPrefix(text, "+"), "%"); ok && strings.HasPrefix(text, "+") {
		if v, err := strconv.ParseFloat(number, 64); err == nil && v > 0 {
			return change{times: 1 + v/100}, nil
		}
	}
	return change{}, fmt.Errorf("%q is not such as +30%%, 2x or 400ms", text)
}

// on is how a task behaves that has the fault.
func (m mishap) on(b sim.Behaviour, sound service) sim.Behaviour {
	b.Crash, b.Sick = m.crash, m.sick
	b.ErrorRate = min(1, max(0, m.errors.of(b.ErrorRate)))
	b.Latency.Median = time.Duration(float64(b.Latency.Median) * m.slower(sound))
	queries := map[string]float64{}
	for gate, v := range b.Queries {
		queries[gate] = m.queries[gate].of(v)
	}
	b.Queries = queries
	return b
}

// slower is how many times as long requests take.
func (m mishap) slower(sound service) float64 {
	if m.latency.isZero() {
		return 1
	}
	usual := sound.quantile(m.at)
	return m.latency.of(usual) / usual
}
