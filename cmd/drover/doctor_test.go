package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// examined is what drover doctor prints with a configuration, and its exit code.
func examined(t *testing.T, config string) (code int, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drover.hcl")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	code = runDoctor(t.Context(), &console{out: &out, err: &said}, []string{"-config", path})
	return code, out.String() + said.String()
}

// TestDoctor looks at everything that a whole configuration names, well and ill.
func TestDoctor(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "Release web", providertest.Files{
		"releases/web/release.hcl":   "release \"web\" {\n  version = \"1.0.0\"\n  jobspec = \"web.nomad.hcl\"\n}\n",
		"releases/web/web.nomad.hcl": "job \"web\" {}\n",
	})
	hub, err := githubtest.New(githubtest.Options{Repository: "shop/releases", Dir: remote.Dir})
	if err != nil {
		t.Fatal(err)
	}
	cluster := sim.New(sim.Config{Start: time.Now(), Seed: 1})
	away := false
	serve := func(handler http.Handler) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if away {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			handler.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	answers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	})
	proxy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") })
	config := fmt.Sprintf(`
git {
  url = %q
}

nomad {
  address = %q
}

router "edge" {
  instances = [%q]
}

metrics "prometheus" {
  address = %q
}

http {
  listen = "127.0.0.1:0"
}

github {
  repository         = "shop/releases"
  base_url           = %q
  token_env          = %q
  webhook_secret_env = %q
}
`, remote.Dir, serve(cluster), serve(proxy), serve(answers), serve(hub.Handler()), hubTokenVariable, hookSecretVariable)

	code, text := examined(t, config)
	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, line := range []string{
		"ok       release repository: at ", "ok       releases: 1 release", "ok       nomad version: 1.11.3", "warning  nomad token: ACLs are off",
		"ok       parse-job in namespace default: may", "ok       read-job in namespace default: may", "ok       register-job in namespace default: may",
		"ok       deregister-job in namespace default: may", "ok       tag-job-version in namespace default: may", "ok       scale-job in namespace default: may",
		"ok       promote-deployment in namespace default: may", "ok       alloc-lifecycle in namespace default: may",
		"ok       variables: write, splits, for proxies: may", "ok       variables: write, ledger: may", "ok       ledger: 0 records can be read",
		"warning  leader lock: nobody leads", "ok       router edge, proxy: 1 instance answering", "ok       metrics, prometheus: http://127.0.0.1:",
		"ok       identity: Drover is " + githubtest.Bot, "ok       commit statuses: write: may write", "ok       issues: write, for issues and comments: may write",
		"warning  webhook: webhooks can be read by administrators alone", "\nnothing is missing\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not say %q", line)
		}
	}
	if n := len(hub.Issues()) + len(hub.Pulls()); n > 0 {
		t.Errorf("it left %d issues and pull requests", n)
	}
	if unknown := cluster.Unknown(); len(unknown) > 0 {
		t.Errorf("the simulated Nomad does not know %q", unknown)
	}
	if t.Failed() {
		t.Log(text)
	}

	hub.Let(githubtest.Bot, "read")
	code, text = examined(t, strings.Replace(strings.Replace(config, "http {\n  listen = \"127.0.0.1:0\"\n}\n", "", 1), hookSecretVariable, "HUB_NOTHING", 1))
	for _, line := range []string{
		"missing  contents: write, for reverts: may not push\n         Give the token Contents: read and write", "missing  commit statuses: write: ",
		"missing  webhook: there is no http block to hear it", "missing  webhook: github: the environment variable HUB_NOTHING (webhook_secret_env) is not set",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not say %q", line)
		}
	}
	if code != 1 || t.Failed() {
		t.Errorf("exit code %d, want 1:\n%s", code, text)
	}

	away = true
	code, text = examined(t, config)
	for _, line := range []string{
		"missing  nomad: http://127.0.0.1:", "missing  router edge, proxy: ", "\n         See that drover proxy runs", "missing  metrics, prometheus: ", "missing  identity: ", " are missing\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not say %q", line)
		}
	}
	if code != 1 || t.Failed() {
		t.Errorf("exit code %d, want 1:\n%s", code, text)
	}
}

// surveyed is a router that says what its balancer lacks.
type surveyed struct {
	reconcile.Router
	lacks map[string]string
	err   error
}

