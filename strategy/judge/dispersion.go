package judge

import "math"

// Row is what each allocation of the stable counted in one window.
type Row struct {
	Events   []float64
	Exposure []float64 // as many as Events
}

// Burst when nothing is known, and the windows that are needed to know.
const (
	UnknownBurst = 2.0
	burstWindows = 20
)

// EstimateBurst tells how many events come at a time, from how unevenly those of each window are spread over the
// allocations of the stable: retries, and clients that fail for good, come in bursts to one of them. What hits all of
// them alike cancels out. It takes the upper end of what the data allows, at least 1, and UnknownBurst when fewer than
// 20 windows are usable: those with at least two events and two allocations that were exposed. Give it an hour or more
// before the rollout; bursts that were rare by then are underestimated. Rows must not hold the canary.
func EstimateBurst(rows []Row) (burst float64, usable int) {
	estimate, degrees, usable := dispersion(rows)
	if usable < burstWindows {
		return UnknownBurst, usable
	}
	return upperBurst(estimate, degrees), usable
}

// upperBurst is the upper end of what an estimate with so many degrees of freedom allows.
func upperBurst(estimate, degrees float64) float64 {
	return max(1, estimate*(1+1.645*math.Sqrt(2/degrees)))
}

// dispersion is Pearson's statistic over its degrees of freedom, given the total of each window.
func dispersion(rows []Row) (estimate, degrees float64, usable int) {
	pearson := 0.0
	for _, row := range rows {
		events, exposure, arms := 0.0, 0.0, 0.0
		for i, x := range row.Events {
			if row.Exposure[i] > 0 {
				events, exposure, arms = events+x, exposure+row.Exposure[i], arms+1
			}
		}
		if events < 2 || arms < 2 {
			continue
		}
		usable++
		degrees += arms - 1
		for i, x := range row.Events {
			if row.Exposure[i] > 0 {
				expected := events * row.Exposure[i] / exposure
				pearson += (x - expected) * (x - expected) / expected
			}
		}
	}
	if degrees == 0 {
		return 0, 0, usable
	}
	return pearson / degrees, degrees, usable
}
