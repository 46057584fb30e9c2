package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// oldest is the first version of Nomad that can do all that Drover needs.
const oldest = "1.9.0"

// nobody names a job that there is none of: what is asked of it is refused after Nomad has looked at the token.
const nobody = "drover-doctor-asks-for-no-job"

// Examine tries what Drover needs of Nomad, changing nothing: whether it answers, its version, what the token may do in
// each of the namespaces, and the records and the lock in its Variables. namespace is where those are; records tells
// whether they are in Nomad at all.
func Examine(ctx context.Context, client *api.Client, instance, namespace string, namespaces []string, records bool) []strategy.Checkup {
	e := &examination{client: client, instance: instance, namespace: namespace}
	if _, err := client.Status().Leader(); err != nil {
		e.say("nomad", strategy.CheckupMissing, client.Address()+": "+oneLineOf(err), "Check address, region and certificates of the nomad block (or NOMAD_ADDR), and that its servers have a leader.")
		return e.found
	}
	e.version(ctx)
	if !e.letIn(ctx) {
		return e.found
	}
	for _, ns := range namespaces {
		e.capabilities(ctx, ns)
	}
	e.variables(ctx, records)
	return e.found
}

// examination is what was found so far.
type examination struct {
	client              *api.Client
	instance, namespace string
	found               []strategy.Checkup
	may                 func(namespace, capability string) bool // by the token's policies; nil when they cannot be read
	newer               bool                                    // it has a capability for each kind of registration
}

func (e *examination) say(what string, state strategy.CheckupState, detail, remedy string) {
	e.found = append(e.found, strategy.Checkup{What: what, State: state, Detail: detail, Remedy: remedy})
}

// oneLineOf is an error for a line of its own.
func oneLineOf(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// version looks at how old Nomad is, as far as the token lets it.
func (e *examination) version(ctx context.Context) {
	const what = "nomad version"
	var self struct {
		Member struct{ Tags map[string]string } `json:"member"`
	}
	_, err := e.client.Raw().Query("/v1/agent/self", &self, query(ctx, ""))
	version := self.Member.Tags["build"]
	if nodes, _, nodesErr := e.client.Nodes().List(query(ctx, "")); version == "" && nodesErr == nil && len(nodes) > 0 {
		version, err = nodes[0].Version, nil
	}
	e.newer = version == "" || atLeast(version, "1.11.0")
	switch {
	case version == "" || err != nil:
		e.say(what, strategy.CheckupDoubt, "it answers; this token may not ask for its version", "See that nomad version says "+oldest+" or later. Drover itself needs not know it.")
	case !atLeast(version, oldest):
		e.say(what, strategy.CheckupMissing, version, "Drover needs Nomad "+oldest+" or later: upgrade it.")
	default:
		e.say(what, strategy.CheckupWell, version, "")
	}
}

// atLeast compares versions by their numbers.
func atLeast(version, least string) bool {
	numbers := func(text string) (all []int) {
		text, _, _ = strings.Cut(strings.TrimPrefix(text, "v"), "-")
		for part := range strings.SplitSeq(text, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				break
			}
			all = append(all, n)
		}
		return all
	}
	return slices.Compare(numbers(version), numbers(least)) >= 0
}

// aclsDisabled is the accessor of the token that everybody has while ACLs are off. An older Nomad refuses to show any.
const aclsDisabled = "acls-disabled"

