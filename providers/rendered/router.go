package rendered

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// itemName is the item of the variable that Drover writes.
	itemName = "drover"
	// saysSticky is what a balancer says after the checksum, whose job renders sticky sessions.
	saysSticky = "sticky"
	// overlap is how long a balancer may go on with what it did before, once it says that it has loaded what is new: old
	// workers end a moment after new ones began.
	overlap = 300 * time.Millisecond
	// DefaultDelay is taken for the time from publishing to effect, of a balancer that cannot say it.
	DefaultDelay = 15 * time.Second
	// tries bounds how often a write that was overtaken is made again.
	tries = 5
)

// Variables are Nomad's.
type Variables interface {
	// Item is the text of an item of a variable, "" when it is not there, when the variable was written, and its index.
	Item(ctx context.Context, path, name string) (text string, written time.Time, index uint64, err error)
	// PutItem writes one item and leaves the others. It returns strategy.ErrStale when the variable is not at that index, and
	// strategy.ErrTooLarge when it takes no more.
	PutItem(ctx context.Context, path, name, text string, index uint64) error
}

// Options is what a Router is made of.
type Options struct {
	Name      string // in Drover's configuration
	Job       string // of the balancer, which renders the variable
	Variables Variables
	Status    []string         // the URL at which each instance says the checksum that it has loaded; none where it cannot
	Sticky    bool             // the job renders sticky sessions
	Delay     time.Duration    // without Status: the time until a split that was published is in effect
	Client    *http.Client     // one with a timeout of 5s when nil
	Now       func() time.Time // time.Now when nil
}

// Router publishes splits for one balancer. It is safe for concurrent use.
type Router struct {
	options Options
	path    string

	mu        sync.Mutex
	seen      map[string]loaded // by status URL, the checksum that it said last
	has       map[string]loaded // by status URL and release, what of it is loaded there
	published map[string]loaded // by release
	documents documents         // that were published
}

// New makes a router. It asks nobody.
func New(o Options) (*Router, error) {
	switch {
	case o.Job == "":
		return nil, fmt.Errorf("router %q names no job that renders its splits", o.Name)
	case strings.ContainsAny(o.Job, "/ "):
		return nil, fmt.Errorf("router %q: %q is no name of a job whose variable can be written: Nomad allows letters, digits, -, _ and ~ in a path", o.Name, o.Job)
	case len(o.Status) > 0 && o.Delay > 0:
		return nil, fmt.Errorf("router %q has both status and delay: leave one out", o.Name)
	}
	if o.Delay == 0 {
		o.Delay = DefaultDelay
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		// A kept connection would be answered by a worker that is on its way out.
		o.Client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	}
	return &Router{options: o, path: "nomad/jobs/" + o.Job, seen: map[string]loaded{}, has: map[string]loaded{}, published: map[string]loaded{}}, nil
}

// Abilities is that it divides, and follows and counts nothing by itself. That the balancer's job renders sticky sessions is
// for its configuration to say.
func (r *Router) Abilities() strategy.Abilities {
	a := strategy.Abilities{Kind: "template", Static: true, Sessions: r.options.Sticky}
	if !a.Sessions {
		a.SessionsWith = "sticky = true"
	}
	return a
}

// Prepare publishes what the balancer starts with, where nothing is published: a template waits for its variable. These
// releases are in it, without endpoints.
func (r *Router) Prepare(ctx context.Context, releases ...string) error {
	err := r.change(ctx, func(splits []strategy.Split) []strategy.Split {
		for _, release := range releases {
			if !slices.ContainsFunc(splits, func(s strategy.Split) bool { return s.Release == release }) {
				splits = append(splits, strategy.Split{Release: release})
			}
		}
		return splits
	})
	if err != nil {
		return fmt.Errorf("prepare router %q: %w", r.options.Name, err)
	}
	return nil
}

// Apply publishes the split of its release and leaves those of others.
func (r *Router) Apply(ctx context.Context, split strategy.Split) error {
	changed := true
	err := r.change(ctx, func(splits []strategy.Split) []strategy.Split {
		changed = !slices.ContainsFunc(splits, func(s strategy.Split) bool { return s.Release == split.Release && sumOf(s) == sumOf(split) })
		splits = slices.DeleteFunc(splits, func(s strategy.Split) bool { return s.Release == split.Release })
		return append(splits, split)
	})
	if changed {
		r.forget(split.Release)
	}
	if err != nil {
		return fmt.Errorf("publish the split of %q for router %q: %w", split.Release, r.options.Name, err)
	}
	return nil
}

