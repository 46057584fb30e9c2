package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestChat(t *testing.T) {
	server := httptest.NewServer(newChat("1.0.0"))
	defer server.Close()
	connection, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_ = response.Body.Close()
	if got := response.Header.Get("X-Version"); got != "1.0.0" {
		t.Errorf("the handshake names version %q", got)
	}
	if err := connection.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, said, err := connection.ReadMessage(); err != nil || string(said) != "1.0.0: hello" {
		t.Errorf("got %q, %v", said, err)
	}
}

func TestDeafVersionsRefuseOneHandshakeOfFour(t *testing.T) {
	server := httptest.NewServer(newChat("1.1.0-deaf"))
	defer server.Close()
	refused := 0
	for range 8 {
		connection, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
		if response != nil {
			_ = response.Body.Close()
		}
		if err != nil && response != nil && response.StatusCode == http.StatusInternalServerError {
			refused++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = connection.Close()
	}
	if refused != 2 {
		t.Errorf("%d of 8 handshakes were refused, want 2", refused)
	}
}

func TestVersionIsNeeded(t *testing.T) {
	if err := run(t.Context(), nil, t.Output()); err == nil {
		t.Error("it runs without a version")
	}
}
