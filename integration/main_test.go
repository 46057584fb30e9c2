package integration_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
)

// What all tests share: one agent takes seconds to start, and a program longer to build.
var (
	agent   *nomadagent.Agent
	drover  string // the program
	service string // the demo's
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if addresses := os.Getenv(bareProxy); addresses != "" {
		return serveBareProxy(addresses)
	}
	dir, err := os.MkdirTemp("", "drover-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the tests:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	drover, service = filepath.Join(dir, "drover"), filepath.Join(dir, "service")
	build := exec.Command("go", "build", "-o", dir, "./cmd/drover", "./examples/checkout/service")
	build.Dir = ".."
	if said, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build drover and the demo service: %v\n%s", err, said)
		return 1
	}
	agent, err = startAgent(context.Background(), filepath.Join(dir, "nomad"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The tests wait more than they work. A -parallel on the command line wins.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := agent.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// startAgent starts an agent from the Nomad binary that is found.
func startAgent(ctx context.Context, dir string) (*nomadagent.Agent, error) {
	binary, err := nomadagent.Binary()
	if err != nil {
		return nil, err
	}
	return nomadagent.Start(ctx, dir, binary)
}
