package sim

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

// blocksRead is which blocks are read within which.
func blocksRead(parent string) []string {
	switch parent {
	case "job":
		return []string{"group", "update", "constraint", "meta", "reschedule", "migrate"}
	case "group":
		return []string{
			"network", "service", "update", "restart", "reschedule", "migrate", "task", "meta", "constraint",
			"scaling", "volume", "ephemeral_disk",
		}
	case "task":
		return []string{
			"config", "env", "resources", "meta", "service", "template", "restart", "constraint",
			"volume_mount", "logs", "lifecycle",
		}
	case "service":
		return []string{"check", "meta", "canary_meta"}
	case "check":
		return []string{"header", "check_restart"}
	case "network":
		return []string{"port"}
	case "scaling":
		return []string{"policy"}
	}
	return nil
}

// shape is what a block may hold: the fields of its struct by name, and which of them are blocks or required.
type shape struct {
	kind   string
	fields map[string]reflect.Value
	hows   map[string]string // "block", "optional", or "" for a required argument
}

// decode reads a block into a struct of the API by the tags that name its arguments, blocks and labels.
func (p *parser) decode(block *hclsyntax.Block, into any, kind string) {
	target := reflect.ValueOf(into).Elem()
	s := shape{kind: kind, fields: map[string]reflect.Value{}, hows: map[string]string{}}
	labels := 0
	for i := range target.NumField() {
		tag, tagged := target.Type().Field(i).Tag.Lookup("hcl")
		if !tagged {
			continue
		}
		name, how, _ := strings.Cut(tag, ",")
		if how != "label" {
			s.fields[name], s.hows[name] = target.Field(i), how
			continue
		}
		if labels == len(block.Labels) {
			p.fault(block.DefRange().Ptr(), "Missing name for "+kind, "All %s blocks must have a label.", kind)
			return
		}
		p.set(target.Field(i), cty.StringVal(block.Labels[labels]), block.LabelRanges[labels])
		labels++
	}
	for _, attr := range inOrder(block.Body.Attributes) {
		p.decodeArgument(s, attr)
	}
	for _, nested := range block.Body.Blocks {
		p.decodeBlock(s, nested)
	}
	for _, name := range sortedNames(s.fields) {
		if s.hows[name] == "" && block.Body.Attributes[name] == nil {
			p.fault(block.DefRange().Ptr(), "Missing required argument", "The argument %q is required, but no definition was found.", name)
		}
	}
}

func (p *parser) decodeArgument(s shape, attr *hclsyntax.Attribute) {
	field, known := s.fields[attr.Name]
	isBlock := s.hows[attr.Name] == "block"
	switch {
	case !known || (isBlock && field.Kind() != reflect.Map):
		p.fault(&attr.NameRange, "Unsupported argument", "An argument named %q is not expected here.%s", attr.Name, nearest(attr.Name, s.fields))
	case isBlock && !slices.Contains(blocksRead(s.kind), attr.Name):
		p.unread(attr.NameRange, attr.Name+" of a "+s.kind)
	default:
		if value, ok := p.value(attr.Expr); ok {
			p.set(field, value, attr.Expr.StartRange())
		}
	}
}

func (p *parser) decodeBlock(s shape, block *hclsyntax.Block) {
	field, known := s.fields[block.Type]
	switch {
	case block.Type == "dynamic":
		p.unread(block.DefRange(), "dynamic blocks")
	case !known || s.hows[block.Type] != "block":
		p.fault(&block.TypeRange, "Unsupported block type", "Blocks of type %q are not expected here.%s", block.Type, nearest(block.Type, s.fields))
	case !slices.Contains(blocksRead(s.kind), block.Type):
		p.unread(block.DefRange(), fmt.Sprintf("%s blocks of a %s", block.Type, s.kind))
	default:
		p.decodeNested(field, block)
	}
}

