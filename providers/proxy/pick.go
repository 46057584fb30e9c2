package proxy

import (
	"sync/atomic"

	"github.com/drover-dev/drover/strategy"
)

// sequence says which requests are the canary's. Requests are taken in blocks; each block has the whole number of
// canary requests that keeps the sum nearest below the exact share, at places mixed by a seed.
type sequence struct {
	weight strategy.Weight
	size   uint64 // requests in a block
	seed   uint64
	count  atomic.Uint64
}

func newSequence(weight strategy.Weight, seed uint64) *sequence {
	weight = clamp(weight)
	return &sequence{weight: weight, size: blockSize(weight), seed: seed}
}

func clamp(weight strategy.Weight) strategy.Weight { return min(max(weight, 0), strategy.Full) }

// blockSize divides the period of the weight, so that a whole period has its exact share. A period with one canary
// request is one block; others are cut small, so that the requests of the track that gets fewer stay evenly spread.
func blockSize(weight strategy.Weight) uint64 {
	const small = 10
	common := gcd(uint64(weight), uint64(strategy.Full))
	period := uint64(strategy.Full) / common
	if uint64(weight) == common || period <= small {
		return period
	}
	for size := uint64(small); size > 1; size-- {
		if period%size == 0 {
			return size
		}
	}
	return 1
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// next counts a request and tells whether it is the canary's.
func (s *sequence) next() bool { return s.at(s.count.Add(1) - 1) }

// at tells whether the nth request, from 0, is the canary's.
func (s *sequence) at(n uint64) bool {
	block, place := n/s.size, n%s.size
	left := s.due(block+1) - s.due(block)
	switch left {
	case 0:
		return false
	case s.size:
		return true
	case 1:
		return mix(s.seed+block)%s.size == place
	}
	for i := range place {
		if s.chosen(block, i, left) {
			left--
		}
	}
	return s.chosen(block, place, left)
}

// due is the number of canary requests in the first blocks.
func (s *sequence) due(blocks uint64) uint64 {
	return blocks * s.size * uint64(s.weight) / uint64(strategy.Full)
}

// chosen draws one place of a block when left of the places from it on are still to be chosen.
func (s *sequence) chosen(block, place, left uint64) bool {
	return mix(s.seed+block*s.size+place)%(s.size-place) < left
}

// mix scatters the bits of x.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
