package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
)

// commandsBelow are the blocks of commands below a heading of the README.
func commandsBelow(t *testing.T, heading string) (blocks []string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for i, block := range strings.Split(section, "```\n") {
		if i%2 == 1 {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

// shell runs commands in a process group of their own, which is ended with the test: the README leaves some running.
func shell(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, "said"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // The child has its own.
	command := exec.Command("bash", "-euo", "pipefail", "-c", script)
	command.Dir, command.Stdout, command.Stderr = dir, log, log
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME="+person, "GIT_AUTHOR_EMAIL=robin@shop.example",
		"GIT_COMMITTER_NAME="+person, "GIT_COMMITTER_EMAIL=robin@shop.example")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(filepath.Join(dir, "said"))
			t.Logf("%s\nsaid:\n%s", script, said)
		}
		group := -command.Process.Pid
		for deadline := time.Now().Add(30 * time.Second); !errors.Is(syscall.Kill(group, syscall.SIGTERM), syscall.ESRCH); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				_ = syscall.Kill(group, syscall.SIGKILL)
				return
			}
		}
	})
	return command
}

// TestQuickStart does what the quick start of the README says, until the first release serves.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	blocks := commandsBelow(t, "## Quick start")
	if len(blocks) != 3 {
		t.Fatalf("the quick start has %d blocks of commands, want 3", len(blocks))
	}
	own := ownAgent(t, nomadagent.Start)
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"bin/drover": drover, "bin/checkout": service, "examples": filepath.Join(repositoryRoot(t), "examples")} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	edge, admin := freeAddress(t), freeAddress(t)
	const build = "make build && go build -o bin/checkout ./examples/checkout/service\n"
	if !strings.Contains(blocks[1], build) {
		t.Fatalf("the quick start builds in another way than by %s", build)
	}
	adapt := strings.NewReplacer(build, "", "http://127.0.0.1:4646", own.Address, "127.0.0.1:8080", edge, "127.0.0.1:8081", admin)
	if err := shell(t, root, adapt.Replace(blocks[1])).Wait(); err != nil {
		t.Fatalf("the commands of the second terminal: %v", err)
	}
	eventually(t, "1.0.0 answers users", func() bool { return strings.Contains(get("http://"+edge+"/"), `"1.0.0"`) })
	users := strings.Replace(adapt.Replace(blocks[2]), "1-1000000", "1-3", 1)
	if err := shell(t, filepath.Join(root, "quickstart"), users).Wait(); err != nil {
		t.Fatalf("the commands for users and a new version: %v", err)
	}
	code, out, said := command(t, "status", "-config", filepath.Join(root, "quickstart", "drover.hcl"), "checkout-api")
	if code != 0 || !strings.Contains(out, "canary  1.0.0 at 100%") || !strings.Contains(out, "is led by process") {
		t.Errorf("drover status exited with %d:\n%s%s", code, out, said)
	}
}

// TestDevelopmentAgent starts the agent of the quick start as it says, with ports of its own, also where no cloud answers.
func TestDevelopmentAgent(t *testing.T) {
	t.Parallel()
	line, dir := strings.TrimSpace(commandsBelow(t, "## Quick start")[0]), t.TempDir()
	binary, err := nomadagent.Binary()
	if err != nil {
		t.Fatal(err)
	}
	port := func() string { _, port, _ := strings.Cut(freeAddress(t), ":"); return port }
	http := port()
	ports := filepath.Join(dir, "ports.hcl")
	text := fmt.Sprintf("disable_update_check = true\nports {\n  http = %s\n  rpc  = %s\n  serf = %s\n}\n", http, port(), port())
	if err := os.WriteFile(ports, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("cd %q\nexec %q%s -config %q", repositoryRoot(t), binary, strings.TrimPrefix(line, "nomad"), ports)
	agent := shell(t, dir, script)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = agent.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !strings.Contains(get("http://127.0.0.1:"+http+"/v1/nodes"), `"Status":"ready"`) {
		select {
		case <-ended:
			t.Fatalf("%s: it ended", line)
		case <-ctx.Done():
			t.Fatalf("%s: its node is not ready", line)
		case <-time.After(200 * time.Millisecond):
		}
	}
	if err := agent.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	<-ended
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}
