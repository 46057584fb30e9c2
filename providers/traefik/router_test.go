package traefik_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/traefik"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router   = (*traefik.Router)(nil)
	_ reconcile.Surveyor = (*traefik.Router)(nil)
)

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

func newRouter(t *testing.T, p *published, shadow string, apis ...string) *traefik.Router {
	t.Helper()
	begin := time.Now() // The router's time runs faster: it waits for a moment with every split.
	now := func() time.Time { return begin.Add(20 * time.Since(begin)) }
	router, err := traefik.New(traefik.Options{Name: "edge", Now: now, Publisher: p, Split: p.split, APIs: apis, Copies: shadow, Client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// TestRouter holds the router to the suite on a stand-in that takes nothing but what Traefik documents.
func TestRouter(t *testing.T) {
	providertest.TestRouter(t, func(t *testing.T) providertest.RouterHarness {
		t.Helper()
		p, s := &published{}, &standIn{t: t}
		api, edge, entry := httptest.NewServer(http.HandlerFunc(s.api)), httptest.NewServer(http.HandlerFunc(s.users)), httptest.NewServer(http.HandlerFunc(s.shadow))
		t.Cleanup(func() {
			edge.Close()
			s.mirrors.Wait()
			entry.Close()
			api.Close()
		})
		s.entry = strings.TrimPrefix(entry.URL, "http://")
		p.handler.Copies = s.entry
		s.handler = &p.handler
		address := strings.TrimPrefix(edge.URL, "http://")
		users, services := providertest.NewUsers(t, address), providertest.NewServices(t)
		users.CookiesPass = true // Traefik has nothing that takes one out.
		again := func() reconcile.Router { return newRouter(t, p, s.entry, api.URL) }
		return providertest.RouterHarness{
			Router: again(), Start: services.Start, Behave: services.Behave, Send: users.Send, NewUser: users.NewUser, Copied: services.Copied, Asked: services.Asked,
			Settle: func() { time.Sleep(20 * time.Millisecond) },
			Edge:   address, Again: again, Brief: true, Changes: 20,
		}
	})
}

func TestConfigurationIsAsDocumented(t *testing.T) {
	p := &published{}
	router := newRouter(t, p, "")
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
		if strings.HasPrefix(name, "shop_is-") {
			delete(services, name)
		}
	}
	want := map[string]any{
		"shop": map[string]any{"weighted": map[string]any{
			"services": []any{map[string]any{"name": "shop_stable", "weight": 9475.0}, map[string]any{"name": "shop_canary", "weight": 525.0}},
			"sticky":   map[string]any{"cookie": map[string]any{"name": services["shop"].(map[string]any)["weighted"].(map[string]any)["sticky"].(map[string]any)["cookie"].(map[string]any)["name"], "httpOnly": true, "sameSite": "lax"}},
		}},
		"shop_stable": balance("10.0.0.1:80"), "shop_canary": balance("10.0.0.2:80"),
	}
	if diff := cmp.Diff(want, services); diff != "" {
		t.Errorf("Traefik is told (-want +got):\n%s", diff)
	}
}

// TestNamesDoNotMeet: whatever releases are called, nothing of one is called like something of another.
func TestNamesDoNotMeet(t *testing.T) {
	names := []string{"shop", "drover"}
	for _, what := range []string{"stable", "canary", "divided", "copies", "shadow", "some", "own-path", "mark", "limit", "nobody", "not-copied", "is"} {
		names = append(names, "shop-"+what, "drover-"+what)
	}
	told := func(releases ...string) map[string]map[string]any {
		t.Helper()
		p := &published{}
		p.handler.Copies = "127.0.0.1:8091"
		var splits []strategy.Split
		for _, name := range releases {
			splits = append(splits, strategy.Split{
				Release: name, Service: name, Copies: &strategy.Copies{Percent: 1050, Methods: []string{"GET"}},
				Stable: []strategy.Endpoint{{Alloc: "a", Address: name + ":80"}}, Canary: []strategy.Endpoint{{Alloc: "b", Address: name + ":81"}},
			})
		}
		p.handler.Set(splits)
		answer := httptest.NewRecorder()
		p.handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
		var got map[string]map[string]map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got["http"]
	}
	all, want := told(names...), map[string]map[string]any{}
	for _, name := range names {
		for kind, section := range told(name) {
			if want[kind] == nil {
				want[kind] = map[string]any{}
			}
			maps.Copy(want[kind], section)
			for thing, alone := range section {
				if diff := cmp.Diff(alone, all[kind][thing]); diff != "" {
					t.Errorf("of %s, among others, %s %q is another than alone (-alone +among):\n%s", name, kind, thing, diff)
				}
			}
		}
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("all of them together are not what each is (-each +all):\n%s", diff)
	}
}

func TestAPIsThatAreNone(t *testing.T) {
	p := &published{}
	var status atomic.Int64
	status.Store(http.StatusNotFound)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(server.Close)
	router := newRouter(t, p, "", server.URL)
	if err := router.Apply(t.Context(), strategy.Split{Release: "shop", Service: "shop"}); err != nil {
		t.Fatal(err)
	}
	if _, err := router.Read(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "is it enabled there") {
		t.Errorf("an address that is no API: %v, want an error that says so", err)
	}
	status.Store(http.StatusBadGateway)
	if _, err := router.Read(t.Context(), "shop"); err == nil {
		t.Error("an API that fails gave no error")
	}
}

// TestCopiesNeedAnEntryPoint: where Traefik has none for copies, or another than Drover gives them to, the split is not said to
// be in effect, and why is said.
func TestCopiesNeedAnEntryPoint(t *testing.T) {
	p, s := &published{}, &standIn{t: t}
	p.handler.Copies, s.handler = "127.0.0.1:8091", &p.handler
	api := httptest.NewServer(http.HandlerFunc(s.api))
	t.Cleanup(api.Close)
	router := newRouter(t, p, "127.0.0.1:8091", api.URL)
	split := strategy.Split{
		Release: "shop", Service: "shop", Copies: &strategy.Copies{Percent: 1000, Methods: []string{"GET"}},
		Stable: []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}, Canary: []strategy.Endpoint{{Alloc: "b", Address: "10.0.0.2:80"}},
	}
	if err := router.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	shadowed := strategy.Plan{Shadow: &strategy.ShadowPlan{}}
	read := func(router *traefik.Router) (last error) {
		for range 100 {
			state, err := router.Read(t.Context(), "shop")
			if err == nil && split.InEffect(state.Splits[0]) {
				return nil
			}
			last = err
			time.Sleep(time.Millisecond)
		}
		return last
	}
	for entry, want := range map[string]string{
		"":                   `cannot copy requests without an entry point "drover-copies": give it one, at 127.0.0.1:8091`,
		"127.0.0.1:9999/tcp": `has its entry point "drover-copies" at "127.0.0.1:9999/tcp", and the copies of router "edge" go to 127.0.0.1:8091`,
	} {
		s.entry = entry
		if err := read(router); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with the entry point at %q: %v, want %q", entry, err, want)
		}
		if got, err := router.Lacks(t.Context(), "shop", shadowed); err != nil || !strings.Contains(got, want) {
			t.Errorf("with the entry point at %q it lacks %q, error %v, want %q", entry, got, err, want)
		}
		if got, err := router.Lacks(t.Context(), "shop", strategy.Plan{}); err != nil || got != "" {
			t.Errorf("with the entry point at %q and no shadow it lacks %q, error %v", entry, got, err)
		}
		if got, err := router.Lacks(t.Context(), "web", shadowed); err != nil || !strings.Contains(got, `leads to "web@http"`) || !strings.Contains(got, want) {
			t.Errorf("with the entry point at %q and no router it lacks %q, error %v, want both", entry, got, err)
		}
	}
	s.entry = ":8091"
	if err := read(router); err != nil {
		t.Errorf("with the entry point on all addresses: %v", err)
	}
	if got, err := router.Lacks(t.Context(), "shop", shadowed); err != nil || got != "" {
		t.Errorf("it lacks nothing, and says %q, error %v", got, err)
	}
	if err := read(newRouter(t, p, "", api.URL)); err == nil || !strings.Contains(err.Error(), "copies no requests any more") {
		t.Errorf("a router that has lost its entry point: %v", err)
	}
	if _, err := traefik.New(traefik.Options{Name: "edge", Copies: "8091"}); err == nil || !strings.Contains(err.Error(), `such as "127.0.0.1:8091"`) {
		t.Errorf("an entry point without a host: %v", err)
	}
}

