package proxy_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// served is a proxy as its program serves it.
type served struct {
	*front
	address string
	stop    func() // and waits for the end
}

// serve serves a proxy's users on a listener of its own.
func serve(t *testing.T, o proxy.Options, certificate *proxy.Certificate) *served {
	t.Helper()
	s := &served{front: startFront(t, o)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, certificate) }()
	var stopped atomic.Bool
	s.stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

// speaking is a client that speaks one version of HTTP, and over TLS takes every certificate.
func speaking(t *testing.T, version func(*http.Protocols)) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	version(protocols)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

var (
	http1 = func(p *http.Protocols) { p.SetHTTP1(true) }
	http2 = func(p *http.Protocols) { p.SetHTTP2(true) }
	h2c   = func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }
)

// ask makes a request for the shop.
func ask(t *testing.T, client *http.Client, url string, body io.Reader) *http.Response {
	t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example.org"
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// keyPair writes a certificate for a name, and its key.
func keyPair(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: certificate}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func certificate(t *testing.T, now func() time.Time) (c *proxy.Certificate, certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	keyPair(t, certFile, keyFile, "first")
	c, err := proxy.LoadCertificate(certFile, keyFile, slog.New(slog.DiscardHandler), now)
	if err != nil {
		t.Fatal(err)
	}
	return c, certFile, keyFile
}

func TestEveryVersionOfHTTP(t *testing.T) {
	c, _, _ := certificate(t, nil)
	for _, test := range []struct {
		name        string
		version     func(*http.Protocols)
		certificate *proxy.Certificate
		upstream    bool // over HTTP/2
		proto       string
		forwarded   string
	}{
		{"HTTP/1.1", http1, nil, false, "HTTP/1.1", "http"},
		{"HTTP/2 in the clear", h2c, nil, false, "HTTP/2.0", "http"},
		{"HTTP/1.1 over TLS", http1, c, false, "HTTP/1.1", "https"},
		{"HTTP/2 over TLS", http2, c, false, "HTTP/2.0", "https"},
		{"HTTP/1.1 to HTTP/2", http1, nil, true, "HTTP/1.1", "http"},
		{"HTTP/2 to HTTP/2", http2, c, true, "HTTP/2.0", "https"},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := make(chan *http.Request, 100)
			endpoint := func(alloc string) *server {
				s := &server{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("X-Alloc", alloc)
					seen <- r
				}))}
				s.Config.Protocols = new(http.Protocols)
				s.Config.Protocols.SetHTTP1(!test.upstream)
				s.Config.Protocols.SetUnencryptedHTTP2(test.upstream)
				s.Start()
				t.Cleanup(s.Close)
				s.endpoint = strategy.Endpoint{Alloc: alloc, Address: strings.TrimPrefix(s.URL, "http://")}
				return s
			}
			p := serve(t, proxy.Options{Routes: []proxy.Route{{Release: "shop", H2C: test.upstream}}}, test.certificate)
			p.Set([]strategy.Split{split(strategy.Percent(25), []*server{endpoint("s")}, []*server{endpoint("c")})})
			client, answers := speaking(t, test.version), map[string]int{}
			for range 40 {
				response := ask(t, client, test.forwarded+"://"+p.address+"/", nil) //nolint:bodyclose // It is when the test ends.
				if response.Proto != test.proto || response.StatusCode != http.StatusOK {
					t.Fatalf("answered %s %s, want 200 by %s", response.Proto, response.Status, test.proto)
				}
				answers[response.Header.Get("X-Alloc")]++
				r := <-seen
				if r.Host != "shop.example.org" || r.Header.Get("X-Forwarded-Proto") != test.forwarded || r.Header.Get("X-Forwarded-For") != "127.0.0.1" || (r.ProtoMajor == 2) != test.upstream {
					t.Fatalf("the endpoint saw %s for %s, %v", r.Proto, r.Host, r.Header)
				}
			}
			if answers["c"] != 10 {
				t.Errorf("40 requests at 25%% were answered by %v, want 10 by the canary", answers)
			}
		})
	}
}

func TestCertificateIsReplaced(t *testing.T) {
	var elapsed atomic.Int64
	start := time.Now()
	c, certFile, keyFile := certificate(t, func() time.Time { return start.Add(time.Duration(elapsed.Load())) })
	p := serve(t, proxy.Options{}, c)
	presented := func() string {
		t.Helper()
		elapsed.Add(int64(time.Minute))
		connection, err := tls.Dial("tcp", p.address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		return connection.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := presented(); got != "first" {
		t.Errorf("the certificate is of %q, want the first", got)
	}
	if err := os.WriteFile(keyFile, []byte("half of a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := presented(); got != "first" {
		t.Errorf("with a broken key the certificate is of %q, want the first on", got)
	}
	keyPair(t, certFile, keyFile, "second")
	if got := presented(); got != "second" {
		t.Errorf("the certificate is of %q, want the second", got)
	}
	if _, err := proxy.LoadCertificate(filepath.Join(t.TempDir(), "none"), keyFile, nil, nil); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a certificate that is not there: %v, want an error that names it", err)
	}
}

// TestStreamsFlow holds the proxy to handing on what it has, while more is to come.
func TestStreamsFlow(t *testing.T) {
	for name, version := range map[string]func(*http.Protocols){"HTTP/1.1": http1, "HTTP/2": h2c} {
		t.Run(name, func(t *testing.T) {
			lines, next := make(chan string), make(chan struct{})
			p := serve(t, proxy.Options{}, nil)
			p.Set([]strategy.Split{split(0, []*server{serverFunc(t, "s", func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					for in := bufio.NewScanner(r.Body); in.Scan(); {
						lines <- in.Text()
					}
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Trailer", "X-Sum")
				for i := range 3 {
					fmt.Fprintf(w, "event %d\n", i)
					_ = http.NewResponseController(w).Flush()
					<-next
				}
				w.Header().Set("X-Sum", "3")
			})}, nil)})
			client := speaking(t, version)
			response := ask(t, client, "http://"+p.address, nil) //nolint:bodyclose // It is when the test ends.
			events := bufio.NewReader(response.Body)
			for i := range 3 {
				if got, err := events.ReadString('\n'); err != nil || got != fmt.Sprintf("event %d\n", i) {
					t.Fatalf("event %d is %q (%v)", i, got, err)
				}
				next <- struct{}{}
			}
			if _, err := events.ReadByte(); err != io.EOF || response.Trailer.Get("X-Sum") != "3" {
				t.Errorf("the stream ends with %v and the trailer %v, want that of the endpoint", err, response.Trailer)
			}
			body, upload := io.Pipe()
			go func() {
				for i := range 3 {
					_, _ = fmt.Fprintf(upload, "line %d\n", i)
					if got := <-lines; got != fmt.Sprintf("line %d", i) {
						t.Errorf("the endpoint read %q as line %d", got, i)
					}
				}
				_ = upload.Close()
			}()
			if response := ask(t, client, "http://"+p.address, body); response.StatusCode != http.StatusOK { //nolint:bodyclose // It is when the test ends.
				t.Errorf("status %s, want 200", response.Status)
			}
		})
	}
}
