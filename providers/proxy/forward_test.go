package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// serverFunc is an endpoint with a handler of its own.
func serverFunc(t testing.TB, alloc string, handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{Server: httptest.NewServer(handler)}
	t.Cleanup(s.Close)
	s.endpoint = strategy.Endpoint{Alloc: alloc, Address: strings.TrimPrefix(s.URL, "http://")}
	return s
}

// dead is an endpoint that refuses connections.
func dead(t testing.TB, alloc string) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return &server{endpoint: strategy.Endpoint{Alloc: alloc, Address: listener.Addr().String()}}
}

func TestChangesUnderLoadDropNothing(t *testing.T) {
	for name, keepAlive := range map[string]bool{"kept connections": true, "new connections": false} {
		t.Run(name, func(t *testing.T) {
			f := startFront(t, proxy.Options{})
			f.client.Transport = &http.Transport{DisableKeepAlives: !keepAlive, MaxIdleConnsPerHost: 16}
			stable := []*server{startServer(t, "s1"), startServer(t, "s2")}
			canary := []*server{startServer(t, "c1"), startServer(t, "c2")}
			f.Set([]strategy.Split{split(0, stable, canary)})
			ctx, cancel := context.WithCancel(t.Context())
			var sent, failed atomic.Int64
			var clients sync.WaitGroup
			for i := range 8 {
				clients.Go(func() {
					for ctx.Err() == nil {
						method := []string{http.MethodGet, http.MethodPost}[i%2]
						if _, status := f.send(t, method, "shop", "/", "order"); status != http.StatusOK {
							failed.Add(1)
						}
						sent.Add(1)
					}
				})
			}
			for change := range 100 {
				before := sent.Load()
				f.Set([]strategy.Split{split(strategy.Percent(change%5*25), stable[:1+change%2], canary[change%2:])})
				until(t, "requests go on", func() bool { return sent.Load() >= before+8 })
			}
			cancel()
			clients.Wait()
			if n := failed.Load(); n != 0 {
				t.Errorf("%d of %d requests failed while the split changed 100 times, want none", n, sent.Load())
			}
			if stable[1].answered.Load() == 0 || canary[0].answered.Load() == 0 {
				t.Error("an endpoint of the changing splits never answered")
			}
		})
	}
}

func TestSplitIsInEffectForTheNextRequest(t *testing.T) {
	f := startFront(t, proxy.Options{})
	stable, canary := startServer(t, "s"), startServer(t, "c")
	for i := range 50 {
		want, weight := "s", strategy.Weight(0)
		if i%2 == 1 {
			want, weight = "c", strategy.Full
		}
		f.Set([]strategy.Split{split(weight, []*server{stable}, []*server{canary})})
		if got, _ := f.get(t, "shop"); got != want {
			t.Fatalf("after the split changed to %s, %q answered, want %q", weight, got, want)
		}
	}
}

func TestRequestUnderWayFinishesWhereItIs(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	slow := serverFunc(t, "c", func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-leave
		w.Header().Set("X-Alloc", "c")
	})
	f := startFront(t, proxy.Options{})
	stable := startServer(t, "s")
	f.Set([]strategy.Split{split(strategy.Full, []*server{stable}, []*server{slow})})
	answered := make(chan string, 1)
	go func() {
		alloc, _ := f.get(t, "shop")
		answered <- alloc
	}()
	<-arrived
	f.Set([]strategy.Split{split(0, []*server{stable}, nil)})
	if got, _ := f.get(t, "shop"); got != "s" {
		t.Errorf("the next request was answered by %q, want s", got)
	}
	f.metric(t, `drover_proxy_requests_in_flight{release="shop",track="canary"} 1`)
	close(leave)
	if got := <-answered; got != "c" {
		t.Errorf("the request under way was answered by %q, want c", got)
	}
	f.metric(t, `drover_proxy_requests_in_flight{release="shop",track="canary"} 0`)
}

