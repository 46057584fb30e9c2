package nomad

import (
	"maps"
	"sync"
	"time"
)

// passedFor is how long checks that passed are taken to pass still once their client cannot be asked. A node that is
// gone for good is said to be so by Nomad soon after. It begins with the first question that was not answered: while the
// servers themselves are away nobody asks, and clients take their time to find them again.
const passedFor = 30 * time.Second

// passedOnce is how old a word may be that is still believed then.
const passedOnce = 5 * time.Minute

// passing is when the checks of allocations were last seen to pass. It is safe for concurrent use.
type passing struct {
	mu   sync.Mutex
	last map[string]passed // by allocation
}

// passed is when checks were seen to pass, and when they could first not be read after that.
type passed struct{ at, silent time.Time }

// take takes in what was read of an allocation's checks, and tells whether they pass as far as is known.
func (p *passing) take(alloc string, read, pass bool, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case read && pass:
		maps.DeleteFunc(p.last, func(_ string, word passed) bool { return now.Sub(word.at) > passedOnce })
		p.last[alloc] = passed{at: now}
	case read:
		delete(p.last, alloc)
	default:
		word, known := p.last[alloc]
		if !known || now.Sub(word.at) > passedOnce {
			return false
		}
		if word.silent.IsZero() {
			word.silent = now
			p.last[alloc] = word
		}
		return now.Sub(word.silent) <= passedFor
	}
	return pass
}
