package main

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/sim"
)

// update rewrites the golden parts of the scripts; read what it wrote before it is committed.
var update = flag.Bool("update", false, "rewrite what the scripts compare with")

func TestMain(m *testing.M) {
	testscript.Main(surrounded{m}, map[string]func(){"drover": main})
}

// surrounded are the tests with the environment that they all have, so that those that wait for something can do so side by
// side: t.Setenv is for tests that run alone. The program that scripts start has the environment that they say.
type surrounded struct{ *testing.M }

// Run runs the tests.
func (s surrounded) Run() int {
	for _, name := range nomadVariables {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	for name, value := range map[string]string{hubTokenVariable: githubtest.Token, hookSecretVariable: hookSecret} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	return s.M.Run()
}

// What the tests find in their environment, and what they do not: where a person's own Nomad is.
const (
	hubTokenVariable   = "HUB_TOKEN"
	hookSecretVariable = "HUB_HOOK_SECRET"
)

var nomadVariables = []string{"NOMAD_ADDR", "NOMAD_TOKEN", "NOMAD_NAMESPACE", "NOMAD_REGION"}

type clusterKey struct{}

// nomadRun is the command `nomad-run FILE VERSION`: it runs a job on the simulated Nomad at $NOMAD, as people do without
// Drover, and lets a minute go by.
func nomadRun(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nomad-run FILE VERSION")
	}
	ts.Check(runJob(ts.Value(clusterKey{}).(*sim.Nomad), ts.ReadFile(args[0]), args[1]))
}

// runJob runs a job as nomad-run does.
func runJob(cluster *sim.Nomad, jobspec, version string) error {
	client, err := nomad.Connect(nomad.Config{Address: "http://simulated", HTTPClient: cluster.Client()})
	if err != nil {
		return err
	}
	source := &api.JobSubmission{Source: jobspec, Format: "hcl2", Variables: fmt.Sprintf("version = %q\n", version)}
	job, err := client.Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: source.Source, Variables: source.Variables, Canonicalize: true})
	if err != nil {
		return err
	}
	if _, _, err := client.Jobs().RegisterOpts(job, &api.RegisterOptions{Submission: source}, nil); err != nil {
		return err
	}
	for range 60 {
		cluster.Advance(cluster.Now().Add(time.Second))
	}
	return nil
}

// expand is the command `expand FILE`: it writes the values of $VARIABLES into a file.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// TestScripts plays every script in testdata with the program itself.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"nomad-run": nomadRun, "expand": expand},
		Setup: func(env *testscript.Env) error {
			cluster := sim.New(sim.Config{Start: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Seed: 1})
			server := httptest.NewServer(cluster)
			env.Defer(server.Close)
			env.Values[clusterKey{}] = cluster
			env.Setenv("NOMAD", server.URL)
			env.Setenv("EXAMPLES", filepath.Join(root, "examples"))
			for _, name := range nomadVariables {
				env.Setenv(name, "")
			}
			env.Setenv("TZ", "UTC")
			for _, name := range []string{"GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"} {
				env.Setenv(name, "Robin")
			}
			for _, name := range []string{"GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"} {
				env.Setenv(name, "robin@shop.example")
			}
			return nil
		},
	})
}