// letIn tells whether the token is known, and reads what its policies let it do.
func (e *examination) letIn(ctx context.Context) bool {
	const what = "nomad token"
	stubs, _, err := e.client.ACLPolicies().Self(query(ctx, ""))
	self, _, selfErr := e.client.ACLTokens().Self(query(ctx, ""))
	switch {
	case selfErr == nil && self.AccessorID == aclsDisabled, strings.Contains(bodyOf(selfErr), "ACL support disabled"):
		e.say(what, strategy.CheckupDoubt, "ACLs are off: everybody may do everything", "Switch them on, and give Drover the policy of examples/nomad/drover.policy.hcl.")
		e.may = func(string, string) bool { return true }
		return true
	case selfErr == nil && self.Type == "management":
		e.say(what, strategy.CheckupDoubt, "it is a management token", "Drover needs far less: see examples/nomad/drover.policy.hcl.")
		e.may = func(string, string) bool { return true }
		return true
	case statusOf(selfErr) == http.StatusForbidden && err != nil:
		if _, _, err := e.client.Jobs().Info(nobody, query(ctx, e.namespace)); statusOf(err) != http.StatusNotFound {
			e.say(what, strategy.CheckupMissing, "Nomad does not let it in: "+oneLineOf(selfErr), "Set token_file in the nomad block, or NOMAD_TOKEN, to a token with the policy of examples/nomad/drover.policy.hcl.")
			return false
		}
	}
	var names []string
	var rules []policyRules
	for _, stub := range stubs {
		names = append(names, stub.Name)
		var policy struct{ RulesJSON policyRules }
		if _, err := e.client.Raw().Query("/v1/acl/policy/"+stub.Name, &policy, query(ctx, "")); err == nil {
			rules = append(rules, policy.RulesJSON)
		}
	}
	if len(rules) > 0 && len(rules) == len(stubs) {
		e.may = func(namespace, capability string) bool {
			return slices.ContainsFunc(rules, func(r policyRules) bool { return r.grant(namespace, capability) })
		}
	}
	e.say(what, strategy.CheckupWell, "it has the policies "+cmp.Or(strings.Join(names, ", "), "of its job"), "")
	return true
}

// policyRules is what a policy lets its holder do, as Nomad reads it.
type policyRules struct {
	Namespaces []struct {
		Name, Policy string
		Capabilities []string
	}
}

// grant tells whether the policy gives a capability in a namespace.
func (r policyRules) grant(namespace, capability string) bool {
	for _, n := range r.Namespaces {
		if matches, err := path.Match(n.Name, namespace); (n.Name == namespace || err == nil && matches) &&
			(slices.Contains(n.Capabilities, capability) || slices.Contains(n.Capabilities, "submit-job") && capability == "promote-deployment") {
			return true
		}
	}
	return false
}

// capabilities tries each thing that Drover does to jobs on a job that there is none of.
func (e *examination) capabilities(ctx context.Context, namespace string) {
	ns := cmp.Or(namespace, api.DefaultNamespace)
	index := uint64(math.MaxInt64)
	count := 1
	for _, try := range []struct {
		capability, why string
		do              func() error
	}{
		{"parse-job", "Drover cannot read jobspecs", func() error {
			_, err := New(e.client, Options{}).parse(ctx, strategy.JobSource{
				Path: "doctor.nomad.hcl", Namespace: ns, Jobspec: "job \"" + nobody + "\" {\n  group \"none\" {\n    task \"none\" {\n      driver = \"raw_exec\"\n    }\n  }\n}\n",
			})
			return err
		}},
		{"read-job", "Drover cannot see what runs", func() error {
			_, _, err := e.client.Jobs().Info(nobody, query(ctx, ns))
			return err
		}},
		{"register-job", "no rollout can begin", func() error {
			// The job must be there at an index that none has.
			_, _, err := e.client.Jobs().RegisterOpts(nobodysJob(ns), &api.RegisterOptions{EnforceIndex: true, ModifyIndex: index}, write(ctx, ns))
			return err
		}},
		{"deregister-job", "a first release that fails goes on running", func() error {
			if !e.newer {
				return nil // Before 1.11 it comes with registering, and trying it would leave an evaluation.
			}
			_, _, err := e.client.Jobs().Deregister(nobody, false, write(ctx, ns))
			return err
		}},
		{"tag-job-version", "the version to go back to may be forgotten", func() error {
			_, err := e.client.Jobs().TagVersion(nobody, 0, e.instance+"-doctor", "", write(ctx, ns))
			return err
		}},
		{"scale-job", "counts that change in Git are not followed", func() error {
			_, _, err := e.client.Jobs().Scale(nobody, "none", &count, "", false, nil, write(ctx, ns))
			return err
		}},
		{"promote-deployment", "no rollout can end well", func() error { return e.byPolicy(ns, "promote-deployment") }},
		{"alloc-lifecycle", "allocations that fail in a standby are not replaced", func() error { return e.byPolicy(ns, "alloc-lifecycle") }},
	} {
		e.tried(ns, try.capability, try.why, try.do())
	}
}

// errUnknown says that it shows only when it is needed.
var errUnknown = errors.New("it cannot be tried without doing it, and the token's policies cannot be read")

