package probe_test

import (
	"github.com/drover-dev/drover/providers/probe"
	"github.com/drover-dev/drover/reconcile"
)

var _ reconcile.Prober = (*probe.Prober)(nil)
