// Command service is a chat of one: over a WebSocket it answers every message with its version and the message.
//
//	service -version 1.1.0 -listen 127.0.0.1:8080
//
// GET / opens a WebSocket, or without one answers {"service":"chat","version":"1.1.0"}; GET /healthz answers 200; every
// answer names the version in X-Version. A version whose name ends in -deaf refuses one handshake of four.
//
// On SIGTERM and SIGINT it exits, and leaves it to the proxy in front to end what is still open in order.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(stderr)
	version := flags.String("version", "", "the version to be, such as 1.0.0")
	listen := flags.String("listen", "127.0.0.1:8080", "host:port to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *version == "" {
		return errors.New("-version is missing: give the version to be, such as -version 1.0.0")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *listen, err)
	}
	server := &http.Server{Handler: newChat(*version), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	return server.Close()
}

// chat answers.
type chat struct {
	version string
	deaf    bool
	asked   atomic.Uint64
}

func newChat(version string) http.Handler {
	c := &chat{version: version, deaf: strings.HasSuffix(version, "-deaf")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /{$}", c.answer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", version)
		mux.ServeHTTP(w, r)
	})
}

func (c *chat) answer(w http.ResponseWriter, r *http.Request) {
	const oneOf = 4
	if c.deaf && c.asked.Add(1)%oneOf == 0 {
		http.Error(w, "no room is open", http.StatusInternalServerError)
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"service\":\"chat\",\"version\":%q}\n", c.version)
		return
	}
	upgrader := websocket.Upgrader{}
	connection, err := upgrader.Upgrade(w, r, http.Header{"X-Version": {c.version}}) // What stands in w is not in its answer.
	if err != nil {
		return // It has been answered.
	}
	defer func() { _ = connection.Close() }()
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil {
			return
		}
		if err := connection.WriteMessage(kind, []byte(c.version+": "+string(message))); err != nil {
			return
		}
	}
}
