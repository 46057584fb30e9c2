package nomad

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// believeAfter is how long answers must have been behind until they are believed: then the state was restored from a
// backup, or it is another cluster.
const believeAfter = time.Minute

// rememberFor is how long at least it is kept what a question was answered with. Many are asked about one deployment or
// allocation, and never again.
const rememberFor = time.Hour

// steadyTransport does not believe a server that is behind what it said before. One that was just started may answer from
// as much of its log as it has read by then: as if jobs, services and variables were not there. Such an answer is an
// error, and Nomad as good as unreachable. It is safe for concurrent use.
type steadyTransport struct {
	next http.RoundTripper
	now  func() time.Time

	mu     sync.Mutex
	seen   map[string]reading // by what was asked
	before map[string]reading // what was seen until since
	since  time.Time
}

// reading is the highest index of an answer, and since when later ones are behind it.
type reading struct {
	index  uint64
	behind time.Time
}

func newSteadyTransport(next http.RoundTripper) *steadyTransport {
	return &steadyTransport{next: next, now: time.Now, seen: map[string]reading{}}
}

// RoundTrip implements http.RoundTripper.
func (s *steadyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet {
		return response, err
	}
	index, err := strconv.ParseUint(response.Header.Get("X-Nomad-Index"), 10, 64)
	if err != nil {
		return response, nil // It says nothing of its state.
	}
	if before := s.check(question(r.URL), index); before > index {
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10))
		response.Body.Close()
		return nil, fmt.Errorf("nomad answers from index %d, but was at %d before: its server has just started, or was restored", index, before)
	}
	return response, nil
}

// check takes in the index of an answer. It returns the one that it is behind; 0 when it is to be believed.
func (s *steadyTransport) check(asked string, index uint64) (before uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.since) >= rememberFor {
		s.before, s.seen, s.since = s.seen, map[string]reading{}, now
	}
	last, ok := s.seen[asked]
	if !ok {
		last = s.before[asked]
	}
	if index < last.index {
		if last.behind.IsZero() {
			last.behind = now
		}
		if now.Sub(last.behind) < believeAfter {
			s.seen[asked] = last
			return last.index
		}
	}
	s.seen[asked] = reading{index: index}
	return 0
}

// question is what is asked, without what only says how long to wait for the answer.
func question(u *url.URL) string {
	values := u.Query()
	for _, name := range []string{"index", "wait", "stale"} {
		values.Del(name)
	}
	return u.Path + "?" + values.Encode()
}
