package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a terminal that a test reads along.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await reads until the pattern is there, and returns its first group.
func (s *screen) await(t *testing.T, pattern string) string {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(s.String()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-s.changed:
		case <-limit:
			t.Fatalf("waited for %q, but there is only:\n%s", pattern, s)
		}
	}
}

// TestDemoKeep does what the demo tells its user to do: a version of their own is promoted, a crash is rolled back, a
// mistake is said, and Ctrl-C ends it and leaves the repository.
func TestDemoKeep(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo takes seconds")
	}
	t.Setenv("TMPDIR", t.TempDir())
	ctx, interrupt := context.WithCancel(t.Context())
	out := newScreen()
	code := make(chan int)
	go func() { code <- runDemo(ctx, &console{out: out, err: out}, []string{"-keep", "-speed", "100000"}) }()

	remote := out.await(t, `git clone (\S+) shop && cd shop\n`)
	shop := filepath.Join(t.TempDir(), "shop")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_NAME=Kim", "GIT_AUTHOR_EMAIL=kim@shop.example", "GIT_COMMITTER_NAME=Kim", "GIT_COMMITTER_EMAIL=kim@shop.example")
		if name == "git" && args[0] != "clone" || name == "sh" {
			cmd.Dir = shop
		}
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said)
		}
	}
	run("git", "clone", "-q", remote, shop)
	for _, command := range regexp.MustCompile(`(?m)^ +((?:sed|git commit|git push).*)$`).FindAllStringSubmatch(out.String(), -1) {
		run("sh", "-c", command[1])
	}
	out.await(t, `1\.1\.0 -> 1\.4\.0 by [0-9a-f]{7} "Release checkout-api 1\.4\.0"`)
	out.await(t, `1\.4\.0 promoted after`)

	edit := func(from, to, message string) {
		t.Helper()
		run("git", "pull", "-q")
		file := filepath.Join(shop, demoReleasePath)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		run("git", "commit", "-qam", message)
		run("git", "push", "-q")
	}
	edit(`"1.4.0"`, `"1.5.0-crash"`, "Release checkout-api 1.5.0-crash")
	out.await(t, `The issue that would be opened:(\s+# .*1\.5\.0-crash)`)
	edit(`policy`, `polcy`, "Mistype it")
	out.await(t, `Did you mean "policy"\?`)

	interrupt()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d\n%s", got, out)
	}
	out.await(t, `The repository is left at (\S+)\n`)
	log, err := exec.CommandContext(t.Context(), "git", "-C", remote, "log", "--format=%an %s", "-3", "main").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "Kim Mistype it\nDrover Revert \"Release checkout-api 1.5.0-crash\"\nKim Release checkout-api 1.5.0-crash\n"; string(log) != want {
		t.Errorf("the repository that is left ends with\n%swant\n%s", log, want)
	}
	var left []string
	err = filepath.WalkDir(os.Getenv("TMPDIR"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == remote {
			return skipUnless(err)
		}
		if !entry.IsDir() {
			left = append(left, path)
		}
		return nil
	})
	if err != nil || len(left) > 0 {
		t.Errorf("beside the repository there are left %v (%v)", left, err)
	}
}

func skipUnless(err error) error {
	if err != nil {
		return err
	}
	return filepath.SkipDir
}
