package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
)

// sleeper is a job whose task ends only when it is told to.
const sleeper = `{"Job": {"ID": "sleeper", "Name": "sleeper", "Type": "service", "TaskGroups": [{"Name": "g", "Tasks": [
  {"Name": "t", "Driver": "raw_exec", "Config": {"command": "sleep", "args": ["3600"]}}]}]}}`

func TestNothingIsLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "agent")
	agent, err := startAgent(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Client().Raw().Write("/v1/jobs", strings.NewReader(sleeper), nil, nil); err != nil {
		t.Errorf("register: %v", err)
	}
	running := func() bool {
		allocs, _, err := agent.Client().Jobs().Allocations("sleeper", false, nil)
		return err == nil && len(allocs) == 1 && allocs[0].ClientStatus == "running"
	}
	for deadline := time.Now().Add(time.Minute); !running(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("the task never ran")
			break
		}
	}
	if err := agent.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := agent.Stop(); err != nil {
		t.Errorf("stop again: %v", err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range processes {
		environ, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(environ), "="+dir) {
			t.Errorf("process %s still runs", filepath.Base(filepath.Dir(path)))
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if entry.Name() != "agent.hcl" && entry.Name() != "agent.log" {
			t.Errorf("%s is left", entry.Name())
		}
	}
}

func TestMissingBinary(t *testing.T) {
	t.Setenv("DROVER_NOMAD", filepath.Join(t.TempDir(), "none"))
	if _, err := startAgent(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "DROVER_NOMAD") {
		t.Errorf("got %v, want an error that names DROVER_NOMAD", err)
	}
	t.Setenv("DROVER_NOMAD", "")
	t.Setenv("PATH", "")
	t.Chdir(t.TempDir())
	if _, err := nomadagent.Binary(); err == nil || !strings.Contains(err.Error(), "make bin/nomad") {
		t.Errorf("got %v, want an error that says how to build it", err)
	}
}
