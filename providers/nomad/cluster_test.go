package nomad_test

import (
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/reconcile"
)

var (
	_ reconcile.Cluster   = (*nomad.Cluster)(nil)
	_ reconcile.Keeper    = (*nomad.Cluster)(nil)
	_ reconcile.Watcher   = (*nomad.Cluster)(nil)
	_ reconcile.Scaler    = (*nomad.Cluster)(nil)
	_ reconcile.Condemner = (*nomad.Cluster)(nil)
	_ reconcile.Events    = (*nomad.Cluster)(nil)
	_ reconcile.Planner   = (*nomad.Cluster)(nil)
	_ reconcile.Lock      = (*nomad.Lock)(nil)
)