// TestPartOfAPercentIsCopied: Traefik's mirroring knows whole percents.
func TestPartOfAPercentIsCopied(t *testing.T) {
	var h traefik.Handler
	h.Copies = "127.0.0.1:8091"
	h.Set([]strategy.Split{{Release: "shop", Copies: &strategy.Copies{Percent: 125, Methods: []string{"GET"}}}})
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	var config struct{ HTTP documented }
	if err := json.Unmarshal(answer.Body.Bytes(), &config); err != nil {
		t.Fatal(err)
	}
	m := config.HTTP.Services["shop"].Mirroring
	if m == nil || m.Mirrors[0].Percent != 2 {
		t.Fatalf("shop is mirrored as %+v, want 2 percent of it", m)
	}
	some := config.HTTP.Services[m.Mirrors[0].Name].Weighted
	if some == nil || some.Services[0].Weight != 125 || some.Services[1].Weight != 75 || len(config.HTTP.Services[some.Services[1].Name].LoadBalancer.Servers) > 0 {
		t.Errorf("of them %+v are copied, want 125 of 200 and the rest to nobody", some)
	}
}

// TestAnswersOnceThereIsNews: who asks again over a connection hears of a split at once, and that nothing is new after a
// moment.
func TestAnswersOnceThereIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h traefik.Handler
		ask := func(connection string) (content string, took time.Duration) {
			asked, request, answer := time.Now(), httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
			request.RemoteAddr = connection
			h.ServeHTTP(answer, request)
			return answer.Body.String(), time.Since(asked)
		}
		h.Set([]strategy.Split{{Release: "shop", Weight: 100}})
		first, took := ask("10.0.0.1:1")
		if took > 0 {
			t.Errorf("who asks for the first time waits for %s", took)
		}
		if again, took := ask("10.0.0.1:1"); again != first || took != time.Second {
			t.Errorf("who asks again is told after %s, want the same after a second", took)
		}
		if same, took := ask("10.0.0.2:1"); same != first || took > 0 {
			t.Errorf("another one is answered after %s", took)
		}
		go func() {
			time.Sleep(300 * time.Millisecond)
			h.Set([]strategy.Split{{Release: "shop", Weight: 100}}) // Nothing new.
			time.Sleep(300 * time.Millisecond)
			h.Set([]strategy.Split{{Release: "shop", Weight: 0}})
		}()
		if news, took := ask("10.0.0.1:1"); news == first || took != 600*time.Millisecond {
			t.Errorf("the new split is told after %s, want 600ms", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		request := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		request.RemoteAddr = "10.0.0.1:1"
		left := time.Now()
		h.ServeHTTP(httptest.NewRecorder(), request)
		if waited := time.Since(left); waited != 10*time.Millisecond {
			t.Errorf("for somebody who went away it waits for %s", waited)
		}
		time.Sleep(2 * time.Minute)
		if _, took := ask("10.0.0.1:1"); took > 0 {
			t.Errorf("a connection that was told something long ago is answered after %s", took)
		}
	})
}

