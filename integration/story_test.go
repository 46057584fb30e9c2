package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
	"github.com/drover-dev/drover/strategy"
)

// patience bounds every wait of a story, with room for a loaded machine.
const patience = 2 * time.Minute

// story is one release with everything of its own: a repository, an instance of Drover that runs as a program, drover
// proxy as a job, and users. The agent is shared, save where the story is about its weather. It is looked at from
// outside: by the commands of Drover and its record, by Nomad's API, in the repository, and by what the users saw.
type story struct {
	t         *testing.T
	name      string // of the release, its job and its service
	namespace string // of the job
	instance  string // of Drover; the release's name when empty
	agent     *nomadagent.Agent
	config    string
	shop      *shop
	drover    *daemon
	users     *users
	edge      string // address of the proxy for users
	admin     string // and for Drover

	lines    string   // further lines of the release block
	edits    []string // what is replaced in the jobspec, and by what
	replicas int
}

// begin prepares a story on the shared agent: nothing runs and nothing is committed yet.
func begin(t *testing.T, name string) *story {
	t.Helper()
	return beginOn(t, agent, name)
}

// beginOn is begin on an agent of one's own.
func beginOn(t *testing.T, on *nomadagent.Agent, name string) *story {
	t.Helper()
	s := &story{t: t, name: name, namespace: api.DefaultNamespace, agent: on, replicas: 2}
	dir := t.TempDir()
	s.edge, s.admin = freeAddress(t), freeAddress(t)
	s.config = writeConfig(t, dir, name, on.Address, s.edge, s.admin)
	s.shop = newShop(t, dir)
	s.drover = newDaemon(t, s.config)
	t.Cleanup(func() {
		if t.Failed() {
			s.report()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for job, namespace := range map[string]string{s.name: s.namespace, s.proxyJob(): api.DefaultNamespace} {
			if err := s.agent.PurgeIn(ctx, namespace, job); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
	})
	return s
}

// writeConfig writes a drover.hcl for an instance of the release's name.
func writeConfig(t testing.TB, dir, name, nomad, edge, admin string) string {
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
`, name, filepath.Join(dir, "shop.git"), nomad, edge, admin, admin, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func freeAddress(t testing.TB) string {
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
	t.Parallel()
	s := begin(t, name)
	s.release(p)
	return s
}

// release brings 1.0.0 to life under a policy, and users to it.
func (s *story) release(p policy) {
	s.t.Helper()
	s.commit("1.0.0", p)
	s.runProxy()
	s.drover.start()
	s.rests("1.0.0", strategy.OutcomePromoted)
	s.welcome()
}

// welcome has users come, and waits until 1.0.0 answers them.
func (s *story) welcome() {
	s.t.Helper()
	s.users = newUsers(s.t, "http://"+s.edge+"/")
	s.until("1.0.0 answers users", func() bool { return s.users.answered("1.0.0", time.Time{}) > 0 })
}

func (s *story) proxyJob() string { return s.name + "-proxy" }

// runProxy runs drover proxy on Nomad, on the agent's own node, and waits until it answers.
func (s *story) runProxy() {
	s.t.Helper()
	job := api.NewServiceJob(s.proxyJob(), s.proxyJob(), "global", 50)
	job.Constrain(api.NewConstraint("${node.unique.id}", "=", s.agent.Node))
	task := api.NewTask("proxy", "raw_exec")
	task.Config = map[string]any{"command": drover, "args": []string{"proxy", "-config", s.config}}
	job.AddTaskGroup(api.NewTaskGroup("proxy", 1).AddTask(task))
	if _, _, err := s.agent.Client().Jobs().Register(job, nil); err != nil {
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

// query is how Nomad is asked about the job.
func (s *story) query() *api.QueryOptions { return &api.QueryOptions{Namespace: s.namespace} }

func (s *story) jobs() *api.Jobs { return s.agent.Client().Jobs() }

// drive runs a command of Drover with the story's configuration, and returns what it said.
func (s *story) drive(want int, args ...string) string {
	s.t.Helper()
	args = append([]string{args[0], "-config", s.config}, args[1:]...)
	code, out, said := command(s.t, args...)
	if code != want {
		s.t.Errorf("drover %s exited with %d, want %d:\n%s%s", strings.Join(args, " "), code, want, out, said)
	}
	return out + said
}

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

// report prints what a person would look at.
func (s *story) report() {
	_, out, said := command(s.t, "status", "-config", s.config, s.name)
	s.t.Logf("drover status %s:\n%s%s", s.name, out, said)
	s.t.Logf("the end of drover's log:\n%s", s.drover.tail(100))
	s.t.Logf("the proxy's log:\n%s", s.proxyLog())
	if s.users != nil {
		s.t.Logf("requests that failed:\n%s", s.users.failures())
	}
}

// proxyLog is what the proxy said, as far as its node can be asked.
func (s *story) proxyLog() string { return taskLog(s.agent, s.proxyJob(), "proxy") }

// taskLog is what the task of a job said on stderr.
func taskLog(agent *nomadagent.Agent, job, task string) string {
	stubs, _, err := agent.Client().Jobs().Allocations(job, false, nil)
	if err != nil || len(stubs) == 0 {
		return fmt.Sprintf("no allocation: %v", err)
	}
	log, err := agent.Client().AllocFS().Cat(&api.Allocation{ID: stubs[0].ID}, "alloc/logs/"+task+".stderr.0", nil)
	if err != nil {
		return err.Error()
	}
	defer log.Close()
	text, err := io.ReadAll(io.LimitReader(log, 64<<10))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
