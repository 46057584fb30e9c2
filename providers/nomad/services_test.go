package nomad_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/strategy"
)

// registry answers for services as Nomad does, in the time of the bubble, and counts the queries that wait.
type registry struct {
	mu      sync.Mutex
	indexes map[string]int // by service; 1 unless set
	changed chan struct{}  // closed at every change
	waiting int
	most    int
}

func (r *registry) RoundTrip(request *http.Request) (*http.Response, error) {
	service, query := path.Base(request.URL.Path), request.URL.Query()
	after, _ := strconv.Atoi(query.Get("index"))
	wait, _ := time.ParseDuration(query.Get("wait"))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for over := false; max(1, r.indexes[service]) <= after && !over; {
		r.waiting++
		r.most = max(r.most, r.waiting)
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-request.Context().Done():
		}
		r.mu.Lock()
		r.waiting--
		if err := request.Context().Err(); err != nil {
			return nil, err
		}
	}
	index := max(1, r.indexes[service])
	body, err := json.Marshal([]api.ServiceRegistration{{ServiceName: service, AllocID: fmt.Sprint("alloc-", index), Address: "10.0.0.1", Port: 80}})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"X-Nomad-Index": {strconv.Itoa(index)}, "X-Nomad-Lastcontact": {"0"}, "X-Nomad-Knownleader": {"true"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: request,
	}, nil
}

func (r *registry) change(service string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.indexes[service] = max(1, r.indexes[service]) + 1
	close(r.changed)
	r.changed = make(chan struct{})
}

// TestManyServices: Nomad takes a hundred connections from one address, also when there are more services.
func TestManyServices(t *testing.T) {
	for _, services := range []int{40, 200} {
		t.Run(fmt.Sprint(services), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { watchMany(t, services) }) })
	}
}

func watchMany(t *testing.T, services int) {
	t.Helper()
	r := &registry{indexes: map[string]int{}, changed: make(chan struct{})}
	client, err := nomad.Connect(nomad.Config{Address: "http://nomad.invalid", HTTPClient: &http.Client{Transport: r}})
	if err != nil {
		t.Fatal(err)
	}
	registrations := nomad.Services(client)
	registrations.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	var mu sync.Mutex
	last := map[string]string{}
	for n := range services {
		name := fmt.Sprint("service-", n)
		group.Go(func() {
			_ = registrations.Watch(ctx, "default", name, func(registered []strategy.Endpoint) {
				mu.Lock()
				defer mu.Unlock()
				last[name] = registered[0].Alloc
			})
		})
	}
	synctest.Wait()
	if len(last) != services {
		t.Fatalf("%d of %d services were told of at the start", len(last), services)
	}
	time.Sleep(time.Minute) // All have waited longer than Nomad lets them.
	for n := range services {
		r.change(fmt.Sprint("service-", n))
	}
	if services > 48 {
		time.Sleep(6 * time.Second)
	}
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	for name, alloc := range last {
		if alloc != "alloc-2" {
			t.Errorf("the change of %s is not seen", name)
		}
	}
	if r.most > 48 || r.most < 40 {
		t.Errorf("%d queries waited at one time, want up to 48", r.most)
	}
}
