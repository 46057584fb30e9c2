package traefik_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/traefik"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var _ reconcile.Router = (*traefik.Router)(nil)

// published are splits in memory, which a handler is told of.
type published struct {
	mu      sync.Mutex
	splits  map[string]strategy.Split
	handler traefik.Handler
}

func (p *published) Publish(ctx context.Context, _ string, split strategy.Split) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.splits == nil {
		p.splits = map[string]strategy.Split{}
	}
	p.splits[split.Release] = split
	var all []strategy.Split
	for _, s := range p.splits {
		all = append(all, s)
	}
	p.handler.Set(all)
	return nil
}

func (p *published) split(ctx context.Context, _, release string) (strategy.Split, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, there := p.splits[release]
	return s, there, ctx.Err()
}

// standIn reads the dynamic configuration as Traefik documents it, and refuses what is not in it. It divides by smooth weighted
// round robin, as Traefik does, and keeps users by the cookie of a weighted service.
type standIn struct {
	t       testing.TB
	handler http.Handler

	mu       sync.Mutex
	seen     []byte
	services map[string]documented
	current  map[string]int // of the round robin, by service and child
}

// documented is a service in the words of Traefik's reference.
type documented struct {
	LoadBalancer *struct {
		Servers     []struct{ URL string }
		HealthCheck *struct{ Path, Interval, Timeout string }
	}
	Weighted *struct {
		Services []struct {
			Name   string
			Weight int
		}
		Sticky *struct {
			Cookie *struct {
				Name, SameSite string
				HTTPOnly       bool
			}
		}
	}
}

// poll asks for the configuration, as the HTTP provider does.
func (s *standIn) poll() {
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer.Code != http.StatusOK || bytes.Equal(s.seen, answer.Body.Bytes()) {
		return
	}
	s.seen = answer.Body.Bytes()
	var config struct {
		HTTP struct{ Services map[string]documented }
	}
	decoder := json.NewDecoder(bytes.NewReader(s.seen))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		s.t.Errorf("Traefik would not take its configuration: %v", err)
	}
	s.services, s.current = config.HTTP.Services, map[string]int{}
}

// api is the part of Traefik's API that is asked.
func (s *standIn) api(w http.ResponseWriter, r *http.Request) {
	s.poll()
	if r.URL.Path == "/api/version" {
		return
	}
	name, known := strings.CutPrefix(r.URL.Path, "/api/http/services/")
	name, at := strings.CutSuffix(name, "@http")
	s.mu.Lock()
	_, loaded := s.services[name]
	s.mu.Unlock()
	if !known || !at || !loaded {
		http.NotFound(w, r)
	}
}

// users routes a host to the service of its name.
func (s *standIn) users(w http.ResponseWriter, r *http.Request) {
	s.poll()
	s.mu.Lock()
	address := s.pick(w, r, r.Host)
	s.mu.Unlock()
	if address == "" {
		http.Error(w, "no available server", http.StatusServiceUnavailable)
		return
	}
	target, err := url.Parse(address)
	if err != nil {
		s.t.Errorf("a server's URL: %v", err)
		return
	}
	httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, r)
}

func (s *standIn) pick(w http.ResponseWriter, r *http.Request, name string) string {
	service := s.services[name]
	if l := service.LoadBalancer; l != nil && len(l.Servers) > 0 {
		s.current[name]++
		return l.Servers[s.current[name]%len(l.Servers)].URL
	}
	if service.Weighted == nil {
		return ""
	}
	var sticky string
	if c := service.Weighted.Sticky; c != nil {
		sticky = c.Cookie.Name
		if cookie, err := r.Cookie(sticky); err == nil && s.services[cookie.Value].LoadBalancer != nil {
			return s.pick(w, r, cookie.Value)
		}
	}
	best, total := "", 0
	for _, child := range service.Weighted.Services {
		key := name + "/" + child.Name
		total += child.Weight
		if s.current[key] += child.Weight; best == "" || s.current[key] > s.current[name+"/"+best] {
			best = child.Name
		}
	}
	s.current[name+"/"+best] -= total
	if sticky != "" {
		http.SetCookie(w, &http.Cookie{Name: sticky, Value: best, Path: "/"})
	}
	return s.pick(w, r, best)
}

