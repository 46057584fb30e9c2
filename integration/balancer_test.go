package integration_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// balanced is a story behind a balancer of another maker, with the files of an example: what stands in them is what a user
// copies. Only names, addresses, paths and times are the story's own.
type balanced struct {
	*story
	example  string
	dir      string // of the balancer's files
	changes  []string
	balancer *balancer
}

// beginExample prepares a story of an example. changes are what is replaced in all of its files, and by what.
func beginExample(t *testing.T, example, name string, changes ...string) *balanced {
	t.Helper()
	t.Parallel()
	s := begin(t, name)
	b := &balanced{story: s, example: "../examples/" + example, dir: t.TempDir()}
	b.changes = append([]string{
		"checkout-api", name, `"shop.git"`, strconv.Quote(s.shop.bare), "http://127.0.0.1:4646", s.agent.Address,
		`poll = "15s"`, `poll = "1s"`, "127.0.0.1:8080", s.edge,
		`default     = "checkout"`, `default     = ` + strconv.Quote(service), `default = 3`, `default = 2`,
		`healthy_deadline  = "20s"`, `healthy_deadline  = "60s"`, `progress_deadline = "30s"`, `progress_deadline = "90s"`,
	}, changes...)
	text := "instance = " + strconv.Quote(name) + "\n" + b.read("drover.hcl")
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// read is a file of the example as the story has it.
func (b *balanced) read(path string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.example, path))
	if err != nil {
		b.t.Fatalf("read the example: %v", err)
	}
	changed := string(text)
	for i := 0; i < len(b.changes); i += 2 {
		changed = strings.ReplaceAll(changed, b.changes[i], b.changes[i+1])
	}
	return changed
}

// ask asks for a version, as a person does, and returns the commit.
func (b *balanced) ask(version string) string {
	b.t.Helper()
	for _, folder := range []string{"releases", "policies"} {
		err := fs.WalkDir(os.DirFS(b.example), folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text := b.read(path)
			if filepath.Base(path) == "release.hcl" {
				_, rest, _ := strings.Cut(text, `version = "`)
				old, _, _ := strings.Cut(rest, `"`)
				text = strings.Replace(text, `version = "`+old+`"`, `version = "`+version+`"`, 1)
			}
			b.shop.write(strings.ReplaceAll(path, "checkout-api", b.name), text)
			return nil
		})
		if err != nil {
			b.t.Fatalf("read the example: %v", err)
		}
	}
	return b.shop.push("Release " + b.name + " " + version)
}

// live brings a first version to life, and users to it.
func (b *balanced) live(version string, startBalancer func()) {
	b.t.Helper()
	b.ask(version)
	b.drover.start()
	startBalancer()
	b.rests(version, strategy.OutcomePromoted)
	b.users = newUsers(b.t, "http://"+b.edge+"/")
	b.until(version+" answers users", func() bool { return b.users.answered(version, time.Time{}) > 0 })
}

// written waits until Drover has written the file that a balancer does not start without.
func (b *balanced) written(file string) {
	b.t.Helper()
	b.until("Drover has written what the balancer needs", func() bool {
		_, err := os.Stat(filepath.Join(b.dir, file))
		return err == nil
	})
}

// balancer is the program of another maker.
type balancer struct {
	t       *testing.T
	command func() *exec.Cmd
	ready   func() bool

	process *exec.Cmd
	exited  chan struct{}
	said    bytes.Buffer
}

// runBalancer starts one, and ends it with the test.
func (b *balanced) runBalancer(ready func() bool, command ...string) {
	b.t.Helper()
	b.balancer = &balancer{t: b.t, ready: ready, command: func() *exec.Cmd { return exec.Command(command[0], command[1:]...) }}
	b.balancer.start()
	b.t.Cleanup(func() {
		b.balancer.stop()
		if b.t.Failed() {
			b.t.Logf("%s said:\n%s", command[0], b.balancer.said.String())
		}
	})
}

func (b *balancer) start() {
	b.t.Helper()
	process := b.command()
	process.Stdout, process.Stderr = &b.said, &b.said
	if err := process.Start(); err != nil {
		b.t.Fatalf("start %s, which the story needs: %v", process.Path, err)
	}
	exited := make(chan struct{})
	b.process, b.exited = process, exited
	go func() { defer close(exited); _ = process.Wait() }()
	deadline := time.After(time.Minute)
	for !b.ready() {
		select {
		case <-exited:
			b.t.Fatalf("%s ended: %s", process.Path, b.said.String())
		case <-deadline:
			b.t.Fatalf("%s is not ready after a minute", process.Path)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *balancer) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.process.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

func (b *balancer) stop() {
	_ = b.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.exited:
	case <-time.After(10 * time.Second):
		_ = b.process.Process.Kill()
		<-b.exited
	}
}

// file writes a file of the example beside the balancer.
func (b *balanced) file(name string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(b.read(name)), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// takesBack releases 1.2.0, the bad version, over what is live, and ends the story when that is back.
func (b *balanced) takesBack(version string) {
	b.t.Helper()
	good, live := b.shop.head(), b.allocs()

	failed := b.ask("1.2.0")
	r := b.rests(version, strategy.OutcomeCondemned)
	closed := time.Now()
	if r.Last.Reason.Code != strategy.GateFailed {
		b.t.Errorf("rolled back for %q, want a failed gate", r.Last.Reason.Text)
	}
	b.reverted(failed, good)
	b.runs(live)
	b.staysPut(2 * time.Second)
	b.only(version, closed)
	b.nobodyFailed(time.Time{}, "1.2.0")
	b.planned(planAtRest)
	b.drover.stop()
}

func answers(url string) func() bool {
	return func() bool {
		response, err := http.Get(url)
		return err == nil && response.Body.Close() == nil
	}
}
