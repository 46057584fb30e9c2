package nomad

import (
	"maps"
	"sync"
	"time"
)

// passedFor is how long checks that passed are taken to pass still while their client cannot be asked. A node that is
// gone for good is said to be so by Nomad soon after.
const passedFor = 30 * time.Second

// passing is when the checks of allocations were last seen to pass. It is safe for concurrent use.
type passing struct {
	mu   sync.Mutex
	last map[string]time.Time // by allocation
}

// take takes in what was read of an allocation's checks, and tells whether they pass as far as is known.
func (p *passing) take(alloc string, read, pass bool, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case read && pass:
		maps.DeleteFunc(p.last, func(_ string, at time.Time) bool { return now.Sub(at) > passedFor })
		p.last[alloc] = now
	case read:
		delete(p.last, alloc)
	default:
		at, known := p.last[alloc]
		return known && now.Sub(at) <= passedFor
	}
	return pass
}