// TestLacks: a service that nothing leads to is found, by what a Traefik says of itself (an answer of Traefik 3.7.13, in part).
func TestLacks(t *testing.T) {
	for name, c := range map[string]struct{ says, want string }{
		"a router":      {`{"routers": {"a@file": {"service": "shop@http", "rule": "Host(` + "`shop`" + `)", "status": "disabled"}}}`, ""},
		"a service":     {`{"routers": {"a@file": {"service": "own"}}, "services": {"own@file": {"weighted": {"services": [{"name": "shop@http", "weight": 1}]}}}}`, ""},
		"a fallback":    {`{"services": {"own@file": {"failover": {"service": "x", "fallback": "shop@http"}}}}`, ""},
		"another":       {`{"routers": {"a@file": {"service": "other@http"}}, "services": {"shop@http": {"weighted": {"services": [{"name": "shop_stable", "weight": 1}]}}}}`, `leads to "shop@http"`},
		"nothing":       {`{}`, `leads to "shop@http"`},
		"no API at all": {"", "is it enabled there"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.says == "" || r.URL.Path != "/api/rawdata" {
					http.NotFound(w, r)
					return
				}
				_, _ = io.WriteString(w, c.says)
			}))
			t.Cleanup(server.Close)
			lacks, err := newRouter(t, &published{}, "", server.URL).Lacks(t.Context(), "shop", strategy.Plan{})
			if err != nil {
				lacks = err.Error()
			}
			if (c.want == "") != (lacks == "") || !strings.Contains(lacks, c.want) {
				t.Errorf("lacks %q, want %q", lacks, c.want)
			}
		})
	}
	if lacks, err := newRouter(t, &published{}, "").Lacks(t.Context(), "shop", strategy.Plan{}); lacks != "" || err != nil {
		t.Errorf("without an API: %q, %v", lacks, err)
	}
}
