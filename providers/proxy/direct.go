package proxy

import (
	"context"
	"slices"
	"sync"

	"github.com/drover-dev/drover/strategy"
)

// Direct publishes splits to proxies of the same process, where they are in effect at once. It is safe for concurrent
// use.
type Direct struct {
	mu      sync.Mutex
	proxies []*Proxy
}

// NewDirect makes a publisher for these proxies. Nobody else sets their splits.
func NewDirect(proxies ...*Proxy) *Direct { return &Direct{proxies: proxies} }

// Publish sets the split of its release, and leaves those of others. The router's name does not matter.
func (d *Direct) Publish(_ context.Context, _ string, split strategy.Split) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.proxies {
		splits := p.Splits()
		at := slices.IndexFunc(splits, func(s strategy.Split) bool { return s.Release == split.Release })
		if at < 0 {
			splits = append(splits, split)
		} else {
			splits[at] = split
		}
		p.Set(splits)
	}
	return nil
}
