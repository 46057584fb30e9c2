package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestManualMetrics: the metrics blocks that the manual shows are understood.
func TestManualMetrics(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```hcl\n(metrics .*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 3 {
		t.Fatalf("the manual shows %d metrics blocks", len(blocks))
	}
	for _, block := range blocks {
		file := filepath.Join(t.TempDir(), "drover.hcl")
		if err := os.WriteFile(file, []byte("git {\n  url = \"shop.git\"\n}\n"+block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConfig(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if _, err := wireMetrics(c.Metrics, nil, nil); err != nil {
			t.Errorf("%s: %v", block[1], err)
		}
	}
}
