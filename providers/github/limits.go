package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// LimitError says that nothing more is to be asked of GitHub for a while.
type LimitError struct {
	Why string
	At  time.Time // when to try again
}

// Error says why, and until when.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: again at %s", e.Why, e.At.UTC().Format(time.TimeOnly))
}

// RetryAt is when to try again.
func (e *LimitError) RetryAt() time.Time { return e.At }

const (
	// hourly is what GitHub allows in an hour when it does not say otherwise.
	hourly = 5000
	// slots are the time over which requests are counted: an hour, and the part of a minute that has begun.
	slots    = 61
	slotTime = time.Minute
	// firstPause is the pause after a limit without a time; it doubles up to longestPause.
	firstPause   = time.Minute
	longestPause = 16 * time.Minute
	// patience is how many requests in a row may be without an answer before GitHub is given a rest; longestSilence
	// bounds that.
	patience       = 3
	longestSilence = time.Minute
	// longestHold bounds what an answer may ask for.
	longestHold = 2 * time.Hour
)

// limits heeds what GitHub says of its limits, for all requests at once: while it says to wait, nothing is sent. Writes
// follow one another with a gap, and what Drover asks for stays within its share of the hour.
type limits struct {
	next   http.RoundTripper
	now    func() time.Time
	share  float64
	gap    time.Duration
	writes chan struct{} // held by the one write under way

	mu      sync.Mutex
	until   time.Time // nothing is sent before
	why     string
	pause   time.Duration // of the last limit without a time
	silent  int           // requests in a row without an answer
	wrote   time.Time     // when the last write ended
	allowed int           // in an hour
	counts  [slots]int    // requests that GitHub counted, by their minute
	at      int64         // the slot that is the newest
}

func newLimits(next http.RoundTripper, c *Config) *limits {
	return &limits{next: next, now: c.Now, share: c.Budget, gap: max(c.Gap, 0), writes: make(chan struct{}, 1), allowed: hourly}
}

// urgent marks what is not held back by the budget: it reports an incident, or is asked by a person.
type urgent struct{}

func urgently(ctx context.Context) context.Context { return context.WithValue(ctx, urgent{}, true) }

// RoundTrip makes the request when it may be made, or fails with a LimitError.
func (l *limits) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		select {
		case l.writes <- struct{}{}:
			defer func() { <-l.writes }()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		if err := l.wait(r.Context()); err != nil {
			return nil, err
		}
	}
	if err := l.admit(r); err != nil {
		return nil, err
	}
	response, err := l.next.RoundTrip(r)
	if r.Method != http.MethodGet {
		l.mu.Lock()
		l.wrote = l.now()
		l.mu.Unlock()
	}
	if err != nil {
		l.count(1) // It may have arrived.
		l.lost(r.Context())
		return nil, err
	}
	if err := l.heed(response); err != nil {
		return nil, err
	}
	return response, nil
}

// lost notes a request without an answer: after a few nothing is asked for a while, so that nobody waits for each call
// of an outage to run out of time.
func (l *limits) lost(ctx context.Context) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent++; l.silent < patience {
		return
	}
	now := l.now()
	l.hold(now, now.Add(min(time.Second<<min(l.silent-patience, 10), longestSilence)), "GitHub does not answer")
}

// wait keeps the gap between two writes.
func (l *limits) wait(ctx context.Context) error {
	l.mu.Lock()
	left := l.gap - l.now().Sub(l.wrote)
	l.mu.Unlock()
	if left <= 0 || left > l.gap {
		return nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// admit tells whether a request may be made now.
func (l *limits) admit(r *http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Before(l.until) {
		return &LimitError{l.why, l.until}
	}
	l.turn(now)
	used := 0
	for _, n := range l.counts {
		used += n
	}
	if r.Context().Value(urgent{}) == nil && float64(used) >= l.share*float64(l.allowed)-1 {
		return &LimitError{fmt.Sprintf("%d requests in an hour are Drover's share of %d", used, l.allowed), now.Add(slotTime)}
	}
	return nil
}

// turn empties the slots of minutes that are over an hour ago. The lock is held.
func (l *limits) turn(now time.Time) {
	slot := now.UnixNano() / int64(slotTime)
	for s := max(l.at+1, slot-slots+1); s <= slot; s++ {
		l.counts[s%slots] = 0
	}
	l.at = max(l.at, slot)
}

func (l *limits) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(l.now())
	l.counts[l.at%slots] += n
}

// heed learns from an answer. It is a LimitError when the answer is one.
func (l *limits) heed(response *http.Response) error {
	if response.Header.Get(notModified) == "" {
		l.count(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = 0
	now := l.now()
	if n, err := strconv.Atoi(response.Header.Get("X-RateLimit-Limit")); err == nil && n > 0 {
		l.allowed = n
	}
	reset, hasReset := resetOf(response)
	spent := response.Header.Get("X-RateLimit-Remaining") == "0"
	if response.StatusCode != http.StatusForbidden && response.StatusCode != http.StatusTooManyRequests {
		l.pause = 0
		if spent && hasReset { // This one was the last.
			l.hold(now, reset, "GitHub's hourly limit is used up")
		}
		return nil
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(response.Header.Get("Retry-After")))
	switch {
	case err == nil && seconds >= 0:
		l.hold(now, now.Add(time.Duration(seconds)*time.Second), "GitHub asks to wait")
	case spent && hasReset:
		l.hold(now, reset, "GitHub's hourly limit is used up")
	case response.StatusCode == http.StatusTooManyRequests || saysLimit(response):
		l.pause = min(max(2*l.pause, firstPause), longestPause)
		l.hold(now, now.Add(l.pause), "GitHub says that it was asked too much")
	default:
		return nil // Forbidden for another reason.
	}
	response.Body.Close()
	return &LimitError{l.why, l.until}
}

// hold has nothing sent before a time. The lock is held.
func (l *limits) hold(now, until time.Time, why string) {
	if latest := now.Add(longestHold); until.After(latest) {
		until = latest
	}
	l.until, l.why = until, why
}

func resetOf(response *http.Response) (time.Time, bool) {
	seconds, err := strconv.ParseInt(response.Header.Get("X-RateLimit-Reset"), 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// saysLimit tells whether a refusal is for a secondary limit, by its words.
func saysLimit(response *http.Response) bool {
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	text := strings.ToLower(string(body))
	return err == nil && (strings.Contains(text, "secondary rate limit") || strings.Contains(text, "abuse detection"))
}
