package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// The bounds on what is reported, so that a hostile file costs neither time nor memory.
const (
	maxMistakes = 100      // of one file or block
	maxDetail   = 4 << 10  // bytes of one mistake's detail
	maxText     = 512      // bytes of one mistake's line
	ellipsis    = " [...]" // says that a text was cut
)

// fault is an error at a place: the summary is a noun phrase, the detail says what to do.
func fault(summary string, at hcl.Range, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  summary,
		Detail:   fmt.Sprintf(detail, args...),
		Subject:  &at,
	}
}

// faults is a single fault as the functions that decode return it.
func faults(summary string, at hcl.Range, detail string, args ...any) hcl.Diagnostics {
	return hcl.Diagnostics{fault(summary, at, detail, args...)}
}

// report makes mistakes of diagnostics, in the order of the source.
func (l *loader) report(release string, diags hcl.Diagnostics) {
	sorted := slices.Clone(diags)
	slices.SortStableFunc(sorted, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Subject.Filename, b.Subject.Filename),
			cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte), cmp.Compare(a.Summary, b.Summary))
	})
	if more := len(sorted) - maxMistakes; more > 0 {
		last := sorted[maxMistakes]
		sorted = append(sorted[:maxMistakes:maxMistakes], fault("Too many mistakes", *last.Subject,
			"There are %d more from here on. Correct those above first.", more))
	}
	for _, d := range sorted {
		l.mistakes = append(l.mistakes, l.mistake(release, d))
	}
}

func (l *loader) mistake(release string, d *hcl.Diagnostic) strategy.Mistake {
	var detail strings.Builder
	writer := hcl.NewDiagnosticTextWriter(&detail, l.files, 0, false)
	if err := writer.WriteDiagnostic(d); err != nil {
		detail.WriteString(d.Error())
	}
	return strategy.Mistake{
		Release: release,
		Path:    d.Subject.Filename,
		Line:    d.Subject.Start.Line,
		Text:    cut(strings.Join(strings.Fields(d.Summary+": "+d.Detail), " "), maxText),
		Detail:  cut(strings.TrimSpace(detail.String())+"\n", maxDetail),
	}
}

// cut shortens a text to at most limit bytes, and makes it valid UTF-8.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// quoted lists words for a sentence: "a", "b" or "c".
func quoted(words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", w)
	}
	return b.String()
}
