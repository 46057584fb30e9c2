package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// nowhere publishes to nobody.
type nowhere struct{}

// Publish does nothing.
func (nowhere) Publish(context.Context, string, strategy.Split) error { return nil }

// slowAdmin answers requests to the admin handler of a proxy when it is let, and counts them.
type slowAdmin struct {
	admin http.Handler
	goOn  chan struct{}

	mu   sync.Mutex
	read int
}

// RoundTrip implements http.RoundTripper.
func (s *slowAdmin) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.read++
	s.mu.Unlock()
	<-s.goOn
	w := httptest.NewRecorder()
	s.admin.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestReleasesShareAPage: hundreds of releases that are sampled at a time read the metrics of an instance a few times, each
// not before it was asked for.
func TestReleasesShareAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := proxy.New(proxy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		admin := &slowAdmin{admin: p.Admin(), goOn: make(chan struct{})}
		client, err := proxy.NewClient(proxy.ClientOptions{
			Router: "edge", Publisher: nowhere{}, HTTPClient: &http.Client{Transport: admin},
			Instances: func(context.Context) ([]string, error) { return []string{"http://a.invalid"}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		sample := func(ctx context.Context, n int, want error) {
			group.Go(func() {
				if got, err := client.Sample(ctx, fmt.Sprint("release-", n)); !errors.Is(err, want) || (err == nil && len(got.Series) != 2) {
					t.Errorf("sample of release %d: %d series, %v, want %v", n, len(got.Series), err, want)
				}
			})
			synctest.Wait()
		}
		sample(t.Context(), 0, nil)
		// The first to wait for the second page is to read it, and gives up.
		impatient, cancel := context.WithCancel(t.Context())
		sample(impatient, 1, context.Canceled)
		for n := range 50 {
			sample(t.Context(), 2+n, nil)
		}
		cancel()
		synctest.Wait()
		close(admin.goOn)
		group.Wait()
		if admin.read != 2 {
			t.Errorf("the metrics were read %d times, want once for the first sample and once for all that came meanwhile", admin.read)
		}
		sample(t.Context(), 0, nil)
		if admin.read != 3 {
			t.Errorf("the metrics were read %d times for a sample later on, want once", admin.read-2)
		}
	})
}
