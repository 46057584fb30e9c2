package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/reconcile"
)

// leaderLock is a lock that says who holds it.
type leaderLock interface {
	reconcile.Lock
	Leader(ctx context.Context) (string, error)
}

// leadership is whether this process leads its instance: whether it acts. Its methods may be called at any time.
type leadership struct {
	lock   leaderLock // nil when nobody else can lead
	logger *slog.Logger
	leads  atomic.Bool
	gauge  prometheus.Gauge
}

func newLeadership(lock leaderLock, logger *slog.Logger, registry prometheus.Registerer) *leadership {
	return &leadership{lock: lock, logger: logger, gauge: promauto.With(registry).NewGauge(prometheus.GaugeOpts{
		Name: "drover_leader", Help: "1 while this process leads its instance, and acts; 0 while it stands by.",
	})}
}

// run has the work done whenever this process leads, until ctx is done.
func (l *leadership) run(ctx context.Context, work func(context.Context)) {
	leading := func(ctx context.Context) {
		l.leads.Store(true)
		l.gauge.Set(1)
		defer func() {
			l.leads.Store(false)
			l.gauge.Set(0)
		}()
		work(ctx)
	}
	if l.lock == nil {
		leading(ctx)
		return
	}
	l.lock.Lead(ctx, func(ctx context.Context) {
		l.logger.Info("leads")
		leading(ctx)
		l.logger.Info("leads no more")
	})
}

// refuses says why this process obeys no commands, and who does; nil when it obeys.
func (l *leadership) refuses(ctx context.Context) error {
	if l.leads.Load() {
		return nil
	}
	if l.lock == nil {
		return fmt.Errorf("drover is starting or stopping: try again")
	}
	leader, err := l.lock.Leader(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("this drover stands by, and cannot say who leads: %w", err)
	case leader == "":
		return fmt.Errorf("this drover stands by, and nobody leads at the moment: try again in half a minute")
	}
	return fmt.Errorf("this drover stands by: %s leads. Run the command there", leader)
}

// leaderText says who leads, for people who look at what is recorded: while nobody does, it is what was true once.
func leaderText(ctx context.Context, c *config) string {
	if c.Ledger == ledgerFile {
		path := filepath.Join(c.StateDir, socketName)
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
		if err != nil {
			return "No drover run is up on " + c.StateDir + ": nothing moves, and what is shown may be old."
		}
		_ = conn.Close() // It was only to see whether somebody takes it.
		return "A drover run is up on " + c.StateDir + "."
	}
	client, err := connect(c.Nomad)
	if err != nil {
		return "Who leads is not known: " + err.Error()
	}
	leader, err := nomad.NewLock(client, nomad.LockOptions{Instance: c.Instance, Namespace: c.Nomad.Namespace}).Leader(ctx)
	switch {
	case err != nil:
		return "Who leads is not known: " + err.Error()
	case leader == "":
		return fmt.Sprintf("Nobody leads instance %q: nothing moves, and what is shown may be old. Is a drover run up? One that was killed is followed within half a minute.", c.Instance)
	}
	return fmt.Sprintf("Instance %q is led by %s.", c.Instance, leader)
}

// healthz answers that the process lives, and whether it leads.
func (l *leadership) healthz(w http.ResponseWriter, _ *http.Request) {
	if l.leads.Load() {
		fmt.Fprintln(w, "ok, leads")
		return
	}
	fmt.Fprintln(w, "ok, stands by")
}

// processName says where this process runs, for who looks for the leader.
func processName(stateDir string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	if alloc := os.Getenv("NOMAD_ALLOC_ID"); alloc != "" {
		return fmt.Sprintf("allocation %.8s on %s", alloc, host)
	}
	return fmt.Sprintf("process %d on %s (state_dir %s)", os.Getpid(), host, stateDir)
}
