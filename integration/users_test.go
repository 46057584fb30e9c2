package integration_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Users ask at a steady rate that leaves a small machine idle, and is enough for the gates of a step to have their
// hundred requests in a few seconds.
const (
	userRate    = 120 // requests a second
	userWorkers = 12
)

// answer is what became of one request.
type answer struct {
	asked   time.Time
	version string // that answered; "" when none did
	failed  bool   // status 5xx, or no answer
	what    string // of one that failed
}

// users ask for checkouts over HTTP, or open WebSockets, until stop, and remember what they saw.
type users struct {
	url    string
	client *http.Client
	ending chan struct{}
	group  sync.WaitGroup

	mu      sync.Mutex
	answers []answer
}

// newUsers begins to ask. Nothing of them is left when the test ends.
func newUsers(t *testing.T, url string) *users {
	t.Helper()
	u := &users{
		url: url, ending: make(chan struct{}),
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: userWorkers}},
	}
	for range userWorkers {
		u.group.Go(u.work)
	}
	t.Cleanup(func() {
		close(u.ending)
		u.group.Wait()
		u.client.CloseIdleConnections()
	})
	return u
}

func (u *users) work() {
	ticker := time.NewTicker(time.Second * userWorkers / userRate)
	defer ticker.Stop()
	for {
		select {
		case <-u.ending:
			return
		case <-ticker.C:
			seen := u.ask()
			u.mu.Lock()
			u.answers = append(u.answers, seen)
			u.mu.Unlock()
		}
	}
}

func (u *users) ask() answer {
	seen := answer{asked: time.Now()}
	if strings.HasPrefix(u.url, "ws:") {
		u.shakeHands(&seen)
		return seen
	}
	response, err := u.client.Get(u.url)
	if err != nil {
		seen.failed, seen.what = true, err.Error()
		return seen
	}
	defer response.Body.Close()
	seen.version = response.Header.Get("X-Version")
	body, err := io.ReadAll(response.Body)
	if err != nil {
		seen.failed, seen.what = true, err.Error()
	}
	if response.StatusCode >= http.StatusInternalServerError {
		seen.failed, seen.what = true, response.Status+": "+strings.TrimSpace(string(body))
	}
	return seen
}

// shakeHands opens a WebSocket, and closes it.
func (u *users) shakeHands(seen *answer) {
	connection, response, err := websocket.DefaultDialer.Dial(u.url, nil)
	if response != nil {
		seen.version = response.Header.Get("X-Version")
		_ = response.Body.Close()
	}
	if err != nil {
		seen.failed, seen.what = true, err.Error()
		return
	}
	_ = connection.Close()
}

// count is how many of the requests asked from one moment on and before another are such; a zero end is now.
func (u *users) count(from, to time.Time, such func(answer) bool) (of, all int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, a := range u.answers {
		if a.asked.Before(from) || (!to.IsZero() && !a.asked.Before(to)) {
			continue
		}
		all++
		if such(a) {
			of++
		}
	}
	return of, all
}

// answered is how many requests a version has answered since a moment.
func (u *users) answered(version string, since time.Time) int {
	n, _ := u.count(since, time.Time{}, func(a answer) bool { return a.version == version })
	return n
}

// failures says how many requests failed in which second, and how.
func (u *users) failures() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := map[string]int{}
	for _, a := range u.answers {
		if a.failed {
			seen[fmt.Sprintf("%s of version %q: %s", a.asked.UTC().Format(time.TimeOnly), a.version, a.what)]++
		}
	}
	var lines []string
	for _, line := range slices.Sorted(maps.Keys(seen)) {
		lines = append(lines, fmt.Sprintf("%4d at %s", seen[line], line))
	}
	return strings.Join(lines, "\n")
}
