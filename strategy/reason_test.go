package strategy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// TestEveryReasonIsInTheManual holds the table of reasons in docs/how-it-works.md to the constants of this package: every
// code stands there once, with what to do and its urgency.
func TestEveryReasonIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/how-it-works.md")
	if err != nil {
		t.Fatalf("read the manual: %v", err)
	}
	_, table, found := strings.Cut(string(manual), "\n## Every reason\n")
	if !found {
		t.Fatal("the manual has no section on every reason")
	}
	table, _, _ = strings.Cut(table, "\n### ")
	documented := map[string]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		code, isCode := strings.CutPrefix(strings.TrimSpace(cells[0]), "`")
		if !isCode {
			continue
		}
		code = strings.TrimSuffix(code, "`")
		if _, twice := documented[code]; twice {
			t.Errorf("%s stands there twice", code)
		}
		if len(cells) != 4 || strings.TrimSpace(cells[1]) == "" || strings.TrimSpace(cells[2]) == "" {
			t.Errorf("the row of %s has no four cells with what it says and what to do: %s", code, line)
			continue
		}
		documented[code] = strings.TrimSpace(cells[3])
	}
	if diff := cmp.Diff(reasonCodes(t), documented); diff != "" {
		t.Errorf("codes and their urgency (-in the code +in the manual):\n%s", diff)
	}
}

// reasonCodes is every constant of type ReasonCode, with its urgency.
func reasonCodes(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatalf("parse the reasons: %v", err)
	}
	codes := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "ReasonCode" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatalf("the value of %s: %v", spec.Names[0], err)
		}
		codes[text] = string(strategy.ReasonCode(text).Urgency())
		return true
	})
	if len(codes) < 40 {
		t.Fatalf("only %d reasons were found", len(codes))
	}
	return codes
}
