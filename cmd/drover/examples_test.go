package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

// TestExamplesAreSound reads every example as Drover would: its releases and its configuration. That they run is for the
// stories on a real Nomad to tell.
func TestExamplesAreSound(t *testing.T) {
	folders, err := filepath.Glob("../../examples/*/releases")
	if err != nil || len(folders) == 0 {
		t.Fatalf("find the examples: %d found, %v", len(folders), err)
	}
	for _, folder := range folders {
		example := filepath.Dir(folder)
		t.Run(filepath.Base(example), func(t *testing.T) {
			tree := strategy.Tree{}
			err := fs.WalkDir(os.DirFS(example), ".", func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(path, ".hcl") {
					return err
				}
				content, err := os.ReadFile(filepath.Join(example, path))
				tree[path] = strategy.File{Content: content}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			releases, mistakes := policies.Load(tree, policies.Options{})
			for _, m := range mistakes {
				t.Errorf("%s:%d: %s", m.Path, m.Line, m.Text)
			}
			if len(releases) == 0 {
				t.Error("the example has no release")
			}
			config := filepath.Join(example, "drover.hcl")
			if _, err := os.Stat(config); err != nil {
				return
			}
			if _, err := readConfig(config); err != nil {
				t.Error(err)
			}
		})
	}
}
