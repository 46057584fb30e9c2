package policies

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Origin is where a value was written. The zero value is a built-in default.
type Origin struct {
	Path string // in the release repository; of a policy that is shipped its name, such as "builtin/standard"
	Line int    // 0 for one that is shipped
}

// String is "path:line", the name of a shipped policy, or "built-in default".
func (o Origin) String() string {
	switch {
	case o == Origin{}:
		return "built-in default"
	case o.Line == 0:
		return o.Path
	}
	return fmt.Sprintf("%s:%d", o.Path, o.Line)
}

// Origins tells where the values of one release were written. The names are those of the attributes: "version",
// "weights", "rollback.commit", "traffic.router", "max_duration", "accept.DRV013"; "strategy" is the kind of it, "step" the first of its
// step blocks, and `gate "errors"` and `smoke "home"` are whole blocks. What is not named is a built-in default.
type Origins map[string]Origin

// places are the origins of what one block says.
type places map[string]hcl.Range

// note keeps where an attribute stands.
func (p places) note(prefix string, attrs hcl.Attributes, names ...string) {
	for _, name := range names {
		if attr := attrs[name]; attr != nil {
			p[prefix+name] = attr.Range
		}
	}
}

// noteAccepted keeps where each finding is accepted, as "accept.DRV013".
func (p places) noteAccepted(attr *hcl.Attribute) {
	if attr == nil {
		return
	}
	pairs, _ := hcl.ExprMap(attr.Expr)
	for _, pair := range pairs {
		if code, diags := pair.Key.Value(nil); !diags.HasErrors() && code.Type() == cty.String {
			p["accept."+code.AsString()] = pair.Key.Range()
		}
	}
}

func (o Origins) add(from places) {
	for name, at := range from {
		o[name] = originOf(at)
	}
}

func originOf(at hcl.Range) Origin {
	if name, shipped := strings.CutSuffix(at.Filename, ".hcl"); shipped && strings.HasPrefix(name, builtinPrefix) && isShipped(at.Filename) {
		return Origin{Path: name}
	}
	return Origin{Path: at.Filename, Line: at.Start.Line}
}

// isShipped tells a shipped policy from a file of the same path in the repository.
func isShipped(file string) bool {
	f, err := builtinFiles.Open(file)
	return err == nil && f.Close() == nil
}

// origins is where the values of a plan come from, as under puts it together.
func (s settings) origins(policy settings) Origins {
	o := Origins{}
	for _, from := range []settings{policy, s} {
		o.add(from.places)
	}
	for _, from := range []settings{s, policy} {
		if from.strategy != nil {
			o.add(from.strategy.places)
			break
		}
	}
	merged, _ := overlay(policy.gates, s.gates)
	for _, rule := range merged {
		o[fmt.Sprintf("gate %q", rule.gate.Name)] = originOf(rule.at)
	}
	checks, _ := overlay(policy.smokes, s.smokes)
	for _, rule := range checks {
		o[fmt.Sprintf("smoke %q", rule.smoke.Name)] = originOf(rule.at)
	}
	return o
}
