package policies

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
)

// The bounds on what is read. Parsers recurse, so nesting is checked before they see a file.
const (
	maxFileSize = 1 << 20 // bytes of one file
	maxReleases = 10_000  // release files of a repository
	maxNesting  = 100     // brackets, operators and template directives within each other
)

// startOf is the first character of a file.
func startOf(path string) hcl.Range {
	return hcl.Range{Filename: path, Start: hcl.InitialPos, End: hcl.InitialPos}
}

// parse reads a file of the tree, once. The file is nil when it is too hostile for the parser; with other mistakes it
// holds what could be read.
func (l *loader) parse(path string) (*hcl.File, hcl.Diagnostics) {
	if p, done := l.parsed[path]; done {
		return p.file, p.diags
	}
	file, diags := parseSource(path, l.tree[path].Content)
	l.parsed[path] = parsedFile{file: file, diags: diags}
	if file != nil {
		l.files[path] = file
	}
	return file, diags
}

type parsedFile struct {
	file  *hcl.File
	diags hcl.Diagnostics
}

func parseSource(path string, src []byte) (*hcl.File, hcl.Diagnostics) {
	if len(src) > maxFileSize {
		return nil, faults("File too large", startOf(path), "%s has %d bytes; at most %d are read.", path, len(src), maxFileSize)
	}
	isJSON := strings.HasSuffix(path, ".json")
	depth := nestingOfHCL
	if isJSON {
		depth = nestingOfJSON
	}
	if depth(src) > maxNesting {
		return nil, faults("Nesting too deep", startOf(path), "Brackets and operators of %s are nested more than %d deep.", path, maxNesting)
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if isJSON {
		file, diags = json.Parse(src, path)
	} else {
		file, diags = hclsyntax.ParseConfig(src, path, hcl.InitialPos)
	}
	if file != nil {
		// The parser leaves the source out of a file that it could not read to its end.
		file.Bytes = src
		file.Body = Helpful(file.Body)
	}
	return file, placed(path, diags)
}

// placed gives every diagnostic a place, so that reporting can rely on one.
func placed(path string, diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		if d.Subject == nil {
			d.Subject = startOf(path).Ptr()
		}
	}
	return diags
}

// nestingOfHCL is an upper bound of how deep the parser recurses into expressions.
func nestingOfHCL(src []byte) int {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	var open, deepest, prefixes, branches int
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenBang, hclsyntax.TokenMinus:
			prefixes++
		default:
			prefixes = 0
		}
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp:
			open++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			open = max(0, open-1)
		case hclsyntax.TokenTemplateControl:
			open++
			branches++
		case hclsyntax.TokenTemplateSeqEnd:
			open = max(0, open-1)
		case hclsyntax.TokenQuestion:
			branches++
		}
		deepest = max(deepest, open+prefixes+branches)
	}
	return deepest
}

// nestingOfJSON is how deep objects and arrays are nested.
func nestingOfJSON(src []byte) int {
	var open, deepest int
	inString, escaped := false, false
	for _, c := range src {
		switch {
		case escaped:
			escaped = false
		case inString && c == '\\':
			escaped = true
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return deepest
}

// blockLabel is a label found in a file, with its place.
type blockLabel struct {
	name string
	at   hcl.Range
}

// labelsIn looks for the labels of blocks of a type in a file that does not parse: first in what could be parsed, then
// in the text.
func labelsIn(path string, file *hcl.File, src []byte, blockType string) []blockLabel {
	if file != nil && file.Body != nil {
		schema := &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: blockType, LabelNames: []string{"name"}}}}
		content, _, _ := file.Body.PartialContent(schema)
		if content != nil && len(content.Blocks) > 0 {
			var labels []blockLabel
			for _, b := range content.Blocks {
				labels = append(labels, blockLabel{name: b.Labels[0], at: b.LabelRanges[0]})
			}
			return labels
		}
	}
	if len(src) > maxFileSize {
		return nil
	}
	pattern := fmt.Sprintf(`(?m)^[ \t]*%s[ \t]+"([^"\n]*)"`, blockType)
	if strings.HasSuffix(path, ".json") {
		pattern = fmt.Sprintf(`"%s"\s*:\s*[\[{]\s*\{?\s*"([^"\n]*)"`, blockType)
	}
	var labels []blockLabel
	for _, m := range regexp.MustCompile(pattern).FindAllSubmatchIndex(src, maxReleases) {
		labels = append(labels, blockLabel{name: string(src[m[2]:m[3]]), at: rangeIn(path, src, m[2], m[3])})
	}
	return slices.Clip(labels)
}

// rangeIn is the range of src[from:to], which lies within one line.
func rangeIn(path string, src []byte, from, to int) hcl.Range {
	before := string(src[:from])
	line := strings.Count(before, "\n") + 1
	column := from - strings.LastIndexByte(before, '\n')
	return hcl.Range{
		Filename: path,
		Start:    hcl.Pos{Line: line, Column: column, Byte: from},
		End:      hcl.Pos{Line: line, Column: column + to - from, Byte: to},
	}
}
