package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

const (
	// anyNamespace is every namespace at once. Nomad refuses it to a token that may not read all of them.
	anyNamespace = "*"
	// silence is how long a stream may say nothing before it is taken for dead: Nomad sends an empty line every 30s.
	silence = 75 * time.Second
	// firstLine is how long a stream may take to begin; Nomad sends an empty line at once.
	firstLine = 5 * time.Second
	// deniedPause is how long a namespace that the token may not read is left alone.
	deniedPause = 5 * time.Minute
	// fromNow is an index that never comes: a stream that asks for it begins at the present.
	fromNow = "1000000000000"
)

var (
	// errDenied is a stream that Nomad refuses.
	errDenied = errors.New("the token may not read the jobs there")
	// errSilent is a stream that says nothing: this is how Nomad refuses one. The status is 200, and the end comes some
	// time, when the server tidies up.
	errSilent = errors.New("the stream does not begin")
)

// Follow calls changed with every job that was registered, scaled, reverted, stopped or purged, in any namespace that the
// token may read, until ctx is done; it returns its error. A zero JobRef says that something may have been missed: it comes
// first, and after every loss of a stream. With Options.Registrations it calls changed too when a service of a job was registered,
// or was not any more. changed is not called at one time by two. Nomad's stream keeps few events and does
// not say what it has dropped, so nothing is asked for again after a loss.
func (c *Cluster) Follow(ctx context.Context, changed func(strategy.JobRef)) error {
	f := &follower{client: c.client, logger: c.logger, topics: []api.Topic{api.TopicJob}, denied: make(chan string), streams: map[string]context.CancelFunc{}}
	if c.services {
		f.topics = append(f.topics, api.TopicService)
	}
	f.changed = func(job strategy.JobRef) {
		f.mu.Lock()
		defer f.mu.Unlock()
		changed(job)
	}
	defer f.group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.run(ctx)
	return ctx.Err()
}

// follower keeps one stream of all namespaces, or where that is refused one of each.
type follower struct {
	client  *api.Client
	logger  *slog.Logger
	topics  []api.Topic
	changed func(strategy.JobRef)
	denied  chan string // namespaces that were refused
	mu      sync.Mutex  // held while changed is called

	group   sync.WaitGroup
	streams map[string]context.CancelFunc // by namespace
	each    bool                          // one of each
}

// run opens and closes streams as namespaces come and go. A stream of all namespaces has those that there were when it
// began, so it is begun anew.
func (f *follower) run(ctx context.Context) {
	known := make(chan []string)
	f.group.Go(func() { f.namespaces(ctx, known) })
	f.open(ctx, anyNamespace)
	var names []string
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-known:
			first := names == nil
			names = now
			switch {
			case f.each:
				f.openEach(ctx, names)
			case !first:
				f.close(anyNamespace)
				f.open(ctx, anyNamespace)
			}
		case namespace := <-f.denied:
			if namespace != anyNamespace || f.each {
				f.logger.WarnContext(ctx, "jobs not followed: what others change at rest in this namespace is not seen", "namespace", namespace, "error", errDenied)
				continue
			}
			f.each = true
			f.close(anyNamespace)
			f.openEach(ctx, names)
		}
	}
}

func (f *follower) openEach(ctx context.Context, names []string) {
	for open := range f.streams {
		if !slices.Contains(names, open) {
			f.close(open)
		}
	}
	for _, name := range names {
		if f.streams[name] == nil {
			f.open(ctx, name)
		}
	}
}

func (f *follower) open(ctx context.Context, namespace string) {
	ctx, cancel := context.WithCancel(ctx)
	f.streams[namespace] = cancel
	f.group.Go(func() { f.keep(ctx, namespace) })
}

func (f *follower) close(namespace string) {
	if cancel := f.streams[namespace]; cancel != nil {
		cancel()
		delete(f.streams, namespace)
	}
}

// namespaces tells of the names that the token sees, at the start and whenever they change.
func (f *follower) namespaces(ctx context.Context, known chan<- []string) {
	var last []string
	read := func(index uint64) (uint64, error) {
		list, meta, err := f.client.Namespaces().List((&api.QueryOptions{WaitIndex: index, WaitTime: longestNamespaces}).WithContext(ctx))
		if err != nil {
			return 0, fmt.Errorf("list the namespaces: %w", err)
		}
		names := []string{}
		for _, n := range list {
			names = append(names, n.Name)
		}
		slices.Sort(names)
		if last == nil || !slices.Equal(last, names) {
			last = names
			select {
			case known <- names:
			case <-ctx.Done():
			}
		}
		return meta.LastIndex, nil
	}
	_ = follow(ctx, read, func(err error) { // It ends with ctx alone.
		f.logger.WarnContext(ctx, "namespaces cannot be read", "error", err)
	})
}

