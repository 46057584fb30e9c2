package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// rawStatus sends a request as it is written, and returns the status of the answer.
func rawStatus(t *testing.T, address, request string) int {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	fmt.Fprint(connection, request)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// TestNoUpgradeToHTTP2 answers who offers HTTP/2 on the way, as Java's client does and curl --http2, in HTTP/1.1: what
// went over the connection afterwards would be seen by no gate.
func TestNoUpgradeToHTTP2(t *testing.T) {
	for _, offer := range []string{"h2c", "H2C", "h2c, websocket"} {
		f := startFront(t, proxy.Options{})
		f.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(strings.ToLower(r.Header.Get("Upgrade")), "h2c") || r.Header.Get("Http2-Settings") != "" {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", "h2c")
				w.WriteHeader(http.StatusSwitchingProtocols)
				return
			}
			w.WriteHeader(http.StatusInternalServerError)
		})}, nil)})
		got := rawStatus(t, strings.TrimPrefix(f.traffic.URL, "http://"), "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "+offer+"\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
		if got != http.StatusInternalServerError {
			t.Errorf("Upgrade: %s is answered with %d", offer, got)
		}
		f.metric(t, `drover_proxy_requests_total{code="5xx",endpoint="GET /",release="shop",track="stable"} 1`)
	}
}

// TestSpaceInQuery asks in HTTP/2, where a target may hold what would end it in HTTP/1.1.
func TestSpaceInQuery(t *testing.T) {
	p := serve(t, proxy.Options{}, nil)
	seen := make(chan string, 1)
	p.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(_ http.ResponseWriter, r *http.Request) { seen <- r.RequestURI })}, nil)})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host, request.URL.RawQuery = "shop", "b=c HTTP/1.0"
	response, err := speaking(t, h2c).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("it is answered with %s", response.Status)
	}
	if got, want := <-seen, "/a?b=c%20HTTP/1.0"; got != want {
		t.Errorf("the endpoint is asked for %q, want %q", got, want)
	}
}

func TestRequestTrailers(t *testing.T) {
	f := startFront(t, proxy.Options{})
	seen := make(chan string, 10)
	f.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.Trailer.Get("X-Sum")
	})}, nil)})
	got := rawStatus(t, strings.TrimPrefix(f.traffic.URL, "http://"), "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
	if sum := <-seen; got != http.StatusOK || sum != "7" {
		t.Errorf("%d, the trailer is %q", got, sum)
	}
}

// TestStatusThatIsNone is an endpoint's fault, not the end of the user's connection.
func TestStatusThatIsNone(t *testing.T) {
	f := frontOf(t, startRaw(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		for readHead(in) {
			fmt.Fprint(conn, "HTTP/1.1 099 None\r\nContent-Length: 2\r\n\r\nok")
		}
	}), proxy.Timeouts{})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if _, status := f.send(t, method, "shop", "/", "body"); status != http.StatusBadGateway {
			t.Errorf("%s: status %d, want 502", method, status)
		}
	}
}
