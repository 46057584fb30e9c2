package policies

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/drover-dev/drover/strategy"
)

// The bounds on a release's input variables.
const (
	maxVarFiles  = 50
	maxVariables = 1 << 20 // bytes, written out
)

// versionVariable is the input variable that Drover passes always.
const versionVariable = "version"

// decodeInputs merges the input variables of a release: its var files in order, its own variables, its version.
// at is the place to complain at when they are too many together.
func (l *loader) decodeInputs(r *strategy.Release, at hcl.Range, varFiles *hcl.Attribute, own hcl.Blocks) hcl.Diagnostics {
	var diags hcl.Diagnostics
	inputs := map[string]cty.Value{}
	if varFiles != nil {
		items, d := hcl.ExprList(varFiles.Expr)
		if d.HasErrors() {
			diags = append(diags, fault("Wrong type", varFiles.Expr.Range(), "var_files must be a list such as [\"prod.hcl\"]."))
		}
		if len(items) > maxVarFiles {
			diags = append(diags, fault("Too many var files", varFiles.Expr.Range(), "A release names at most %d var files.", maxVarFiles))
		}
		for _, item := range items[:min(len(items), maxVarFiles)] {
			p, d := l.fileOf("var_files", `paths such as "prod.hcl"`, item)
			diags = append(diags, d...)
			if d.HasErrors() {
				continue
			}
			values, d := l.readVarFile(p)
			diags = append(diags, d...)
			maps.Copy(inputs, values)
			r.Files = append(r.Files, p)
		}
	}
	if block, d := single(own); block != nil {
		diags = append(diags, d...)
		values, d := decodeVariables(block.Body)
		diags = append(diags, d...)
		maps.Copy(inputs, values)
	}
	inputs[versionVariable] = cty.StringVal(r.Version)
	r.Source.Variables = writeVariables(inputs)
	if len(r.Source.Variables) > maxVariables {
		diags = append(diags, fault("Too many variables", at, "The input variables have %d bytes together; at most %d are passed.", len(r.Source.Variables), maxVariables))
	}
	return diags
}

// readVarFile reads a var file, once. Its mistakes are those of every release that names it.
func (l *loader) readVarFile(p string) (map[string]cty.Value, hcl.Diagnostics) {
	if f, done := l.varFiles[p]; done {
		return f.values, f.diags
	}
	file, diags := l.parse(p)
	var values map[string]cty.Value
	if !diags.HasErrors() {
		values, diags = decodeVariables(file.Body)
	}
	l.varFiles[p] = varFile{values: values, diags: diags}
	return values, diags
}

type varFile struct {
	values map[string]cty.Value
	diags  hcl.Diagnostics
}

// decodeVariables reads a body of `name = constant`.
func decodeVariables(body hcl.Body) (map[string]cty.Value, hcl.Diagnostics) {
	attrs, diags := body.JustAttributes()
	values := map[string]cty.Value{}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		attr := attrs[name]
		switch {
		case name == versionVariable:
			diags = append(diags, fault("Reserved variable", attr.NameRange, "The input variable \"version\" is always the version of the release. Set that one instead."))
			continue
		case !hclsyntax.ValidIdentifier(name):
			diags = append(diags, fault("Invalid name", attr.NameRange, "%q cannot be the name of an input variable: use letters, digits, - and _.", name))
			continue
		}
		v, d := constant(attr.Expr)
		diags = append(diags, d...)
		if !d.HasErrors() {
			values[name] = v
		}
	}
	return values, diags
}

// writeVariables writes one `name = value` a line, sorted by name.
func writeVariables(values map[string]cty.Value) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(name)
		b.WriteString(" = ")
		writeValue(&b, values[name])
		b.WriteByte('\n')
	}
	return b.String()
}

// writeValue writes a value on one line. Keys are quoted always: some words mean something else as a bare key.
func writeValue(b *strings.Builder, v cty.Value) {
	if v.IsNull() || !v.CanIterateElements() {
		b.Write(hclwrite.TokensForValue(v).Bytes())
		return
	}
	keyed := v.Type().IsObjectType() || v.Type().IsMapType()
	open, end := "[", "]"
	if keyed {
		open, end = "{", "}"
	}
	b.WriteString(open)
	first := true
	for it := v.ElementIterator(); it.Next(); first = false {
		key, element := it.Element()
		if !first {
			b.WriteString(", ")
		}
		if keyed {
			b.Write(hclwrite.TokensForValue(key).Bytes())
			b.WriteString(" = ")
		}
		writeValue(b, element)
	}
	b.WriteString(end)
}
