package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestProxyTellsWhenNomadIsAway holds that what the proxy follows has a logger to say so.
func TestProxyTellsWhenNomadIsAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drover.hcl")
	text := "router \"edge\" {\n  listen    = \"127.0.0.1:0\"\n  admin     = \"127.0.0.1:0\"\n  instances = [\"http://127.0.0.1:9\"]\n}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := readProxyConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	_, p, splits, registrations, err := wireProxy(conf, "", logger)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if splits.Logger != logger || registrations.Logger != logger {
		t.Errorf("nobody is told when splits (%v) or registrations (%v) cannot be read", splits.Logger, registrations.Logger)
	}
}
