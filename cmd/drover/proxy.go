package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/providers/proxy"
)

func runProxy(ctx context.Context, c *console, args []string) int {
	f := c.flags("proxy", "proxy [-config drover.hcl] [-router NAME]")
	path := f.String("config", "drover.hcl", "Drover's own configuration")
	name := f.String("router", "", "which router of the configuration this is; the default one when empty")
	level := f.String("log-level", "info", "debug, info, warn or error")
	if code, done := parse(f, args); done {
		return code
	}
	logger, err := newLogger(c, *level)
	if err != nil {
		return c.fail(err)
	}
	conf, err := readProxyConfig(*path)
	if err != nil {
		return c.fail(err)
	}
	router, p, splits, registrations, err := wireProxy(conf, *name, logger)
	if err != nil {
		return c.fail(err)
	}
	defer p.Close()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // The proxy keeps little and makes much garbage: a few megabytes save a tenth of its work.
	}
	if router.Listen == "" || router.Admin == "" {
		return c.fail(errors.New("router \"" + router.Name + "\" has no listen or no admin address: drover proxy needs both"))
	}
	group, ctx := errgroup.WithContext(ctx)
	certificate, err := router.certificate(logger)
	if err != nil {
		return c.fail(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", router.Listen)
	if err != nil {
		return c.fail(fmt.Errorf("listen on %s: %w", router.Listen, err))
	}
	group.Go(func() error { return p.Serve(ctx, listener, certificate) })
	if err := serve(ctx, group, router.Admin, p.Admin()); err != nil {
		return c.fail(err)
	}
	group.Go(func() error { return ended(ctx, splits.Watch(ctx, router.Name, p.Set)) })
	group.Go(func() error { p.Follow(ctx, registrations); return nil })
	logger.Info("proxy runs", "router", router.Name, "listen", router.Listen, "admin", router.Admin)
	if err := group.Wait(); err != nil {
		return c.fail(err)
	}
	return 0
}

// ended is the error of something that runs until ctx is done, without that end itself.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// certificate is that of the router's tls block; nil without one.
func (r *routerConfig) certificate(logger *slog.Logger) (*proxy.Certificate, error) {
	if r.TLS == nil {
		return nil, nil //nolint:nilnil // It is what p.Serve takes for none.
	}
	certificate, err := proxy.LoadCertificate(r.TLS.CertFile, r.TLS.KeyFile, logger, nil)
	if err != nil {
		return nil, fmt.Errorf("router %q: %w", r.Name, err)
	}
	return certificate, nil
}
