package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// jobFile is the name that positions carry: Nomad does not know the file's own.
const jobFile = "input.hcl"

// Parse reads a jobspec as Nomad's parser does: variables are `name = value` lines, input variables and locals are
// replaced by their values, everything known only at run time (${NOMAD_ADDR_http}, ${attr.kernel.name}) stays as it
// is written, and nothing is filled in that the spec does not say. Variables that the spec does not declare are
// ignored. The error is a line for each mistake, with its position; blocks and functions that Nomad knows and the
// simulation does not say "the simulated Nomad does not read …".
func Parse(jobspec, variables string) (*api.Job, error) {
	job, _, err := parse(jobspec, variables, false)
	return job, err
}

// ParseLeniently reads a jobspec as Parse does, but leaves out what Nomad knows and the simulation does not, in place of
// refusing it: left names each such part once, "template blocks of a job (line 12)". Real mistakes are errors all the same.
func ParseLeniently(jobspec, variables string) (job *api.Job, left []string, err error) {
	return parse(jobspec, variables, true)
}

func parse(jobspec, variables string, lenient bool) (job *api.Job, left []string, err error) {
	file, diags := hclsyntax.ParseConfig([]byte(jobspec), jobFile, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, nil, mistakes(diags)
	}
	inputs, diags := hclsyntax.ParseConfig([]byte(variables), jobFile, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, nil, fmt.Errorf("unable to parse var content: %w", mistakes(diags))
	}
	p := parser{lenient: lenient, source: []byte(jobspec), vars: map[string]cty.Value{}, locals: map[string]cty.Value{}}
	body := file.Body.(*hclsyntax.Body)
	p.readVariables(body, inputs.Body.(*hclsyntax.Body))
	p.readLocals(body)
	job = p.readJob(body)
	if p.diags.HasErrors() {
		return nil, nil, mistakes(p.diags)
	}
	return job, p.left, nil
}

