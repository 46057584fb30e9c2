package integration_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

// TestNothingDivides is a release whose users find its allocations by themselves (router "none"), judged by a Prometheus: plan
// and status say what share the canary gets, which is that of its allocations, a good version is promoted, and of a bad one the
// canaries end.
func TestNothingDivides(t *testing.T) {
	t.Parallel()
	s := begin(t, "undivided")
	s.replicas = 3
	s.edit("count = var.replicas\n", "count = var.replicas\n\n    shutdown_delay = \"3s\"\n")
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(config), "router \"edge\"")
	if err := os.WriteFile(s.config, []byte(before+"router \"mesh\" {\n  type = \"none\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.measure("prometheus")
	alone := policy{bake: "6s", deadline: "60s", strategy: "strategy \"canary\" {\n    weights  = [\"30%\", \"100%\"]\n    bake     = \"6s\"\n    canaries = 1\n  }"}

	s.commit("1.0.0", alone)
	s.drover.start()
	s.rests("1.0.0", strategy.OutcomePromoted)
	s.findByThemselves()
	s.welcome()
	old := s.allocs()

	s.drover.stop()
	s.commit("1.1.0", alone)
	s.planned(planChanges, "divides nothing", "about 25%, 1 of 4 allocations")
	s.drover.start()
	s.becomes("it bakes, with what arrives", func(r strategy.Rollout) bool {
		return r.Phase == strategy.Stepping && strings.Contains(r.Reason.Text, "canary 30% (25% arrives)")
	})
	contains(t, "drover status", s.drive(0, "status", s.name), "canary 30% (25% arrives)")
	r := s.rests("1.1.0", strategy.OutcomePromoted)
	s.replaced(old)
	from, to := s.when(r, strategy.StepEntered), s.when(r, strategy.StepsDone)
	got, all := s.users.count(from, to, func(a answer) bool { return a.version == "1.1.0" })
	if quarter := float64(all) / 4; float64(got) < 0.8*quarter || float64(got) > 1.2*quarter {
		t.Errorf("the canary, one of four allocations, answered %d of %d requests in its step, want about a quarter", got, all)
	}
	s.nobodyFailed(time.Time{})

	good, live := s.shop.head(), s.allocs()
	failed := s.commit("1.2.0", alone)
	r = s.rests("1.1.0", strategy.OutcomeCondemned)
	if r.Last.Reason.Code != strategy.GateFailed {
		t.Errorf("rolled back for %q, want a failed gate", r.Last.Reason.Text)
	}
	s.reverted(failed, good)
	s.runs(live)
	ended := time.Now()
	s.until("users go on", func() bool { return s.users.answered("1.1.0", ended) > 20 })
	s.only("1.1.0", ended)
	s.nobodyFailed(time.Time{}, "1.2.0")
	s.planned(planAtRest)
	s.drover.stop()

	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	var last time.Time
	for _, a := range s.users.answers {
		if a.version == "1.2.0" {
			last = a.asked
		}
	}
	providertest.RouterRow{
		Router: "`none`", Share: fmt.Sprintf("%.2f%% with 1 canary among 4 allocations", 100*float64(got)/float64(all)), Finest: "1 of all allocations",
		Changes: fmt.Sprintf("0 of %d in a promotion and a rollback", len(s.users.answers)),
		Way:     fmt.Sprintf("%d ms from the verdict: its allocations end", max(0, last.Sub(s.when(r, strategy.GateFailed))).Milliseconds()), Restart: "there is none",
	}.Write(t)
}

// when is the moment of a reason, the last one in the timeline.
func (s *story) when(r strategy.Rollout, code strategy.ReasonCode) time.Time {
	s.t.Helper()
	for _, e := range slices.Backward(r.Timeline) {
		if e.Reason.Code == code {
			return e.At
		}
	}
	s.t.Fatalf("nothing in the timeline is %q: %+v", code, r.Timeline)
	return time.Time{}
}

// mesh is how users find the allocations of a service by themselves: they follow Nomad's registrations, ask each in turn, and
// the next when one cannot be reached.
type mesh struct {
	client *http.Client

	mu        sync.Mutex
	addresses []string
	turn      int
}

// findByThemselves has users find the story's allocations so, at its edge.
func (s *story) findByThemselves() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.edge)
	if err != nil {
		s.t.Fatal(err)
	}
	m := &mesh{client: &http.Client{Timeout: 20 * time.Second}}
	server := httptest.NewUnstartedServer(m)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan struct{})
	go func() { defer close(followed); m.follow(ctx, s) }()
	s.t.Cleanup(func() {
		cancel()
		<-followed
		server.Close()
	})
	s.until("the registrations are known", func() bool { return m.next() != "" })
}

// follow keeps the addresses until ctx is done.
func (m *mesh) follow(ctx context.Context, s *story) {
	var index uint64
	for ctx.Err() == nil {
		options := s.query()
		options.WaitIndex, options.WaitTime = index, 10*time.Second
		registered, meta, err := s.agent.Client().Services().Get(s.name, options.WithContext(ctx))
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		index = meta.LastIndex
		m.mu.Lock()
		m.addresses = nil
		for _, r := range registered {
			m.addresses = append(m.addresses, net.JoinHostPort(r.Address, strconv.Itoa(r.Port)))
		}
		m.mu.Unlock()
	}
}

// next is the address whose turn it is; "" when nothing is registered.
func (m *mesh) next() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.addresses) == 0 {
		return ""
	}
	m.turn++
	return m.addresses[m.turn%len(m.addresses)]
}

func (m *mesh) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for range 8 { // Every allocation, should most of them end at this moment.
		request, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+m.next()+r.URL.Path, nil)
		if err != nil {
			break
		}
		response, err := m.client.Do(request)
		if err != nil {
			continue
		}
		w.Header().Set("X-Version", response.Header.Get("X-Version"))
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body) // An error here is a user who went away.
		_ = response.Body.Close()
		return
	}
	http.Error(w, "no allocation can be reached", http.StatusBadGateway)
}
