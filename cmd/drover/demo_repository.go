package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/drover-dev/drover/examples"
)

const (
	demoReleasePath = "releases/checkout-api/release.hcl"
	demoPolicyPath  = "policies/standard.hcl"
)

// demoRepository is a release repository as people have it: a bare one that is pushed to, and a clone to work in. People
// use git here; Drover does not.
type demoRepository struct {
	bare, clone string
}

// demoRemote is where the demo of a folder has the repository that is pushed to.
func demoRemote(dir string) string { return filepath.Join(dir, "releases", "shop.git") }

// newDemoRepository commits the example repository, changed as the stage needs.
func newDemoRepository(ctx context.Context, dir string, s *stage) (*demoRepository, error) {
	r := &demoRepository{bare: demoRemote(dir), clone: filepath.Join(dir, "releases", "clone")}
	if err := os.MkdirAll(r.clone, 0o755); err != nil {
		return nil, err
	}
	if _, err := r.git(ctx, "init", "-q", "--bare", "-b", "main", r.bare); err != nil {
		return nil, err
	}
	if _, err := r.git(ctx, "init", "-q", "-b", "main", "."); err != nil {
		return nil, err
	}
	example, err := examples.Checkout()
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(r.clone, example); err != nil {
		return nil, fmt.Errorf("write the example repository: %w", err)
	}
	for path, change := range map[string]func(string) string{demoPolicyPath: s.policy, demoReleasePath: s.release} {
		if err := r.edit(path, change); err != nil {
			return nil, err
		}
	}
	if _, err := r.git(ctx, "remote", "add", "origin", r.bare); err != nil {
		return nil, err
	}
	return r, r.push(ctx, "Release checkout-api 1.0.0", "main")
}

// branch does what a person does before a pull request: change the version on a branch, commit, push.
func (r *demoRepository) branch(ctx context.Context, from, to string) (name, title string, err error) {
	name, title = "release-"+to, "Release checkout-api "+to
	for _, args := range [][]string{{"checkout", "-q", "main"}, {"pull", "-q", "--ff-only", "origin", "main"}, {"checkout", "-q", "-b", name}} {
		if _, err := r.git(ctx, args...); err != nil {
			return "", "", err
		}
	}
	err = r.edit(demoReleasePath, func(text string) string {
		return strings.Replace(text, `version = "`+from+`"`, `version = "`+to+`"`, 1)
	})
	if err != nil {
		return "", "", err
	}
	return name, title, r.push(ctx, title, name)
}

func (r *demoRepository) edit(path string, change func(string) string) error {
	file := filepath.Join(r.clone, filepath.FromSlash(path))
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed := change(string(text))
	if changed == string(text) {
		return nil
	}
	return os.WriteFile(file, []byte(changed), 0o600)
}

func (r *demoRepository) push(ctx context.Context, message, branch string) error {
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "-m", message}, {"push", "-q", "origin", branch}} {
		if _, err := r.git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// git runs git in the clone. log and show look at what the remote has.
func (r *demoRepository) git(ctx context.Context, args ...string) (string, error) {
	dir := r.clone
	if args[0] == "log" || args[0] == "show" {
		dir = r.bare
	}
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Robin", "GIT_AUTHOR_EMAIL=robin@shop.example", "GIT_COMMITTER_NAME=Robin", "GIT_COMMITTER_EMAIL=robin@shop.example")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}
