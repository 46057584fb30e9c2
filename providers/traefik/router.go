package traefik

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// DefaultDelay is taken for the time from publishing to effect, where no API is to be asked: Traefik's own defaults are a
	// poll every 5 seconds, and 2 seconds between two configurations.
	DefaultDelay = 10 * time.Second
	// overlap is how long Traefik may still route by what it had, once its API lists what is new.
	overlap = 300 * time.Millisecond
)

// Publisher makes splits known to all instances of Drover.
type Publisher interface {
	Publish(ctx context.Context, router string, split strategy.Split) error
}

// Options is what a Router is made of.
type Options struct {
	Name      string // in Drover's configuration
	Publisher Publisher
	// Split is the published split of a release, false when there is none.
	Split  func(ctx context.Context, router, release string) (strategy.Split, bool, error)
	APIs   []string      // base URLs of the API of every Traefik, such as "http://10.0.0.7:8080"; none where it is not to be asked
	Delay  time.Duration // without APIs: the time until a split that was published is in effect
	Copies string        // the address of Traefik's entry point for copies of requests; "" where none are made
	Client *http.Client  // one with a timeout of 5s when nil
	Now    func() time.Time
}

// Router steers Traefik by what it is told when it asks. It is safe for concurrent use.
type Router struct {
	options Options

	mu    sync.Mutex
	since map[string]time.Time // when a split was seen first, by release and checksum, or by API too
}

// New makes a router. It asks nobody.
func New(o Options) (*Router, error) {
	for _, api := range o.APIs {
		if u, err := url.Parse(api); err != nil || u.Host == "" {
			return nil, fmt.Errorf("router %q: %q is no address of Traefik's API, such as \"http://10.0.0.7:8080\"", o.Name, api)
		}
	}
	if len(o.APIs) > 0 && o.Delay > 0 {
		return nil, fmt.Errorf("router %q has both instances and delay: leave one out", o.Name)
	}
	if o.Copies != "" {
		if err := checkCopies(o.Copies); err != nil {
			return nil, fmt.Errorf("router %q: %w", o.Name, err)
		}
	}
	if o.Delay == 0 {
		o.Delay = DefaultDelay
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 5 * time.Second}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Router{options: o, since: map[string]time.Time{}}, nil
}

// Abilities is that it divides and keeps sessions, copies requests where it has an entry point for that, and follows and
// counts nothing by itself.
func (r *Router) Abilities() strategy.Abilities {
	a := strategy.Abilities{Kind: "traefik", Static: true, Sessions: true, Copies: r.options.Copies != ""}
	if !a.Copies {
		a.CopiesWith = `copies = "127.0.0.1:8091"`
	}
	return a
}

// Apply publishes a split. It is in effect when Read says so.
func (r *Router) Apply(ctx context.Context, split strategy.Split) error {
	if err := r.options.Publisher.Publish(ctx, r.options.Name, split); err != nil {
		return fmt.Errorf("publish the split of %q to router %q: %w", split.Release, r.options.Name, err)
	}
	return nil
}

// Read is the published split, once every Traefik has loaded it; until then it is one of nothing.
func (r *Router) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	split, err := r.read(ctx, release)
	if err != nil {
		return strategy.TrafficState{}, fmt.Errorf("read the split of %q from router %q: %w", release, r.options.Name, err)
	}
	return strategy.TrafficState{Splits: []strategy.Split{split}, Static: true}, nil
}

func (r *Router) read(ctx context.Context, release string) (strategy.Split, error) {
	split, there, err := r.options.Split(ctx, r.options.Name, release)
	if err != nil || !there {
		return strategy.Split{}, err
	}
	sum, err := checksum(split)
	if err != nil {
		return strategy.Split{}, err
	}
	loaded, err := r.loaded(ctx, release, sum)
	if err != nil {
		return strategy.Split{}, err
	}
	if !loaded {
		return strategy.Split{Release: release}, nil
	}
	if split.Copies != nil {
		if err := r.copying(ctx, release); err != nil {
			return strategy.Split{}, err
		}
	}
	return split, nil
}

// loaded tells whether every Traefik routes by the split with this checksum.
func (r *Router) loaded(ctx context.Context, release, sum string) (bool, error) {
	name := marker(release, sum)
	if len(r.options.APIs) == 0 {
		return r.seenFor(release, name) >= r.options.Delay, nil
	}
	has, problems := make([]bool, len(r.options.APIs)), make([]error, len(r.options.APIs))
	var group sync.WaitGroup
	for i, api := range r.options.APIs {
		group.Go(func() { has[i], problems[i] = r.lists(ctx, api, name) })
	}
	group.Wait()
	if err := errors.Join(problems...); err != nil {
		return false, err
	}
	for _, h := range has {
		if !h {
			r.forget(release)
			return false, nil
		}
	}
	return r.seenFor(release, name) >= overlap, nil
}

// seenFor is for how long the split of that marker has been what is there of the release.
func (r *Router) seenFor(release, name string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.options.Now()
	if _, seen := r.since[name]; !seen {
		for other := range r.since {
			if strings.HasPrefix(other, marker(release, "")) {
				delete(r.since, other)
			}
		}
		r.since[name] = now
	}
	return now.Sub(r.since[name])
}

func (r *Router) forget(release string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.since {
		if strings.HasPrefix(name, marker(release, "")) {
			delete(r.since, name)
		}
	}
}

// lists tells whether a Traefik has loaded a service.
func (r *Router) lists(ctx context.Context, api, name string) (bool, error) {
	there, err := r.ask(ctx, api, "/api/http/services/"+url.PathEscape(name+"@http"), nil)
	if err != nil || there {
		return there, err
	}
	if there, err = r.ask(ctx, api, "/api/version", nil); err == nil && !there { // Not the API of a Traefik that has not loaded it.
		err = noAPI(api)
	}
	return false, err
}

func noAPI(api string) error {
	return fmt.Errorf("ask Traefik what it has loaded: %s has no API: is it enabled there (api.insecure, or a router to api@internal)?", api)
}

// ask asks an API for something, into answer unless that is nil. It tells whether that is there.
func (r *Router) ask(ctx context.Context, api, path string, answer any) (bool, error) {
	address := strings.TrimSuffix(api, "/") + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, fmt.Errorf("ask Traefik what it has loaded: %w", err)
	}
	response, err := r.options.Client.Do(request)
	if err != nil {
		return false, fmt.Errorf("ask Traefik what it has loaded: %w", err) // It names the URL.
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound:
		return false, nil
	case response.StatusCode != http.StatusOK:
		return false, fmt.Errorf("ask Traefik what it has loaded: %s answers with status %s", address, response.Status)
	case answer == nil:
		return true, nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return false, fmt.Errorf("ask Traefik what it has loaded: read the answer of %s: %w", address, err)
	}
	return true, nil
}
