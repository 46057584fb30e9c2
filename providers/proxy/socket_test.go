package proxy_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// socketServer is an endpoint that answers every message with its allocation and the message. To "leave" it breaks the
// connection off, to "close" it closes it as it should be done. ended is sent how each connection ended.
func socketServer(t *testing.T, alloc string, ended chan<- error) *server {
	t.Helper()
	return serverFunc(t, alloc, func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{EnableCompression: true}
		connection, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		for {
			kind, message, err := connection.ReadMessage()
			if err != nil {
				if ended != nil {
					ended <- err
				}
				return
			}
			switch string(message) {
			case "leave":
				return
			case "close":
				_ = connection.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "as asked"), time.Now().Add(time.Second))
			default:
				_ = connection.WriteMessage(kind, append([]byte(alloc+" "), message...))
			}
		}
	})
}

func dialSocket(t *testing.T, p *served) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{EnableCompression: true}
	connection, response, err := dialer.DialContext(t.Context(), "ws://"+p.address+"/chat", http.Header{"Host": {"shop"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return connection
}

// echo sends a message and wants it back from an allocation.
func echo(t *testing.T, connection *websocket.Conn, alloc, message string) {
	t.Helper()
	if err := connection.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := connection.ReadMessage(); err != nil || string(got) != alloc+" "+message {
		t.Fatalf("%d bytes came back (%v), want those of %s", len(got), err, alloc)
	}
}

// closedWith wants the connection to end with a close frame of a code.
func closedWith(t *testing.T, connection *websocket.Conn, code int) {
	t.Helper()
	_, _, err := connection.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code {
		t.Errorf("the connection ended with %v, want a close frame with %d", err, code)
	}
}

func TestWebSockets(t *testing.T) {
	p := serve(t, proxy.Options{Routes: []proxy.Route{{Release: "shop"}}}, nil)
	stable, canary := socketServer(t, "s", nil), socketServer(t, "c", nil)
	p.Set([]strategy.Split{split(0, []*server{stable}, []*server{canary})})
	old := dialSocket(t, p)
	p.Set([]strategy.Split{split(strategy.Full, []*server{stable}, []*server{canary})})
	fresh := dialSocket(t, p)
	for _, size := range []int{1, 125, 126, 65535, 65536, 1 << 20} {
		echo(t, old, "s", strings.Repeat("x", size))
		echo(t, fresh, "c", strings.Repeat("y", size))
	}
	// They count as soon as they are there, and where they are.
	for _, track := range []string{"stable", "canary"} {
		p.metric(t, `drover_proxy_requests_total{code="1xx",endpoint="GET /chat",release="shop",track="`+track+`"} 1`)
		p.metric(t, `drover_proxy_request_seconds_count{release="shop",track="`+track+`"} 1`)
		p.metric(t, `drover_proxy_requests_in_flight{release="shop",track="`+track+`"} 1`)
	}
	p.Set([]strategy.Split{split(0, []*server{stable}, nil)})
	echo(t, fresh, "c", "the canary is retired, its connections live")
	if err := fresh.WriteMessage(websocket.TextMessage, []byte("close")); err != nil {
		t.Fatal(err)
	}
	closedWith(t, fresh, 4000)
	_ = fresh.Close()
	if err := old.WriteMessage(websocket.TextMessage, []byte("leave")); err != nil {
		t.Fatal(err)
	}
	closedWith(t, old, websocket.CloseGoingAway)
	_ = old.Close()
	p.idle(t)
	p.metric(t, `drover_proxy_requests_total{code="1xx",endpoint="GET /chat",release="shop",track="stable"} 1`)
}

func TestWebSocketsAreToldOfTheEnd(t *testing.T) {
	ended := make(chan error, 2)
	p := serve(t, proxy.Options{Routes: []proxy.Route{{Release: "shop"}}}, nil)
	p.Set([]strategy.Split{split(0, []*server{socketServer(t, "s", ended)}, nil)})
	polite, silent := dialSocket(t, p), dialSocket(t, p)
	echo(t, polite, "s", "hello")
	echo(t, silent, "s", "hello")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.stop()
	}()
	closedWith(t, polite, websocket.CloseGoingAway) // Reading it answers it.
	if err := <-ended; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the endpoint of a polite user saw %v, want the user's close frame", err)
	}
	<-stopped // The other does not answer, and is not waited for.
	if err := <-ended; err == nil {
		t.Error("the connection of the silent user did not end")
	}
}
