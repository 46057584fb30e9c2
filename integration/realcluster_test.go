package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

const (
	nomadExample = "../examples/nomad"
	droverPolicy = "drover.policy.hcl"
)

// realCluster is an agent with ACLs, on which Drover and its proxies run as the README says.
type realCluster struct {
	*story
	dir string // a copy of examples/nomad
}

// TestOnARealCluster does what the README says, on an agent that refuses who has no token.
func TestOnARealCluster(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t)
	c.follow("## On a real cluster")
	c.commit("1.0.0", quick)
	c.rests("1.0.0", strategy.OutcomePromoted)
	c.askAll()

	steady := policy{bake: "6s", deadline: "60s"}
	c.commit("1.1.0", steady)
	c.bakes("1.1.0", strategy.Percent(25))
	c.anotherLeads()
	c.rests("1.1.0", strategy.OutcomePromoted)
	good := c.shop.head()
	failed := c.commit("1.2.0", steady)
	r := c.rests("1.1.0", strategy.OutcomeCondemned)
	if !strings.Contains(fmt.Sprint(r.Last.Reason), "errors") {
		t.Errorf("1.2.0 was rolled back by %q, want the gate errors", r.Last.Reason)
	}
	if diff := cmp.Diff([]string{person, person, person, "Drover"}, c.shop.authors()); diff != "" {
		t.Errorf("authors of the commits (-want +got):\n%s", diff)
	}
	if got := c.shop.trailer("main", "Drover-Failed"); got != failed {
		t.Errorf("the revert is of %q, want %s", got, failed)
	}
	if got := c.shop.git(c.shop.bare, "diff", "--stat", good, "main"); got != "" {
		t.Errorf("the revert does not restore what was good:\n%s", got)
	}
	t.Run("the identities may do no more", c.refused)
	t.Run("every capability is needed", c.needed)
}

func newRealCluster(t *testing.T) *realCluster {
	t.Helper()
	binary, err := nomadagent.Binary()
	if err != nil {
		t.Fatal(err)
	}
	// A short one: the sockets that Nomad makes below it have at most 107 bytes.
	dir, err := os.MkdirTemp("", "real") //nolint:usetesting // t.TempDir is too long.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	agent, err := nomadagent.StartWithACL(t.Context(), filepath.Join(dir, "agent"), binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := agent.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &story{t: t, agent: agent, name: "checkout-api", instance: "drover", replicas: 2, shop: newShop(t, dir), config: filepath.Join(dir, "drover.hcl")}
	c := &realCluster{story: s, dir: filepath.Join(dir, "nomad")}
	if err := os.CopyFS(c.dir, os.DirFS(nomadExample)); err != nil {
		t.Fatal(err)
	}
	server := providertest.NewGitServer(t, &providertest.BareRemote{Dir: s.shop.bare})
	c.edit("drover.hcl", "https://git.example.com/shop/releases.git", server.URL, `hosts = ["checkout.example.com"]`, "")
	c.write(filepath.Join(dir, "token"), agent.Token)
	// What the test looks with, from outside.
	c.write(s.config, fmt.Sprintf("git {\n  url = %q\n}\n\nnomad {\n  address = %q\n  token_file = \"token\"\n}\n", s.shop.bare, agent.Address))
	t.Cleanup(func() {
		if t.Failed() {
			_, out, said := command(t, "status", "-config", s.config, s.name)
			t.Logf("drover status:\n%s%s", out, said)
			t.Logf("drover's logs:\n%s", c.sh(`nomad job allocs -t '{{range .}}{{.ID}}{{"\n"}}{{end}}' drover | while read -r id; do echo "$id"; nomad alloc logs -stderr "$id" | tail -40 || true; done`))
		}
	})
	return c
}

