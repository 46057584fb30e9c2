package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/probe"
	"github.com/drover-dev/drover/strategy"
)

// canary serves, and is an endpoint with an id that begins with eight digits of n.
func canary(t *testing.T, n int, serve http.HandlerFunc) strategy.Endpoint {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	return strategy.Endpoint{Alloc: fmt.Sprintf("%08d-0000-4000-8000-000000000000", n), Address: server.Listener.Addr().String()}
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", "1.2")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// home is a check that a healthy canary passes.
func home() strategy.Smoke {
	return strategy.Smoke{Name: "home", Path: "/healthz", Status: 200, Timeout: 30 * time.Second}
}

// prober takes no time between tries, and counts the pauses.
func prober(pauses *atomic.Int32) *probe.Prober {
	return probe.New(probe.Options{Sleep: func(ctx context.Context, _ time.Duration) error {
		pauses.Add(1)
		return ctx.Err()
	}})
}

func smoke(t *testing.T, checks []strategy.Smoke, endpoints ...strategy.Endpoint) string {
	t.Helper()
	failed, err := prober(new(atomic.Int32)).Smoke(t.Context(), checks, endpoints)
	if err != nil {
		t.Fatalf("smoke: %v", err)
	}
	return failed
}

func TestAnswers(t *testing.T) {
	const who = `smoke check "home": canary 00000001 answered GET /healthz `
	long := strings.Repeat("é", 201)
	for _, tc := range []struct {
		name   string
		change func(*strategy.Smoke)
		status int
		body   string
		want   string
	}{
		{"as expected", nil, 200, "fine", ""},
		{"another status is expected", func(s *strategy.Smoke) { s.Status = 404 }, 404, "", ""},
		{"wrong status", nil, 503, "no such table", who + `with status 503 (expected 200): "no such table"`},
		{"wrong status, nothing said", nil, 500, " \n", who + `with status 500 (expected 200), with an empty body`},
		{"redirect", nil, 302, "", who + `with status 302 (expected 200), with an empty body`},
		{"header", func(s *strategy.Smoke) { s.Header = map[string]string{"x-version": "1.2"} }, 200, "", ""},
		{"wrong header", func(s *strategy.Smoke) { s.Header = map[string]string{"X-Version": "1"} }, 200, "", who + `with header X-Version "1.2" (expected "1")`},
		{"missing headers", func(s *strategy.Smoke) { s.Header = map[string]string{"X-B": "2", "X-A": "1"} }, 200, "", who + `without header X-A (expected "1")`},
		{"body", func(s *strategy.Smoke) { s.Body = `"ok": *true` }, 200, `{"ok":   true}`, ""},
		{"wrong body", func(s *strategy.Smoke) { s.Body = `^ok$` }, 200, "not ok", who + `with a body that does not match "^ok$": "not ok"`},
		{"status before body", func(s *strategy.Smoke) { s.Body = `^ok$` }, 500, "not ok", who + `with status 500 (expected 200): "not ok"`},
		{"cut", nil, 500, long, who + `with status 500 (expected 200): "` + long[:400] + `…"`},
		{"not cut", nil, 500, long[:400], who + `with status 500 (expected 200): "` + long[:400] + `"`},
		{"harmless", nil, 500, "a\r\nb\x1b[31m\u202ec\"`\\\xff\x00", who + `with status 500 (expected 200): "a  b\x1b[31m\u202ec\"'\` + "\uFFFD" + `\x00"`},
		{"body beyond what is read", func(s *strategy.Smoke) { s.Body = "end" }, 200, strings.Repeat("x", 64<<10) + "end", who + `with a body that does not match "end": "` + strings.Repeat("x", 200) + `…"`},
		{"body within what is read", func(s *strategy.Smoke) { s.Body = "end$" }, 200, strings.Repeat("x", 64<<10-3) + "end", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check := home()
			if tc.change != nil {
				tc.change(&check)
			}
			got := smoke(t, []strategy.Smoke{check}, canary(t, 1, answer(tc.status, tc.body)))
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	var got []string
	endpoint := canary(t, 1, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method, r.Host, r.RequestURI, r.UserAgent())
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	check := home()
	check.Path, check.Status = "/a%20b//c?q=1&r=%2F", http.StatusFound
	if failed := smoke(t, []strategy.Smoke{check}, endpoint); failed != "" {
		t.Errorf("got %s, want the redirect to be the answer", failed)
	}
	if diff := cmp.Diff([]string{"GET", endpoint.Address, "/a%20b//c?q=1&r=%2F", "drover"}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestRetries(t *testing.T) {
	for _, tc := range []struct{ badAnswers, retries, tries, pauses int }{
		{0, 2, 1, 0}, {1, 0, 1, 0}, {2, 2, 3, 2}, {3, 2, 3, 2},
	} {
		t.Run(fmt.Sprintf("%d bad answers, %d retries", tc.badAnswers, tc.retries), func(t *testing.T) {
			var tries, pauses atomic.Int32
			endpoint := canary(t, 1, func(w http.ResponseWriter, _ *http.Request) {
				if tries.Add(1) <= int32(tc.badAnswers) {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})
			check := home()
			check.Retries = tc.retries
			failed, err := prober(&pauses).Smoke(t.Context(), []strategy.Smoke{check}, []strategy.Endpoint{endpoint})
			if err != nil || (failed != "") != (tc.badAnswers > tc.retries) {
				t.Errorf("got %q, error %v", failed, err)
			}
			if int(tries.Load()) != tc.tries || int(pauses.Load()) != tc.pauses {
				t.Errorf("got %d tries and %d pauses, want %d and %d", tries.Load(), pauses.Load(), tc.tries, tc.pauses)
			}
		})
	}
}

func TestNothingToAsk(t *testing.T) {
	if failed := smoke(t, nil, canary(t, 1, answer(500, ""))); failed != "" {
		t.Errorf("no checks: got %s", failed)
	}
	if failed := smoke(t, []strategy.Smoke{home()}); failed != "" {
		t.Errorf("no endpoints: got %s", failed)
	}
}

func TestRefusedConnectionIsQuoted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	got := smoke(t, []strategy.Smoke{home()}, strategy.Endpoint{Alloc: "short", Address: address})
	if want := `smoke check "home": canary short did not answer GET /healthz: `; !strings.HasPrefix(got, want) || !strings.Contains(got, "connection refused") {
		t.Errorf("got %s, want %s... connection refused", got, want)
	}
}

func TestOtherProtocolIsQuoted(t *testing.T) {
	endpoint := canary(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_, _ = conn.Write([]byte("SSH-2.0-x\r\n\r\n"))
		_ = conn.Close()
	})
	got := smoke(t, []strategy.Smoke{home()}, endpoint)
	if want := `smoke check "home": canary 00000001 did not answer GET /healthz: `; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `malformed HTTP response "SSH-2.0-x"`) {
		t.Errorf("got %s, want %s... malformed HTTP", got, want)
	}
}

func TestUnusableAddressIsQuoted(t *testing.T) {
	for address, want := range map[string]string{
		"a b:80": `smoke check "home": canary x cannot be asked GET /healthz: `,
		"":       `smoke check "home": canary x did not answer GET /healthz: `,
	} {
		if got := smoke(t, []strategy.Smoke{home()}, strategy.Endpoint{Alloc: "x", Address: address}); !strings.HasPrefix(got, want) {
			t.Errorf("address %q: got %s, want %s...", address, got, want)
		}
	}
}

func TestSilenceIsQuoted(t *testing.T) {
	over := make(chan struct{})
	for name, tc := range map[string]struct {
		begin string
		want  string
	}{
		"no answer":   {"", `smoke check "home": canary 00000001 did not answer GET /healthz: nothing within 50ms`},
		"half a body": {"half", `smoke check "home": canary 00000001 broke off its answer to GET /healthz: nothing within 50ms`},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint := canary(t, 1, func(w http.ResponseWriter, r *http.Request) {
				if tc.begin != "" {
					_, _ = w.Write([]byte(tc.begin))
					_ = http.NewResponseController(w).Flush()
				}
				select {
				case <-over:
				case <-r.Context().Done():
				}
			})
			check := home()
			check.Timeout = 50 * time.Millisecond
			if got := smoke(t, []strategy.Smoke{check}, endpoint); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	close(over)
}

// TestFirstFailureIsQuoted holds that the quotation does not depend on who answers first.
func TestFirstFailureIsQuoted(t *testing.T) {
	failed := make(chan struct{})
	lastFailed := sync.OnceFunc(func() { close(failed) })
	slow := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-failed: // a later question was answered
			case <-r.Context().Done():
			}
			w.WriteHeader(status)
		}
	}
	endpoints := []strategy.Endpoint{
		canary(t, 1, slow(200)),
		canary(t, 2, slow(500)),
		canary(t, 3, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			lastFailed()
		}),
	}
	checks := []strategy.Smoke{home(), home()}
	checks[0].Name, checks[0].Path = "first", "/first"
	checks[1].Name, checks[1].Path = "second", "/second"
	want := `smoke check "first": canary 00000002 answered GET /first with status 500 (expected 200), with an empty body`
	if got := smoke(t, checks, endpoints...); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestLaterQuestionsAreCalledOff holds that a failure is not kept waiting by questions that cannot be quoted any more.
func TestLaterQuestionsAreCalledOff(t *testing.T) {
	asked := make(chan struct{})
	endpoints := []strategy.Endpoint{
		canary(t, 1, func(w http.ResponseWriter, _ *http.Request) {
			<-asked
			w.WriteHeader(500)
		}),
		canary(t, 2, func(_ http.ResponseWriter, r *http.Request) {
			close(asked)
			<-r.Context().Done()
		}),
	}
	check := home()
	check.Timeout = time.Hour
	if got := smoke(t, []strategy.Smoke{check}, endpoints...); !strings.Contains(got, "canary 00000001 answered") {
		t.Errorf("got %s, want what canary 00000001 answered", got)
	}
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	full := make(chan struct{})
	endpoint := canary(t, 1, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		if now++; now > most {
			if most = now; most == 16 {
				close(full)
			}
		}
		mu.Unlock()
		<-full
		mu.Lock()
		now--
		mu.Unlock()
	})
	endpoints := make([]strategy.Endpoint, 40)
	for i := range endpoints {
		endpoints[i] = endpoint
	}
	if failed := smoke(t, []strategy.Smoke{home()}, endpoints...); failed != "" {
		t.Fatalf("got %s", failed)
	}
	mu.Lock()
	defer mu.Unlock()
	if most != 16 {
		t.Errorf("got %d requests at once, want 16", most)
	}
}

func TestEndOfContextIsAnError(t *testing.T) {
	for _, while := range []string{"a request", "a pause"} {
		t.Run(while, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			endpoint := canary(t, 1, func(w http.ResponseWriter, r *http.Request) {
				if while == "a request" {
					cancel()
					<-r.Context().Done()
				}
				w.WriteHeader(500)
			})
			check := home()
			check.Retries = 3
			p := probe.New(probe.Options{Sleep: func(ctx context.Context, _ time.Duration) error {
				cancel()
				return ctx.Err()
			}})
			failed, err := p.Smoke(ctx, []strategy.Smoke{check}, []strategy.Endpoint{endpoint})
			if !errors.Is(err, context.Canceled) || failed != "" {
				t.Errorf("got %q, error %v, want context.Canceled alone", failed, err)
			}
		})
	}
}

