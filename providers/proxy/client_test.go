package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

func newClient(t *testing.T, publisher proxy.Publisher, instances ...string) *proxy.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := proxy.NewClient(proxy.ClientOptions{
		Router: "edge", Publisher: publisher, HTTPClient: &http.Client{Transport: transport},
		Instances: func(context.Context) ([]string, error) { return instances, nil },
		Now:       func() time.Time { return time.Unix(1000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientSumsNothingUpButShowsEveryInstance(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	now := func() time.Time { return began }
	one, two := startFront(t, proxy.Options{Instance: "one", Now: now}), startFront(t, proxy.Options{Instance: "two", Now: now})
	c := newClient(t, proxy.NewDirect(one.Proxy, two.Proxy), one.admin.URL, two.admin.URL+"/", one.admin.URL)
	a := startServer(t, "a")
	if err := c.Apply(t.Context(), split(0, []*server{a}, nil)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		one.get(t, "shop")
	}
	two.get(t, "shop")
	one.idle(t)
	two.idle(t)
	sample, err := c.Sample(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	sample.Series = slices.DeleteFunc(sample.Series, func(s strategy.Series) bool { return s.Endpoint != "" })
	for _, s := range sample.Series {
		got[s.Source+"/"+string(s.Track)] = s.Requests
		if !s.Since.Equal(began) {
			t.Errorf("%s counts since %v, want %v", s.Source, s.Since, began)
		}
	}
	at := fmt.Sprintf("@%d.123456", began.Unix())
	want := map[string]float64{"one" + at + "/stable": 3, "one" + at + "/canary": 0, "two" + at + "/stable": 1, "two" + at + "/canary": 0}
	if diff := cmp.Diff(want, got); diff != "" || len(sample.Series) != 4 {
		t.Errorf("requests by source, %d series (-want +got):\n%s", len(sample.Series), diff)
	}
	if !sample.At.Equal(time.Unix(1000, 0)) {
		t.Errorf("the sample is of %v, want the time before it was asked for", sample.At)
	}
	state, err := c.Read(t.Context(), "shop")
	if err != nil || len(state.Splits) != 3 {
		t.Errorf("read %+v, %v; want a split of each instance", state, err)
	}
}

func TestClientNamesTheInstanceThatDoesNotAnswer(t *testing.T) {
	f := startFront(t, proxy.Options{})
	stranger := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(stranger.Close)
	silent := "http://" + dead(t, "").endpoint.Address
	c := newClient(t, proxy.NewDirect(), f.admin.URL, silent, stranger.URL)
	_, read := c.Read(t.Context(), "shop")
	_, sampled := c.Sample(t.Context(), "shop")
	for _, err := range []error{read, sampled} {
		if err == nil || !strings.Contains(err.Error(), silent) || !strings.Contains(err.Error(), stranger.URL) || !strings.Contains(err.Error(), `router "edge"`) {
			t.Errorf("got %v, want an error that names both instances and the router", err)
		}
	}
}

func TestClientRefusesWhatIsNoProxy(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "go_goroutines 7\n") }))
	t.Cleanup(other.Close)
	c := newClient(t, proxy.NewDirect(), other.URL)
	if _, err := c.Sample(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "is this the admin address of a drover proxy?") {
		t.Errorf("sample: %v, want a question", err)
	}
	if _, err := c.Read(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "/splits") {
		t.Errorf("read: %v, want an error that names the page", err)
	}
}

type failing struct{ err error }

func (f failing) Publish(context.Context, string, strategy.Split) error { return f.err }

func TestClientErrors(t *testing.T) {
	away := errors.New("nomad is away")
	c := newClient(t, failing{away})
	if err := c.Apply(t.Context(), strategy.Split{Release: "shop"}); !errors.Is(err, away) || !strings.Contains(err.Error(), `publish the split of "shop" to router "edge"`) {
		t.Errorf("apply: %v", err)
	}
	if _, err := c.Read(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "no instance of the proxy is known") {
		t.Errorf("read without instances: %v", err)
	}
	for want, o := range map[string]proxy.ClientOptions{
		"name of its router": {},
		"no publisher":       {Router: "edge"},
		"no list":            {Router: "edge", Publisher: failing{}},
	} {
		if _, err := proxy.NewClient(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("options %+v: %v, want an error with %q", o, err, want)
		}
	}
}

func TestAdmin(t *testing.T) {
	f := startFront(t, proxy.Options{Instance: "one"})
	if got := f.page(t, "/splits"); got != "[]\n" {
		t.Errorf("splits of a new proxy: %q, want an empty list", got)
	}
	if got := f.page(t, "/healthz"); got != "ok\n" {
		t.Errorf("health: %q", got)
	}
	response, err := f.client.Get(f.admin.URL + "/splits")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if got := response.Header.Get("Drover-Instance"); got != "one" {
		t.Errorf("Drover-Instance is %q, want one", got)
	}
	if !strings.Contains(f.page(t, "/metrics"), `drover_proxy_started_seconds{instance="one"} `) {
		t.Error("metrics do not say when the instance started")
	}
}

func TestEvidenceGrowsFromTheFirstRequestAndOverARestart(t *testing.T) {
	clock := time.Unix(5000, 0)
	f := startFront(t, proxy.Options{Instance: "one", Now: func() time.Time { return clock }})
	a := startServer(t, "a")
	s := split(strategy.Full, nil, []*server{a})
	url := f.admin.URL
	at := 1000
	c, err := proxy.NewClient(proxy.ClientOptions{
		Router: "edge", Publisher: proxy.NewDirect(f.Proxy), HTTPClient: f.client,
		Instances: func(context.Context) ([]string, error) { return []string{url}, nil },
		Now:       func() time.Time { at++; return time.Unix(int64(at), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	evidence := strategy.Evidence{Since: time.Unix(6000, 0)}
	take := func(want float64) {
		t.Helper()
		sample, err := c.Sample(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if evidence, err = evidence.Add(sample); err != nil {
			t.Fatal(err)
		}
		if evidence.Canary.Requests != want {
			t.Errorf("the canary has %.0f requests, want %.0f", evidence.Canary.Requests, want)
		}
	}
	take(0)
	f.Set([]strategy.Split{s})
	f.get(t, "shop")
	f.idle(t)
	take(1)
	restarted := startFront(t, proxy.Options{Instance: "one", Now: func() time.Time { return clock.Add(time.Hour) }})
	restarted.Set([]strategy.Split{s})
	restarted.get(t, "shop")
	restarted.get(t, "shop")
	restarted.idle(t)
	url = restarted.admin.URL
	take(3)
}