func (c *realCluster) write(path, text string) {
	c.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// edit replaces texts of a file of the example, each of which must be there.
func (c *realCluster) edit(file string, pairs ...string) {
	c.t.Helper()
	path := filepath.Join(c.dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			c.t.Fatalf("%s has no %q", file, pairs[i])
		}
	}
	c.write(path, strings.NewReplacer(pairs...).Replace(string(text)))
}

// follow runs the commands below a heading of the README, with what is different on one node of a test: the place of the
// program, the port, and the driver, as the program's libraries cannot be linked into every machine's chroot in time.
func (c *realCluster) follow(heading string) {
	c.t.Helper()
	blocks := commandsBelow(c.t, heading)
	if len(blocks) != 2 {
		c.t.Fatalf("%q of the README has %d blocks of commands, want 2", heading, len(blocks))
	}
	adapt := strings.NewReplacer("/usr/local/bin/drover", drover, "TOKEN", providertest.GitToken,
		"nomad job run", "nomad job run -var driver=raw_exec", "count=2", "count=2 -var port=0")
	c.sh(adapt.Replace(blocks[0]))
	if said := c.sh(adapt.Replace(blocks[1])); !strings.Contains(said, "othing is recorded") && !strings.Contains(said, "RELEASE") {
		c.t.Errorf("drover status beside the daemon says:\n%s", said)
	}
}

