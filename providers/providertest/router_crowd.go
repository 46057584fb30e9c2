package providertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// crowd asks all the time, at all instances, over kept connections and over new ones. Whoever finds nobody at one instance
// asks at the next.
type crowd struct {
	edges   []string
	release string
	ending  chan struct{}
	turn    atomic.Int64
	group   sync.WaitGroup

	mu        sync.Mutex
	asked     map[bool]int // whether over kept connections
	failed    map[string]int
	elsewhere int                  // how often nobody was found at an instance
	last      map[string]time.Time // when the last request began that an allocation answered
}

const (
	crowdSize = 4 // of each kind
	// crowdPause keeps a small machine from being busy with the crowd alone.
	crowdPause = 2 * time.Millisecond
)

// edges are the addresses of all instances.
func (s *routerSuite) edges() []string { return append([]string{s.Edge}, s.Others...) }

// crowd begins to ask for a release; it ends with the test at the latest.
func (s *routerSuite) crowd(t *testing.T, release string) *crowd {
	t.Helper()
	c := &crowd{edges: s.edges(), release: release, ending: make(chan struct{}), asked: map[bool]int{}, failed: map[string]int{}, last: map[string]time.Time{}}
	for _, keeps := range []bool{true, false} {
		transport := &http.Transport{DisableKeepAlives: !keeps, MaxIdleConnsPerHost: crowdSize}
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		for range crowdSize {
			c.group.Go(func() { c.work(client, keeps) })
		}
		t.Cleanup(transport.CloseIdleConnections)
	}
	t.Cleanup(c.end)
	return c
}

// end waits until nobody asks any more.
func (c *crowd) end() {
	c.mu.Lock()
	select {
	case <-c.ending:
	default:
		close(c.ending)
	}
	c.mu.Unlock()
	c.group.Wait()
}

func (c *crowd) work(client *http.Client, keeps bool) {
	for {
		select {
		case <-c.ending:
			return
		case <-time.After(crowdPause):
		}
		began := time.Now()
		alloc, problem := c.somewhere(client)
		c.mu.Lock()
		c.asked[keeps]++
		if problem != "" {
			c.failed[fmt.Sprintf("%s (connections kept: %t)", problem, keeps)]++
		} else if began.After(c.last[alloc]) {
			c.last[alloc] = began
		}
		c.mu.Unlock()
	}
}

// somewhere asks the instance whose turn it is, and the next ones as long as nobody is there.
func (c *crowd) somewhere(client *http.Client) (alloc, problem string) {
	turn := int(c.turn.Add(1))
	for i := range c.edges {
		alloc, err := askAt(context.Background(), client, c.edges[(turn+i)%len(c.edges)], c.release)
		switch {
		case err == nil:
			return alloc, ""
		case i == len(c.edges)-1 || !isNobody(err):
			return "", err.Error()
		}
		c.mu.Lock()
		c.elsewhere++
		c.mu.Unlock()
	}
	return "", "there is nobody to ask"
}

// isNobody tells whether a request found no server, or one that went away before it said anything.
func isNobody(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}

// askAt makes a request of a release at one instance, and says which allocation answered.
func askAt(ctx context.Context, client *http.Client, edge, release string) (alloc string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+edge+"/", nil)
	if err != nil {
		return "", err
	}
	request.Host = release
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	return response.Header.Get("X-Alloc"), nil
}

func (c *crowd) lastOf(alloc string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[alloc]
}

// ask waits until there were so many requests more.
func (c *crowd) ask(t *testing.T, more int) {
	t.Helper()
	_, before := c.failures()
	for deadline := time.Now().Add(slowly); time.Now().Before(deadline); time.Sleep(crowdPause) {
		if _, asked := c.failures(); asked >= before+more {
			return
		}
	}
	t.Fatalf("users did not ask %d times in %s", more, slowly)
}

// failures is how many requests failed, and of how many.
func (c *crowd) failures() (failed, asked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.failed {
		failed += n
	}
	return failed, c.asked[true] + c.asked[false]
}
