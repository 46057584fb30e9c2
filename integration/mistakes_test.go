package integration_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// The jobspecs that Nomad does not take, each with its mistake on line 10.
const (
	unsetJobspec = `variable "version" {
  type = string
}

variable "image" {
  type    = string
  default = "shop"
}

variable "region" {
  type = string
}

job "unset" {
  group "api" {
    task "server" {
      driver = "raw_exec"

      config {
        command = "${var.image}-${var.region}-${var.version}"
      }
    }
  }
}
`
	fileJobspec = `variable "version" {
  type = string
}

job "file" {
  group "api" {
    task "server" {
      driver = "raw_exec"
      template {
        data        = file("server.conf")
        destination = "local/server.conf"
      }

      config {
        command = "server-${var.version}"
      }
    }
  }
}
`
	goodJobspec = `variable "version" {
  type = string
}

job "good" {
  group "api" {
    network {
      port "http" {}
    }

    service {
      provider = "nomad"
      port     = "http"
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = "server-${var.version}"
      }
    }
  }
}
`
)

// TestMistakesInJobspecs has two jobspecs that only Nomad can tell are wrong, and a good one that they do not stop.
func TestMistakesInJobspecs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := writeConfig(t, dir, "mistaken", agent.Address, "127.0.0.1:1", "127.0.0.1:2") // No proxy runs: nothing is released.
	shop := newShop(t, dir)
	for name, jobspec := range map[string]string{"unset": unsetJobspec, "file": fileJobspec, "good": goodJobspec} {
		shop.write("releases/"+name+"/release.hcl", fmt.Sprintf("release %q {\n  version = \"1.0.0\"\n  jobspec = \"job.nomad.hcl\"\n}\n", name))
		shop.write("releases/"+name+"/job.nomad.hcl", jobspec)
	}
	shop.push("Release everything")
	want := map[string][]string{
		"unset": {`releases/unset/job.nomad.hcl:10: `, `the variable "region" is not set`, "variables block", "declare a default"},
		"file":  {`releases/file/job.nomad.hcl:10: `, "file() reads a file", "heredoc", "artifact"},
	}

	code, out, said := command(t, "validate", "-nomad", agent.Address, shop.clone)
	if code != 1 {
		t.Errorf("drover validate exited with %d, want 1", code)
	}
	for name, words := range want {
		contains(t, "drover validate of "+name, said, words...)
	}
	contains(t, "drover validate", out, "releases/good/release.hcl: good 1.0.0", "3 parsed by Nomad", "2 mistakes")

	code, out, said = command(t, "plan", "-config", config)
	if code != 1 {
		t.Errorf("drover plan exited with %d, want 1: %s", code, said)
	}
	for name, words := range want {
		contains(t, "drover plan of "+name, out, append([]string{"! " + name + ": "}, words...)...)
	}
	contains(t, "drover plan", out, "~ good: ", "1 with changes, 2 with problems")
	if code, out, said = command(t, "plan", "-config", config, "good"); code != planChanges {
		t.Errorf("drover plan good exited with %d, want %d: %s%s", code, planChanges, out, said)
	}

	// One remedy is taken: the mistake is gone, the other stays.
	shop.write("releases/unset/job.nomad.hcl", strings.Replace(unsetJobspec, "\"region\" {\n  type = string", "\"region\" {\n  default = \"eu\"", 1))
	shop.push("Give the region a default")
	_, _, said = command(t, "validate", "-nomad", agent.Address, filepath.Join(dir, "clone"))
	if strings.Contains(said, "is not set") || !strings.Contains(said, "file()") {
		t.Errorf("after one is mended, drover validate says:\n%s", said)
	}
}

// contains holds that a text has all the words.
func contains(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s does not say %q:\n%s", what, word, text)
		}
	}
}
