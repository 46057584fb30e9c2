package policies

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxExponent bounds numbers to what can be written out in a reasonable length.
const maxExponent = 1024

// constant is the value of an expression without variables, functions or operators.
func constant(expr hcl.Expression) (cty.Value, hcl.Diagnostics) {
	if native, ok := expr.(hclsyntax.Expression); ok {
		if diags := literal(native); diags.HasErrors() {
			return cty.NilVal, diags
		}
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	_, native := expr.(hclsyntax.Expression)
	if d := writable(v, expr.Range(), !native); d != nil {
		return cty.NilVal, hcl.Diagnostics{d}
	}
	return v, nil
}

// literal refuses everything but literals, lists and objects of them. It does not descend into what it refuses, so its
// depth is that of the brackets.
func literal(expr hclsyntax.Expression) hcl.Diagnostics {
	var diags hcl.Diagnostics
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		return nil
	case *hclsyntax.ParenthesesExpr:
		return literal(e.Expression)
	case *hclsyntax.UnaryOpExpr:
		return literal(e.Val)
	case *hclsyntax.TemplateExpr:
		for _, part := range e.Parts {
			if _, ok := part.(*hclsyntax.LiteralValueExpr); !ok {
				diags = append(diags, notConstant(part))
			}
		}
		return diags
	case *hclsyntax.TupleConsExpr:
		for _, item := range e.Exprs {
			if len(diags) > maxMistakes {
				break
			}
			diags = append(diags, literal(item)...)
		}
		return diags
	case *hclsyntax.ObjectConsExpr:
		return literalObject(e)
	}
	return hcl.Diagnostics{notConstant(expr)}
}

func literalObject(object *hclsyntax.ObjectConsExpr) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, item := range object.Items {
		if len(diags) > maxMistakes {
			break
		}
		if key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok && hcl.ExprAsKeyword(key) == "" {
			diags = append(diags, literal(key.Wrapped)...)
		}
		diags = append(diags, literal(item.ValueExpr)...)
	}
	return diags
}

func notConstant(expr hclsyntax.Expression) *hcl.Diagnostic {
	if word := hcl.ExprAsKeyword(expr); word != "" {
		return fault("Value not constant", expr.Range(), "Variables cannot be used here. A string is written in quotes: %q.", word)
	}
	return fault("Value not constant", expr.Range(),
		"Only constants can be used here, without variables, functions, operators or templates. A literal ${ is written $${.")
}

// writable refuses numbers that would fill pages, and, in JSON, templates, which are nothing but text there.
func writable(v cty.Value, at hcl.Range, isJSON bool) *hcl.Diagnostic {
	switch {
	case v.IsNull() || !v.IsKnown():
		return nil
	case v.Type() == cty.Number:
		f := v.AsBigFloat()
		if exp := f.MantExp(nil); f.IsInf() || exp > maxExponent || exp < -maxExponent {
			return fault("Number out of range", at, "No number of this size can be meant. Write a smaller one.")
		}
	case v.Type() == cty.String:
		if s := v.AsString(); isJSON && (strings.Contains(s, "${") || strings.Contains(s, "%{")) {
			return fault("Template in JSON", at, "Only constants can be used here. A text with ${ or %%{ in it is written in a file of HCL's native syntax, as $${ or %%%%{.")
		}
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			key, element := it.Element()
			if d := writable(key, at, isJSON); d != nil {
				return d
			}
			if d := writable(element, at, isJSON); d != nil {
				return d
			}
		}
	}
	return nil
}