// errDeniedByPolicy says that no policy of the token grants it.
var errDeniedByPolicy = errors.New("no policy of the token grants it")

// byPolicy asks the token's policies for what cannot be tried on nothing.
func (e *examination) byPolicy(namespace, capability string) error {
	switch {
	case e.may == nil:
		return errUnknown
	case !e.may(namespace, capability):
		return errDeniedByPolicy
	}
	return nil
}

func (e *examination) tried(namespace, capability, why string, err error) {
	what := fmt.Sprintf("%s in namespace %s", capability, namespace)
	remedy := fmt.Sprintf("Add %q to the capabilities of namespace %q in Drover's policy: without it %s.", capability, namespace, why)
	switch {
	case errors.Is(err, errUnknown):
		e.say(what, strategy.CheckupDoubt, err.Error(), fmt.Sprintf("See that Drover's policy has %q for namespace %q: without it %s.", capability, namespace, why))
	case errors.Is(err, errDeniedByPolicy), statusOf(err) == http.StatusForbidden:
		e.say(what, strategy.CheckupMissing, oneLineOf(err), remedy)
	case err != nil && statusOf(err) == 0:
		e.say(what, strategy.CheckupMissing, oneLineOf(err), "Nomad did not answer: try again.")
	case err != nil && strings.Contains(bodyOf(err), "nonexistent namespace"):
		e.say(what, strategy.CheckupMissing, fmt.Sprintf("there is no namespace %q", namespace), "Make it, or mend the namespace of the releases in it.")
	default:
		e.say(what, strategy.CheckupWell, "may", "")
	}
}

// nobodysJob is a job that is never registered.
func nobodysJob(namespace string) *api.Job {
	job := api.NewServiceJob(nobody, nobody, "global", 50)
	job.Namespace = &namespace
	task := api.NewTask("none", "raw_exec")
	task.Config = map[string]any{"command": "none"}
	return job.AddTaskGroup(api.NewTaskGroup("none", 0).AddTask(task))
}

// variables tries the records and the lock.
func (e *examination) variables(ctx context.Context, records bool) {
	remedy := fmt.Sprintf("Give Drover's policy variables { path \"%s/*\" { capabilities = [\"list\", \"read\", \"write\"] } } in namespace %q.", segment(e.instance), cmp.Or(e.namespace, api.DefaultNamespace))
	for _, place := range []struct{ what, path string }{{"splits, for proxies", "/splits/"}, {"ledger", "/releases/"}, {"leader lock", "/"}} {
		if !records && place.path != "/splits/" {
			continue
		}
		what := "variables: write, " + place.what
		// The variable must be there at an index that none has.
		_, _, err := e.client.Variables().CheckedUpdate(&api.Variable{
			Namespace: e.namespace, Path: segment(e.instance) + place.path + "doctor", Items: api.VariableItems{jsonItem: "{}"}, ModifyIndex: math.MaxInt64,
		}, write(ctx, e.namespace))
		var conflict api.ErrCASConflict
		switch {
		case errors.As(err, &conflict):
			e.say(what, strategy.CheckupWell, "may", "")
		case err == nil:
			e.say(what, strategy.CheckupDoubt, "Nomad took what it should refuse", "Look at the variable "+segment(e.instance)+place.path+"doctor, and delete it.")
		default:
			e.say(what, strategy.CheckupMissing, oneLineOf(err), remedy)
		}
	}
	if !records {
		return
	}
	if all, err := NewLedger(e.client, e.instance, e.namespace).Load(ctx); err != nil {
		e.say("ledger", strategy.CheckupMissing, oneLineOf(err), remedy)
	} else {
		e.say("ledger", strategy.CheckupWell, fmt.Sprintf("%d records can be read", len(all)), "")
	}
	leader, err := NewLock(e.client, LockOptions{Instance: e.instance, Namespace: e.namespace}).Leader(ctx)
	switch {
	case err != nil:
		e.say("leader lock", strategy.CheckupMissing, oneLineOf(err), remedy)
	case leader == "":
		e.say("leader lock", strategy.CheckupDoubt, "nobody leads", "Start drover run: until then nothing is released.")
	default:
		e.say("leader lock", strategy.CheckupWell, leader+" leads", "")
	}
}
