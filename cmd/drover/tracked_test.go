package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// foreign is what belongs to the place where Drover was built and not to Drover. Each pattern is written so that it
// does not match itself.
var foreign = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bhelper[ -]agen[t]`),
	regexp.MustCompile(`(^|[\s"'=(\x60])/(home|root|Users|wor[k])/`),
	regexp.MustCompile(`\b(proxy|sum)\.golang\.or[g]\b`),
	regexp.MustCompile(`\bregistry\.npmjs\.or[g]\b`),
	regexp.MustCompile(`\bpypi\.or[g]\b`),
	regexp.MustCompile(`\bdeb\.debian\.or[g]\b`),
}

// TestTrackedFiles reads every file that Git tracks.
func TestTrackedFiles(t *testing.T) {
	const root = "../.."
	list, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Fatalf("list the files that git tracks: %v", err)
	}
	read := 0
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		if strings.HasSuffix(name, "go.sum") {
			continue // Names of modules and their hashes.
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // Removed, and not committed yet.
		}
		if err != nil {
			t.Fatal(err)
		}
		read++
		n := 0
		for line := range strings.Lines(string(content)) {
			n++
			for _, pattern := range foreign {
				if found := pattern.FindString(line); found != "" {
					t.Errorf("%s:%d: %q does not belong into the repository", name, n, found)
				}
			}
		}
	}
	if read < 50 {
		t.Errorf("read %d files, want those of the whole repository", read)
	}
}