func TestDeadEndpointIsSkipped(t *testing.T) {
	f := startFront(t, proxy.Options{})
	alive, gone := startServer(t, "alive"), dead(t, "gone")
	f.Set([]strategy.Split{split(0, []*server{gone, alive}, nil)})
	for i := range 100 {
		method := []string{http.MethodGet, http.MethodPost}[i%2]
		if alloc, status := f.send(t, method, "shop", "/", "order"); alloc != "alive" || status != http.StatusOK {
			t.Fatalf("request %d: status %d by %q, want 200 by the endpoint that lives", i, status, alloc)
		}
	}
	f.Set([]strategy.Split{split(0, []*server{gone}, nil)})
	if _, status := f.get(t, "shop"); status != http.StatusBadGateway {
		t.Errorf("with only dead endpoints the status is %d, want 502", status)
	}
	f.metric(t, `drover_proxy_requests_total{code="error",endpoint="GET /",release="shop",track="stable"} 1`)
}

// TestDeadCanaryLeavesItsRequests has all canaries gone at once, while they carry traffic: nobody has to know, and the
// requests count where they were answered. One that took the request and broke it off is answered for by the canary.
func TestDeadCanaryLeavesItsRequests(t *testing.T) {
	f := startFront(t, proxy.Options{})
	stable, gone := startServer(t, "s"), []*server{dead(t, "c1"), dead(t, "c2")}
	f.Set([]strategy.Split{split(strategy.Full, []*server{stable}, gone)})
	for i := range 20 {
		method := []string{http.MethodGet, http.MethodPost}[i%2]
		if alloc, status := f.send(t, method, "shop", "/", "order"); alloc != "s" || status != http.StatusOK {
			t.Fatalf("request %d: status %d by %q, want 200 by stable", i, status, alloc)
		}
	}
	f.metric(t, `drover_proxy_requests_total{code="2xx",endpoint="GET /",release="shop",track="stable"} 10`)
	f.metric(t, `drover_proxy_requests_in_flight{release="shop",track="canary"} 0`)
	f.metric(t, `drover_proxy_requests_in_flight{release="shop",track="stable"} 0`)
	if page := f.page(t, "/metrics"); strings.Contains(page, `drover_proxy_requests_left_total{release="shop",track="canary"} 0`) ||
		!strings.Contains(page, `drover_proxy_requests_left_total{release="shop",track="canary"} `) {
		t.Errorf("nothing was counted as left by the canary:\n%s", page)
	}

	breaking := serverFunc(t, "c3", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	f.Set([]strategy.Split{split(strategy.Full, []*server{stable}, []*server{breaking, gone[0]})})
	if _, status := f.get(t, "shop"); status != http.StatusBadGateway {
		t.Errorf("a canary that breaks off: status %d, want 502", status)
	}
	f.metric(t, `drover_proxy_requests_total{code="error",endpoint="GET /",release="shop",track="canary"} 1`)
}

func TestDeadEndpointIsTriedAgainAfterASecond(t *testing.T) {
	var elapsed atomic.Int64
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(elapsed.Load())) }
	f := startFront(t, proxy.Options{Now: now})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	canary := &server{endpoint: strategy.Endpoint{Alloc: "c", Address: address}}
	f.Set([]strategy.Split{split(strategy.Full, []*server{startServer(t, "s")}, []*server{canary})})
	for range 3 {
		if alloc, _ := f.get(t, "shop"); alloc != "s" {
			t.Errorf("with a canary that refuses %q answers, want stable", alloc)
		}
	}
	f.metric(t, `drover_proxy_requests_left_total{release="shop",track="canary"} 1`) // The others were not even tried.
	revived, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("listen at the endpoint's address again: %v", err)
	}
	back := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Alloc", "c") })}
	go func() { _ = back.Serve(revived) }()
	defer back.Close()
	elapsed.Store(int64(1001 * time.Millisecond))
	if alloc, _ := f.get(t, "shop"); alloc != "c" {
		t.Errorf("a second later %q answers, want the canary", alloc)
	}
}

func TestBodyIsNotSentTwice(t *testing.T) {
	var received atomic.Int64
	breaks := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		received.Add(1)
		panic(http.ErrAbortHandler)
	}
	f := startFront(t, proxy.Options{})
	f.Set([]strategy.Split{split(0, []*server{serverFunc(t, "a", breaks), serverFunc(t, "b", breaks)}, nil)})
	if _, status := f.send(t, http.MethodPost, "shop", "/orders", "one book"); status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", status)
	}
	if n := received.Load(); n != 1 {
		t.Errorf("the order was sent %d times, want once", n)
	}
	received.Store(0)
	if _, status := f.get(t, "shop"); status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", status)
	}
	if n := received.Load(); n != 2 {
		t.Errorf("a read was tried %d times, want at each of two endpoints", n)
	}
}

