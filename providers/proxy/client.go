package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/drover-dev/drover/strategy"
)

// maxAnswer bounds what is read from the admin handler of an instance.
const maxAnswer = 32 << 20

// idleConnections is how many connections to an instance are kept: several releases are looked at at one time.
const idleConnections = 16

// Publisher makes splits known to the instances of a router.
type Publisher interface {
	// Publish asks the router to apply a split. It returns when the split is published, not when it is in effect.
	Publish(ctx context.Context, router string, split strategy.Split) error
}

// ClientOptions is what a Client is made of.
type ClientOptions struct {
	Router    string // its name in Drover's configuration
	Publisher Publisher
	// Instances are the base URLs of the admin handlers of all instances, such as "http://10.0.0.7:9100".
	Instances  func(ctx context.Context) ([]string, error)
	HTTPClient *http.Client     // one with a timeout of 5s when nil
	Now        func() time.Time // time.Now when nil
}

// Client is Drover's side of the proxy: a router, and the meter of what went through it. It is safe for concurrent
// use.
type Client struct {
	options ClientOptions
	pages   pages
}

// NewClient makes a client. It returns an error when an option is missing.
func NewClient(o ClientOptions) (*Client, error) {
	switch {
	case o.Router == "":
		return nil, errors.New("a client of the proxy needs the name of its router")
	case o.Publisher == nil:
		return nil, fmt.Errorf("router %q has no publisher of its splits", o.Router)
	case o.Instances == nil:
		return nil, fmt.Errorf("router %q has no list of its instances", o.Router)
	}
	if o.HTTPClient == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = idleConnections
		o.HTTPClient = &http.Client{Timeout: 5 * time.Second, Transport: transport}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{options: o}, nil
}

// Abilities is that it divides exactly, follows allocations by itself, and counts everything.
func (*Client) Abilities() strategy.Abilities {
	return strategy.Abilities{Kind: "proxy", Counts: true, Latency: true, Endpoints: true, Sessions: true, Copies: true, Copied: true, Open: true, Closes: true}
}

// Apply publishes a split. It is in effect when Read says so.
func (c *Client) Apply(ctx context.Context, split strategy.Split) error {
	if err := c.options.Publisher.Publish(ctx, c.options.Router, split); err != nil {
		return fmt.Errorf("publish the split of %q to router %q: %w", split.Release, c.options.Router, err)
	}
	return nil
}

// Read asks every instance for the split of the release that is in effect. An instance that does not answer is an
// error that names it; so is a router without instances.
func (c *Client) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	found, err := each(ctx, c, func(ctx context.Context, instance string) (effectiveSplit, error) {
		return c.readSplit(ctx, instance, release)
	})
	if err != nil {
		return strategy.TrafficState{}, fmt.Errorf("read the split of %q from router %q: %w", release, c.options.Router, err)
	}
	state := strategy.TrafficState{Open: map[string]int{}}
	for _, split := range found {
		state.Splits = append(state.Splits, split.Split)
		if split.Open == nil {
			state.Open = nil
		}
		for alloc, n := range split.Open {
			if state.Open != nil {
				state.Open[alloc] += n
			}
		}
	}
	return state, nil
}

func (c *Client) readSplit(ctx context.Context, instance, release string) (effectiveSplit, error) {
	var splits []effectiveSplit
	err := c.get(ctx, instance, "/splits?release="+url.QueryEscape(release), func(_ *http.Response, body io.Reader) error { return json.NewDecoder(body).Decode(&splits) })
	if err != nil {
		return effectiveSplit{}, err
	}
	for _, s := range splits {
		if s.Release == release {
			return s, nil
		}
	}
	return effectiveSplit{Open: map[string]int{}}, nil
}

// metricsFormat is what metrics are asked for in: with hundreds of releases the text takes many times as long to read.
var metricsFormat = expfmt.NewFormat(expfmt.TypeProtoDelim)

// get reads a page of an instance's admin handler. read gets the answer, and its body up to a limit.
func (c *Client) get(ctx context.Context, instance, path string, read func(*http.Response, io.Reader) error) error {
	address := strings.TrimSuffix(instance, "/") + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("ask the proxy at %s: %w", address, err)
	}
	request.Header.Set("Accept", string(metricsFormat)+",*/*;q=0.1")
	response, err := c.options.HTTPClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the proxy: %w", err) // It names the URL.
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the proxy: %s answers with status %s", address, response.Status)
	}
	if err := read(response, io.LimitReader(response.Body, maxAnswer)); err != nil {
		return fmt.Errorf("understand the proxy's answer of %s: %w", address, err)
	}
	return nil
}

// each asks all instances at the same time. The answers are in the order of the instances; what went wrong at any of
// them is joined.
func each[T any](ctx context.Context, c *Client, ask func(ctx context.Context, instance string) (T, error)) ([]T, error) {
	instances, err := c.options.Instances(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the instances: %w", err)
	}
	if len(instances) == 0 {
		return nil, errors.New("no instance of the proxy is known: is it running?")
	}
	answers, problems := make([]T, len(instances)), make([]error, len(instances))
	var group sync.WaitGroup
	for i, instance := range instances {
		group.Go(func() { answers[i], problems[i] = ask(ctx, instance) })
	}
	group.Wait()
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return answers, nil
}
