package githubtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// repository is the bare Git repository, by the git program.
type repository struct {
	dir  string
	now  func() time.Time
	seen map[string]bool // commits that are there
}

// run is what git says.
func (g repository) run(by string, args ...string) (string, error) {
	cmd := exec.Command("git", args...) //nolint:noctx // It is done in milliseconds, and part of an answer.
	cmd.Dir = g.dir
	at := fmt.Sprintf("%d +0000", g.now().Unix())
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=" + g.dir, "LC_ALL=C",
		"GIT_AUTHOR_NAME=" + by, "GIT_AUTHOR_EMAIL=" + by + "@shop.example", "GIT_AUTHOR_DATE=" + at,
		"GIT_COMMITTER_NAME=GitHub", "GIT_COMMITTER_EMAIL=noreply@github.com", "GIT_COMMITTER_DATE=" + at,
	}
	var fault bytes.Buffer
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(fault.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// refs is every ref with what it is at.
func (g repository) refs() map[string]string {
	out, err := g.run("nobody", "for-each-ref", "--format=%(refname) %(objectname)")
	if err != nil {
		return nil
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if name, sha, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			refs[name] = sha
		}
	}
	return refs
}

// has tells whether a commit is there.
func (g repository) has(sha string) bool {
	if len(sha) != 40 || g.seen[sha] {
		return g.seen[sha]
	}
	if _, err := g.run("nobody", "cat-file", "-e", sha+"^{commit}"); err != nil {
		return false
	}
	g.seen[sha] = true
	return true
}

// merge brings what head has into base by one of GitHub's three ways, and returns the new tip and every commit of it.
func (g repository) merge(by, method, base, head, subject string) (tip string, brought []string, err error) {
	switch method {
	case "merge", "squash":
		tree, err := g.run(by, "merge-tree", "--write-tree", base, head)
		if err != nil {
			return "", nil, err
		}
		args := []string{"commit-tree", tree, "-p", base, "-m", subject}
		if method == "merge" {
			args = append(args, "-p", head)
		}
		if tip, err = g.run(by, args...); err != nil {
			return "", nil, err
		}
		brought = []string{tip}
	case "rebase":
		log, err := g.run(by, "rev-list", "--reverse", "--no-merges", base+".."+head)
		if err != nil {
			return "", nil, err
		}
		tip = base
		for commit := range strings.FieldsSeq(log) {
			if tip, err = g.pick(by, tip, commit); err != nil {
				return "", nil, err
			}
			brought = append(brought, tip)
		}
	default:
		return "", nil, fmt.Errorf("there is no way to merge %q", method)
	}
	if method != "merge" {
		return tip, brought, nil
	}
	own, err := g.run(by, "rev-list", base+".."+head)
	return tip, append(brought, strings.Fields(own)...), err
}

// pick makes a commit again on top of another.
func (g repository) pick(by, onto, commit string) (string, error) {
	// As if what it is put on had been made where the commit was: then their parent is where they part.
	beside, err := g.run(by, "commit-tree", onto+"^{tree}", "-p", commit+"^", "-m", "beside")
	if err != nil {
		return "", err
	}
	tree, err := g.run(by, "merge-tree", "--write-tree", beside, commit)
	if err != nil {
		return "", err
	}
	message, err := g.run(by, "log", "-1", "--format=%B", commit)
	if err != nil {
		return "", err
	}
	return g.run(by, "commit-tree", tree, "-p", onto, "-m", message)
}

// Protect has pushes to the release branch declined, as GitHub does for a protected one, or lets them pass again.
func (h *Hub) Protect(protect bool) error {
	hook := filepath.Join(h.git.dir, "hooks", "pre-receive")
	if !protect {
		return os.Remove(hook)
	}
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		return err
	}
	script := fmt.Sprintf(`#!/bin/sh
while read old new ref; do
	if [ "$ref" = "refs/heads/%s" ]; then
		echo "error: GH006: Protected branch update failed for $ref." >&2
		echo "error: Changes must be made through a pull request." >&2
		exit 1
	fi
done
`, h.options.Branch)
	return os.WriteFile(hook, []byte(script), 0o755) //nolint:gosec // A hook is a program.
}

// protected tells whether the branch is.
func (h *Hub) protected() bool {
	_, err := os.Stat(filepath.Join(h.git.dir, "hooks", "pre-receive"))
	return err == nil
}