// mistakes writes diagnostics as Nomad does.
func mistakes(diags hcl.Diagnostics) error {
	var lines []string
	for _, d := range diags {
		where := "<nil>"
		if d.Subject != nil {
			where = d.Subject.String()
		}
		lines = append(lines, fmt.Sprintf("%s: %s; %s", where, d.Summary, d.Detail))
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// parser reads one jobspec and gathers its mistakes.
type parser struct {
	source []byte
	vars   map[string]cty.Value
	locals map[string]cty.Value
	diags  hcl.Diagnostics

	lenient bool     // what is not simulated is left out
	left    []string // what was
	stubbed bool     // some function was, so that values may be of a wrong type
}

func (p *parser) fault(subject *hcl.Range, summary, detail string, args ...any) {
	p.diags = append(p.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: subject,
	})
}

// unread refuses what Nomad knows and the simulation does not, or leaves it out.
func (p *parser) unread(subject hcl.Range, what string) {
	if p.lenient {
		p.leave(subject, what)
		return
	}
	p.fault(&subject, "Not simulated", "the simulated Nomad does not read %s", what)
}

// leave notes what is left out.
func (p *parser) leave(subject hcl.Range, what string) {
	what = fmt.Sprintf("%s (line %d)", what, subject.Start.Line)
	if !slices.Contains(p.left, what) {
		p.left = append(p.left, what)
	}
}

func (p *parser) readVariables(body, inputs *hclsyntax.Body) {
	for _, block := range body.Blocks {
		if block.Type != "variable" || len(block.Labels) != 1 {
			continue
		}
		name := block.Labels[0]
		want, value := cty.DynamicPseudoType, cty.NilVal
		for _, nested := range block.Body.Blocks {
			p.unread(nested.DefRange(), nested.Type+" blocks of variables")
		}
		if attr := block.Body.Attributes["type"]; attr != nil {
			parsed, diags := typeexpr.TypeConstraint(attr.Expr)
			p.diags = append(p.diags, diags...)
			if diags.HasErrors() {
				continue
			}
			want = parsed
		}
		from := block.Body.Attributes["default"]
		if given := inputs.Attributes[name]; given != nil {
			from = given
		}
		if from != nil {
			given, diags := from.Expr.Value(nil)
			p.diags = append(p.diags, diags...)
			if diags.HasErrors() {
				continue
			}
			converted, err := convert.Convert(given, want)
			if err != nil {
				p.fault(from.Expr.Range().Ptr(), "Invalid value for variable",
					"The value for %s is not compatible with the variable's type constraint: %v.", name, err)
				continue
			}
			value = converted
		}
		if value == cty.NilVal {
			p.fault(nil, fmt.Sprintf("Unset variable %q", name), "A used variable must be set or have a default value")
			continue
		}
		p.vars[name] = value
	}
}

// readLocals evaluates locals in the order of what they need.
func (p *parser) readLocals(body *hclsyntax.Body) {
	waiting := map[string]*hclsyntax.Attribute{}
	for _, block := range body.Blocks {
		if block.Type == "locals" {
			maps.Copy(waiting, block.Body.Attributes)
		}
	}
	for len(waiting) > 0 {
		var names []string
		for name, attr := range waiting {
			if !needs(attr.Expr, waiting) {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			for _, name := range slices.Sorted(maps.Keys(waiting)) {
				p.fault(waiting[name].Range().Ptr(), "Circular locals", "The local %q refers to itself, by itself or through others.", name)
			}
			return
		}
		slices.Sort(names)
		for _, name := range names {
			if value, ok := p.value(waiting[name].Expr); ok {
				p.locals[name] = value
			}
			delete(waiting, name)
		}
	}
}

// needs tells whether an expression refers to a local that waits.
func needs(expr hcl.Expression, waiting map[string]*hclsyntax.Attribute) bool {
	for _, t := range expr.Variables() {
		if t.RootName() != "local" || len(t) < 2 {
			continue
		}
		if attr, ok := t[1].(hcl.TraverseAttr); ok && waiting[attr.Name] != nil {
			return true
		}
	}
	return false
}

func (p *parser) readJob(body *hclsyntax.Body) *api.Job {
	var job *api.Job
	for _, attr := range body.Attributes {
		p.fault(&attr.NameRange, "Unsupported argument", "An argument named %q is not expected here.", attr.Name)
	}
	for _, block := range body.Blocks {
		switch block.Type {
		case "variable", "locals":
		case "variables":
			p.unread(block.DefRange(), "variables blocks: write one variable block for each")
		case "job":
			if job != nil || len(block.Labels) != 1 {
				p.fault(block.DefRange().Ptr(), "Invalid job", "A jobspec holds one job block, with the job's id as its label.")
				continue
			}
			job = p.decodeJob(block)
		default:
			p.fault(&block.TypeRange, "Unsupported block type", "Blocks of type %q are not expected here.", block.Type)
		}
	}
	if job == nil && !p.diags.HasErrors() {
		p.fault(nil, "Missing job block", "A job block is required")
	}
	return job
}

func (p *parser) decodeJob(block *hclsyntax.Block) *api.Job {
	job := &api.Job{}
	p.decode(block, job, "job")
	id := block.Labels[0]
	if job.ID == nil {
		job.ID = &id
	}
	if job.Name == nil {
		job.Name = &id
	}
	for _, group := range job.TaskGroups {
		for _, network := range group.Networks {
			var dynamic, reserved []api.Port
			for _, port := range network.DynamicPorts {
				if port.Value > 0 {
					reserved = append(reserved, port)
				} else {
					dynamic = append(dynamic, port)
				}
			}
			network.DynamicPorts, network.ReservedPorts = dynamic, reserved
		}
		for _, task := range group.Tasks {
			for _, t := range task.Templates {
				completeTemplate(t)
			}
		}
	}
	return job
}

// completeTemplate fills in what Nomad's parser itself does.
func completeTemplate(t *api.Template) {
	if t.ChangeMode == nil {
		t.ChangeMode = new("restart")
	}
	if t.Perms == nil {
		t.Perms = new("0644")
	}
	if t.Splay == nil {
		t.Splay = new(5 * time.Second)
	}
}
