package providertest

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/drover-dev/drover/strategy"
)

// Services are the allocations that a router under test sends requests to: servers that answer with their id, keep
// WebSockets open, and can be told how to behave. They end with the test.
type Services struct {
	t testing.TB

	mu      sync.Mutex
	each    map[strategy.Endpoint]*service
	servers map[string]*httptest.Server // by address
}

// service is one of them.
type service struct {
	behavior atomic.Pointer[Behavior]
	copied   atomic.Int64

	mu    sync.Mutex
	asked []Request // for other things than "/"
}

// headerShadow marks copies of requests, whichever router makes them.
const headerShadow = "Drover-Shadow"

// NewServices has none yet.
func NewServices(t testing.TB) *Services {
	t.Helper()
	return &Services{t: t, each: map[strategy.Endpoint]*service{}, servers: map[string]*httptest.Server{}}
}

// Start starts one. It does for a RouterHarness.
func (s *Services) Start(_, alloc string) strategy.Endpoint {
	s.t.Helper()
	return s.StartAt("127.0.0.1:0", alloc)
}

// StartAt starts one at an address, on a free port where that is 0.
func (s *Services) StartAt(address, alloc string) strategy.Endpoint {
	s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", address)
	if err != nil {
		s.t.Fatalf("start a service: %v", err)
	}
	one := &service{}
	one.behavior.Store(&Behavior{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { one.answer(alloc, w, r) }))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	s.t.Cleanup(server.Close)
	e := strategy.Endpoint{Alloc: alloc, Address: listener.Addr().String()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each[e], s.servers[e.Address] = one, server
	return e
}

// end ends the one at an address.
func (s *Services) end(address string) {
	s.mu.Lock()
	server := s.servers[address]
	s.mu.Unlock()
	server.Close()
}

func (one *service) answer(alloc string, w http.ResponseWriter, r *http.Request) {
	one.note(r)
	if websocket.IsWebSocketUpgrade(r) {
		holdSocket(w, r, alloc)
		return
	}
	if r.Header.Get(headerShadow) != "" {
		one.copied.Add(1)
	}
	b := one.behavior.Load()
	if b.Delay > 0 {
		select {
		case <-time.After(b.Delay):
		case <-r.Context().Done():
		}
	}
	w.Header().Set("X-Alloc", alloc)
	w.Header().Set(headerCookies, strings.Join(r.Header["Cookie"], "; "))
	if b.Fail {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, alloc) // An error here is a user who went away.
}

// note remembers a request, save the many for "/".
func (one *service) note(r *http.Request) {
	if r.URL.Path == "/" {
		return
	}
	body, _ := io.ReadAll(r.Body) // What broke off is shorter.
	one.mu.Lock()
	defer one.mu.Unlock()
	one.asked = append(one.asked, Request{
		Method: r.Method, Host: r.Host, URI: r.RequestURI, Body: string(body), Copy: r.Header.Get(headerShadow), Headers: slices.Collect(maps.Keys(r.Header)),
	})
}

// holdSocket keeps a WebSocket open until the other side ends it. It says first who keeps it.
func holdSocket(w http.ResponseWriter, r *http.Request, alloc string) {
	upgrader := websocket.Upgrader{}
	connection, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = connection.Close() }()
	err = connection.WriteMessage(websocket.TextMessage, []byte(alloc))
	for err == nil {
		_, _, err = connection.ReadMessage()
	}
}

func (s *Services) one(e strategy.Endpoint) *service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.each[e]
}

// Behave changes how one answers. It does for a RouterHarness.
func (s *Services) Behave(e strategy.Endpoint, b Behavior) { s.one(e).behavior.Store(&b) }

// Copied is how many copies one answered. It does for a RouterHarness.
func (s *Services) Copied(e strategy.Endpoint) int { return int(s.one(e).copied.Load()) }

// Asked is what one was asked, save for "/". It does for a RouterHarness.
func (s *Services) Asked(e strategy.Endpoint) []Request {
	one := s.one(e)
	one.mu.Lock()
	defer one.mu.Unlock()
	return slices.Clone(one.asked)
}

// headerCookies is where services say which cookies they were sent.
const headerCookies = "X-Cookies"

// Users ask at one address, by the release's name as host.
type Users struct {
	// CookiesPass says that services are sent the router's own cookie too. Else it is an error.
	CookiesPass bool

	t      testing.TB
	edge   string
	client *http.Client
}

// NewUsers has nobody asking yet.
func NewUsers(t testing.TB, edge string) *Users {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Users{t: t, edge: edge, client: &http.Client{Transport: transport, Timeout: slowly}}
}

// Send counts n answers by allocation; what the router itself says is counted under "". It does for a RouterHarness.
func (u *Users) Send(release string, n int) map[string]int {
	u.t.Helper()
	answers := map[string]int{}
	for range n {
		answers[u.ask(release, nil)]++
	}
	return answers
}

// NewUser is somebody who keeps cookies, and has some of the service's own. It does for a RouterHarness.
func (u *Users) NewUser() func(release string) (alloc string) {
	u.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		u.t.Fatal(err)
	}
	jar.SetCookies(home, []*http.Cookie{{Name: "basket", Value: "7"}})
	return func(release string) string {
		alloc := u.ask(release, jar)
		jar.SetCookies(home, []*http.Cookie{{Name: "seen", Value: "1"}}) // It comes after the router's.
		return alloc
	}
}

// home is where cookies are kept for, whatever the address of the router.
var home = &url.URL{Scheme: "http", Host: "shop.example.org", Path: "/"}

func (u *Users) ask(release string, jar http.CookieJar) (alloc string) {
	u.t.Helper()
	request, err := http.NewRequestWithContext(u.t.Context(), http.MethodGet, "http://"+u.edge+"/", nil)
	if err != nil {
		u.t.Fatal(err)
	}
	request.Host = release
	var own []string
	if jar != nil {
		for _, cookie := range jar.Cookies(home) {
			request.AddCookie(cookie)
			if !strings.HasPrefix(cookie.Name, "drover") {
				own = append(own, cookie.String())
			}
		}
	}
	response, err := u.client.Do(request)
	if err != nil {
		u.t.Fatalf("ask the router: %v", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		u.t.Fatalf("read the answer: %v", err)
	}
	if jar != nil {
		jar.SetCookies(home, response.Cookies())
		if got, want := response.Header.Get(headerCookies), strings.Join(own, "; "); got != want && !u.CookiesPass {
			u.t.Errorf("the service was sent the cookies %q, want %q", got, want)
		}
	}
	return response.Header.Get("X-Alloc")
}

// Connect opens a WebSocket and keeps it. It does for a RouterHarness.
func (u *Users) Connect(release string) (alloc string, ended <-chan string) {
	u.t.Helper()
	connection, response, err := websocket.DefaultDialer.DialContext(u.t.Context(), "ws://"+u.edge+"/socket", http.Header{"Host": {release}})
	if err != nil {
		u.t.Fatalf("open a connection: %v", err)
	}
	_ = response.Body.Close()
	_, first, err := connection.ReadMessage()
	if err != nil {
		u.t.Fatalf("open a connection: %v", err)
	}
	how, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		_, _, err := connection.ReadMessage()
		how <- closedHow(err)
	}()
	u.t.Cleanup(func() {
		_ = connection.Close()
		<-read
	})
	return string(first), how
}

// closedHow is the code of a close frame, or what was seen in its place.
func closedHow(err error) string {
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		return strconv.Itoa(closed.Code)
	}
	return err.Error()
}
