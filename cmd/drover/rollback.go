package main

import (
	"context"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/reconcile"
)

func runRollback(ctx context.Context, c *console, args []string) int {
	f := c.flags("rollback", "rollback [-config drover.hcl] RELEASE\n\nCommits the revert to the release repository; Drover follows it as any other commit.")
	conf, code, done := c.configured(f, args, 1)
	if done {
		return code
	}
	conf.clone += "-rollback" // A clone of its own: the daemon may be using the other.
	opts, err := wire(conf, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return c.fail(err)
	}
	result, err := reconcile.New(opts).Rollback(ctx, f.Arg(0), person())
	if err != nil {
		return c.fail(err)
	}
	c.printf("%s: %s\n", f.Arg(0), result)
	if !strings.HasPrefix(result, "reverted") {
		return 1
	}
	return 0
}