func TestLeastBusyEndpointAnswers(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	busy := serverFunc(t, "busy", func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-leave
	})
	f := startFront(t, proxy.Options{})
	f.Set([]strategy.Split{split(0, []*server{busy}, nil)})
	var held sync.WaitGroup
	for range 3 {
		held.Go(func() { f.get(t, "shop") })
		<-arrived
	}
	f.Set([]strategy.Split{split(0, []*server{busy, startServer(t, "idle")}, nil)})
	for range 10 {
		if alloc, _ := f.get(t, "shop"); alloc != "idle" {
			t.Errorf("%q answered, want the idle endpoint", alloc)
		}
	}
	close(leave)
	held.Wait()
}

func TestRequestGoesOnAsItCame(t *testing.T) {
	seen := make(chan *http.Request, 1)
	f := startFront(t, proxy.Options{})
	f.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(_ http.ResponseWriter, r *http.Request) { seen <- r })}, nil)})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.traffic.URL+"/a%2Fb?x=1;y=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example.org"
	r.Header.Set("X-Forwarded-For", "1.2.3.4")
	r.Header.Set("Connection", "X-Hop")
	r.Header.Set("X-Hop", "1")
	response, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	got := <-seen
	for what, pair := range map[string][2]string{
		"host": {got.Host, "shop.example.org"}, "uri": {got.RequestURI, "/a%2Fb?x=1;y=2"},
		"forwarded for": {got.Header.Get("X-Forwarded-For"), "127.0.0.1"}, "forwarded host": {got.Header.Get("X-Forwarded-Host"), "shop.example.org"},
		"forwarded proto": {got.Header.Get("X-Forwarded-Proto"), "http"}, "hop-by-hop header": {got.Header.Get("X-Hop"), ""},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
}

func TestUpgradedConnectionPassesThrough(t *testing.T) {
	f := startFront(t, proxy.Options{})
	f.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(w http.ResponseWriter, _ *http.Request) {
		connection, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		_, _ = fmt.Fprint(both, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = both.Flush()
		line, _ := both.ReadString('\n')
		_, _ = both.WriteString("echo " + line)
		_ = both.Flush()
	})}, nil)})
	connection, err := net.Dial("tcp", strings.TrimPrefix(f.traffic.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET /socket HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", response, err)
	}
	defer response.Body.Close()
	fmt.Fprint(connection, "hello\n")
	if got, err := reader.ReadString('\n'); err != nil || got != "echo hello\n" {
		t.Errorf("the upgraded connection says %q (%v), want the echo", got, err)
	}
	_ = connection.Close()
	f.metric(t, `drover_proxy_requests_total{code="1xx",endpoint="GET /socket",release="shop",track="stable"} 1`)
	f.metric(t, `drover_proxy_request_seconds_count{release="shop",track="stable"} 1`)
}

func TestWhatIsAnError(t *testing.T) {
	f := startFront(t, proxy.Options{Timeouts: proxy.Timeouts{Header: 100 * time.Millisecond}})
	f.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/fails":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/slow":
			<-r.Context().Done()
		case "/breaks":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})}, nil)})
	for path, want := range map[string]int{"/works": 200, "/missing": 404, "/fails": 503, "/slow": 504} {
		if _, status := f.send(t, http.MethodGet, "shop", path, ""); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, f.traffic.URL+"/breaks", nil)
	r.RequestURI, r.Host = "", "shop"
	// The head of the answer may still have been on its way.
	if response, err := f.client.Do(r); err == nil {
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Error("half an answer arrived without an error")
		}
		_ = response.Body.Close()
	}
	for _, want := range []string{`2xx",endpoint="GET /works`, `4xx",endpoint="other`, `5xx",endpoint="GET /fails`, `error",endpoint="GET /slow`, `error",endpoint="POST /breaks`} {
		f.metric(t, `drover_proxy_requests_total{code="`+want+`",release="shop",track="stable"} 1`)
	}
}

