package policies

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// Helpful is a body whose complaints about names that it does not know say which was meant, or where it belongs, or else
// which there are. It holds for the blocks within it too.
func Helpful(body hcl.Body) hcl.Body { return helpful{body} }

type helpful struct{ hcl.Body }

// Content is that of the body, with better complaints.
func (h helpful) Content(schema *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	content, diags := h.Body.Content(schema)
	for _, block := range content.Blocks {
		block.Body = helpful{block.Body}
	}
	better := make(hcl.Diagnostics, len(diags))
	for i, d := range diags {
		better[i] = explain(d, schema)
	}
	return content, better
}

// unknown are the complaints about names, as the parsers summarise them.
var unknown = []string{"Unsupported argument", "Unsupported block type", "Extraneous JSON object property"}

// explain is the complaint with a remedy, when it is about a name. HCL's own takes the first that is near for the nearest.
func explain(d *hcl.Diagnostic, schema *hcl.BodySchema) *hcl.Diagnostic {
	problem, rest, _ := strings.Cut(d.Detail, ". ")
	parts := strings.Split(problem, `"`)
	if !slices.Contains(unknown, d.Summary) || len(parts) != 3 || strings.HasPrefix(rest, "Did you mean to define") {
		return d
	}
	better := *d
	better.Detail = strings.TrimSuffix(problem, ".") + "." + remedy(parts[1], schema)
	return &better
}

func remedy(name string, schema *hcl.BodySchema) string {
	var attributes, blocks []string
	for _, a := range schema.Attributes {
		attributes = append(attributes, a.Name)
	}
	for _, b := range schema.Blocks {
		blocks = append(blocks, b.Type)
	}
	for _, block := range blocks {
		if inner := within[block]; inner != nil && knows(inner, name) {
			return " It belongs into a " + block + " block."
		}
	}
	if hint := strategy.DidYouMean(name, slices.Concat(attributes, blocks)); hint != "" {
		return hint
	}
	slices.Sort(attributes)
	slices.Sort(blocks)
	var known []string
	if len(attributes) > 0 {
		known = append(known, quoted(attributes))
	}
	if len(blocks) > 0 {
		known = append(known, "a block "+quoted(blocks))
	}
	if len(known) == 0 {
		return " Leave it out."
	}
	return " What may stand here is " + strings.Join(known, "; or ") + "."
}

// within is what blocks know that stand within others, for names that stand one level too high.
var within = map[string]*hcl.BodySchema{
	"strategy": canarySchema, "gate": gateSchema, "smoke": smokeSchema, "rollback": rollbackSchema, "traffic": trafficSchema,
}

func knows(schema *hcl.BodySchema, name string) bool {
	return slices.ContainsFunc(schema.Attributes, func(a hcl.AttributeSchema) bool { return a.Name == name })
}
