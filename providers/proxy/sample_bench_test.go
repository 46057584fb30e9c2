package proxy_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// BenchmarkSample reads the counters of one release of an instance that serves two hundred.
func BenchmarkSample(b *testing.B) {
	p, err := proxy.New(proxy.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var splits []strategy.Split
	for n := range 200 {
		splits = append(splits, strategy.Split{Release: fmt.Sprintf("release-%03d", n)})
	}
	p.Set(splits)
	for _, s := range splits {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), "GET", "http://"+s.Release+"/", nil))
	}
	server := httptest.NewServer(p.Admin())
	defer server.Close()
	client, err := proxy.NewClient(proxy.ClientOptions{
		Router: "edge", Publisher: nowhere{},
		Instances: func(context.Context) ([]string, error) { return []string{server.URL}, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Sample(b.Context(), "release-100"); err != nil {
			b.Fatal(err)
		}
	}
}