// longestNamespaces bounds the query that waits for another namespace: they are few and rarely change.
const longestNamespaces = 5 * time.Minute

// keep holds a stream open until ctx is done.
func (f *follower) keep(ctx context.Context, namespace string) {
	pause, told, silent := firstPause, false, 0
	for ctx.Err() == nil {
		begun, err := f.stream(ctx, namespace)
		if silent++; !errors.Is(err, errSilent) {
			silent = 0
		}
		if silent > 1 && namespace == anyNamespace {
			err = errDenied // Once may be a server that goes away.
		}
		if ctx.Err() != nil {
			return
		}
		wait := pause/2 + rand.N(pause/2)
		switch {
		case errors.Is(err, errDenied):
			if !told || namespace == anyNamespace {
				select {
				case f.denied <- namespace:
				case <-ctx.Done():
				}
			}
			told, wait = true, deniedPause
		case begun:
			pause, told = firstPause, false
			f.logger.DebugContext(ctx, "event stream ended", "namespace", namespace, "error", err)
		case errors.Is(err, errSilent) && namespace == anyNamespace:
			// Refused, as a rule: the next try tells.
		default:
			f.logger.WarnContext(ctx, "event stream cannot be read", "namespace", namespace, "error", err)
			pause = min(2*pause, lastPause)
		}
		_ = sleep(ctx, wait) // The loop looks at ctx.
	}
}

// line is what one line of the stream says; an empty one says that it lives.
type line struct {
	Events []struct {
		Topic     string
		Type      string
		Key       string
		Namespace string
		Index     uint64
		Payload   struct {
			Job *struct {
				ID, Namespace, ParentID string
				JobModifyIndex          uint64
			}
			Service *struct {
				JobID, Namespace string
			}
		}
	}
}

// stream reads one stream to its end. begun says that Nomad had begun to answer.
func (f *follower) stream(ctx context.Context, namespace string) (begun bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(firstLine, cancel)
	defer watchdog.Stop()
	if err := f.mayRead(ctx, namespace); err != nil {
		return false, err
	}
	options := query(ctx, namespace)
	options.Params = map[string]string{"index": fromNow}
	topics := url.Values{}
	for _, topic := range f.topics {
		topics.Add("topic", string(topic))
	}
	body, err := f.client.Raw().Response("/v1/event/stream?"+topics.Encode(), options)
	if err != nil {
		if statusOf(err) == http.StatusForbidden {
			return false, errDenied
		}
		return false, fmt.Errorf("open the event stream: %w", err)
	}
	defer func() { _ = body.Close() }() // It was only read.
	lines := json.NewDecoder(body)
	for {
		var l line
		if err := lines.Decode(&l); err != nil {
			if !begun && (errors.Is(err, io.EOF) || ctx.Err() != nil) {
				return false, errSilent
			}
			return begun, fmt.Errorf("read the event stream: %w", err)
		}
		watchdog.Reset(silence)
		if !begun {
			begun = true
			f.changed(strategy.JobRef{})
		}
		for _, job := range l.jobs() {
			f.changed(job)
		}
	}
}

// mayRead asks whether the token may read jobs of a namespace: a job that nobody has is then not found, instead of refused.
// Of all namespaces at once Nomad answers that only with the stream itself.
func (f *follower) mayRead(ctx context.Context, namespace string) error {
	if namespace == anyNamespace {
		return nil
	}
	_, _, err := f.client.Jobs().Info("-", query(ctx, namespace))
	switch {
	case err == nil, isNotFound(err):
		return nil
	case statusOf(err) == http.StatusForbidden:
		return errDenied
	}
	return fmt.Errorf("open the event stream: %w", err)
}

// jobs are those whose spec changed, or whose services came or went. What the scheduler made of a job is left out, and so are the children of periodic and
// parameterized jobs.
func (l line) jobs() []strategy.JobRef {
	var found []strategy.JobRef
	for _, e := range l.Events {
		if s := e.Payload.Service; e.Topic == string(api.TopicService) && s != nil {
			found = append(found, strategy.JobRef{Namespace: s.Namespace, ID: s.JobID})
			continue
		}
		job := e.Payload.Job
		if e.Topic != string(api.TopicJob) || (job != nil && job.ParentID != "") {
			continue
		}
		gone := strings.HasSuffix(e.Type, "Deregistered")
		if job != nil && job.JobModifyIndex != 0 && job.JobModifyIndex != e.Index && !gone {
			continue
		}
		found = append(found, strategy.JobRef{Namespace: e.Namespace, ID: e.Key})
	}
	return found
}
