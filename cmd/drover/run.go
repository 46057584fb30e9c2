package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/reconcile"
)

func runDaemon(ctx context.Context, c *console, args []string) int {
	f := c.flags("run", "run [-config drover.hcl]")
	path := f.String("config", "drover.hcl", "Drover's own configuration")
	level := f.String("log-level", "info", "debug, info, warn or error")
	if code, done := parse(f, args); done {
		return code
	}
	if f.NArg() > 0 {
		f.Usage()
		return 1
	}
	logger, err := newLogger(c, *level)
	if err != nil {
		return c.fail(err)
	}
	conf, err := readConfig(*path)
	if err != nil {
		return c.fail(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	opts, err := wire(conf, logger, registry)
	if err != nil {
		return c.fail(err)
	}
	lead, err := wireLeadership(conf, logger, registry)
	if err != nil {
		return c.fail(err)
	}
	opts.Notify = keepInputs(keptInputs(conf), logger)
	loop := reconcile.New(opts)
	group, ctx := errgroup.WithContext(ctx)
	if err := runRouters(ctx, group, conf, opts.Routers); err != nil {
		return c.fail(err)
	}
	if err := serveCommands(ctx, group, conf.StateDir, loop, lead); err != nil {
		return c.fail(err)
	}
	hook, err := webhooks(conf, opts, loop)
	if err != nil {
		return c.fail(err)
	}
	if err := serveHTTP(ctx, group, conf.HTTP, registry, loop, lead, hook); err != nil {
		return c.fail(err)
	}
	group.Go(func() error {
		logger.Info("drover runs", "version", version(), "repository", withoutCredentials(conf.Git.URL), "instance", conf.Instance)
		lead.run(ctx, loop.Run)
		return nil
	})
	if err := group.Wait(); err != nil {
		return c.fail(err)
	}
	logger.Info("drover stopped")
	return 0
}

// serveHTTP answers monitoring, and with a token the commands of people. nil serves nothing.
func serveHTTP(ctx context.Context, group *errgroup.Group, conf *httpConfig, registry *prometheus.Registry, loop *reconcile.Loop, lead *leadership, hook http.Handler) error {
	if conf == nil {
		return nil
	}
	if token := conf.token(); token.given() {
		if _, err := token.read(); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", lead.healthz)
	mux.Handle("POST /command", guard(conf.token(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { obey(w, r, loop, lead) })))
	if hook != nil {
		mux.Handle(webhookPath, hook)
	}
	return serve(ctx, group, conf.Listen, mux)
}

// withoutCredentials is an address as it may be shown.
func withoutCredentials(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
}

// serve answers on an address until ctx is done; requests under way are given ten seconds to end.
func serve(ctx context.Context, group *errgroup.Group, address string, handler http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	serveOn(ctx, group, listener, handler)
	return nil
}

func serveOn(ctx context.Context, group *errgroup.Group, listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", listener.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(ending)
	})
}

func newLogger(c *console, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is none of debug, info, warn, error", level)
	}
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: l})), nil
}
