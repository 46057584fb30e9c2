package integration_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/nomad/nomadagent"
	"github.com/drover-dev/drover/strategy"
)

// fleetSize is how many releases a repository of the benchmarks holds.
const fleetSize = 200

// fleetJob is a job that no node takes: what is measured is Drover and Nomad's servers, and not how fast one machine
// starts two hundred processes. live is what runs before Drover comes: without a deployment, so that it counts as stable.
func fleetJob(name string, live bool) string {
	update := ""
	if live {
		update = "update {\n    max_parallel = 0\n  }"
	}
	return fmt.Sprintf(`variable "version" {
  type = string
}

job %[1]q {
  %[2]s

  constraint {
    attribute = "${node.class}"
    value     = "none"
  }

  group "api" {
    network {
      port "http" {}
    }

    service {
      name     = %[1]q
      provider = "nomad"
      port     = "http"
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = "sleep"
        args    = ["3600"]
      }

      env {
        VERSION = var.version
      }
    }
  }
}
`, name, update)
}

// fleet is Drover over many releases that rest.
type fleet struct {
	b      *testing.B
	name   string // of the instance
	shop   *shop
	drover *daemon
	ledger *nomad.Ledger
}

func newFleet(b *testing.B, name string) *fleet {
	b.Helper()
	dir := b.TempDir()
	f := &fleet{b: b, name: name, shop: newShop(b, dir), ledger: nomad.NewLedger(agent.Client(), name, "default")}
	edge, admin := freeAddress(b), freeAddress(b)
	config := writeConfig(b, dir, name, agent.Address, edge, admin)
	text, err := os.ReadFile(config)
	if err != nil {
		b.Fatal(err)
	}
	// Without its route the proxy finds releases by their names.
	unrouted := strings.Replace(string(text), fmt.Sprintf("route %q {}", name), "", 1)
	if err := os.WriteFile(config, fmt.Appendf(nil, "%s\nlimits {\n  max_active = %d\n}\n", unrouted, fleetSize), 0o600); err != nil {
		b.Fatal(err)
	}
	startProgram(b, admin+"/healthz", exec.Command(drover, "proxy", "-config", config))
	for n := range fleetSize {
		register(b, f.release(n))
		f.write(n, "1.0.0")
		f.shop.write(f.path(n, "job.nomad.hcl"), fleetJob(f.release(n), false))
	}
	f.shop.push("Release everything")
	f.drover = newDaemon(b, config)
	b.Cleanup(f.end)
	f.drover.start()
	f.until("all releases rest", func() bool {
		resting := 0
		for _, r := range f.records() {
			if r.Phase == strategy.Resting && r.Stable.Revision.Version == "1.0.0" {
				resting++
			}
		}
		return resting == fleetSize
	})
	return f
}

func (f *fleet) release(n int) string { return fmt.Sprintf("%s-%03d", f.name, n) }

func (f *fleet) path(n int, file string) string { return "releases/" + f.release(n) + "/" + file }

// write asks for a version in the clone.
func (f *fleet) write(n int, version string) {
	f.shop.write(f.path(n, "release.hcl"), fmt.Sprintf("release %q {\n  version = %q\n  jobspec = \"job.nomad.hcl\"\n  policy  = \"builtin/standard\"\n}\n", f.release(n), version))
}

func (f *fleet) records() []strategy.Rollout {
	f.b.Helper()
	records, err := f.ledger.Load(context.Background())
	if err != nil {
		f.b.Fatalf("read the ledger: %v", err)
	}
	var all []strategy.Rollout
	for _, r := range records {
		all = append(all, r.Rollout)
	}
	return all
}

func (f *fleet) until(what string, so func() bool) {
	f.b.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.b.Fatalf("waited %s, but not: %s\n%s", patience, what, f.drover.tail(30))
		}
	}
}

// end stops Drover and purges the jobs.
func (f *fleet) end() {
	f.drover.kill()
	purgeFleet(f.b, f.name)
}

