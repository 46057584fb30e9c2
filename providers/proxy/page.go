package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// pages reads the metrics of instances. They are of all releases, and Drover asks for each release by itself: those who ask
// while a page is being read share the next one. So a page is never older than the question, and hundreds of releases take a
// few pages. It is safe for concurrent use.
type pages struct {
	mu   sync.Mutex
	desk map[string]*desk // by instance
}

// desk is where the pages of one instance are read, one at a time.
type desk struct {
	turn chan struct{} // holds a token while a page is read
	next *page         // that those who ask now will get; nil when nobody waits for one
	uses int
}

// page is the metrics of an instance at one moment. Those who share it do not change it.
type page struct {
	done    chan struct{} // closed when the rest is there
	reading *reading
	err     error
}

// get is a page that was begun after the call.
func (p *pages) get(ctx context.Context, instance string, read func(context.Context) (*reading, error)) (*reading, error) {
	d := p.enter(instance)
	defer p.leave(instance, d)
	for {
		mine, first := p.join(d)
		if first {
			p.fill(ctx, d, mine, read)
			return mine.reading, mine.err
		}
		select {
		case <-mine.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !errors.Is(mine.err, context.Canceled) && !errors.Is(mine.err, context.DeadlineExceeded) || ctx.Err() != nil {
			return mine.reading, mine.err
		}
		// Whoever was to read it gave up; that says nothing of the instance.
	}
}

func (p *pages) enter(instance string) *desk {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.desk == nil {
		p.desk = map[string]*desk{}
	}
	d := p.desk[instance]
	if d == nil {
		d = &desk{turn: make(chan struct{}, 1)}
		p.desk[instance] = d
	}
	d.uses++
	return d
}

// leave forgets the desk of an instance that nobody asks.
func (p *pages) leave(instance string, d *desk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.uses--; d.uses == 0 {
		delete(p.desk, instance)
	}
}

// join is the page to wait for; the first to join reads it.
func (p *pages) join(d *desk) (mine *page, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.next == nil {
		d.next = &page{done: make(chan struct{})}
		return d.next, true
	}
	return d.next, false
}

// fill reads a page once the one before it was read.
func (p *pages) fill(ctx context.Context, d *desk, mine *page, read func(context.Context) (*reading, error)) {
	defer close(mine.done)
	begin := func() { // Who asks from here on gets a newer one.
		p.mu.Lock()
		defer p.mu.Unlock()
		d.next = nil
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
		begin()
		mine.reading, mine.err = read(ctx)
	case <-ctx.Done():
		begin()
		mine.err = ctx.Err()
	}
}

// read reads the metrics of an instance.
func (c *Client) read(ctx context.Context, instance string) (*reading, error) {
	return c.pages.get(ctx, instance, func(ctx context.Context) (r *reading, err error) {
		err = c.get(ctx, instance, "/metrics", func(response *http.Response, body io.Reader) error {
			r, err = readMetrics(expfmt.NewDecoder(body, expfmt.ResponseFormat(response.Header)))
			return err
		})
		return r, err
	})
}

// reading is what an instance had counted at one moment.
type reading struct {
	source            string // the process that counts
	since             time.Time
	requests, seconds map[string][]*dto.Metric // by release
}

func readMetrics(decoder expfmt.Decoder) (*reading, error) {
	r := &reading{requests: map[string][]*dto.Metric{}, seconds: map[string][]*dto.Metric{}}
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch family.GetName() {
		case metricRequests:
			sortInto(r.requests, &family)
		case metricSeconds:
			sortInto(r.seconds, &family)
		case metricStarted:
			if r.source, r.since, err = identity(&family); err != nil {
				return nil, err
			}
		}
	}
	if r.source == "" {
		return nil, errors.New("no " + metricStarted + " among them: is this the admin address of a drover proxy?")
	}
	return r, nil
}

func sortInto(releases map[string][]*dto.Metric, family *dto.MetricFamily) {
	for _, metric := range family.GetMetric() {
		release := labelOf(metric, "release")
		releases[release] = append(releases[release], metric)
	}
}
