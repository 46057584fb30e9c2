package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// patience bounds every wait of a story, with room for a loaded machine.
const patience = 2 * time.Minute

// story is one release on the shared agent, with everything of its own: a repository, an instance of Drover that runs as
// a program, drover proxy as a job, and users. It is looked at from outside: by the commands of Drover, by Nomad's API,
// in the repository, and by what the users saw.
type story struct {
	t      *testing.T
	name   string // of the release, its job and its service
	config string
	shop   *shop
	drover *daemon
	users  *users
	edge   string // address of the proxy for users
	admin  string // and for Drover
}

// begin prepares a story: nothing runs and nothing is committed yet.
func begin(t *testing.T, name string) *story {
	t.Helper()
	t.Parallel()
	s := &story{t: t, name: name}
	dir := t.TempDir()
	s.edge, s.admin = freeAddress(t), freeAddress(t)
	s.config = writeConfig(t, dir, name, s.edge, s.admin)
	s.shop = newShop(t, dir)
	s.drover = newDaemon(t, s.config)
	t.Cleanup(func() {
		if t.Failed() {
			s.report()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, job := range []string{s.name, s.proxyJob()} {
			if err := agent.Purge(ctx, job); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
	})
	return s
}

// writeConfig writes a drover.hcl for an instance of the release's name.
func writeConfig(t *testing.T, dir, name, edge, admin string) string {
	t.Helper()
	path := filepath.Join(dir, "drover.hcl")
	text := fmt.Sprintf(`instance = %q

git {
  url  = %q
  poll = "1s"
}

nomad {
  address = %q
}

router "edge" {
  type      = "proxy"
  listen    = %q
  admin     = %q
  instances = ["http://%s"]

  route %q {}
}
`, name, filepath.Join(dir, "shop.git"), agent.Address, edge, admin, admin, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// released begins a story with 1.0.0 live under a policy, and with users.
func released(t *testing.T, name string, p policy) *story {
	t.Helper()
	s := begin(t, name)
	s.commit("1.0.0", p)
	s.runProxy()
	s.drover.start()
	s.rests("1.0.0", strategy.OutcomePromoted)
	s.users = newUsers(t, "http://"+s.edge+"/")
	s.until("1.0.0 answers users", func() bool { return s.users.answered("1.0.0", time.Time{}) > 0 })
	return s
}

func (s *story) proxyJob() string { return s.name + "-proxy" }

// runProxy runs drover proxy on Nomad, and waits until it answers.
func (s *story) runProxy() {
	s.t.Helper()
	job := api.NewServiceJob(s.proxyJob(), s.proxyJob(), "global", 50)
	task := api.NewTask("proxy", "raw_exec")
	task.Config = map[string]any{"command": drover, "args": []string{"proxy", "-config", s.config}}
	job.AddTaskGroup(api.NewTaskGroup("proxy", 1).AddTask(task))
	if _, _, err := agent.Client().Jobs().Register(job, nil); err != nil {
		s.t.Fatalf("run drover proxy on Nomad: %v", err)
	}
	s.until("drover proxy answers", func() bool {
		response, err := http.Get("http://" + s.edge + "/")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	})
}

// policy is what a story says in its policy: the steps are 25%, 50% and 100%.
type policy struct {
	bake string
	// deadline is within what an allocation must get healthy; long, unless the story waits for it.
	deadline string
}

var (
	quick = policy{bake: "2s", deadline: "60s"}
	// slow bakes for longer than any story waits: only what happens in mid-step ends it.
	slow = policy{bake: "10m", deadline: "60s"}
)

func (p policy) text() string {
	return fmt.Sprintf(`policy "story" {
  strategy "canary" {
    weights = ["25%%", "50%%", "100%%"]
    bake    = %q
  }

  gate "errors" {
    metric = "error_rate"
    max    = "1%%"
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
}
`, p.bake)
}

// commit asks for a version under a policy, as a person does, and returns the commit.
func (s *story) commit(version string, p policy) string {
	s.t.Helper()
	jobspec, err := os.ReadFile(checkoutJobspec)
	if err != nil {
		s.t.Fatalf("read the demo's jobspec: %v", err)
	}
	s.shop.write("policies/story.hcl", p.text())
	s.shop.write(s.path(s.name+".nomad.hcl"), strings.NewReplacer(
		"checkout-api", s.name,
		`healthy_deadline  = "20s"`, `healthy_deadline  = "`+p.deadline+`"`,
		`progress_deadline = "30s"`, `progress_deadline = "90s"`,
	).Replace(string(jobspec)))
	s.shop.write(s.path("release.hcl"), fmt.Sprintf(`release %q {
  version = %q
  jobspec = "%s.nomad.hcl"
  policy  = "story"

  variables {
    binary   = %s
    replicas = 2
  }
}
`, s.name, version, s.name, strconv.Quote(service)))
	return s.shop.push("Release " + s.name + " " + version)
}

func (s *story) path(file string) string { return "releases/" + s.name + "/" + file }

// command runs a command of Drover to its end.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(drover, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatalf("drover %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), said.String()
}

// status is what `drover status -json` says of the release; the zero value while nothing is recorded of it.
func (s *story) status() strategy.Rollout {
	s.t.Helper()
	code, out, said := command(s.t, "status", "-config", s.config, "-json", s.name)
	if code != 0 {
		if strings.Contains(said, "nothing is recorded") {
			return strategy.Rollout{}
		}
		s.t.Fatalf("drover status exited with %d: %s", code, said)
	}
	var rollouts []strategy.Rollout
	if err := json.Unmarshal([]byte(out), &rollouts); err != nil || len(rollouts) != 1 {
		s.t.Fatalf("drover status -json: %v: want one record in %s", err, out)
	}
	return rollouts[0]
}

// until waits until something is so.
func (s *story) until(what string, so func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !so() {
		select {
		case <-deadline.C:
			s.t.Fatalf("waited %s, but not: %s", patience, what)
		case <-ticker.C:
		}
	}
}

// becomes waits until the status is so, and returns it.
func (s *story) becomes(what string, so func(strategy.Rollout) bool) (r strategy.Rollout) {
	s.t.Helper()
	s.until(what, func() bool { r = s.status(); return so(r) })
	return r
}

// rests waits until the release rests on a version after a rollout that ended so, with nothing left to be done.
func (s *story) rests(stable string, end strategy.OutcomeKind) strategy.Rollout {
	s.t.Helper()
	return s.becomes(fmt.Sprintf("it rests on %s, %s", stable, end), func(r strategy.Rollout) bool {
		return r.Phase == strategy.Resting && r.Stable.Revision.Version == stable && r.Last.Kind == end && len(r.Outbox) == 0
	})
}

// bakes waits until users see a version at a weight in mid-step.
func (s *story) bakes(version string, weight strategy.Weight) {
	s.t.Helper()
	s.becomes(fmt.Sprintf("%s bakes at %s", version, weight), func(r strategy.Rollout) bool {
		return r.Phase == strategy.Stepping && r.Canary.Revision.Version == version && r.Weight == weight
	})
	now := time.Now()
	s.until("users see "+version, func() bool { return s.users.answered(version, now) > 0 })
}

// closes waits until the proxy sends nothing to the canary any more, and returns when that was seen.
func (s *story) closes() time.Time {
	s.t.Helper()
	s.until("the proxy sends nothing to the canary", func() bool {
		response, err := http.Get("http://" + s.admin + "/splits")
		if err != nil {
			s.t.Fatalf("read the proxy's splits: %v", err)
		}
		defer response.Body.Close()
		var splits []strategy.Split
		if err := json.NewDecoder(response.Body).Decode(&splits); err != nil || len(splits) != 1 {
			s.t.Fatalf("read the proxy's splits: %v: want one, got %+v", err, splits)
		}
		return splits[0].Weight == 0
	})
	return time.Now()
}

// report prints what a person would look at.
func (s *story) report() {
	_, out, said := command(s.t, "status", "-config", s.config, s.name)
	s.t.Logf("drover status %s:\n%s%s", s.name, out, said)
	s.t.Logf("the end of drover's log:\n%s", s.drover.tail(60))
}
