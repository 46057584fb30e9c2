package nginx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// logFormat is the name of the format that the file declares; logFields is what it holds of each request. $proxy_host is
	// the upstream, which names release and track.
	logFormat = "drover"
	logFields = "$proxy_host $status $upstream_response_time $request_time"
	logTag    = logFormat + ": "
	// hearAgain is the pause before an address is tried again that somebody else listens on.
	hearAgain = time.Second
	// maxLine bounds a datagram of the log.
	maxLine = 4 << 10
	// backlog is how many bytes of the log the system keeps while Drover is busy.
	backlog = 4 << 20
)

// latencyBounds are the upper bounds of the latency buckets, in seconds.
func latencyBounds() []float64 {
	return []float64{.005, .0075, .01, .015, .02, .03, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 1.5, 2.5, 5, 10}
}

// tally is what the log said since Drover began to hear it.
type tally struct {
	mu      sync.Mutex
	since   time.Time // when it began; zero while nobody hears
	problem error     // why nobody hears
	counts  map[string]*strategy.Counters
}

// Hear counts the requests that NGINX tells of on the log's address, until ctx is done. Where another process listens there
// it waits for the address. Without an address it returns at once.
func (r *Router) Hear(ctx context.Context) error {
	if r.options.Log == "" {
		return nil
	}
	for ctx.Err() == nil {
		conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", r.options.Log)
		if err == nil {
			err = r.hear(ctx, conn)
		}
		r.tally.end(fmt.Errorf("hear the log of NGINX on %s: %w", r.options.Log, err))
		select {
		case <-ctx.Done():
		case <-time.After(hearAgain):
		}
	}
	return nil
}

func (r *Router) hear(ctx context.Context, conn net.PacketConn) error {
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if udp, ok := conn.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(backlog) // What the system grants is enough to begin with.
	}
	r.tally.begin(r.options.Now())
	line := make([]byte, maxLine)
	for {
		n, _, err := conn.ReadFrom(line)
		if err != nil {
			return err
		}
		r.tally.add(string(line[:n]))
	}
}

func (t *tally) begin(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since, t.problem, t.counts = now, nil, map[string]*strategy.Counters{}
}

func (t *tally) end(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since, t.problem = time.Time{}, why
}

// add counts one line of the log, if it is one of ours.
func (t *tally) add(line string) {
	_, fields, found := strings.Cut(line, logTag)
	host, rest, ok := strings.Cut(fields, " ")
	if !found || !ok || !strings.HasPrefix(host, upstreamPrefix) {
		return
	}
	code, times, _ := strings.Cut(strings.TrimSpace(rest), " ")
	status, err := strconv.Atoi(code)
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[host]
	if c == nil {
		c = &strategy.Counters{Buckets: make([]float64, len(latencyBounds()))}
		t.counts[host] = c
	}
	c.Requests++
	if status >= 500 {
		c.Errors++
	}
	took := tookOf(times)
	for i, bound := range latencyBounds() {
		if took <= bound {
			c.Buckets[i]++
		}
	}
}

// requests is how many requests of an upstream were counted.
func (t *tally) requests(host string) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.counts[host]; c != nil {
		return c.Requests
	}
	return 0
}

// tookOf is how long an answer took: what the upstream's servers took, each that was tried, or else the whole request. The
// last field is the request's time.
func tookOf(times string) float64 {
	fields := strings.FieldsFunc(times, func(r rune) bool { return r == ' ' || r == ',' || r == ':' })
	if len(fields) == 0 {
		return 0
	}
	sum, known := 0.0, false
	for _, field := range fields[:len(fields)-1] {
		if took, err := strconv.ParseFloat(field, 64); err == nil {
			sum, known = sum+took, true
		}
	}
	if !known {
		sum, _ = strconv.ParseFloat(fields[len(fields)-1], 64) // Zero when there is none.
	}
	return sum
}

// Sample is what NGINX told of the release since Drover began to hear it.
func (r *Router) Sample(_ context.Context, release string) (strategy.Sample, error) {
	t := &r.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		problem := t.problem
		if problem == nil {
			problem = errors.New("nothing was heard of NGINX's log yet")
		}
		return strategy.Sample{}, fmt.Errorf("count the requests of %q on router %q: %w", release, r.options.Name, problem)
	}
	sample := strategy.Sample{At: r.options.Now(), Bounds: latencyBounds()}
	tracks := []strategy.Track{strategy.Stable, strategy.Canary}
	if r.options.Copies != "" {
		tracks = append(tracks, strategy.Shadow)
	}
	for _, track := range tracks {
		counters := strategy.Counters{Buckets: make([]float64, len(sample.Bounds))}
		if c := t.counts[upstream(strategy.Symbol(release), track)]; c != nil {
			counters = *c
			counters.Buckets = slices.Clone(c.Buckets)
		}
		source := "log of " + r.options.Name + " since " + t.since.UTC().Format(time.RFC3339Nano)
		sample.Series = append(sample.Series, strategy.Series{Source: source, Since: t.since, Track: track, Counters: counters})
	}
	return sample, nil
}
