package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
)

const shadowedJob = `variable "version" {
  type = string
}

job "web" {
  group "web" {
    network {
      port "http" {}
    }

    service {
      name     = "web"
      provider = "nomad"
      port     = "http"
    }

    task "web" {
      driver = "docker"
      config {
        image = "web:${var.version}"
      }
    }
  }
}
`

// TestPlanLooksForCopies: the plan of a rollout that begins with a shadow says what the balancer lacks for copies.
func TestPlanLooksForCopies(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	cluster := sim.New(sim.Config{Start: time.Now(), Seed: 1})
	if err := runJob(cluster, shadowedJob, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	nomad := httptest.NewServer(cluster)
	t.Cleanup(nomad.Close)
	metrics := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(metrics.Close)
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/rawdata" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, `{"routers": {"web@file": {"service": "web@http"}}}`)
	}))
	t.Cleanup(instance.Close)
	dir := t.TempDir()
	program := filepath.Join(dir, "nginx")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '# configuration file /etc/nginx/nginx.conf:'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	routers := []struct{ block, warning string }{
		{
			fmt.Sprintf("type   = \"nginx\"\n  file   = %q\n  admin  = \"127.0.0.1:1\"\n  log    = \"127.0.0.1:2\"\n  copies = \"127.0.0.1:3\"\n  test   = [%q, \"-t\"]\n\n  route \"web\" {}",
				filepath.Join(dir, "edge.conf"), program),
			"NGINX cannot copy requests of \"web\": add `include " + dir + "/edge.web.mirror;` to its location that passes requests to $drover_web on, " +
				"and `location = /drover-copy-web { include " + dir + "/edge.web.copy; }` beside it",
		},
		{
			fmt.Sprintf("type      = \"traefik\"\n  listen    = \"127.0.0.1:4\"\n  instances = [%q]\n  copies    = \"127.0.0.1:8091\"", instance.URL),
			"the Traefik at " + instance.URL + " cannot copy requests without an entry point \"drover-copies\": give it one, at 127.0.0.1:8091",
		},
	}
	for _, shadow := range []string{"  shadow {\n    percent = 10\n  }\n", ""} {
		remote.Commit(t, "Release web", providertest.Files{
			"web/release.hcl":   "release \"web\" {\n  version = \"1.1.0\"\n  jobspec = \"web.nomad.hcl\"\n" + shadow + "}\n",
			"web/web.nomad.hcl": shadowedJob,
		})
		for _, router := range routers {
			path := filepath.Join(t.TempDir(), "drover.hcl")
			config := fmt.Sprintf("state_dir = %q\n\ngit {\n  url = %q\n}\n\nnomad {\n  address = %q\n}\n\nmetrics \"prometheus\" {\n  address = %q\n}\n\nrouter \"edge\" {\n  %s\n}\n",
				t.TempDir(), remote.Dir, nomad.URL, metrics.URL, router.block)
			if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, said bytes.Buffer
			if code := runPlan(t.Context(), &console{out: &out, err: &said}, []string{"-config", path}); code != 2 {
				t.Errorf("exit code %d, want 2: %s", code, said.String())
			}
			warns := strings.Contains(out.String(), "\n    warning: "+router.warning+"\n")
			if warns != (shadow != "") || !strings.Contains(out.String(), "~ web: 1.0.0 -> 1.1.0") {
				t.Errorf("with\n%s\n%sit says\n%s\nand is to warn, for a shadow alone: %s", router.block, shadow, out.String(), router.warning)
			}
		}
	}
}
