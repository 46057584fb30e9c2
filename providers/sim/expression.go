package sim

import (
	"errors"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// value evaluates an expression. What it refers to besides var and local is known at run time only, and stays as it
// is written: "${NOMAD_ADDR_http}".
func (p *parser) value(expr hcl.Expression) (cty.Value, bool) {
	late := node{}
	for _, t := range expr.Variables() {
		if root := t.RootName(); root != "var" && root != "local" {
			r := t.SourceRange()
			late.add(t, "${"+string(r.SliceBytes(p.source))+"}")
		}
	}
	names := map[string]cty.Value{"var": cty.ObjectVal(p.vars), "local": cty.ObjectVal(p.locals)}
	for name, n := range late.parts {
		names[name] = n.value()
	}
	known := functions()
	if p.lenient {
		p.stub(expr, known)
	}
	value, diags := expr.Value(&hcl.EvalContext{Variables: names, Functions: known})
	for _, d := range diags {
		if d.Summary == "Call to unknown function" && d.Subject != nil {
			d.Detail = fmt.Sprintf("the simulated Nomad does not read function %q", d.Subject.SliceBytes(p.source))
		}
	}
	p.diags = append(p.diags, diags...)
	return value, !diags.HasErrors()
}

// stub adds the functions that an expression calls and the simulation does not know: what they would give is some text.
func (p *parser) stub(expr hcl.Expression, known map[string]function.Function) {
	node, ok := expr.(hclsyntax.Node)
	if !ok {
		return
	}
	_ = hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		if !ok {
			return nil
		}
		if _, found := known[call.Name]; found {
			return nil
		}
		p.stubbed = true
		p.leave(call.NameRange, "function "+call.Name)
		known[call.Name] = function.New(&function.Spec{
			VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType, AllowNull: true, AllowDynamicType: true},
			Type:     function.StaticReturnType(cty.String),
			Impl:     func([]cty.Value, cty.Type) (cty.Value, error) { return cty.StringVal(call.Name), nil },
		})
		return nil
	})
}

// node is a name known at run time only, or the parts below it.
type node struct {
	text  string
	parts map[string]*node
}

func (n *node) add(t hcl.Traversal, text string) {
	for _, step := range t {
		var name string
		switch s := step.(type) {
		case hcl.TraverseRoot:
			name = s.Name
		case hcl.TraverseAttr:
			name = s.Name
		case hcl.TraverseIndex:
			if s.Key.Type() == cty.String {
				name = s.Key.AsString()
			}
		}
		if n.parts == nil {
			n.parts = map[string]*node{}
		}
		if n.parts[name] == nil {
			n.parts[name] = &node{}
		}
		n = n.parts[name]
	}
	n.text = text
}

func (n *node) value() cty.Value {
	if len(n.parts) == 0 {
		return cty.StringVal(n.text)
	}
	values := map[string]cty.Value{}
	for name, part := range n.parts {
		values[name] = part.value()
	}
	return cty.ObjectVal(values)
}

// functions is those that jobspecs may call. Nomad's server refuses to read files.
func functions() map[string]function.Function {
	disabled := function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType},
		Type:     function.StaticReturnType(cty.String),
		Impl: func([]cty.Value, cty.Type) (cty.Value, error) {
			return cty.NilVal, errors.New("filesystem function disabled")
		},
	})
	return map[string]function.Function{
		"file": disabled, "filebase64": disabled, "fileexists": disabled, "fileset": disabled,
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "coalesce": stdlib.CoalesceFunc, "concat": stdlib.ConcatFunc,
		"contains": stdlib.ContainsFunc, "floor": stdlib.FloorFunc, "format": stdlib.FormatFunc, "join": stdlib.JoinFunc,
		"jsonencode": stdlib.JSONEncodeFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc,
		"lower": stdlib.LowerFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc, "min": stdlib.MinFunc,
		"replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "trimspace": stdlib.TrimSpaceFunc, "upper": stdlib.UpperFunc,
		"values": stdlib.ValuesFunc,
	}
}
