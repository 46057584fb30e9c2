package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

func TestCopiesHaveTheBodyAndOnlyTheMethodsAsked(t *testing.T) {
	f := startFront(t, proxy.Options{Routes: []proxy.Route{{Release: "shop"}}})
	type seen struct{ method, body, copied string }
	got := make(chan seen, 10)
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- seen{r.Method, string(body), r.Header.Get(proxy.HeaderShadow)}
		w.WriteHeader(http.StatusCreated)
	}
	stable, canary := serverFunc(t, "s", answer), serverFunc(t, "c", answer)
	s := split(0, []*server{stable}, []*server{canary})
	s.Copies = &strategy.Copies{Percent: strategy.Full, Methods: []string{http.MethodPost}}
	f.Set([]strategy.Split{s})
	large := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		method, body string
		copied       bool
	}{{http.MethodPost, "order", true}, {http.MethodPut, "order", false}, {http.MethodPost, large, false}, {http.MethodPost, "", true}} {
		if _, status := f.send(t, c.method, "shop", "/orders", c.body); status != http.StatusCreated {
			t.Errorf("%s was answered with %d", c.method, status)
		}
		times := 1
		if c.copied {
			times = 2
		}
		copies := 0
		for range times {
			s := <-got
			if s.method != c.method || s.body != c.body {
				t.Errorf("an endpoint saw %s with %d bytes, want %s with %d", s.method, len(s.body), c.method, len(c.body))
			}
			if s.copied == "shop" {
				copies++
			}
		}
		if copies != times-1 {
			t.Errorf("of %s with %d bytes %d copies were marked, want %d", c.method, len(c.body), copies, times-1)
		}
	}
	f.idle(t)
	if len(got) > 0 {
		t.Errorf("more was sent: %+v", <-got)
	}
	f.metric(t, `drover_proxy_copies_left_out_total{release="shop"} 1`)
}

func TestCopiesThatHangHoldNobodyUp(t *testing.T) {
	f := startFront(t, proxy.Options{Routes: []proxy.Route{{Release: "shop"}}})
	stable := startServer(t, "s")
	canary := serverFunc(t, "c", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := split(0, []*server{stable}, []*server{canary})
	s.Copies = &strategy.Copies{Percent: strategy.Full, Methods: []string{http.MethodGet}}
	f.Set([]strategy.Split{s})
	for range 100 {
		if alloc, status := f.get(t, "shop"); alloc != "s" || status != http.StatusOK {
			t.Fatalf("a user was answered by %q with %d", alloc, status)
		}
	}
	f.metric(t, `drover_proxy_copies_left_out_total{release="shop"} 36`)
	f.Close() // Ends them.
	f.metric(t, `drover_proxy_requests_in_flight{release="shop",track="shadow"} 0`)
}
