package sim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/sim"
)

const partly = `
variable "version" {
  type = string
  validation {
    condition     = length(var.version) > 0
    error_message = "say which"
  }
}

job "web" {
  multiregion {}

  group "web" {
    count = split("-", uuidv4())

    service {
      name     = "web"
      provider = "nomad"
    }

    task "server" {
      driver = "docker"

      vault {
        role = "web"
      }

      config {
        image = "web:${md5(var.version)}"
      }
    }
  }
}
`

// TestParseLeniently leaves out what is not simulated, and says so.
func TestParseLeniently(t *testing.T) {
	job, left, err := sim.ParseLeniently(partly, `version = "1.2.3"`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"validation blocks of variables (line 4)", "function uuidv4 (line 14)", "an argument (line 14)",
		"vault blocks of a task (line 24)", "function md5 (line 29)", "multiregion blocks of a job (line 11)",
	}
	slices.Sort(left)
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("left out %q, want %q", left, want)
	}
	if group := job.TaskGroups[0]; *group.Name != "web" || group.Count != nil || group.Services[0].Name != "web" {
		t.Errorf("got the group %+v", group)
	}
	if _, err := sim.Parse(partly, `version = "1.2.3"`); err == nil {
		t.Error("Parse takes what it does not read")
	}
	if _, _, err := sim.ParseLeniently("job \"a\" {\n  priorty = 3\n}", ""); err == nil || !strings.Contains(err.Error(), "input.hcl:2,3-10: Unsupported argument") {
		t.Errorf("a mistake is %v", err)
	}
}
