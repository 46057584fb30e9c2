package proxy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router = (*proxy.Client)(nil)
	_ reconcile.Meter  = (*proxy.Client)(nil)
	_ proxy.Publisher  = (*proxy.Direct)(nil)
)

func TestRouter(t *testing.T) {
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		f := startFront(t, proxy.Options{Instance: "one"})
		client, err := proxy.NewClient(proxy.ClientOptions{
			Router: "edge", Publisher: proxy.NewDirect(f.Proxy), HTTPClient: f.client,
			Instances: func(context.Context) ([]string, error) { return []string{f.admin.URL}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		keeps := false
		servers := map[strategy.Endpoint]*server{}
		return providertest.RouterHarness{
			Router: client,
			Meter:  client,
			Start: func(_, alloc string) strategy.Endpoint {
				s := startServer(t, alloc)
				servers[s.endpoint] = s
				return s.endpoint
			},
			Behave: func(e strategy.Endpoint, b providertest.Behavior) { servers[e].behavior.Store(&b) },
			Send: func(release string, n int) map[string]int {
				answers := map[string]int{}
				for range n {
					alloc, _ := f.get(t, release)
					answers[alloc]++
				}
				return answers
			},
			Connect: func(release string) (string, <-chan string) {
				keeps = true
				return f.connect(t, release)
			},
			Copied:  func(e strategy.Endpoint) int { return int(servers[e].copied.Load()) },
			NewUser: func() func(string) string { return f.user(t) },
			Edge:    strings.TrimPrefix(f.traffic.URL, "http://"),
			Again: func() reconcile.Router {
				again, err := proxy.NewClient(proxy.ClientOptions{
					Router: "edge", Publisher: proxy.NewDirect(f.Proxy), HTTPClient: f.client,
					Instances: func(context.Context) ([]string, error) { return []string{f.admin.URL}, nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				return again
			},
			// A request is counted just after its answer was sent.
			Settle: func() {
				if !keeps { // Kept connections are under way for good.
					f.idle(t)
				}
			},
		}
	})
}

// connect opens a WebSocket and keeps it. What it sends says how it ended.
func (f *front) connect(t *testing.T, release string) (alloc string, ended <-chan string) {
	t.Helper()
	address := "ws://" + strings.TrimPrefix(f.traffic.URL, "http://") + "/socket"
	connection, response, err := websocket.DefaultDialer.DialContext(t.Context(), address, http.Header{"Host": {release}})
	if err != nil {
		t.Fatalf("open a connection: %v", err)
	}
	_ = response.Body.Close()
	_, first, err := connection.ReadMessage()
	if err != nil {
		t.Fatalf("open a connection: %v", err)
	}
	how, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		defer connection.Close()
		_, _, err := connection.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			how <- strconv.Itoa(closed.Code)
			return
		}
		how <- err.Error()
	}()
	t.Cleanup(func() {
		_ = connection.Close()
		<-read
	})
	return string(first), how
}

// user is somebody who keeps cookies.
func (f *front) user(t *testing.T) func(release string) (alloc string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	home := &url.URL{Scheme: "http", Host: "shop.example.org", Path: "/"}
	return func(release string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.traffic.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = release
		for _, cookie := range jar.Cookies(home) {
			r.AddCookie(cookie)
		}
		response, err := f.client.Do(r)
		if err != nil {
			t.Fatalf("ask as a user: %v", err)
		}
		_ = response.Body.Close()
		jar.SetCookies(home, response.Cookies())
		return response.Header.Get("X-Alloc")
	}
}
