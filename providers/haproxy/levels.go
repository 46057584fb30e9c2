package haproxy

import "github.com/drover-dev/drover/strategy"

// maxLevel is the largest weight that HAProxy gives a server.
const maxLevel = 256

// Levels is the weight that every stable and every canary server gets, so that the canary's share of requests is as near
// to w as HAProxy's levels allow and never above it; share is what results, rounded down. Without canary servers stable
// has all; without stable ones the canary has nothing below 100%, since it never gets more than its weight.
func Levels(w strategy.Weight, stable, canary int) (stableLevel, canaryLevel int, share strategy.Weight) {
	switch {
	case canary == 0 || w <= 0:
		return maxLevel, 0, 0
	case w >= strategy.Full:
		return 0, maxLevel, strategy.Full
	case stable == 0:
		return 0, 0, 0
	}
	best, bestOf := 0, 1 // The share as a fraction: canary weight of all weight.
	stableLevel = maxLevel
	for s := 1; s <= maxLevel; s++ {
		// The largest c with canary*c / (stable*s + canary*c) <= w.
		c := min(maxLevel, int(w)*stable*s/(canary*int(strategy.Full-w)))
		part, all := canary*c, stable*s+canary*c
		if part*bestOf > best*all {
			best, bestOf, stableLevel, canaryLevel = part, all, s, c
		}
	}
	return stableLevel, canaryLevel, strategy.Weight(best * int(strategy.Full) / bestOf)
}
