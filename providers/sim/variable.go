package sim

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// variableLimit is the size of a variable, its keys and values together.
const variableLimit = 64 << 10

var variablePath = regexp.MustCompile(`^[a-zA-Z0-9\-_~/]{1,128}$`)

// checkPath says what is wrong with the path of a variable, "" for nothing.
func checkPath(path string) string {
	parts := strings.Split(path, "/")
	switch {
	case path == "":
		return "missing path"
	case !variablePath.MatchString(path):
		return "invalid path " + strconv.Quote(path)
	case parts[0] != "nomad":
		return ""
	case len(parts) == 1:
		return `"nomad" is a reserved top-level directory path, but you may write variables to "nomad/jobs", "nomad/job-templates", or below`
	case parts[1] == "jobs" || parts[1] == "job-templates":
		return ""
	}
	return `only paths at "nomad/jobs" or "nomad/job-templates" and below are valid paths under the top-level "nomad" directory`
}

func listVariables(n *Nomad, r request) answer {
	out := []*api.VariableMetadata{}
	for _, v := range n.vars {
		if r.seen(v.Namespace) && strings.HasPrefix(v.Path, r.query.Get("prefix")) {
			out = append(out, v.Metadata())
		}
	}
	slices.SortFunc(out, func(a, b *api.VariableMetadata) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Path, b.Path))
	})
	return ok(out, max(1, n.tables[tableVars]))
}

func readVariable(n *Nomad, r request) answer {
	v := n.vars[key{r.namespace(), r.args["path"]}]
	if v == nil {
		return missing("variable", max(1, n.tables[tableVars]))
	}
	return ok(v, v.ModifyIndex)
}

// conflict compares the index that a write carries with that of what is there. It answers with the current variable,
// an empty one when there is none.
func (n *Nomad) conflict(r request, k key) *answer {
	text := r.query.Get("cas")
	if text == "" {
		return nil
	}
	want, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		a := refuse(http.StatusBadRequest, "can not parse cas: %v", err)
		return &a
	}
	current := n.vars[k]
	if current == nil {
		current = &api.Variable{Namespace: k.namespace, Path: k.name}
	}
	if current.ModifyIndex == want {
		return nil
	}
	return &answer{status: http.StatusConflict, body: current, index: current.ModifyIndex}
}

func writeVariable(n *Nomad, r request) answer {
	operation, bad := lockOperation(r)
	if bad != nil {
		return *bad
	}
	var in api.Variable
	if bad := r.read(&in); bad != nil {
		return *bad
	}
	k := key{r.namespace(), r.args["path"]}
	if problem := checkPath(k.name); problem != "" {
		return refuse(http.StatusBadRequest, "RPC Error:: 400,%s", problem)
	}
	size := 0
	for name, value := range in.Items {
		size += len(name) + len(value)
	}
	if size >= variableLimit {
		return refuse(http.StatusBadRequest, "variables are limited to 64KiB in total size")
	}
	if operation != "" {
		return n.lockVariable(k, operation, in)
	}
	if len(in.Items) == 0 {
		return refuse(http.StatusBadRequest, "variable missing required Items object")
	}
	if a := n.conflict(r, k); a != nil {
		return *a
	}
	if a := n.lockedOut(k, in.Lock); a != nil {
		return *a
	}
	var lock *api.VariableLock
	if old := n.vars[k]; old != nil {
		lock = old.Lock
	}
	v := n.putVariable(k, in.Items, lock)
	return ok(v, v.ModifyIndex)
}

func deleteVariable(n *Nomad, r request) answer {
	k := key{r.namespace(), r.args["path"]}
	if a := n.conflict(r, k); a != nil {
		return *a
	}
	if a := n.lockedOut(k, nil); a != nil {
		return *a
	}
	delete(n.vars, k)
	return answer{status: http.StatusNoContent, index: n.touch(tableVars)}
}