// sh runs shell commands as a person with the management token; they must succeed.
func (c *realCluster) sh(script string) string {
	c.t.Helper()
	binary, err := nomadagent.Binary()
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir = c.dir
	command.Env = append(os.Environ(), "NOMAD_ADDR="+c.agent.Address, "NOMAD_TOKEN="+c.agent.Token,
		"PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	said, err := command.CombinedOutput()
	if err != nil {
		c.t.Errorf("%v:\n%s\n%s", err, script, said)
	}
	return string(said)
}

// askAll has users at each of the proxies, which are found as load balancers find them.
func (c *realCluster) askAll() {
	c.t.Helper()
	registered, _, err := c.agent.Client().Services().Get("drover-proxy-users", nil)
	if err != nil || len(registered) != 2 {
		c.t.Fatalf("proxies for users: %+v (%v), want 2", registered, err)
	}
	for _, proxy := range registered {
		c.users = newUsers(c.t, "http://"+proxy.Address+":"+strconv.Itoa(proxy.Port)+"/")
	}
}

// anotherLeads stops the allocation of the Drover that leads: the one that stands by goes on.
func (c *realCluster) anotherLeads() {
	c.t.Helper()
	leader := func() string {
		_, who, _ := strings.Cut(c.drive(0, "status", c.name), `Instance "drover" is led by allocation `)
		who, _, _ = strings.Cut(who, " ")
		return who
	}
	before := leader()
	standby := ""
	allocs, _, err := c.agent.Client().Jobs().Allocations("drover", false, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, alloc := range allocs {
		if !strings.HasPrefix(alloc.ID, before) {
			standby = alloc.ID
		}
	}
	if before == "" || len(allocs) != 2 {
		c.t.Fatalf("%q leads, of %d allocations, want one of 2", before, len(allocs))
	}
	c.sh("nomad alloc stop -detach " + before)
	c.until("the one that stood by leads", func() bool { after := leader(); return after != "" && strings.HasPrefix(standby, after) })
}

// as is a client with the identity of a task of a running job.
func (c *realCluster) as(job, task string) *api.Client {
	c.t.Helper()
	allocs, _, err := c.agent.Client().Jobs().Allocations(job, false, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, alloc := range allocs {
		if alloc.ClientStatus != api.AllocClientStatusRunning {
			continue
		}
		token, err := os.ReadFile(filepath.Join(filepath.Dir(c.dir), "agent", "alloc", alloc.ID, task, "secrets", "nomad_token"))
		if err != nil {
			c.t.Fatal(err)
		}
		config := api.DefaultConfig()
		config.Address, config.SecretID = c.agent.Address, string(token)
		client, err := api.NewClient(config)
		if err != nil {
			c.t.Fatal(err)
		}
		return client
	}
	c.t.Fatalf("no allocation of %s runs", job)
	return nil
}

// denied tells whether Nomad refused for want of rights.
func denied(err error) bool {
	var response api.UnexpectedResponseError
	return errors.As(err, &response) && response.StatusCode() == http.StatusForbidden
}

// refused tries what neither identity needs.
func (c *realCluster) refused(t *testing.T) {
	root := c.agent.Client()
	if _, err := root.Namespaces().Register(&api.Namespace{Name: "foreign"}, nil); err != nil {
		t.Fatal(err)
	}
	foreign := sleeperIn(t, root, "foreign", "sleeper")
	if _, _, err := root.Variables().Create(&api.Variable{Path: "nomad/jobs/other", Items: api.VariableItems{"password": "x"}}, nil); err != nil {
		t.Fatal(err)
	}
	type attempt struct {
		what string
		try  func(*api.Client) error
	}
	readVariable := func(path string) func(*api.Client) error {
		return func(a *api.Client) error { _, _, err := a.Variables().Read(path, nil); return err }
	}
	writeVariable := func(path string) func(*api.Client) error {
		return func(a *api.Client) error {
			_, _, err := a.Variables().Update(&api.Variable{Path: path, Items: api.VariableItems{"a": "b"}}, nil)
			return err
		}
	}
	elsewhere := &api.QueryOptions{Namespace: "foreign"}
	both := []attempt{
		{"read another job's variable", readVariable("nomad/jobs/other")},
		{"write the job's own variable", writeVariable("nomad/jobs/drover")},
		{"write beside its instance", writeVariable("elsewhere/x")},
		{"read a job of another namespace", func(a *api.Client) error { _, _, err := a.Jobs().Info("sleeper", elsewhere); return err }},
		{"stop a job of another namespace", func(a *api.Client) error {
			_, _, err := a.Jobs().Deregister("sleeper", false, &api.WriteOptions{Namespace: "foreign"})
			return err
		}},
		{"register a job in another namespace", func(a *api.Client) error {
			_, _, err := a.Jobs().Register(foreign, &api.WriteOptions{Namespace: "foreign"})
			return err
		}},
		{"purge a job", func(a *api.Client) error { _, _, err := a.Jobs().Deregister(c.name, true, nil); return err }},
		{"see the nodes", func(a *api.Client) error { _, _, err := a.Nodes().List(nil); return err }},
		{"see the tokens", func(a *api.Client) error { _, _, err := a.ACLTokens().List(nil); return err }},
		{"collect garbage", func(a *api.Client) error { return a.System().GarbageCollect() }},
	}
	proxys := []attempt{
		{"write a split", writeVariable("drover/splits/edge/" + c.name)},
		{"read what Drover keeps", readVariable("drover/releases/" + c.name)},
		{"read a job", func(a *api.Client) error { _, _, err := a.Jobs().Info(c.name, nil); return err }},
		{"stop a job", func(a *api.Client) error { _, _, err := a.Jobs().Deregister(c.name, false, nil); return err }},
	}
	for who, attempts := range map[string][]attempt{"drover": both, "proxy": append(proxys, both...)} {
		job := map[string]string{"drover": "drover", "proxy": "drover-proxy"}[who]
		client := c.as(job, who)
		if _, _, err := client.Variables().PrefixList("drover/splits/", nil); err != nil {
			t.Errorf("%s may not list the splits, so the rest shows nothing: %v", who, err)
		}
		for _, a := range attempts {
			if err := a.try(client); !denied(err) {
				t.Errorf("%s tries to %s: %v, want it refused", who, a.what, err)
			}
		}
	}
}

// needed takes each capability out of the policy of a job that has Drover's, and sees what it is for refused.
func (c *realCluster) needed(t *testing.T) {
	root := c.agent.Client()
	sleeperIn(t, root, "default", "probe")
	c.until("the probe runs", func() bool {
		allocs, _, err := root.Jobs().Allocations("probe", false, nil)
		return err == nil && len(allocs) == 1 && allocs[0].ClientStatus == api.AllocClientStatusRunning
	})
	rules, err := os.ReadFile(filepath.Join(c.dir, droverPolicy))
	if err != nil {
		t.Fatal(err)
	}
	probe := c.as("probe", "t")
	allocs, _, err := root.Jobs().Allocations(c.name, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := ""
	for _, alloc := range allocs {
		if alloc.ClientStatus == api.AllocClientStatusComplete {
			ended = alloc.ID
		}
	}
	deployment, _, err := root.Jobs().LatestDeployment(c.name, nil)
	if err != nil || deployment == nil || ended == "" {
		t.Fatalf("no deployment (%v) or no allocation that ended", err)
	}
	job, _, err := root.Jobs().Info(c.name, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(path string, body any) error { _, err := probe.Raw().Write(path, body, nil, nil); return err }
	uses := map[string]func() error{
		"parse-job": func() error {
			return raw("/v1/jobs/parse", map[string]any{"JobHCL": `job "x" {}`})
		},
		"read-job": func() error { _, _, err := probe.Jobs().Info(c.name, nil); return err },
		"register-job": func() error {
			_, _, err := probe.Jobs().EnforceRegister(job, 1, nil) // It is at another index.
			return err
		},
		"promote-deployment": func() error { _, _, err := probe.Deployments().PromoteAll(deployment.ID, nil); return err },
		"deregister-job":     func() error { _, _, err := probe.Jobs().Deregister("absent", false, nil); return err },
		"tag-job-version":    func() error { _, err := probe.Jobs().TagVersion(c.name, 1000, "x", "", nil); return err },
		"scale-job": func() error {
			return raw("/v1/job/"+c.name+"/scale", map[string]any{"Count": 1, "Target": map[string]string{"Group": "absent"}})
		},
		"alloc-lifecycle": func() error { _, err := probe.Allocations().Stop(&api.Allocation{ID: ended}, nil); return err },
	}
	apply := func(text string) {
		t.Helper()
		policy := &api.ACLPolicy{Name: "probe", Rules: text, JobACL: &api.JobACL{Namespace: "default", JobID: "probe"}}
		if _, err := root.ACLPolicies().Upsert(policy, nil); err != nil {
			t.Fatal(err)
		}
	}
	apply(string(rules))
	for capability, use := range uses {
		if err := use(); denied(err) {
			t.Errorf("%s does not suffice: %v", capability, err)
		}
	}
	found := 0
	for line := range strings.Lines(string(rules)) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), `"`)
		if !ok {
			continue
		}
		capability, _, _ := strings.Cut(line, `"`)
		use, ok := uses[capability]
		if !ok {
			t.Errorf("%s has %s, and nothing is known that needs it", droverPolicy, capability)
			continue
		}
		found++
		apply(strings.Replace(string(rules), `"`+line, "", 1))
		if err := use(); !denied(err) {
			t.Errorf("without %s: %v, want what it is for refused", capability, err)
		}
	}
	if found != len(uses) {
		t.Errorf("%d capabilities of %s were tried, want %d:\n%s", found, droverPolicy, len(uses), rules)
	}
}

// sleeperIn runs a job that does nothing, with an identity of its own.
func sleeperIn(t *testing.T, root *api.Client, namespace, id string) *api.Job {
	t.Helper()
	job := api.NewServiceJob(id, id, "global", 50)
	job.Namespace = &namespace
	task := api.NewTask("t", "raw_exec")
	task.Config = map[string]any{"command": "sleep", "args": []string{"3600"}}
	task.Identity = &api.WorkloadIdentity{Name: "default", File: true}
	job.AddTaskGroup(api.NewTaskGroup("g", 1).AddTask(task))
	if _, _, err := root.Jobs().Register(job, &api.WriteOptions{Namespace: namespace}); err != nil {
		t.Fatal(err)
	}
	return job
}
