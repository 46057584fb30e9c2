package nomad

import (
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

const digested = `{
  "ID": "web", "Name": "web", "Priority": null, "Update": {"AutoRevert": true},
  "TaskGroups": [{
    "Name": "g", "Count": 3, "Update": {"Canary": 1}, "RestartPolicy": {"Attempts": null, "Mode": "fail"},
    "Tasks": [{"Name": "t", "Driver": "exec", "Config": {"args": ["", "a"], "command": "x"}, "Env": {"A": "1"}, "Leader": false}]
  }]
}`

func digestOf(t *testing.T, text string) string {
	t.Helper()
	doc, err := decodeDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := digest(doc)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestDigest(t *testing.T) {
	want := digestOf(t, digested)
	tests := []struct {
		name, old, new string
		same           bool
	}{
		{"count", `"Count": 3`, `"Count": 30`, true},
		{"group update", `"Canary": 1`, `"Canary": 3`, true},
		{"no group update", `"Update": {"Canary": 1}, `, ``, true},
		{"job update", `"AutoRevert": true`, `"AutoRevert": false`, true},
		{"field of a newer nomad, empty", `"Leader": false`, `"Leader": false, "Novel": "", "Other": [], "More": {"X": 0}`, true},
		{"field of a newer nomad, set", `"Leader": false`, `"Leader": false, "Novel": "x"`, false},
		{"absent for null", `"Priority": null, `, ``, true},
		{"another value", `"exec"`, `"docker"`, false},
		{"explicit zero where absence means a default", `"Attempts": null`, `"Attempts": 0`, false},
		{"variable set to nothing", `"A": "1"`, `"A": "1", "B": ""`, false},
		{"empty argument", `["", "a"]`, `["a"]`, false},
		{"empty option of a driver", `"command": "x"`, `"command": "x", "privileged": false`, false},
		{"true for false", `"Leader": false`, `"Leader": true`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if strings.Count(digested, test.old) != 1 {
				t.Fatalf("%s does not stand once in the job", test.old)
			}
			got := digestOf(t, strings.Replace(digested, test.old, test.new, 1))
			if (got == want) != test.same {
				t.Errorf("got same digest %t, want %t", got == want, test.same)
			}
		})
	}
}

func TestDigestKeepsTheJob(t *testing.T) {
	doc, err := decodeDocument([]byte(digested))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := digest(doc); err != nil {
		t.Fatal(err)
	}
	if got := len(doc.groups()); got != 1 || doc.groups()[0]["Count"] == nil || doc["Update"] == nil {
		t.Errorf("the digest took something out of the job")
	}
}

func TestSameSpec(t *testing.T) {
	parse := func(text string) document {
		t.Helper()
		doc, err := decodeDocument([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	a := parse(`{"ID": "web", "Version": 0, "JobModifyIndex": 10, "Stop": false, "Stable": true, "VersionTag": {"Name": "x"},
		"TaskGroups": [{"Name": "g", "Count": 1, "Scaling": {"ID": "1", "ModifyIndex": 3, "Max": 9}}]}`)
	b := parse(`{"ID": "web", "Version": 1, "JobModifyIndex": 20, "Stop": true, "Stable": false, "VersionTag": null,
		"TaskGroups": [{"Name": "g", "Count": 2, "Scaling": {"ID": "2", "ModifyIndex": 4, "Max": 9}}]}`)
	c := parse(`{"ID": "web", "Version": 1, "JobModifyIndex": 20, "TaskGroups": [{"Name": "h", "Count": 2}]}`)
	if same, err := sameSpec(a, b); err != nil || !same {
		t.Errorf("got same %t, error %v for a job that was scaled and stopped, want same", same, err)
	}
	if same, err := sameSpec(a, c); err != nil || same {
		t.Errorf("got same %t, error %v for another group, want another", same, err)
	}
}

func TestUnplaced(t *testing.T) {
	live := version{job: &api.Job{JobModifyIndex: new(uint64(50))}}
	full := map[string]*api.AllocationMetric{"api": {CoalescedFailures: 1, NodesEvaluated: 1, NodesInPool: 1, DimensionExhausted: map[string]int{"cpu": 1}}}
	evals := []*api.Evaluation{
		{Status: "blocked", CreateIndex: 40, FailedTGAllocs: full},
		{Status: "complete", CreateIndex: 60, FailedTGAllocs: full},
	}
	if got := unplaced(evals, live); got != "" {
		t.Errorf("got %q of an older version and of an evaluation that is over, want nothing", got)
	}
	evals = append(evals, &api.Evaluation{Status: "blocked", CreateIndex: 61, FailedTGAllocs: full})
	if got, want := unplaced(evals, live), `2 allocations of group "api" cannot be placed on 1 node: cpu exhausted on 1`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