// decodeNested reads a block into the field that holds its kind.
func (p *parser) decodeNested(field reflect.Value, block *hclsyntax.Block) {
	t := field.Type()
	switch {
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Pointer:
		entry := reflect.New(t.Elem().Elem())
		p.decode(block, entry.Interface(), block.Type)
		if field.IsNil() {
			field.Set(reflect.MakeMap(t))
		}
		if len(block.Labels) > 0 {
			field.SetMapIndex(reflect.ValueOf(block.Labels[0]), entry)
		}
	case t.Kind() == reflect.Map:
		value, ok := p.object(block.Body, t.Elem().Kind() == reflect.Interface)
		if ok {
			p.set(field, value, block.DefRange())
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Pointer:
		entry := reflect.New(t.Elem().Elem())
		p.decode(block, entry.Interface(), block.Type)
		field.Set(reflect.Append(field, entry))
	case t.Kind() == reflect.Slice:
		entry := reflect.New(t.Elem())
		p.decode(block, entry.Interface(), block.Type)
		field.Set(reflect.Append(field, entry.Elem()))
	default:
		if !field.IsNil() {
			p.fault(block.DefRange().Ptr(), "Duplicate "+block.Type+" block", "Only one %s block is allowed here.", block.Type)
			return
		}
		entry := reflect.New(t.Elem())
		p.decode(block, entry.Interface(), block.Type)
		field.Set(entry)
	}
}

// object reads a body of free arguments, as config and meta have. Blocks within become lists of objects.
func (p *parser) object(body *hclsyntax.Body, nested bool) (cty.Value, bool) {
	values := map[string]cty.Value{}
	for _, attr := range inOrder(body.Attributes) {
		value, ok := p.value(attr.Expr)
		if !ok {
			return cty.NilVal, false
		}
		values[attr.Name] = value
	}
	lists := map[string][]cty.Value{}
	for _, block := range body.Blocks {
		if !nested {
			p.fault(&block.TypeRange, "Unsupported block type", "Blocks of type %q are not expected here.", block.Type)
			return cty.NilVal, false
		}
		value, ok := p.object(block.Body, true)
		if !ok {
			return cty.NilVal, false
		}
		for _, label := range slices.Backward(block.Labels) {
			value = cty.ObjectVal(map[string]cty.Value{label: cty.TupleVal([]cty.Value{value})})
		}
		lists[block.Type] = append(lists[block.Type], value)
	}
	for name, list := range lists {
		values[name] = cty.TupleVal(list)
	}
	return cty.ObjectVal(values), true
}

func inOrder(attrs hclsyntax.Attributes) []*hclsyntax.Attribute {
	var out []*hclsyntax.Attribute
	for _, a := range attrs {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	return out
}

// nearest proposes the name that was probably meant: one that differs in a letter or two.
func nearest(name string, fields map[string]reflect.Value) string {
	best, distance := "", 3
	for _, candidate := range sortedNames(fields) {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

func sortedNames(fields map[string]reflect.Value) []string {
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// set puts a value into a field, converted to its type.
func (p *parser) set(field reflect.Value, value cty.Value, subject hcl.Range) {
	if value.IsNull() {
		return
	}
	if err := assign(field, value); err != nil {
		if p.stubbed {
			p.leave(subject, "an argument")
			return
		}
		p.fault(&subject, "Unsuitable value type", "Unsuitable value: %v", err)
	}
}

func assign(field reflect.Value, value cty.Value) error {
	if field.Kind() == reflect.Pointer {
		fresh := reflect.New(field.Type().Elem())
		if err := assign(fresh.Elem(), value); err != nil {
			return err
		}
		field.Set(fresh)
		return nil
	}
	if field.Type() == reflect.TypeFor[time.Duration]() {
		return assignDuration(field, value)
	}
	if field.Type() == reflect.TypeFor[map[string]any]() {
		field.Set(reflect.ValueOf(plain(value)))
		return nil
	}
	want, err := gocty.ImpliedType(reflect.New(field.Type()).Elem().Interface())
	if err != nil {
		return err
	}
	converted, err := convert.Convert(value, want)
	if err != nil {
		return err
	}
	return gocty.FromCtyValue(converted, field.Addr().Interface())
}

// assignDuration reads "30s", or a number of nanoseconds.
func assignDuration(field reflect.Value, value cty.Value) error {
	if value.Type() == cty.Number {
		nanoseconds, _ := value.AsBigFloat().Int64()
		field.SetInt(nanoseconds)
		return nil
	}
	text, err := convert.Convert(value, cty.String)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(text.AsString())
	field.SetInt(int64(d))
	return err
}

// plain is a value as JSON would hold it.
func plain(value cty.Value) any {
	switch t := value.Type(); {
	case value.IsNull():
		return nil
	case t == cty.String:
		return value.AsString()
	case t == cty.Bool:
		return value.True()
	case t == cty.Number:
		f := value.AsBigFloat()
		if whole, accuracy := f.Int64(); accuracy == big.Exact {
			return whole
		}
		number, _ := f.Float64()
		return number
	case t.IsObjectType() || t.IsMapType():
		out := map[string]any{}
		for name, v := range value.AsValueMap() {
			out[name] = plain(v)
		}
		return out
	default:
		out := []any{}
		for _, v := range value.AsValueSlice() {
			out = append(out, plain(v))
		}
		return out
	}
}