func purgeFleet(b *testing.B, prefix string) {
	b.Helper()
	for n := range fleetSize {
		if _, _, err := agent.Client().Jobs().Deregister(fmt.Sprintf("%s-%03d", prefix, n), true, nil); err != nil {
			b.Errorf("clean up: %v", err)
		}
	}
}

// register runs a job of the fleet as people do, at version 1.0.0.
func register(b *testing.B, name string) {
	b.Helper()
	text, variables := fleetJob(name, true), "version = \"1.0.0\"\n"
	job, err := agent.Client().Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: text, Variables: variables, Canonicalize: true})
	if err != nil {
		b.Fatalf("parse the job: %v", err)
	}
	options := &api.RegisterOptions{Submission: &api.JobSubmission{Source: text, Format: "hcl2", Variables: variables}}
	if _, _, err := agent.Client().Jobs().RegisterOpts(job, options, nil); err != nil {
		b.Fatalf("register the job: %v", err)
	}
}

// registered waits until the job has a version with canaries, and returns when Nomad took it.
func (f *fleet) registered(n int) time.Time {
	f.b.Helper()
	var at time.Time
	f.until("canaries of "+f.release(n)+" are registered", func() bool {
		job, _, err := agent.Client().Jobs().Info(f.release(n), nil)
		if err != nil {
			f.b.Fatalf("read the job: %v", err)
		}
		if *job.Version == 0 || *job.TaskGroups[0].Update.Canary == 0 {
			return false
		}
		at = time.Unix(0, *job.SubmitTime)
		return true
	})
	return at
}

// BenchmarkCommitToCanary measures the time from the end of `git push` until Nomad has taken the version with canaries,
// with a poll interval of one second in it.
func BenchmarkCommitToCanary(b *testing.B) {
	b.Run("one-of-200", func(b *testing.B) {
		f := newFleet(b, "one")
		const commits = 5
		var sum, longest time.Duration
		for n := range commits {
			f.write(n, "1.1.0")
			f.shop.push("Release one")
			pushed := time.Now()
			took := f.registered(n).Sub(pushed)
			sum, longest = sum+took, max(longest, took)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(sum.Milliseconds())/commits, "ms-mean")
		b.ReportMetric(float64(longest.Milliseconds()), "ms-max")
	})
	b.Run("all-of-200", func(b *testing.B) {
		f := newFleet(b, "all")
		for n := range fleetSize {
			f.write(n, "1.1.0")
		}
		f.shop.push("Release everything anew")
		pushed := time.Now()
		var first, last time.Time
		for n := range fleetSize {
			at := f.registered(n)
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(first.Sub(pushed).Milliseconds()), "ms-first")
		b.ReportMetric(float64(last.Sub(pushed).Milliseconds()), "ms-last")
	})
}

// BenchmarkJobRun is what the same takes by hand: `nomad job run -detach` of a new version of a job.
func BenchmarkJobRun(b *testing.B) {
	binary, err := nomadagent.Binary()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for n := range fleetSize {
		name := fmt.Sprintf("bare-%03d", n)
		register(b, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fleetJob(name, false)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() { purgeFleet(b, "bare") })
	run := func(n int, version string) error {
		cmd := exec.Command(binary, "job", "run", "-detach", "-address", agent.Address, "-var", "version="+version, filepath.Join(dir, fmt.Sprintf("bare-%03d", n)))
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nomad job run: %w\n%s", err, said)
		}
		return nil
	}
	for _, c := range []struct {
		name       string
		jobs, pool int
	}{{"one", 1, 1}, {"200-one-by-one", fleetSize, 1}, {"200-eight-at-once", fleetSize, 8}} {
		b.Run(c.name, func(b *testing.B) {
			began := time.Now()
			var group errgroup.Group
			group.SetLimit(c.pool)
			for n := range c.jobs {
				group.Go(func() error { return run(n, c.name) })
			}
			if err := group.Wait(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms")
		})
	}
}
