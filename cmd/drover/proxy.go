package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
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
	if err := serve(ctx, group, router.Admin, p.Admin()); err != nil {
		return c.fail(err)
	}
	known, learn := context.WithCancel(ctx)
	defer learn()
	group.Go(func() error {
		return ended(ctx, splits.Watch(ctx, router.Name, func(all []strategy.Split) { p.Set(all); learn() }))
	})
	group.Go(func() error { return serveUsers(ctx, p, known.Done(), router.Listen, certificate) })
	group.Go(func() error { p.Follow(ctx, registrations); return nil })
	logger.Info("proxy runs", "router", router.Name, "listen", router.Listen, "admin", router.Admin)
	if err := group.Wait(); err != nil {
		return c.fail(err)
	}
	return 0
}

// lastSplits is how long a proxy that has the splits of its state file waits for Nomad's before it serves by them.
const lastSplits = 3 * time.Second

// toServe waits until users may be let in: when the splits are known. Until then whoever divides users between instances is to
// send them to another one. A proxy that has the splits of its state file waits for newer ones only for a while, as Nomad may be
// away.
func toServe(ctx context.Context, known <-chan struct{}, old bool, while time.Duration) {
	var last <-chan time.Time
	if old {
		timer := time.NewTimer(while)
		defer timer.Stop()
		last = timer.C
	}
	select {
	case <-ctx.Done():
	case <-known:
	case <-last:
	}
}

// serveUsers answers users until ctx is done.
func serveUsers(ctx context.Context, p *proxy.Proxy, known <-chan struct{}, listen string, certificate *proxy.Certificate) error {
	toServe(ctx, known, len(p.Splits()) > 0, lastSplits)
	if ctx.Err() != nil {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	return p.Serve(ctx, listener, certificate)
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
