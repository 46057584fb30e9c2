package haproxy

import (
	"context"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// lingers is how long a server that left, and has nothing open any more, is kept: what it counted last is read meanwhile.
const lingers = 5 * time.Second

// tidy deletes the servers that left the split that was asked for, once they have ended. One that cannot be deleted is looked
// at again with the next Read.
func (r *Router) tidy(ctx context.Context, asked strategy.Split, pools []pool) {
	want := wanted(asked)
	since := map[string]time.Time{}
	gone := make([][]string, len(r.sockets))
	var group sync.WaitGroup
	for i, s := range r.sockets {
		var ended []string
		for _, h := range pools[i].servers {
			if !h.retired() || h.open > 0 || find(want, h.name) != nil {
				continue
			}
			key := s.name + " " + h.name
			since[key] = r.now()
			if before, known := r.ended[asked.Release][key]; known {
				since[key] = before
			}
			if r.now().Sub(since[key]) >= lingers {
				ended = append(ended, h.name)
			}
		}
		if len(ended) > 0 {
			group.Go(func() { gone[i] = s.remove(ctx, pools[i].name, ended) })
		}
	}
	group.Wait()
	r.ended[asked.Release] = since
	for i, s := range r.sockets {
		for _, name := range gone[i] {
			delete(since, s.name+" "+name)
			delete(r.added, s.name+" "+name)
		}
	}
}

// remove deletes servers, and returns those that are gone.
func (s socket) remove(ctx context.Context, backend string, names []string) (gone []string) {
	for _, name := range names {
		at := backend + "/" + name
		// A kept connection that nobody uses is attached for a moment, too.
		removal := []change{{command: "set server " + at + " state maint"}, {command: "del server " + at, fine: []string{"deleted"}}}
		if s.do(ctx, removal) == nil {
			gone = append(gone, name)
		}
	}
	return gone
}
