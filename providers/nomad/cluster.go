package nomad

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Cluster is Nomad as the reconciler sees it. It is safe for concurrent use; every method blocks for as long as Nomad
// takes to answer, and returns when its context ends.
type Cluster struct {
	client   *api.Client
	instance string
	fallback string // the namespace of jobs that name none
	logger   *slog.Logger
	services bool // Follow tells of registrations too

	mu      sync.Mutex
	read    map[strategy.JobRef]*readJob
	recent  []recentHistory // the oldest first
	parsed  []parsed        // the oldest first
	passing passing
}

// Options are what a Cluster needs beside a client.
type Options struct {
	// Instance is the name of this Drover, the prefix of its tags and markers; "drover" when empty.
	Instance string
	// Namespace is that of jobs whose jobspec and release name none; "default" when empty.
	Namespace string
	// Registrations has Follow tell of jobs whose services came or went too, for routers that follow nothing by themselves.
	Registrations bool
	// Logger takes what is worth a line and no error; nothing is logged when it is nil.
	Logger *slog.Logger
}

// New builds a Cluster on a client.
func New(client *api.Client, options Options) *Cluster {
	return &Cluster{
		client:   client,
		instance: cmp.Or(options.Instance, "drover"),
		fallback: cmp.Or(options.Namespace, api.DefaultNamespace),
		logger:   logTo(options.Logger),
		services: options.Registrations,
		read:     map[strategy.JobRef]*readJob{},
		passing:  passing{last: map[string]passed{}},
	}
}

// logTo marks a logger's lines as this package's; they go nowhere without one.
func logTo(logger *slog.Logger) *slog.Logger {
	if logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return logger.With("component", "nomad")
}

func query(ctx context.Context, namespace string) *api.QueryOptions {
	return (&api.QueryOptions{Namespace: namespace}).WithContext(ctx)
}

func write(ctx context.Context, namespace string) *api.WriteOptions {
	return (&api.WriteOptions{Namespace: namespace}).WithContext(ctx)
}

func jobPath(id, rest string) string { return "/v1/job/" + url.PathEscape(id) + rest }

// statusOf is the HTTP status of an answer that was an error; 0 when there was no answer.
func statusOf(err error) int {
	if response, ok := errors.AsType[api.UnexpectedResponseError](err); ok {
		return response.StatusCode()
	}
	return 0
}

// bodyOf is what Nomad said in an answer that was an error.
func bodyOf(err error) string {
	if response, ok := errors.AsType[api.UnexpectedResponseError](err); ok {
		return strings.TrimSpace(response.Body())
	}
	return ""
}

func isNotFound(err error) bool { return statusOf(err) == http.StatusNotFound }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// deref is the value behind a pointer, or the zero value.
func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
