package main

import (
	"context"
	"runtime/debug"
)

// version is the module's, with the commit where it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func runVersion(_ context.Context, c *console, _ []string) int {
	c.printf("drover %s\n", version())
	return 0
}
