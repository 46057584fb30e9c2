package policies

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// builtinPrefix begins the names of the policies that are shipped.
const builtinPrefix = "builtin/"

// policy is a policy block.
type policy struct {
	name     string
	at       hcl.Range // of its label
	settings settings
	broken   bool // has mistakes, which are reported with its file
}

// catalog is every policy that releases can refer to.
type catalog struct {
	byName     map[string]*policy
	names      []string // of all of them, sorted
	unreadable []string // policy files that may hold others
}

func policySchema() *hcl.BodySchema {
	schema := settingsSchema()
	return &schema
}

// decodePolicyBlock reads one policy.
func decodePolicyBlock(block *hcl.Block) (policy, hcl.Diagnostics) {
	p := policy{name: block.Labels[0], at: block.LabelRanges[0]}
	content, diags := block.Body.Content(policySchema())
	switch {
	case strings.HasPrefix(p.name, builtinPrefix):
		diags = append(diags, fault("Reserved name", p.at, "Names that begin with %q are for the policies shipped with Drover. Choose another; a release can refer to both.", builtinPrefix))
	case !labelLike.MatchString(p.name):
		diags = append(diags, fault("Invalid name", p.at, "A policy is named with a-z, 0-9, - and _, at most 63 of them, from a letter or digit to a letter or digit."))
	}
	s, d := decodeSettings(content)
	p.settings = s
	diags = append(diags, d...)
	if at := p.settings.traffic.at; at != nil {
		diags = append(diags, fault("Unfitting attribute", *at, "A service is one job's: name it in the release, in a traffic block of its own."))
	}
	for _, rule := range p.settings.gates {
		if rule.disabled {
			diags = append(diags, fault("Unknown gate", rule.at, "A policy has nothing to disable: leave gate %q out.", rule.gate.Name))
		}
	}
	for _, rule := range p.settings.smokes {
		if rule.disabled {
			diags = append(diags, fault("Unknown smoke check", rule.at, "A policy has nothing to disable: leave smoke check %q out.", rule.smoke.Name))
		}
	}
	p.broken = diags.HasErrors()
	return p, diags
}

var policyFileSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "policy", LabelNames: []string{"name"}}}}

// isPolicyFile tells whether a file is looked into for policies: it lies directly in a folder named policies.
func isPolicyFile(p string) bool {
	return isHCL(p) && path.Base(path.Dir(p)) == "policies" && !isReleaseFile(p)
}

// readPolicies fills the catalog from the tree, on top of what is shipped.
func (l *loader) readPolicies(paths []string) {
	l.catalog.byName = map[string]*policy{}
	for _, p := range l.shipped {
		l.catalog.byName[p.name] = &p
	}
	for _, p := range paths {
		if isPolicyFile(p) {
			l.report("", l.readPolicyFile(p))
		}
	}
	l.catalog.names = slices.Sorted(maps.Keys(l.catalog.byName))
}

// readPolicyFile reads the policies of one file. What is wrong breaks the policies it stands in and no other.
func (l *loader) readPolicyFile(p string) hcl.Diagnostics {
	file, diags := l.parse(p)
	if diags.HasErrors() {
		diags = slices.Clone(diags)
		l.catalog.unreadable = append(l.catalog.unreadable, p)
		for _, label := range labelsIn(p, file, l.tree[p].Content, "policy") {
			diags = append(diags, l.define(policy{name: label.name, at: label.at, broken: true})...)
		}
		return diags
	}
	if !meantForPolicies(file.Body) {
		return nil
	}
	content, diags := file.Body.Content(policyFileSchema)
	for _, block := range content.Blocks {
		p, d := decodePolicyBlock(block)
		diags = append(diags, d...)
		diags = append(diags, l.define(p)...)
	}
	return diags
}

// meantForPolicies tells whether a file holds policies of Drover, or something misspelled that may be one. Policies of
// Nomad and Vault lie in folders of that name too.
func meantForPolicies(body hcl.Body) bool {
	content, rest, diags := body.PartialContent(policyFileSchema)
	if len(content.Blocks) > 0 || diags.HasErrors() {
		return true
	}
	_, diags = rest.Content(policyFileSchema)
	return slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool { return strings.Contains(d.Detail, "Did you mean") })
}

// define enters a policy into the catalog. Of two with one name both are broken.
func (l *loader) define(p policy) hcl.Diagnostics {
	first, dup := l.catalog.byName[p.name]
	if !dup {
		l.catalog.byName[p.name] = &p
		return nil
	}
	if strings.HasPrefix(p.name, builtinPrefix) {
		return nil // refused already, for its name; the shipped one stays sound
	}
	diags := faults("Duplicate policy", p.at, "There is a policy %q already at %s. Rename one of them; neither is used.", p.name, place(first.at))
	first.broken = true
	return append(diags, fault("Duplicate policy", first.at, "There is another policy %q at %s. Rename one of them; neither is used.", p.name, place(p.at)))
}

// lookup finds the policy that a release names.
func (c catalog) lookup(name string, at hcl.Range) (settings, hcl.Diagnostics) {
	found, ok := c.byName[name]
	switch {
	case ok && found.broken:
		return settings{}, faults("Broken policy", at, "Policy %q at %s has mistakes of its own. Correct those first.", name, place(found.at))
	case ok:
		return found.settings, nil
	}
	hint := strategy.DidYouMean(name, c.names)
	if hint == "" {
		hint = " Policies are read from the .hcl files of folders named policies; " + quoted(c.shippedNames()) + " are shipped with Drover."
	}
	if len(c.unreadable) > 0 {
		hint += fmt.Sprintf(" It may stand in %s, which cannot be read.", c.unreadable[0])
	}
	return settings{}, faults("Unknown policy", at, "There is no policy %q.%s", name, hint)
}

func (c catalog) shippedNames() []string {
	var names []string
	for _, name := range c.names {
		if strings.HasPrefix(name, builtinPrefix) {
			names = append(names, name)
		}
	}
	return names
}

// place is "path:line".
func place(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }
