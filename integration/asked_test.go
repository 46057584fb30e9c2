package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
)

// policy is what a story says in its policy.
type policy struct {
	bake string
	// deadline is within what an allocation must get healthy; long, unless the story waits for it.
	deadline string
	// strategy is the block that the policy has; "" is a canary of 25%, 50% and 100%.
	strategy string
	// more is further blocks of the policy.
	more string
}

var (
	quick = policy{bake: "2s", deadline: "60s"}
	// slow bakes for longer than any story waits: only what happens in mid-step ends it.
	slow = policy{bake: "10m", deadline: "60s"}
)

// canary is the policy with other weights.
func (p policy) canary(weights string) policy {
	p.strategy = fmt.Sprintf("strategy \"canary\" {\n    weights = [%s]\n    bake    = %q\n  }", weights, p.bake)
	return p
}

// blueGreen is the policy with a switch, and the old version kept for a while; more is further lines of the strategy.
func (p policy) blueGreen(standby string, more ...string) policy {
	p.strategy = fmt.Sprintf("strategy \"blue-green\" {\n    bake    = %q\n    standby = %q\n    %s\n  }", p.bake, standby, strings.Join(more, "\n    "))
	return p
}

func (p policy) text() string {
	if p.strategy == "" {
		p = p.canary(`"25%", "50%", "100%"`)
	}
	return fmt.Sprintf(`policy "story" {
  %s

  gate "errors" {
    metric = "error_rate"
    max    = "2%%"
  }

  gate "latency" {
    metric   = "latency"
    quantile = 0.95
    max      = "5s"
  }

  gate "volume" {
    metric = "requests"
    min    = 100
  }
  %s
}
`, p.strategy, p.more)
}

// commit asks for a version under a policy, as a person does, and returns the commit.
func (s *story) commit(version string, p policy) string {
	s.t.Helper()
	s.write(version, p)
	return s.shop.push("Release " + s.name + " " + version)
}

// write is commit without the commit.
func (s *story) write(version string, p policy) {
	s.t.Helper()
	s.shop.write("policies/story.hcl", p.text())
	s.shop.write(s.path(s.name+".nomad.hcl"), s.jobspec(p))
	s.shop.write(s.path("release.hcl"), fmt.Sprintf(`release %q {
  version = %q
  jobspec = "%s.nomad.hcl"
  policy  = "story"
  %s
  variables {
    binary   = %s
    replicas = %d
  }
}
`, s.name, version, s.name, s.lines, strconv.Quote(service), s.replicas))
}

// jobspec is the demo's, under the story's name and with its edits.
func (s *story) jobspec(p policy) string {
	s.t.Helper()
	jobspec, err := os.ReadFile(checkoutJobspec)
	if err != nil {
		s.t.Fatalf("read the demo's jobspec: %v", err)
	}
	text := strings.NewReplacer(
		"checkout-api", s.name,
		`healthy_deadline  = "20s"`, `healthy_deadline  = "`+p.deadline+`"`,
		`progress_deadline = "30s"`, `progress_deadline = "90s"`,
	).Replace(string(jobspec))
	for i := 0; i < len(s.edits); i += 2 {
		if !strings.Contains(text, s.edits[i]) {
			s.t.Fatalf("the jobspec has no %q to be replaced:\n%s", s.edits[i], text)
		}
		text = strings.Replace(text, s.edits[i], s.edits[i+1], 1)
	}
	return text
}

// byHand runs a version with `nomad job run`, as somebody does who knows nothing of Drover.
func (s *story) byHand(version string, p policy) {
	s.t.Helper()
	binary, err := nomadagent.Binary()
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "by-hand.nomad.hcl")
	if err := os.WriteFile(file, []byte(s.jobspec(p)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(binary, "job", "run", "-detach", "-address", s.agent.Address, "-namespace", s.namespace,
		"-var", "version="+version, "-var", "binary="+service, "-var", "replicas="+strconv.Itoa(s.replicas), file)
	if said, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("nomad job run: %v\n%s", err, said)
	}
}

// edit has a text of the jobspec replaced by another from now on.
func (s *story) edit(old, now string) { s.edits = append(s.edits, old, now) }

func (s *story) path(file string) string { return "releases/" + s.name + "/" + file }
