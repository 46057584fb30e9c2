package sim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/sim"
)

const wide = `
variable "version" { type = string }
variable "replicas" {
  type    = number
  default = 2
}
variable "debug" {
  type    = bool
  default = false
}
variable "zones" {
  type    = list(string)
  default = ["a", "b"]
}
locals {
  image = "shop/web:${var.version}"
  label = "${upper(local.image)}!"
}
job "web" {
  datacenters = var.zones
  meta { owner = "shop" }
  group "api" {
    count = var.replicas
    network {
      mode = "bridge"
      port "http" { to = 8080 }
      port "admin" { static = 9000 }
    }
    scaling {
      min = 1
      max = 5
      policy { cooldown = "1m" }
    }
    volume "data" {
      type   = "host"
      source = "web"
    }
    service {
      name        = "web"
      provider    = "nomad"
      port        = "http"
      tags        = ["v-${var.version}"]
      canary_tags = ["canary"]
      check {
        type     = "http"
        path     = "/"
        interval = "10s"
        timeout  = "2s"
        header { Host = ["web"] }
      }
    }
    constraint {
      attribute = "${attr.kernel.name}"
      value     = "linux"
    }
    task "web" {
      driver = "docker"
      config {
        image = local.image
        ports = ["http"]
        mount {
          type = "bind"
        }
      }
      env {
        LABEL = local.label
        ADDR  = "${NOMAD_ADDR_http}"
        KEY   = "${meta["own-er"]}-${node.unique.id}"
        DEBUG = var.debug
      }
      template {
        data        = "x"
        destination = "local/x"
      }
      resources { cpu = 100 }
    }
  }
}
`

func TestParse(t *testing.T) {
	job, err := sim.Parse(wide, `version = "1.2.3"`+"\nunknown = 3\n")
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	group := job.TaskGroups[0]
	task := group.Tasks[0]
	if *job.ID != "web" || *job.Name != "web" || job.Type != nil || job.Namespace != nil || group.Update != nil {
		t.Errorf("got job %+v, want nothing that the spec does not say", job)
	}
	config, err := json.Marshal(task.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"datacenters", job.Datacenters, []string{"a", "b"}},
		{"job meta", job.Meta, map[string]string{"owner": "shop"}},
		{"count", *group.Count, 2},
		{"dynamic ports", group.Networks[0].DynamicPorts[0].To, 8080},
		{"static ports", group.Networks[0].ReservedPorts[0].Value, 9000},
		{"scaling", group.Scaling.Policy, map[string]any{"cooldown": "1m"}},
		{"volume", group.Volumes["data"].Source, "web"},
		{"tags", group.Services[0].Tags, []string{"v-1.2.3"}},
		{"interval", group.Services[0].Checks[0].Interval.String(), "10s"},
		{"header", group.Services[0].Checks[0].Header, map[string][]string{"Host": {"web"}}},
		{"constraint", group.Constraints[0].LTarget, "${attr.kernel.name}"},
		{"config", string(config), `{"image":"shop/web:1.2.3","mount":[{"type":"bind"}],"ports":["http"]}`},
		{"env", task.Env, map[string]string{
			"LABEL": "SHOP/WEB:1.2.3!", "ADDR": "${NOMAD_ADDR_http}", "KEY": `${meta["own-er"]}-${node.unique.id}`, "DEBUG": "false",
		}},
		{"template", *task.Templates[0].ChangeMode, "restart"},
		{"resources", *task.Resources.CPU, 100},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func TestParseMistakes(t *testing.T) {
	const header = "variable \"n\" {\n  type = number\n  default = 1\n}\n"
	for name, c := range map[string]struct{ jobspec, variables, want string }{
		"unset variable":    {`variable "v" {}` + "\njob \"a\" {}", "", `<nil>: Unset variable "v"; A used variable must be set`},
		"wrong type":        {header + `job "a" {}`, `n = "x"`, "input.hcl:1,5-8: Invalid value for variable; The value for n is not compatible with the variable's type constraint: a number is required."},
		"bad variables":     {`job "a" {}`, `n = `, "unable to parse var content: input.hcl:1,"},
		"syntax":            {"job \"a\" {\n}\n}", "", "input.hcl:3,1-2: Argument or block definition required"},
		"unknown block":     {"job \"a\" {\n  groop \"x\" {}\n}", "", `input.hcl:2,3-8: Unsupported block type; Blocks of type "groop" are not expected here. Did you mean "group"?`},
		"unknown argument":  {"job \"a\" {\n  priorty = 3\n}", "", `input.hcl:2,3-10: Unsupported argument; An argument named "priorty" is not expected here. Did you mean "priority"?`},
		"unsuitable":        {"job \"a\" {\n  group \"x\" {\n count = \"three\"\n}\n}", "", "input.hcl:3,11-16: Unsuitable value type; Unsuitable value: a number is required"},
		"file":              {"job \"a\" {\n meta {\n x = file(\"/etc/passwd\")\n}\n}", "", `input.hcl:3,6-11: Error in function call; Call to function "file" failed: filesystem function disabled.`},
		"undeclared":        {"job \"a\" {\n meta {\n x = var.nope\n}\n}", "", `input.hcl:3,9-14: Unsupported attribute; This object does not have an attribute named "nope".`},
		"bad type":          {"variable \"a\" {\n  type = strng\n}\njob \"a\" {}", "", `input.hcl:2,10-15: Invalid type specification; The keyword "strng" is not a valid type specification.`},
		"no job":            {header, "", "Missing job block"},
		"block not read":    {"job \"a\" {\n  multiregion {}\n}", "", "input.hcl:2,3-14: Not simulated; the simulated Nomad does not read multiregion blocks of a job"},
		"function not read": {"job \"a\" {\n meta {\n x = uuidv4()\n}\n}", "", `input.hcl:3,6-12: Call to unknown function; the simulated Nomad does not read function "uuidv4"`},
		"dynamic":           {"job \"a\" {\n  dynamic \"group\" {}\n}", "", "input.hcl:2,3-18: Not simulated; the simulated Nomad does not read dynamic blocks"},
		"circular locals":   {"locals {\n a = local.b\n b = local.a\n}\njob \"a\" {}", "", "Circular locals"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sim.Parse(c.jobspec, c.variables)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestParseSaysAllMistakes(t *testing.T) {
	_, err := sim.Parse("job \"a\" {\n  priorty = 3\n  groop \"x\" {}\n}", "")
	if err == nil || len(strings.Split(err.Error(), "\n")) != 2 {
		t.Errorf("got %v, want both mistakes, a line for each", err)
	}
}
