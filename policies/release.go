package policies

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// maxVersionLen bounds a version, which becomes part of status texts, tags and commit messages.
const maxVersionLen = 128

var (
	versionLike   = regexp.MustCompile(`^[!-~]+$`)
	namespaceLike = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)
)

// reservedNames are taken by what Drover says of a whole repository.
var reservedNames = []string{"plan"}

func releaseSchema() *hcl.BodySchema {
	schema := settingsSchema()
	for _, name := range []string{"version", "jobspec", "policy", "var_files", "namespace", "attempt", "hold_at"} {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: "variables"})
	return &schema
}

// decodeReleaseBlock reads one release and completes it from its policy.
func (l *loader) decodeReleaseBlock(block *hcl.Block) (strategy.Release, hcl.Diagnostics) {
	file := block.DefRange.Filename
	r := strategy.Release{Name: block.Labels[0], Attempt: 1, Path: file, Line: block.DefRange.Start.Line}
	content, diags := block.Body.Content(releaseSchema())
	attrs := content.Attributes

	diags = append(diags, checkReleaseName(r.Name, block.LabelRanges[0])...)
	diags = append(diags, decodeVersion(&r, block, attrs["version"])...)
	diags = append(diags, l.decodeJobspec(&r, block, attrs["jobspec"])...)
	if attr := attrs["attempt"]; attr != nil {
		var d hcl.Diagnostics
		r.Attempt, d = countOf("attempt", attr.Expr)
		diags = append(diags, d...)
	}
	if attr := attrs["namespace"]; attr != nil {
		name, d := stringOf("namespace", "the name of a Nomad namespace", attr.Expr)
		if !d.HasErrors() && !namespaceLike.MatchString(name) {
			d = faults("Invalid namespace", attr.Expr.Range(), "A Nomad namespace is named with letters, digits and -, at most 128 of them.")
		}
		r.Source.Namespace = name
		diags = append(diags, d...)
	}
	if attr := attrs["hold_at"]; attr != nil {
		at, d := percentOf("hold_at", attr.Expr)
		r.HoldAt = &at
		diags = append(diags, d...)
	}
	said := places{}
	said.note("", attrs, "version", "jobspec", "policy", "var_files", "namespace", "attempt", "hold_at")
	blocks := content.Blocks.ByType()
	if variables := blocks["variables"]; len(variables) > 0 {
		said["variables"] = variables[0].DefRange
	}
	diags = append(diags, l.decodeInputs(&r, block.DefRange, attrs["var_files"], blocks["variables"])...)
	origins, d := l.decodePlan(&r, block, content)
	diags = append(diags, d...)
	if l.origins != nil {
		origins.add(said)
		l.origins[r.Name] = origins
	}

	r.Files = append(r.Files, file)
	slices.Sort(r.Files)
	r.Files = slices.Compact(r.Files)
	return r, diags
}

func checkReleaseName(name string, at hcl.Range) hcl.Diagnostics {
	switch {
	case slices.Contains(reservedNames, name):
		return faults("Reserved name", at, "%q is the status of the whole repository. Name the release after its service.", name)
	case !nameLike.MatchString(name):
		return faults("Invalid name", at, "A release is named with a-z, 0-9 and -, at most 63 of them, from a letter or digit to a letter or digit.")
	}
	return nil
}

func decodeVersion(r *strategy.Release, block *hcl.Block, attr *hcl.Attribute) hcl.Diagnostics {
	if attr == nil {
		return faults("Missing version", block.DefRange, "A release needs the version to run: version = \"1.8.0\".")
	}
	version, diags := stringOf("version", `a version such as "1.8.0"`, attr.Expr)
	if !diags.HasErrors() && (len(version) > maxVersionLen || !versionLike.MatchString(version)) {
		return faults("Invalid version", attr.Expr.Range(), "A version has at most %d printable ASCII characters and no spaces, such as \"1.8.0\" or \"sha-3f2a1c\".", maxVersionLen)
	}
	r.Version = version
	return diags
}

func (l *loader) decodeJobspec(r *strategy.Release, block *hcl.Block, attr *hcl.Attribute) hcl.Diagnostics {
	if attr == nil {
		return faults("Missing jobspec", block.DefRange, "A release needs the path of its jobspec, seen from this file: jobspec = \"%s.nomad.hcl\".", r.Name)
	}
	p, diags := l.fileOf("jobspec", `the path of a jobspec such as "web.nomad.hcl"`, attr.Expr)
	if diags.HasErrors() {
		return diags
	}
	if size := len(l.tree[p].Content); size > maxFileSize {
		return faults("File too large", attr.Expr.Range(), "%s has %d bytes; at most %d are read.", p, size, maxFileSize)
	}
	r.Source.Path, r.Source.Jobspec = p, l.text(p)
	r.Files = append(r.Files, p)
	return nil
}

// fileOf is a path in the repository that an attribute names as seen from its own file.
func (l *loader) fileOf(name, want string, expr hcl.Expression) (string, hcl.Diagnostics) {
	given, diags := stringOf(name, want, expr)
	if diags.HasErrors() {
		return "", diags
	}
	at := expr.Range()
	folder := path.Dir(at.Filename)
	p := path.Join(folder, given)
	if path.IsAbs(given) || p == ".." || strings.HasPrefix(p, "../") {
		return "", faults("Path outside the repository", at, "%s = %q leaves the repository. Paths are relative to %s and stay within the repository.", name, given, at.Filename)
	}
	if _, ok := l.tree[p]; ok {
		return p, nil
	}
	hint := strategy.DidYouMean(p, l.folders[path.Dir(p)])
	if hint == "" {
		hint = " Paths are relative to the file that names them."
	}
	return "", faults("Missing file", at, "There is no file %s in the repository.%s", p, hint)
}

// decodePlan reads the release's own settings and completes them from its policy and the defaults.
func (l *loader) decodePlan(r *strategy.Release, block *hcl.Block, content *hcl.BodyContent) (Origins, hcl.Diagnostics) {
	own, diags := decodeSettings(content)
	var shared settings
	at := block.DefRange
	if attr := content.Attributes["policy"]; attr != nil {
		var d hcl.Diagnostics
		at = attr.Expr.Range()
		r.Policy, d = stringOf("policy", `the name of a policy such as "standard"`, attr.Expr)
		if !d.HasErrors() {
			shared, d = l.catalog.lookup(r.Policy, at)
		}
		diags = append(diags, d...)
	}
	if diags.HasErrors() {
		return Origins{}, diags // what is merged of it would only be wrong again
	}
	r.Plan, diags = own.under(shared, l.standard, at)
	r.Traffic, r.Plan.Drain, r.Plan.Sticky = own.traffic.under(shared.traffic)
	if drift := cmp.Or(own.drift, shared.drift); drift != nil {
		r.Drift = *drift
	}
	return own.origins(shared), diags
}