// change publishes what is made of what is published.
func (r *Router) change(ctx context.Context, edit func([]strategy.Split) []strategy.Split) error {
	var stale error
	for range tries {
		text, _, index, err := r.options.Variables.Item(ctx, r.path, itemName)
		if err != nil {
			return err
		}
		old, err := parse(text, r.path)
		var edited errEdited
		if err != nil && !errors.As(err, &edited) {
			return err
		}
		d, next, err := document(edit(old.splits()))
		if err != nil {
			return err
		}
		if next == text {
			return nil
		}
		stale = r.options.Variables.PutItem(ctx, r.path, itemName, next, index)
		if errors.Is(stale, strategy.ErrTooLarge) {
			return fmt.Errorf("variable %s takes 64 KiB, too little for its %d allocations: run fewer, or give some releases a router with another job", r.path, d.allocs())
		}
		if !errors.Is(stale, strategy.ErrStale) {
			return stale
		}
	}
	return stale
}

// Read is the split that is published, once it is in effect on every instance; until then it is one of nothing.
func (r *Router) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	split, err := r.read(ctx, release)
	if err != nil {
		return strategy.TrafficState{}, fmt.Errorf("read the split of %q from router %q: %w", release, r.options.Name, err)
	}
	return strategy.TrafficState{Splits: []strategy.Split{split}, Static: true}, nil
}

func (r *Router) read(ctx context.Context, release string) (strategy.Split, error) {
	text, written, _, err := r.options.Variables.Item(ctx, r.path, itemName)
	if err != nil {
		return strategy.Split{}, err
	}
	d, err := parse(text, r.path)
	if err != nil {
		return strategy.Split{}, err
	}
	split := d.of(release)
	if split.Service == "" { // Prepared at most.
		return strategy.Split{}, nil
	}
	there, err := r.inEffect(ctx, d, entry(split), written)
	if err != nil {
		return strategy.Split{}, err
	}
	if !there {
		return strategy.Split{Release: release}, nil
	}
	return split, nil
}

// inEffect tells whether every instance does what is published of a release. What changes of others takes nothing from it.
func (r *Router) inEffect(ctx context.Context, d Document, e Entry, written time.Time) (bool, error) {
	if len(r.options.Status) == 0 {
		return r.options.Now().Sub(r.since(e, written)) >= r.options.Delay, nil
	}
	said, err := r.askAll(ctx)
	if err != nil {
		return false, err
	}
	there := true
	for i, url := range r.options.Status {
		there = there && r.loads(d, e, url, said[i].sum)
		if there && e.Sticky && !said[i].sticky {
			return false, errors.New(notSticky(url))
		}
	}
	return there, nil
}

// notSticky is what is wrong with an instance that does not say that it keeps sessions.
func notSticky(url string) string {
	return fmt.Sprintf("the balancer at %s does not say that it keeps sessions: have its job render them as those of examples/template do, and answer the checksum and the word %q", url, saysSticky)
}

// Lacks is what the job of the balancer lacks for a release whose users are to stay on their track. It can be told of one with
// status alone.
func (r *Router) Lacks(ctx context.Context, _ string, plan strategy.Plan) (string, error) {
	if !plan.Sticky {
		return "", nil
	}
	said, err := r.askAll(ctx)
	if err != nil {
		return "", fmt.Errorf("router %q: %w", r.options.Name, err)
	}
	for i, one := range said {
		if !one.sticky {
			return fmt.Sprintf("router %q: %s", r.options.Name, notSticky(r.options.Status[i])), nil
		}
	}
	return "", nil
}

// askAll is what every instance says, in their order.
func (r *Router) askAll(ctx context.Context) ([]answer, error) {
	said, problems := make([]answer, len(r.options.Status)), make([]error, len(r.options.Status))
	var group sync.WaitGroup
	for i, url := range r.options.Status {
		group.Go(func() { said[i], problems[i] = r.ask(ctx, url) })
	}
	group.Wait()
	return said, errors.Join(problems...)
}

// answer is what an instance says of itself.
type answer struct {
	sum    string // of the document that it has loaded
	sticky bool   // it keeps sessions where the document says so
}

// ask is what an instance says that it has loaded.
func (r *Router) ask(ctx context.Context, url string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, fmt.Errorf("ask the balancer what it has loaded: %w", err)
	}
	response, err := r.options.Client.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("ask the balancer what it has loaded: %w", err) // It names the URL.
	}
	defer response.Body.Close()
	const most = 100
	said, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return answer{}, fmt.Errorf("ask the balancer at %s what it has loaded: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("ask the balancer what it has loaded: %s answers with status %s", url, response.Status)
	}
	words := strings.Fields(string(said))
	if len(words) == 0 {
		return answer{}, nil
	}
	return answer{sum: words[0], sticky: slices.Contains(words[1:], saysSticky)}, nil
}
