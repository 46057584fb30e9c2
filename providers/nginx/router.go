package nginx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// commandTimeout bounds a test or a reload of NGINX.
	commandTimeout = 20 * time.Second
	// overlap is how long old workers still take connections beside new ones: NGINX tells them to end 100 ms after it
	// started the new ones.
	overlap = 200 * time.Millisecond
)

// Options is what a Router is made of.
type Options struct {
	Name   string           // in Drover's configuration
	File   string           // that NGINX's configuration includes in its http block
	Admin  string           // host:port on which NGINX is to tell Drover what it has loaded
	Test   []string         // command that tests the configuration; default nginx -t -q
	Reload []string         // command that has NGINX load it; default nginx -s reload
	Log    string           // host:port on which Drover hears of requests, see Hear; "" for nowhere
	Copies string           // host:port on which NGINX hands copies of requests to itself; "" when it makes none
	Now    func() time.Time // time.Now when nil
}

// Router steers one NGINX, and with a log is the meter of what went through it. It is safe for concurrent use.
type Router struct {
	options Options
	client  *http.Client

	mu    sync.Mutex
	seen  string                    // what was loaded when NGINX was asked last
	since time.Time                 // when that was seen first
	files files                     // that were written
	has   map[string]loaded         // by release, what was loaded of it when NGINX was asked last
	known map[string]strategy.Split // written last, and empty ones of releases that NGINX needs the variable of
	began map[string]counted        // of releases whose requests are copied

	tally tally
}

// New makes a router. It writes nothing yet; see Prepare.
func New(o Options) (*Router, error) {
	switch {
	case o.File == "":
		return nil, fmt.Errorf("router %q names no file that NGINX includes", o.Name)
	case o.Admin == "" || !isAddress(o.Admin):
		return nil, fmt.Errorf("router %q: admin is %q: give an address of this machine, as in \"127.0.0.1:8081\"", o.Name, o.Admin)
	case !isAddress(o.Copies):
		return nil, fmt.Errorf("router %q: copies is %q: give an address of this machine, as in \"127.0.0.1:8083\"", o.Name, o.Copies)
	}
	if len(o.Test) == 0 {
		o.Test = []string{"nginx", "-t", "-q"}
	}
	if len(o.Reload) == 0 {
		o.Reload = []string{"nginx", "-s", "reload"}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	// A kept connection would be answered by a worker that is on its way out.
	return &Router{options: o, known: map[string]strategy.Split{}, began: map[string]counted{}, has: map[string]loaded{}, client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}, nil
}

// isAddress tells whether NGINX takes a text as one word.
func isAddress(s string) bool { return !strings.ContainsAny(s, " \t\n;{}\"'$#") }

// Prepare writes the file so that it has the variables of these releases, which NGINX does not start without. What the
// file has already stays.
func (r *Router) Prepare(releases ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, release := range releases {
		if _, ok := r.known[release]; !ok {
			r.known[release] = strategy.Split{Release: release}
		}
	}
	found, err := r.find()
	if err != nil {
		return fmt.Errorf("prepare router %q: %w", r.options.Name, err)
	}
	contents, err := r.contents(r.over(found))
	if err == nil {
		err = replace(contents, found.contents)
	}
	if err != nil {
		return fmt.Errorf("prepare router %q: %w", r.options.Name, err)
	}
	return nil
}

// over is the splits of a file, with those that are known of releases that it lacks. Where somebody changed the file, what
// Drover wrote last is what counts.
func (r *Router) over(found disk) map[string]strategy.Split {
	splits := maps.Clone(found.splits)
	for release, split := range r.known {
		if _, has := splits[release]; !has || (found.edited && split.Service != "") {
			splits[release] = split
		}
	}
	return splits
}

// Abilities is that it divides and keeps sessions, with a log that it counts, and with an address for them that it copies.
func (r *Router) Abilities() strategy.Abilities {
	counts, copies := r.options.Log != "", r.options.Copies != ""
	a := strategy.Abilities{Kind: "nginx", Static: true, Counts: counts, Latency: counts, Sessions: true, Copies: copies, Copied: copies && counts}
	if !copies {
		a.CopiesWith = `copies = "127.0.0.1:8083"`
	}
	return a
}

// Apply writes the split into the file, tests the configuration and has it loaded. A configuration that does not pass is
// put back as it was, and the error quotes NGINX.
func (r *Router) Apply(ctx context.Context, split strategy.Split) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.apply(ctx, split); err != nil {
		return fmt.Errorf("set the split of %q on router %q: %w", split.Release, r.options.Name, err)
	}
	return nil
}

func (r *Router) apply(ctx context.Context, split strategy.Split) error {
	found, err := r.find()
	if err != nil {
		return err
	}
	if split.Copies != nil {
		if err := r.copies(ctx, split.Release); err != nil {
			return err
		}
	}
	splits := r.over(found)
	splits[split.Release] = split
	contents, err := r.contents(splits)
	if err != nil {
		return err
	}
	if err := replace(contents, found.contents); err != nil {
		return err
	}
	if err := run(ctx, r.options.Test); err != nil {
		return errors.Join(fmt.Errorf("NGINX does not accept its configuration, the old one is put back: %w", err), replace(found.contents, contents))
	}
	if markOf(found.splits[split.Release]) != markOf(split) {
		delete(r.has, split.Release)
		r.seen = "" // What it did before may be what it is asked for again.
	}
	r.known = splits
	if err := run(ctx, r.options.Reload); err != nil {
		return fmt.Errorf("reload NGINX: %w", err)
	}
	return nil
}

// copies says why requests of a release cannot be copied.
func (r *Router) copies(ctx context.Context, release string) error {
	if r.options.Copies == "" {
		return errors.New("its configuration has no address for copies of requests")
	}
	if lacks := r.lacksIncludes(ctx, release); lacks != "" {
		return errors.New(lacks)
	}
	return nil
}

// run runs a command to its end; the error quotes what it said.
func run(ctx context.Context, command []string) error {
	_, err := output(ctx, command)
	return err
}

// output is what a command said.
func output(ctx context.Context, command []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	said, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		const most = 2000
		text := strings.TrimSpace(string(said[max(0, len(said)-most):]))
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, text)
	}
	return said, nil
}

// Read is the split of the file, once the running workers have loaded it; until then, and when somebody else changed the
// file, it is one of nothing.
func (r *Router) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	split, err := r.read(ctx, release)
	if err != nil {
		return strategy.TrafficState{}, fmt.Errorf("read the split of %q from router %q: %w", release, r.options.Name, err)
	}
	return strategy.TrafficState{Splits: []strategy.Split{split}}, nil
}

func (r *Router) read(ctx context.Context, release string) (strategy.Split, error) {
	found, err := r.find()
	if err != nil || found.splits[release].Release == "" {
		return strategy.Split{}, err
	}
	sum, err := r.loaded(ctx)
	if err != nil {
		return strategy.Split{}, err
	}
	if found.edited || !r.loads(found, release, sum) {
		return strategy.Split{Release: release}, nil
	}
	split := found.splits[release]
	return split, r.uncopied(split, sum)
}

// loaded is the checksum of the file that the workers run by.
func (r *Router) loaded(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.options.Admin+adminPath, nil)
	if err != nil {
		return "", err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask NGINX what it has loaded: %w: does it run, and include %s?", err, r.options.File)
	}
	defer response.Body.Close()
	const most = 100
	said, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return "", fmt.Errorf("ask NGINX what it has loaded: %w", err)
	}
	return string(said), nil
}
