package judge

// Starved is the test for evidence that the canary gets less than a share of the requests that its weight should bring
// it, such as less than half (0.5): one that takes no connections or hangs makes no errors that anybody counts.
//
// It is the ratio test with its arms swapped. Feed it with Requests.
func Starved(least, burst, limit float64) Ratio {
	return Worse(Margin{Ratio: 1 / least}, burst, limit)
}

// Requests is the tally of a window for Starved: the canary's weight is its share of the traffic, from 0 to 1, and the
// rest is the stable's. Clients that keep their connections make shares uneven, so the share asked for should be small.
func Requests(canary, stable, weight float64) Tally {
	return Tally{XC: stable, NC: 1 - weight, XS: canary, NS: weight}
}
