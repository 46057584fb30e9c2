package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// session is a release played many times, and what that amounts to.
type session struct {
	Promoted   int     `json:"promoted"`
	RolledBack int     `json:"rolled_back"`
	Parked     int     `json:"parked"`
	Nothing    int     `json:"nothing_to_do,omitempty"`
	AtMost     float64 `json:"rolled_back_at_most"` // share of all, with 95% confidence
	Took       spread  `json:"took_seconds"`        // until the verdict, or the promotion
	Seen       spread  `json:"seen_seconds"`        // of that, how long the fault showed
	Bad        spread  `json:"bad_requests"`        // that failed for the fault
	Slow       spread  `json:"slow_requests"`       // likewise
	Canary     spread  `json:"canary_requests"`     // answered by it
	Gates      tally   `json:"gates,omitempty"`     // that failed
	Places     tally   `json:"places,omitempty"`    // where it was rolled back
	Reasons    tally   `json:"reasons,omitempty"`   // of those that were parked
	Takes      []take  `json:"takes"`
}

// spread is a median with what was around it.
type spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	n := len(values)
	return spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Least: values[0], Most: values[n-1]}
}

// text is "31 (18 to 55)".
func (s spread) text(one func(float64) string) string {
	median, least, most := one(s.Median), one(s.Least), one(s.Most)
	if least == most {
		return median
	}
	return fmt.Sprintf("%s (%s to %s)", median, least, most)
}

// tally counts what is named.
type tally map[string]int

// text names what was counted most first.
func (t tally) text() string {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(t[b]-t[a], strings.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%d)", name, t[name])
	}
	return strings.Join(names, ", ")
}

// sum makes of the takes what they amount to.
func (s *session) sum() {
	s.Gates, s.Places, s.Reasons = tally{}, tally{}, tally{}
	var took, seen, bad, slow, canary []float64
	for _, t := range s.Takes {
		switch t.End {
		case takePromoted:
			s.Promoted++
		case takeRolledBack:
			s.RolledBack++
			s.Places[t.place()]++
			s.Gates[cmp.Or(t.Gate, t.Cause)]++
		case takeParked:
			s.Parked++
			s.Reasons[t.Cause]++
		case takeNothing:
			s.Nothing++
		}
		took, bad, slow, canary = append(took, t.Took.Seconds()), append(bad, t.Bad), append(slow, t.Slow), append(canary, t.Requests)
		seen = append(seen, max(0, t.Took-t.Showed).Seconds())
	}
	s.Took, s.Seen, s.Bad, s.Slow, s.Canary = spreadOf(took), spreadOf(seen), spreadOf(bad), spreadOf(slow), spreadOf(canary)
	s.AtMost = shareAtMost(s.RolledBack, len(s.Takes))
}

// place is where a rollout was when it was rolled back.
func (t take) place() string {
	if t.Requests == 0 {
		return "before any traffic"
	}
	return fmt.Sprintf("step %d at %s", t.Step, t.Weight)
}

// typical is the take whose length is in the middle.
func (s *session) typical() take {
	takes := slices.Clone(s.Takes)
	slices.SortStableFunc(takes, func(a, b take) int { return cmp.Compare(a.Took, b.Took) })
	return takes[(len(takes)-1)/2]
}

// shareAtMost is the largest share of which hits of n, or fewer, are seen in 5 of 100 cases.
func shareAtMost(hits, n int) float64 {
	if hits >= n {
		return 1
	}
	low, high := 0.0, 1.0
	for range 60 {
		p := (low + high) / 2
		if binomialAtMost(hits, n, p) > 0.05 {
			low = p
		} else {
			high = p
		}
	}
	return high
}

// binomialAtMost is the chance of at most hits of n, each with probability p.
func binomialAtMost(hits, n int, p float64) float64 {
	sum := 0.0
	for k := range hits + 1 {
		ways, _ := math.Lgamma(float64(n + 1))
		chosen, _ := math.Lgamma(float64(k + 1))
		rest, _ := math.Lgamma(float64(n - k + 1))
		sum += math.Exp(ways - chosen - rest + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	}
	return sum
}

func seconds(v float64) string { return ageText(time.Duration(v * float64(time.Second))) }

func whole(v float64) string { return strconv.FormatFloat(math.Round(v), 'f', 0, 64) }