func newRouter(t *testing.T, p *published, apis ...string) *traefik.Router {
	t.Helper()
	begin := time.Now() // The router's time runs faster: it waits for a moment with every split.
	now := func() time.Time { return begin.Add(20 * time.Since(begin)) }
	router, err := traefik.New(traefik.Options{Name: "edge", Now: now, Publisher: p, Split: p.split, APIs: apis, Client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// TestRouter holds the router to the suite on a stand-in that takes nothing but what Traefik documents.
func TestRouter(t *testing.T) {
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		p := &published{}
		s := &standIn{t: t, handler: &p.handler}
		api, edge := httptest.NewServer(http.HandlerFunc(s.api)), httptest.NewServer(http.HandlerFunc(s.users))
		t.Cleanup(api.Close)
		t.Cleanup(edge.Close)
		client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
		t.Cleanup(client.CloseIdleConnections)
		ask := func(release string, cookies []*http.Cookie) (string, []*http.Cookie) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, edge.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = release
			for _, c := range cookies {
				r.AddCookie(c)
			}
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			said, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(said), " ") {
				said = nil
			}
			return string(said), response.Cookies()
		}
		return providertest.RouterHarness{
			Router: newRouter(t, p, api.URL), Start: func(_, alloc string) strategy.Endpoint {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, alloc) }))
				t.Cleanup(server.Close)
				return strategy.Endpoint{Alloc: alloc, Address: strings.TrimPrefix(server.URL, "http://")}
			},
			Behave: func(strategy.Endpoint, providertest.Behavior) {},
			Settle: func() { time.Sleep(20 * time.Millisecond) },
			Send: func(release string, n int) map[string]int {
				answers := map[string]int{}
				for range n {
					alloc, _ := ask(release, nil)
					answers[alloc]++
				}
				return answers
			},
			NewUser: func() func(string) string {
				jar, err := cookiejar.New(nil)
				if err != nil {
					t.Fatal(err)
				}
				home := &url.URL{Scheme: "http", Host: "shop.example.org", Path: "/"}
				return func(release string) string {
					alloc, cookies := ask(release, jar.Cookies(home))
					jar.SetCookies(home, cookies)
					return alloc
				}
			},
		}
	})
}

func TestConfigurationIsAsDocumented(t *testing.T) {
	p := &published{}
	router := newRouter(t, p)
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("before anything is known Traefik is answered with %d: it would drop what it has", answer.Code)
	}
	split := strategy.Split{
		Release: "shop", Namespace: "default", Service: "shop", Weight: 525, Sessions: "shop-1",
		Stable: []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}, Canary: []strategy.Endpoint{{Alloc: "b", Address: "10.0.0.2:80"}},
		Check: &strategy.Check{Type: "http", Path: "/healthz", Interval: 10 * time.Second, Timeout: 2 * time.Second},
	}
	if err := router.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	answer = httptest.NewRecorder()
	p.handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	var got map[string]map[string]map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	balance := func(address string) any {
		return map[string]any{"loadBalancer": map[string]any{
			"servers":     []any{map[string]any{"url": "http://" + address}},
			"healthCheck": map[string]any{"path": "/healthz", "interval": "10s", "timeout": "2s"},
		}}
	}
	services := got["http"]["services"]
	for name := range services {
		if strings.HasPrefix(name, "shop-is-") {
			delete(services, name)
		}
	}
	want := map[string]any{
		"shop": map[string]any{"weighted": map[string]any{
			"services": []any{map[string]any{"name": "shop-stable", "weight": 9475.0}, map[string]any{"name": "shop-canary", "weight": 525.0}},
			"sticky":   map[string]any{"cookie": map[string]any{"name": services["shop"].(map[string]any)["weighted"].(map[string]any)["sticky"].(map[string]any)["cookie"].(map[string]any)["name"], "httpOnly": true, "sameSite": "lax"}},
		}},
		"shop-stable": balance("10.0.0.1:80"), "shop-canary": balance("10.0.0.2:80"),
	}
	if diff := cmp.Diff(want, services); diff != "" {
		t.Errorf("Traefik is told (-want +got):\n%s", diff)
	}
}

func TestAPIsThatAreNone(t *testing.T) {
	p := &published{}
	var status atomic.Int64
	status.Store(http.StatusNotFound)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(server.Close)
	router := newRouter(t, p, server.URL)
	if err := router.Apply(t.Context(), strategy.Split{Release: "shop", Service: "shop"}); err != nil {
		t.Fatal(err)
	}
	if _, err := router.Read(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "is its API enabled") {
		t.Errorf("an address that is no API: %v, want an error that says so", err)
	}
	status.Store(http.StatusBadGateway)
	if _, err := router.Read(t.Context(), "shop"); err == nil {
		t.Error("an API that fails gave no error")
	}
}
