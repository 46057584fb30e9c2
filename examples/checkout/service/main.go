// Command service is the demo shop's checkout: a small HTTP service whose faults depend on its version, so that a
// release of it can be seen to succeed and to fail.
//
//	service -version 1.1.0 -listen 127.0.0.1:8080
//
// GET / answers {"service":"checkout-api","version":"1.1.0"} after a few milliseconds of work, GET /healthz answers
// 200; every answer names the version in X-Version. The versions that are at fault:
//
//	1.2.0     answers 8 of 100 requests with status 500
//	1.3.0     is slow: the 95th percentile is about 450 ms
//	…-crash   exits at once
//	…-sick    runs, but its health check fails
//
// POST /break makes any version answer 500 from then on, its health check excepted.
//
// On SIGTERM and SIGINT it stops to listen, answers what is under way, and exits.
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
	"syscall"
	"time"
)

// shutdownTimeout is less than the five seconds after which Nomad kills a task.
const shutdownTimeout = 4 * time.Second

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
	faults := faultsOf(*version)
	if faults.crash {
		return fmt.Errorf("version %s cannot start: no such table: orders_v2", *version)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen for requests: %w", err)
	}
	fmt.Fprintf(stderr, "service: version %s listens on %s\n", *version, listener.Addr())
	return serve(ctx, listener, newHandler(*version, faults))
}

// serve answers requests until ctx ends, and then those that are under way.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve requests: %w", err)
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(shutdown)
	if stopped := <-ended; err == nil && !errors.Is(stopped, http.ErrServerClosed) {
		err = stopped
	}
	if err != nil {
		return fmt.Errorf("answer the requests under way: %w", err)
	}
	return nil
}
