package proxy

import (
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// downFor is how long an endpoint that cannot be connected to is left out.
const downFor = time.Second

// backend is an endpoint of a release with what is known of it. It lives as long as a split or a registration names
// it, so that neither its marks nor its count of requests are lost when the split changes.
type backend struct {
	endpoint  strategy.Endpoint
	underWay  atomic.Int64
	downUntil atomic.Int64 // in nanoseconds of Unix time
	sick      atomic.Bool  // its check failed

	// Guarded by Proxy.mu.
	listed  time.Time // since when a split names it
	settled bool      // was registered since then, or had the time to be: the registrations speak for it
}

// rank orders backends by how much is to be said against them; 0 is nothing.
func (b *backend) rank(now time.Time) int {
	rank := 0
	if b.sick.Load() {
		rank++
	}
	if until := b.downUntil.Load(); until != 0 && until > now.UnixNano() {
		rank += 2
	}
	return rank
}

// markDown leaves the backend out for a while. It tells whether it was not left out before.
func (b *backend) markDown(now time.Time) bool {
	return b.downUntil.Swap(now.Add(downFor).UnixNano()) <= now.UnixNano()
}

// track is one side of a lane.
type track struct {
	name     strategy.Track
	backends []*backend
	turn     *atomic.Uint64 // kept when the lane is built anew
	counts   *trackCounts
}

// ready tells whether any backend has nothing against it.
func (t *track) ready(now time.Time) bool {
	return slices.ContainsFunc(t.backends, func(b *backend) bool { return b.rank(now) == 0 })
}

// pick is the best backend that was not tried yet, nil when there is none. Its count of requests under way has been
// raised; the caller lowers it.
func (t *track) pick(now time.Time, tried []*backend) *backend {
	var best *backend
	var bestRank int
	var bestLoad int64
	n := uint64(len(t.backends))
	if n == 0 {
		return nil
	}
	start := t.turn.Add(1)
	for i := range n {
		b := t.backends[(start+i)%n]
		if slices.Contains(tried, b) {
			continue
		}
		rank, load := b.rank(now), b.underWay.Load()
		if best == nil || rank < bestRank || (rank == bestRank && load < bestLoad) {
			best, bestRank, bestLoad = b, rank, load
		}
	}
	if best != nil {
		best.underWay.Add(1)
	}
	return best
}

// lane is the traffic of one release as it is in effect. It is built as a whole and never changed.
type lane struct {
	split          strategy.Split
	h2c            bool // its endpoints speak HTTP/2 in the clear
	sequence       *sequence
	stable, canary track
	copied         *sequence // says which requests are copied; nil for none
	shadow         track     // the canary's endpoints, as they answer copies
}

// choose gives the request its track: that of the user's cookie, or else the one whose turn it is.
func (x *exchange) choose(r *http.Request) {
	if x.lane.sticks() {
		if x.track = x.lane.kept(r, x.started); x.track != nil {
			return
		}
		x.first, x.secure = true, r.TLS != nil
	}
	x.track = x.lane.choose(x.started)
}

// choose is the track for the next request.
func (l *lane) choose(now time.Time) *track {
	if l.sequence.next() && len(l.canary.backends) > 0 && (l.canary.ready(now) || !l.stable.ready(now)) {
		return &l.canary
	}
	return &l.stable
}