func TestClientThatWentAwayIsNoError(t *testing.T) {
	arrived := make(chan struct{}, 1)
	f := startFront(t, proxy.Options{})
	f.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})}, nil)})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.traffic.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop"
	go func() {
		<-arrived
		cancel()
	}()
	if response, err := f.client.Do(r); err == nil {
		_ = response.Body.Close()
		t.Error("the request was answered, want it broken off")
	}
	f.metric(t, `drover_proxy_requests_total{code="4xx",endpoint="GET /",release="shop",track="stable"} 1`)
}

func TestClosedCanaryIsNotLeakedTo(t *testing.T) {
	f := startFront(t, proxy.Options{})
	canary := startServer(t, "c")
	f.Set([]strategy.Split{split(0, nil, []*server{canary})})
	response := httptest.NewRecorder()
	f.ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", nil))
	if body := response.Body.String(); response.Code != http.StatusServiceUnavailable || !strings.Contains(body, `release "shop" has no stable endpoint; its 1 canary endpoints get 0%`) {
		t.Errorf("got %d %q, want 503 and why", response.Code, body)
	}
	if n := canary.answered.Load(); n != 0 {
		t.Errorf("the canary at weight 0 answered %d requests", n)
	}
	f.metric(t, `drover_proxy_requests_total{code="error",endpoint="GET /",release="shop",track="stable"} 1`)
}

func TestRouting(t *testing.T) {
	blue, green := startServer(t, "blue"), startServer(t, "green")
	splits := []strategy.Split{
		{Release: "shop", Stable: []strategy.Endpoint{blue.endpoint}},
		{Release: "search", Stable: []strategy.Endpoint{green.endpoint}},
	}
	routes := []proxy.Route{{Release: "shop", Hosts: []string{"Shop.example.org", "www.example.org"}}, {Release: "search"}, {Release: "later", Hosts: []string{"later"}}}
	for _, c := range []struct {
		name   string
		routes []proxy.Route
		host   string
		status int
		want   string // allocation, or text of the answer
	}{
		{"first label", nil, "shop.example.org:8080", 200, "blue"},
		{"only label", nil, "SEARCH", 200, "green"},
		{"unknown label", nil, "nobody.example.org", 404, `no release is routed for host "nobody.example.org"; known releases, by the first label of the host: search, shop`},
		{"host", routes, "shop.example.org", 200, "blue"},
		{"second host", routes, "WWW.example.org:80", 200, "blue"},
		{"all others", routes, "127.0.0.1:9", 200, "green"},
		{"no split yet", routes, "later", 503, `release "later" has no split yet`},
		{"unknown host", routes[:1], "search", 404, "known hosts: shop.example.org, www.example.org"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startFront(t, proxy.Options{Routes: c.routes})
			f.Set(splits)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Host = c.host
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			if got := w.Header().Get("X-Alloc") + w.Body.String(); w.Code != c.status || !strings.Contains(got, c.want) {
				t.Errorf("host %s: %d %q, want %d %q", c.host, w.Code, got, c.status, c.want)
			}
		})
	}
}

func TestRoutesThatContradictEachOther(t *testing.T) {
	for want, routes := range map[string][]proxy.Route{
		"route 1 names no release":             {{Hosts: []string{"a"}}},
		`"a" and "b" both take all other`:      {{Release: "a"}, {Release: "b"}},
		`host "x" is routed to "a" and to "b"`: {{Release: "a", Hosts: []string{"x"}}, {Release: "b", Hosts: []string{"X"}}},
	} {
		if _, err := proxy.New(proxy.Options{Routes: routes}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("routes %+v: %v, want an error with %q", routes, err, want)
		}
	}
}

func BenchmarkProxy(b *testing.B) {
	for name, weight := range map[string]strategy.Weight{"rest": 0, "canary at 25%": strategy.Percent(25)} {
		b.Run(name, func(b *testing.B) {
			f := startFront(b, proxy.Options{})
			stable, canary := startServer(b, "s"), startServer(b, "c")
			f.Set([]strategy.Split{split(weight, []*server{stable}, []*server{canary})})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, status := f.get(b, "shop"); status != http.StatusOK {
						b.Errorf("status %d", status)
					}
				}
			})
		})
	}
}