func TestPauseInRealTime(t *testing.T) {
	var tries atomic.Int32
	endpoint := canary(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) == 1 {
			w.WriteHeader(500)
		}
	})
	check := home()
	check.Retries = 1
	start := time.Now()
	failed, err := probe.New(probe.Options{}).Smoke(t.Context(), []strategy.Smoke{check}, []strategy.Endpoint{endpoint})
	if err != nil || failed != "" {
		t.Errorf("got %q, error %v", failed, err)
	}
	if took := time.Since(start); took < 500*time.Millisecond {
		t.Errorf("two tries took %s, want a pause of half a second between them", took)
	}
}

func TestInvalidPatternIsAnError(t *testing.T) {
	check := home()
	check.Body = "("
	if _, err := probe.New(probe.Options{}).Smoke(t.Context(), []strategy.Smoke{check}, nil); err == nil || !strings.Contains(err.Error(), `"home"`) {
		t.Errorf("got error %v, want one that names the check", err)
	}
}

// TestGivenClient holds that a client is used as far as it is about connections, and that it is not changed.
func TestGivenClient(t *testing.T) {
	var used atomic.Int32
	client := &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		used.Add(1)
		return http.DefaultTransport.RoundTrip(r)
	})}
	endpoint := canary(t, 1, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	failed, err := probe.New(probe.Options{HTTPClient: client}).Smoke(t.Context(), []strategy.Smoke{home()}, []strategy.Endpoint{endpoint})
	if err != nil || !strings.Contains(failed, "status 302") {
		t.Errorf("got %q, error %v, want the redirect quoted", failed, err)
	}
	if used.Load() != 1 || client.CheckRedirect != nil {
		t.Errorf("used %d times, redirects changed %t", used.Load(), client.CheckRedirect != nil)
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
