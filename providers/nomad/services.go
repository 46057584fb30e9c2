package nomad

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Registrations are the services of provider "nomad".
type Registrations struct {
	// Logger is told when Nomad cannot be reached; set before the first Watch. Nobody is told when it is nil.
	Logger *slog.Logger

	client   *api.Client
	watching atomic.Int64
	waiting  chan struct{} // holds a token for each query that waits at Nomad
}

// Nomad takes 100 connections from one address (limits.http_max_conns_per_client), and a query that waits holds one. With
// more services than maxWaiting each has its turn to wait, for a second: then a change is seen that much later.
const (
	maxWaiting = 48
	turn       = time.Second
)

// Services builds the registrations that a client can see.
func Services(client *api.Client) *Registrations {
	return &Registrations{client: client, waiting: make(chan struct{}, maxWaiting)}
}

// Watch calls back with every allocation that is registered for a service, by allocation: once at the start, empty or
// not, and after every change. An allocation is registered before its checks pass, and while they fail. It blocks
// until ctx is done and returns its error; while Nomad is away it tries again. It may be called for any number of services
// at one time: of many each is looked at in turn.
func (r *Registrations) Watch(ctx context.Context, namespace, service string, changed func([]strategy.Endpoint)) error {
	r.watching.Add(1)
	defer r.watching.Add(-1)
	var last []strategy.Endpoint
	told := false
	look := func(index uint64) (uint64, error) {
		options := query(ctx, namespace)
		if index > 0 {
			select {
			case r.waiting <- struct{}{}:
				defer func() { <-r.waiting }()
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			options.WaitIndex, options.WaitTime = index, longestWait
			if r.watching.Load() > maxWaiting {
				options.WaitTime = turn
			}
		}
		endpoints, index, err := r.read(service, options)
		if err != nil {
			return 0, err
		}
		if !told || !reflect.DeepEqual(last, endpoints) {
			last, told = endpoints, true
			changed(slices.Clone(endpoints))
		}
		return index, nil
	}
	return follow(ctx, look, func(err error) {
		logTo(r.Logger).WarnContext(ctx, "registrations cannot be read", "service", service, "error", err)
	})
}

// Registered is every allocation that is registered for a service now, by allocation.
func (r *Registrations) Registered(ctx context.Context, namespace, service string) ([]strategy.Endpoint, error) {
	endpoints, _, err := r.read(service, query(ctx, namespace))
	return endpoints, err
}

// read is what is registered for a service, and its index.
func (r *Registrations) read(service string, options *api.QueryOptions) ([]strategy.Endpoint, uint64, error) {
	found, meta, err := r.client.Services().Get(service, options)
	if err != nil {
		return nil, 0, fmt.Errorf("read service %s: %w", service, err)
	}
	endpoints := []strategy.Endpoint{}
	for _, f := range found {
		endpoints = append(endpoints, strategy.Endpoint{Alloc: f.AllocID, Address: net.JoinHostPort(f.Address, strconv.Itoa(f.Port))})
	}
	slices.SortFunc(endpoints, func(a, b strategy.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Alloc, b.Alloc), cmp.Compare(a.Address, b.Address))
	})
	return endpoints, meta.LastIndex, nil
}
