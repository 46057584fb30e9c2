package rendered

import (
	"encoding/json"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// loaded is what somebody has, by its checksum, and since when.
type loaded struct {
	sum   string
	since time.Time
}

// remembered is how many documents are known that were published before: a balancer may still go by one of them.
const remembered = 16

// documents are those that were published last, by their checksums, with those of their entries.
type documents struct {
	order   []string
	entries map[string]map[string]string
}

func (ds *documents) add(d Document) {
	if _, known := ds.entries[d.Sum]; known {
		return
	}
	if ds.entries == nil {
		ds.entries = map[string]map[string]string{}
	}
	if len(ds.order) == remembered {
		delete(ds.entries, ds.order[0])
		ds.order = ds.order[1:]
	}
	ds.order = append(ds.order, d.Sum)
	of := map[string]string{}
	for _, e := range d.Releases {
		of[e.Release] = sumOf(e.Split)
	}
	ds.entries[d.Sum] = of
}

func sumOf(split strategy.Split) string {
	text, _ := json.Marshal(split) // It was read from such a text, or written as one.
	return checksum(text)
}

// loads tells whether a balancer that says a checksum goes by what is published of a release, and by nothing else any more.
func (r *Router) loads(d Document, e Entry, url, sum string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.documents.add(d)
	now := r.options.Now()
	if r.seen[url].sum != sum {
		r.seen[url] = loaded{sum, now}
	}
	key := url + " " + e.Release
	of, known := r.documents.entries[sum][e.Release]
	if !known {
		delete(r.has, key)
		return false
	}
	if r.has[key].sum != of {
		r.has[key] = loaded{of, r.seen[url].since}
	}
	return of == r.documents.entries[d.Sum][e.Release] && now.Sub(r.has[key].since) >= overlap
}

// since is when what is published of a release was, at the latest: the variable that it stands in was written then.
func (r *Router) since(e Entry, written time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sum := sumOf(e.Split); r.published[e.Release].sum != sum {
		r.published[e.Release] = loaded{sum, written}
	}
	return r.published[e.Release].since
}

// forget has a release waited for anew: what it did before may be what it is asked for again.
func (r *Router) forget(release string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.published, release)
	for _, url := range r.options.Status {
		delete(r.has, url+" "+release)
		delete(r.seen, url)
	}
}
