package balancers_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

// server is a balancer's program.
type server struct {
	t       *testing.T
	command []string
	ready   func() bool

	process *exec.Cmd
	exited  chan struct{}
	said    bytes.Buffer
}

// run starts a server and waits until it is ready; it is ended with the test.
func run(t *testing.T, ready func() bool, command ...string) *server {
	t.Helper()
	s := &server{t: t, command: command, ready: ready}
	s.start()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", command[0], s.said.String())
		}
	})
	return s
}

func (s *server) start() {
	s.t.Helper()
	process, exited := exec.Command(s.command[0], s.command[1:]...), make(chan struct{})
	process.Stdout, process.Stderr = &s.said, &s.said
	if err := process.Start(); err != nil {
		s.t.Fatalf("start %s, which the tests need: %v", s.command[0], err)
	}
	s.process, s.exited = process, exited
	go func() { defer close(exited); _ = process.Wait() }()
	deadline := time.After(time.Minute)
	for !s.ready() {
		select {
		case <-exited:
			s.t.Fatalf("%s ended: %s", s.command[0], s.said.String())
		case <-deadline:
			s.t.Fatalf("%s is not ready after a minute", s.command[0])
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.process.Process.Kill()
		<-s.exited
	}
}

// restart ends it and starts it anew.
func (s *server) restart() {
	s.stop()
	s.start()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// services are the allocations of a suite.
type services struct {
	t         *testing.T
	behaviors map[strategy.Endpoint]*atomic.Pointer[providertest.Behavior]
}

func newServices(t *testing.T) *services {
	t.Helper()
	return &services{t, map[strategy.Endpoint]*atomic.Pointer[providertest.Behavior]{}}
}

// start starts one that answers with its id.
func (s *services) start(_, alloc string) strategy.Endpoint {
	s.t.Helper()
	behavior := &atomic.Pointer[providertest.Behavior]{}
	behavior.Store(&providertest.Behavior{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := behavior.Load()
		if websocket.IsWebSocketUpgrade(r) {
			holdSocket(w, r, alloc)
			return
		}
		time.Sleep(b.Delay)
		w.Header().Set("X-Alloc", alloc)
		if b.Fail {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, alloc)
	}))
	s.t.Cleanup(server.Close)
	e := strategy.Endpoint{Alloc: alloc, Address: strings.TrimPrefix(server.URL, "http://")}
	s.behaviors[e] = behavior
	return e
}

func (s *services) behave(e strategy.Endpoint, b providertest.Behavior) { s.behaviors[e].Store(&b) }

// holdSocket keeps a WebSocket open until the other side ends it. It says first who keeps it.
func holdSocket(w http.ResponseWriter, r *http.Request, alloc string) {
	upgrader := websocket.Upgrader{}
	connection, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer connection.Close()
	err = connection.WriteMessage(websocket.TextMessage, []byte(alloc))
	for err == nil {
		_, _, err = connection.ReadMessage()
	}
}

// users ask a balancer, which knows a release by the host.
type users struct {
	t      *testing.T
	edge   string
	client *http.Client
}

func newUsers(t *testing.T, edge string) *users {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &users{t, edge, &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// connect opens a WebSocket and keeps it. What is sent says how it ended.
func (u *users) connect(release string) (alloc string, ended <-chan string) {
	u.t.Helper()
	connection, response, err := websocket.DefaultDialer.DialContext(u.t.Context(), "ws://"+u.edge+"/", http.Header{"Host": {release}})
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
		how <- err.Error()
	}()
	u.t.Cleanup(func() {
		_ = connection.Close()
		<-read
	})
	return string(first), how
}

// send counts the answers by allocation; what the balancer itself says is counted under "".
func (u *users) send(release string, n int) map[string]int {
	u.t.Helper()
	answers := map[string]int{}
	for range n {
		answers[u.askWith(release, nil, nil)]++
	}
	return answers
}

// askWith makes one request, as somebody with these cookies of home if there are any.
func (u *users) askWith(release string, jar http.CookieJar, home *url.URL) (alloc string) {
	u.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+u.edge+"/", nil)
	if err != nil {
		u.t.Fatal(err)
	}
	request.Host = release
	if jar != nil {
		for _, cookie := range jar.Cookies(home) {
			request.AddCookie(cookie)
		}
	}
	response, err := u.client.Do(request)
	if err != nil {
		u.t.Fatalf("ask the balancer: %v", err)
	}
	said, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		u.t.Fatalf("read the answer: %v", err)
	}
	if jar != nil {
		jar.SetCookies(home, response.Cookies())
	}
	if strings.ContainsAny(string(said), "<\n ") {
		return "" // A page of the balancer's own.
	}
	return string(said)
}
