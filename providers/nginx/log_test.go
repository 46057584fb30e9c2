package nginx_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/nginx"
	"github.com/drover-dev/drover/strategy"
)

// TestHear: what NGINX tells of requests is counted by release and track; anything else on the address is not.
func TestHear(t *testing.T) {
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := probe.LocalAddr().String()
	probe.Close()
	router, err := nginx.New(nginx.Options{Name: "edge", File: "edge.conf", Admin: "127.0.0.1:1", Log: address})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := router.Sample(t.Context(), "checkout-api"); err == nil {
		t.Error("a log that nobody hears is counted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan error, 1)
	go func() { heard <- router.Hear(ctx) }()
	defer func() { cancel(); <-heard }()
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const last = "<190>Nov 25 01:31:09 drover: drover-checkout_api-stable 200 0.002 0.003"
	lines := []string{
		"<190>Nov 25 01:31:09 drover: drover-checkout_api-canary 200 0.004 9.000",
		"<190>Nov 25 01:31:09 drover: drover-checkout_api-canary 502 0.100, 0.150 0.260",
		"<190>Nov 25 01:31:09 drover: drover-checkout_api-canary 504 - 12.000",
		"<190>Nov 25 01:31:09 drover: drover-other-canary 200 0.004 0.004",
		"<190>Nov 25 01:31:09 drover: - 404 - 0.000",
		"<190>Nov 25 01:31:09 drover: drover-checkout_api-canary what 0.1 0.1",
		"<190>Nov 25 01:31:09 nginx: drover-checkout_api-canary 200 0.1 0.1",
		"", last,
	}
	sample := func(what string, until func(strategy.Sample) bool) strategy.Sample {
		t.Helper()
		for range 3000 {
			if got, err := router.Sample(t.Context(), "checkout-api"); err == nil && until(got) {
				return got
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Fatal("after 30s still not: " + what)
		return strategy.Sample{}
	}
	sample("the log is heard", func(strategy.Sample) bool { return true })
	for _, line := range lines {
		if _, err := conn.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	got := sample("the last line is counted", func(s strategy.Sample) bool { return s.Series[0].Requests > 0 })
	if len(got.Series) != 2 || got.Series[0].Track != strategy.Stable || got.Series[0].Requests != 1 {
		t.Fatalf("got %+v, want one request of stable", got)
	}
	canary := got.Series[1].Counters
	if canary.Requests != 3 || canary.Errors != 2 {
		t.Errorf("the canary counts %v requests and %v errors, want 3 and 2", canary.Requests, canary.Errors)
	}
	var within []float64
	for i, bound := range got.Bounds {
		if bound == .005 || bound == .2 || bound == .3 || bound == 10 {
			within = append(within, canary.Buckets[i])
		}
	}
	if diff := cmp.Diff([]float64{1, 1, 2, 2}, within); diff != "" {
		t.Errorf("canary requests within 5ms, 200ms, 300ms and 10s (-want +got):\n%s", diff)
	}
}
