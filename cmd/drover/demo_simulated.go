package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/providers/disk"
	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
)

// simulatedRPS is the requests in a second that the simulated users make.
const simulatedRPS = 200

// simulatedStage plays on the simulated Nomad, in a time that goes speed times as fast as life.
func simulatedStage(dir string, speed float64, logger *slog.Logger) (*stage, error) {
	const tick = time.Second
	now := time.Now().UTC().Truncate(time.Second)
	cluster := sim.New(sim.Config{Start: now, Seed: 1})
	client, err := nomad.Connect(nomad.Config{Address: "http://simulated", HTTPClient: cluster.Client()})
	if err != nil {
		return nil, err
	}
	traffic := cluster.Traffic(sim.Load{RPS: simulatedRPS, Poisson: true})
	return &stage{
		about:   "the real reconcile loop on a simulated Nomad with 200 requests/s, time goes fast.",
		policy:  func(text string) string { return text },
		release: func(text string) string { return text },
		options: func(repository string) (reconcile.Options, error) {
			repo, err := git.New(git.Config{URL: repository, StateDir: filepath.Join(dir, "git"), Logger: logger, Now: cluster.Now})
			if err != nil {
				return reconcile.Options{}, err
			}
			ledger, err := disk.NewLedger(filepath.Join(dir, "ledger"))
			if err != nil {
				return reconcile.Options{}, err
			}
			return reconcile.Options{
				Instance: defaultInstance, Repository: repo, Load: loader(""), Cluster: nomad.New(client, nomad.Options{Instance: defaultInstance, Logger: logger}),
				Routers: map[string]reconcile.Traffic{"": {Router: traffic, Meter: traffic}}, Ledger: ledger, Prober: cluster.Prober(), Logger: logger, Registerer: prometheus.NewRegistry(),
			}, nil
		},
		step: func(ctx context.Context) (time.Time, error) {
			now = now.Add(tick)
			cluster.Advance(now)
			return now, pause(ctx, time.Duration(float64(tick)/speed))
		},
		answered: func() map[string]float64 { return traffic.Versions(demoRelease) },
		every:    time.Minute, patience: 2 * time.Hour,
		stop: func() error { return nil },
	}, nil
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