func (s surveyed) Read(context.Context, string) (strategy.TrafficState, error) {
	return strategy.TrafficState{Splits: []strategy.Split{{}}}, nil
}

func (s surveyed) Lacks(_ context.Context, release string, plan strategy.Plan) (string, error) {
	if !plan.Sticky {
		return "", s.err
	}
	return s.lacks[release], s.err
}

// TestDoctorSurveys: what a balancer's own configuration lacks for a release is missing.
func TestDoctorSurveys(t *testing.T) {
	sticky := strategy.Release{Plan: strategy.Plan{Sticky: true}}
	look := func(s surveyed) []strategy.Checkup {
		d := &doctor{conf: &config{Routers: []routerConfig{{Name: "edge"}}}, releases: map[string]strategy.Release{"shop": sticky, "web": {}}}
		d.router(t.Context(), routerConfig{Name: "edge", Type: routerHAProxy}, reconcile.Traffic{Name: "edge", Router: s})
		return d.found
	}
	well := strategy.Checkup{What: "router edge, haproxy", State: strategy.CheckupWell, Detail: "1 instance answering"}
	const remedy = "docs/traffic.md has all of it, to copy."
	for name, c := range map[string]struct {
		says surveyed
		want []strategy.Checkup
	}{
		"nothing": {surveyed{}, []strategy.Checkup{well}},
		"a line":  {surveyed{lacks: map[string]string{"shop": "add a line"}}, []strategy.Checkup{well, {What: "router edge, haproxy, release shop", State: strategy.CheckupMissing, Detail: "add a line", Remedy: remedy}}},
		"away": {surveyed{err: errors.New("it is away")}, []strategy.Checkup{
			well, {What: "router edge, haproxy", State: strategy.CheckupMissing, Detail: "it is away", Remedy: routerRemedies[routerHAProxy]},
		}},
	} {
		if diff := cmp.Diff(c.want, look(c.says)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestDoctorLooksForCopies: a release whose plan has requests copied, behind an NGINX whose configuration has a part of what that
// needs.
func TestDoctorLooksForCopies(t *testing.T) {
	for _, name := range []string{"NOMAD_ADDR", "NOMAD_TOKEN", "NOMAD_NAMESPACE", "NOMAD_REGION"} {
		t.Setenv(name, "")
	}
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "Release web", providertest.Files{
		"releases/web/release.hcl":   "release \"web\" {\n  version = \"1.0.0\"\n  jobspec = \"web.nomad.hcl\"\n\n  shadow {\n    percent = 10\n  }\n}\n",
		"releases/web/web.nomad.hcl": "job \"web\" {}\n",
	})
	nomad := httptest.NewServer(sim.New(sim.Config{Start: time.Now(), Seed: 1}))
	t.Cleanup(nomad.Close)
	dir := t.TempDir()
	program := filepath.Join(dir, "nginx")
	config := fmt.Sprintf("git {\n  url = %q\n}\n\nnomad {\n  address = %q\n}\n\nrouter \"edge\" {\n  type   = \"nginx\"\n  file   = %q\n  admin  = \"127.0.0.1:1\"\n  log    = \"127.0.0.1:2\"\n  copies = \"127.0.0.1:3\"\n  test   = [%q, \"-t\"]\n\n  route \"web\" {}\n}\n",
		remote.Dir, nomad.URL, filepath.Join(dir, "edge.conf"), program)
	for included, want := range map[string]string{
		"edge.web.mirror edge.web.copy": "",
		"edge.web.mirror":               "add `location = /drover-copy-web { include " + dir + "/edge.web.copy; }` beside its location that passes requests to $drover_web on",
		"edge.web.copy":                 "add `include " + dir + "/edge.web.mirror;` to its location that passes requests to $drover_web on\n",
	} {
		script := "#!/bin/sh\necho '# configuration file /etc/nginx/nginx.conf:'\n"
		for file := range strings.FieldsSeq(included) {
			script += "echo '# configuration file " + filepath.Join(dir, file) + ":'\n"
		}
		if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		_, text := examined(t, config)
		const copies = "missing  router edge, nginx, release web: NGINX cannot copy requests of \"web\": "
		if said := strings.Contains(text, copies); said != (want != "") || !strings.Contains(text, want) || !strings.Contains(text, "router edge, nginx: 1 instance answering") {
			t.Errorf("where NGINX includes %q it says:\n%s", included, text)
		}
	}
}
