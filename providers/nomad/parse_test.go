package nomad

import (
	"errors"
	"strings"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

func TestInvalid(t *testing.T) {
	source := strategy.JobSource{
		Path:      "web/web.nomad.hcl",
		Jobspec:   "job \"web\" {\n}\n\nvariable \"image\" {\n}\n",
		Variables: "image = \"x\"\nreplicas = \"many\"\nimgae = \"y\"\n",
	}
	tests := []struct {
		name, body string
		want       []string
		not        []string
	}{
		{
			"unset variable",
			`Failed to parse job: <nil>: Unset variable "image"; A used variable must be set or have a default value.`,
			[]string{"web/web.nomad.hcl:4: ", `the variable "image" is not set`, "variables block", `(the release sets "imgae")`},
			nil,
		},
		{
			"wrong type",
			`Failed to parse job: input.hcl:2,10-16: Invalid value for variable; The value for replicas is not compatible: a number is required.`,
			[]string{"web/web.nomad.hcl: the release sets `replicas = \"many\"`", "a number is required"},
			nil,
		},
		{
			"unknown argument",
			`Failed to parse job: input.hcl:3,4-9: Unsupported argument; An argument named "cuont" is not expected here. Did you mean "count"?`,
			[]string{"web/web.nomad.hcl:3: unsupported argument", `Did you mean "count"?`},
			nil,
		},
		{
			"file function",
			"Failed to parse job: input.hcl:6,15-20: Error in function call; Call to function \"file\" failed: filesystem function disabled.\n" +
				"input.hcl:6,15-20: Unsuitable value type; Unsuitable value: value must be known",
			[]string{"web/web.nomad.hcl:6: file() reads a file", "heredoc"},
			[]string{"must be known", "\n"},
		},
		{
			"function that only the command line has",
			`Failed to parse job: input.hcl:6,15-27: Call to unknown function; There is no function named "templatefile".`,
			[]string{"web/web.nomad.hcl:6: templatefile() reads a file"},
			nil,
		},
		{
			"function that nobody has",
			`Failed to parse job: input.hcl:6,15-27: Call to unknown function; There is no function named "foo".`,
			[]string{"web/web.nomad.hcl:6: call to unknown function", `"foo"`},
			[]string{"reads a file"},
		},
		{
			"undeclared variable beside a mistake",
			"Failed to parse job: <nil>: Undefined variable; A \"version\" variable was set but was not found in known variables.\n" +
				"input.hcl:4,10-26: Unsuitable value type; Unsuitable value: a number is required",
			[]string{"web/web.nomad.hcl:4: unsuitable value type"},
			[]string{"known variables"},
		},
		{"variables that are no HCL", "Failed to parse job: unable to parse var content: input.hcl:1,1-2: Invalid; Bad.", []string{"variables of web/web.nomad.hcl:1"}, nil},
		{"an answer of another kind", "Job spec is empty", []string{"web/web.nomad.hcl: Job spec is empty"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := invalid(source, test.body)
			if !errors.Is(err, strategy.ErrInvalid) {
				t.Errorf("got %v, want one that is strategy.ErrInvalid", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			for _, not := range test.not {
				if strings.Contains(err.Error(), not) {
					t.Errorf("got %q, want no %q in it", err, not)
				}
			}
		})
	}
}

func TestFlatten(t *testing.T) {
	nested := "1 error occurred:\n\t* Task group api validation failed: 2 errors occurred:\n\t* Healthy deadline must be less than progress deadline: 20s > 1ns\n" +
		"\t* Task server validation failed: 1 error occurred:\n\t* Missing task driver\n\n\n\n"
	want := "Task group api validation failed: Healthy deadline must be less than progress deadline: 20s > 1ns; Task server validation failed: Missing task driver"
	if got := flatten(nested); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
