package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // Git names blobs by SHA-1.
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/strategy"
)

// maxFile is the size above which a file of a release repository is left out.
const maxFile = 1 << 20

func runValidate(ctx context.Context, c *console, args []string) int {
	f := c.flags("validate", "validate [flags] DIR")
	path := f.String("path", "", "only releases below this folder of DIR")
	address := f.String("nomad", os.Getenv("NOMAD_ADDR"), "address of a Nomad that parses the jobspecs; empty: they are not checked")
	if code, done := parse(f, args); done {
		return code
	}
	if f.NArg() != 1 {
		f.Usage()
		return 1
	}
	tree, err := readTree(f.Arg(0))
	if err != nil {
		return c.fail(err)
	}
	releases, mistakes := loader(*path)(tree)
	checked := "not checked: no Nomad address is given (-nomad, NOMAD_ADDR)"
	if *address != "" {
		var wrong []strategy.Mistake
		wrong, checked = checkJobspecs(ctx, *address, releases)
		mistakes = append(mistakes, wrong...)
	}
	for _, m := range mistakes {
		fmt.Fprintln(c.err, m.Detail)
	}
	for _, r := range releases {
		c.printf("%s: %s %s, canary %s\n", r.Path, r.Name, r.Version, r.Plan.Weights())
	}
	c.printf("jobspecs: %s\n", checked)
	if len(releases)+len(mistakes) == 0 {
		return c.fail(fmt.Errorf("no release.hcl was found below %s", f.Arg(0)))
	}
	if len(mistakes) > 0 {
		c.printf("%d releases, %d mistakes\n", len(releases), len(mistakes))
		return 1
	}
	c.printf("%d releases, no mistakes\n", len(releases))
	return 0
}

// checkJobspecs has Nomad parse every jobspec. Nomad's absence is no mistake of a release.
func checkJobspecs(ctx context.Context, address string, releases []strategy.Release) (wrong []strategy.Mistake, checked string) {
	client, err := nomad.Connect(nomad.Config{Address: address})
	if err != nil {
		return nil, "not checked: " + err.Error()
	}
	cluster := nomad.New(client, nomad.Options{})
	for _, r := range releases {
		asking, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := cluster.Parse(asking, r.Source)
		cancel()
		switch {
		case errors.Is(err, strategy.ErrInvalid):
			wrong = append(wrong, strategy.Mistake{Release: r.Name, Path: r.Source.Path, Line: 1, Text: err.Error(), Detail: "Error: " + err.Error()})
		case err != nil:
			return wrong, "not checked: " + err.Error()
		}
	}
	return wrong, fmt.Sprintf("%d parsed by Nomad", len(releases))
}

// readTree reads a folder as if it were committed.
func readTree(dir string) (strategy.Tree, error) {
	tree := strategy.Tree{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxFile {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)) //nolint:gosec // Git names blobs by SHA-1.
		tree[filepath.ToSlash(name)] = strategy.File{Hash: hex.EncodeToString(sum[:]), Content: content}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the folder %s: %w", dir, err)
	}
	return tree, nil
}
