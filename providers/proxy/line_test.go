package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// raw is an endpoint that speaks for itself on every connection.
type raw struct {
	endpoint    strategy.Endpoint
	connections atomic.Int64
}

// startRaw calls serve with every connection, and with its number from 1. It closes them when serve returns.
func startRaw(t *testing.T, serve func(n int64, conn net.Conn, in *bufio.Reader)) *raw {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &raw{endpoint: strategy.Endpoint{Alloc: "raw", Address: listener.Addr().String()}}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n := e.connections.Add(1)
			group.Go(func() {
				defer conn.Close()
				serve(n, conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { listener.Close(); group.Wait() })
	return e
}

// readHead reads the head of a request; false at the end of the connection.
func readHead(in *bufio.Reader) bool {
	request, err := http.ReadRequest(in)
	return err == nil && request.Body.Close() == nil
}

// frontOf is a proxy before one endpoint.
func frontOf(t *testing.T, e *raw, timeouts proxy.Timeouts) *front {
	t.Helper()
	f := startFront(t, proxy.Options{Timeouts: timeouts})
	f.Set([]strategy.Split{{Release: "shop", Stable: []strategy.Endpoint{e.endpoint}}})
	return f
}

// fetched is an answer that was read to its end.
type fetched struct {
	status  int
	body    string
	trailer http.Header
}

// fetch gets a page through the proxy, with the whole body.
func (f *front) fetch(ctx context.Context, t *testing.T) (fetched, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.traffic.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop"
	response, err := f.client.Do(r)
	if err != nil {
		return fetched{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fetched{status: response.StatusCode, body: string(body), trailer: response.Trailer}, err
}

func TestConnectionsAreKept(t *testing.T) {
	var answers atomic.Int64
	e := startRaw(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		for readHead(in) {
			switch answers.Add(1) % 4 {
			case 0:
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			case 1:
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
			case 2:
				fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\n\r\n")
			case 3:
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
	f := frontOf(t, e, proxy.Timeouts{})
	for n := range 12 {
		if got, err := f.fetch(t.Context(), t); err != nil || got.status > 204 {
			t.Fatalf("request %d: %+v, %v", n, got, err)
		}
	}
	if got := e.connections.Load(); got != 1 {
		t.Errorf("12 requests after each other took %d connections, want 1", got)
	}
}

// TestAnswerToNoRequest: what an endpoint says on an idle connection, as some do before they close it, is not taken for
// the answer to the next request.
func TestAnswerToNoRequest(t *testing.T) {
	answered, said := make(chan struct{}), make(chan struct{})
	e := startRaw(t, func(n int64, conn net.Conn, in *bufio.Reader) {
		readHead(in)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n)
		if n == 1 {
			<-answered
			fmt.Fprint(conn, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
			close(said)
		}
		readHead(in) // until the proxy hangs up
	})
	f := frontOf(t, e, proxy.Timeouts{})
	if got, err := f.fetch(t.Context(), t); err != nil || got.body != "1" {
		t.Fatalf("first: %+v, %v", got, err)
	}
	close(answered)
	<-said
	if got, err := f.fetch(t.Context(), t); err != nil || got.body != "2" {
		t.Errorf("second: %+v, %v, want the answer of another connection", got, err)
	}
}

func TestConnectionThatTheEndpointCloses(t *testing.T) {
	e := startRaw(t, func(n int64, conn net.Conn, in *bufio.Reader) {
		readHead(in)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n)
		if n%2 == 1 {
			readHead(in) // A second request, on which it hangs up.
		}
	})
	f := frontOf(t, e, proxy.Timeouts{})
	for n := range 6 {
		if got, err := f.fetch(t.Context(), t); err != nil || got.status != http.StatusOK {
			t.Fatalf("request %d: %+v, %v", n, got, err)
		}
	}
}

func TestInterimAnswersAndTrailersGoOn(t *testing.T) {
	e := startRaw(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		readHead(in)
		fmt.Fprint(conn, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")
	})
	f := frontOf(t, e, proxy.Timeouts{})
	link := ""
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		link = fmt.Sprint(code, header.Get("Link"))
		return nil
	}})
	got, err := f.fetch(ctx, t)
	if err != nil || got.body != "ok" || got.trailer.Get("X-Sum") != "7" || link != "103</style.css>" {
		t.Errorf("got %+v after %q, %v", got, link, err)
	}
}

// TestAnswersThatAreNone are an error of the endpoint, and 502 for the client.
func TestAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string]string{
		"an endless head":         "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("x", 1000)+"\r\n", 2000),
		"no HTTP":                 "220 mail.example.org ready\r\n\r\n",
		"interim answers only":    strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 50),
		"a protocol not asked":    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: Upgrade\r\n\r\n",
		"a head that breaks off":  "HTTP/1.1 200 OK\r\nContent-",
		"nothing before the end ": "",
	} {
		t.Run(name, func(t *testing.T) {
			e := startRaw(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
				readHead(in)
				fmt.Fprint(conn, answer)
			})
			f := frontOf(t, e, proxy.Timeouts{})
			if got, err := f.fetch(t.Context(), t); err != nil || got.status != http.StatusBadGateway {
				t.Errorf("got %+v, %v, want 502", got, err)
			}
			f.metric(t, `drover_proxy_requests_total{code="error",endpoint="GET /",release="shop",track="stable"} 1`)
		})
	}
}

func TestBodyThatBreaksOffIsNoAnswer(t *testing.T) {
	e := startRaw(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		readHead(in)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
	})
	f := frontOf(t, e, proxy.Timeouts{})
	if got, err := f.fetch(t.Context(), t); err == nil {
		t.Errorf("got %+v and no error of a body that breaks off", got)
	}
	f.metric(t, `drover_proxy_requests_total{code="error",endpoint="GET /",release="shop",track="stable"} 1`)
}

// TestSlowBodyOutlastsTheDeadlineOfTheHead, which bounds the head alone.
func TestSlowBodyOutlastsTheDeadlineOfTheHead(t *testing.T) {
	e := startRaw(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		readHead(in)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
		<-time.After(300 * time.Millisecond)
		fmt.Fprint(conn, "ow")
	})
	f := frontOf(t, e, proxy.Timeouts{Header: 100 * time.Millisecond})
	if got, err := f.fetch(t.Context(), t); err != nil || got.body != "slow" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestClientThatGoesAwayEndsTheConnection: nobody waits for its answer any more.
func TestClientThatGoesAwayEndsTheConnection(t *testing.T) {
	ended := make(chan struct{})
	arrived := make(chan struct{})
	e := startRaw(t, func(_ int64, _ net.Conn, in *bufio.Reader) {
		readHead(in)
		close(arrived)
		readHead(in)
		close(ended)
	})
	f := frontOf(t, e, proxy.Timeouts{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := f.fetch(ctx, t); err == nil {
		t.Error("got an answer that was never given")
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the connection to the endpoint lives on")
	}
	f.metric(t, `drover_proxy_requests_total{code="4xx",endpoint="GET /",release="shop",track="stable"} 1`)
}

// TestIdleConnectionsAreClosed before the endpoint does it.
func TestIdleConnectionsAreClosed(t *testing.T) {
	ended := make(chan struct{})
	e := startRaw(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		readHead(in)
		fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		readHead(in)
		close(ended)
	})
	f := frontOf(t, e, proxy.Timeouts{Idle: 50 * time.Millisecond})
	if _, err := f.fetch(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the idle connection lives on")
	}
}
