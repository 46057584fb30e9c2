package judge_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/drover-dev/drover/strategy/judge"
)

// The latencies of the comparison are log-normal: half of the requests take 80 ms, one in twenty 200 ms and more.
const (
	usualMedian = 0.080
	usualP95    = 0.200
	tooLong     = 0.300 // what a fixed limit allows 95% of the requests to take
)

// histogram counts requests by how long they took: within each of latencyBounds and no shorter one, the last beyond all.
type histogram []float64

// latencyBounds are those of Drover's proxy, in seconds.
func latencyBounds() []float64 {
	return []float64{.005, .0075, .01, .015, .02, .03, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 1.5, 2.5, 5, 10}
}

func (h *histogram) add(other histogram) {
	if *h == nil {
		*h = make(histogram, len(latencyBounds())+1)
	}
	for i, n := range other {
		(*h)[i] += n
	}
}

func (h histogram) total() float64 {
	sum := 0.0
	for _, n := range h {
		sum += n
	}
	return sum
}

// within is how many requests took no longer than each of the bounds.
func (h histogram) within() []float64 {
	within, sum := make([]float64, len(latencyBounds())), 0.0
	for i := range within {
		if i < len(h) {
			sum += h[i]
		}
		within[i] = sum
	}
	return within
}

func (h histogram) above(bound float64) float64 {
	return judge.Above(bound, latencyBounds(), h.within(), h.total())
}

// p95 is not a number without requests.
func (h histogram) p95() float64 { return judge.Quantile(0.95, latencyBounds(), h.within(), h.total()) }

// slowdown is traffic of which requests take longer.
type slowdown struct {
	rps   float64
	shift float64 // the canary's latencies by those of stable
}

func (s slowdown) String() string {
	if s.shift == 1 {
		return fmt.Sprintf("%g, **healthy**", s.rps)
	}
	return fmt.Sprintf("%g, x%g", s.rps, s.shift)
}

func (s slowdown) seed() (uint64, uint64) { return uint64(s.rps), uint64(s.shift * 1e3) }

// share is how many requests take no longer than a bound, when all take so many times as long as usual.
func share(bound, shift float64) float64 {
	const z95 = 1.6449
	sigma := math.Log(usualP95/usualMedian) / z95
	return (1 + math.Erf(math.Log(bound/usualMedian/shift)/sigma/math.Sqrt2)) / 2
}

func (s slowdown) bad(r reading) float64 {
	return r.times.canary.above(tooLong) - (1-share(tooLong, 1))*r.times.canary.total()
}

func (s slowdown) play(rng *rand.Rand) []reading {
	count := func(n, shift float64) histogram {
		h, below := make(histogram, len(latencyBounds())+1), 0.0
		for i := range h {
			within := 1.0
			if i < len(latencyBounds()) {
				within = share(latencyBounds()[i], shift)
			}
			h[i], below = events(rng, math.Ceil(n), n*(within-below)/math.Max(1, math.Ceil(n))), within
		}
		return h
	}
	seen := make([]reading, 0, len(compareWeights)*readsPerStep)
	for _, w := range compareWeights {
		for range readsPerStep {
			var r reading
			n := s.rps * readEvery.Seconds()
			r.times.canary, r.times.stable = count(n*w, s.shift), count(n*(1-w), 1)
			seen = append(seen, r)
		}
	}
	return seen
}

// oursOnLatency is a gate of the standard kind, quantile = 0.95 and max_vs_stable = "+20%", with max = "300ms" where limit
// says so. It learns the stable's tail first, and compares nothing until it has.
func oursOnLatency(limit bool) rule {
	gate := judge.Gate{Name: "latency", MaxVsStable: &judge.Margin{Ratio: 1.2}, Learned: "p95 +20%"}
	if limit {
		gate.Max = 0.05
	}
	var learned histogram
	var tail judge.Tail
	rec := judge.Rules{Gates: []judge.Gate{gate}}.Start()
	return func(seen []reading, _ bool) bool {
		now := seen[len(seen)-1].times
		counts := func(h histogram) judge.Counts {
			c := judge.Counts{Exposure: h.total(), Over: h.above(tooLong)}
			if tail.Boundary > 0 {
				c.Events = h.above(tail.Boundary)
			}
			return c
		}
		w := window(len(seen)-1, counts(now.canary), counts(now.stable))
		w.OverOnly = tail.Boundary == 0
		next, err := judge.Rules{Gates: []judge.Gate{gate}}.Add(rec, map[string]judge.Window{"latency": w})
		if err != nil {
			panic(err)
		}
		if rec = next; tail.Boundary == 0 {
			learned.add(now.stable)
			tail = learn(learned, &gate)
		}
		return rec.Crossed != nil
	}
}

// learn has the gate compare with the stable once enough is known of it.
func learn(stable histogram, gate *judge.Gate) judge.Tail {
	if stable.total()*0.05 < judge.TailEvents {
		return judge.Tail{}
	}
	tail, margin, err := judge.Tolerate(append(latencyBounds(), math.Inf(1)), append(stable.within(), stable.total()), 0.95, 0.2)
	if err != nil {
		panic(err)
	}
	gate.MaxVsStable = &margin
	return tail
}

// takesLong is a p95 above the fixed limit.
func takesLong(minute reading) bool { return minute.times.canary.p95() > tooLong }

func p95s(minute reading) (canary, stable float64) {
	return minute.times.canary.p95(), minute.times.stable.p95()
}

func slowContenders() []contender[slowdown] {
	return []contender[slowdown]{
		{"Drover, p95 +20%", func(slowdown, *rand.Rand) rule { return oursOnLatency(false) }},
		{"Drover, p95 +20% and max 300ms", func(slowdown, *rand.Rand) rule { return oursOnLatency(true) }},
		{"p95 above 300 ms in 5 minutes in all (Flagger)", func(slowdown, *rand.Rand) rule { return threshold(4, true, takesLong) }},
		{"p95 above 300 ms in 1 minute (Argo Rollouts, failureLimit 0)", func(slowdown, *rand.Rand) rule { return threshold(0, false, takesLong) }},
		{"p95 above 300 ms in 4 minutes (Argo Rollouts, failureLimit 3)", func(slowdown, *rand.Rand) rule { return threshold(3, false, takesLong) }},
		{"Mann-Whitney 98% at each step (Kayenta)", func(slowdown, *rand.Rand) rule { return kayenta(p95s) }},
	}
}

func slowdowns() []slowdown {
	var all []slowdown
	for _, rps := range []float64{2, 20, 200, 2000} {
		for _, shift := range []float64{1, 1.2, 1.5, 2, 5} {
			all = append(all, slowdown{rps, shift})
		}
	}
	return all
}
