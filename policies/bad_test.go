package policies_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

// A marker names the mistake that is expected on its line. There may be several on one.
var marker = regexp.MustCompile(`ERROR: ([A-Z][A-Za-z "]*[A-Za-z"])`)

// summary is the noun phrase of a mistake.
func summary(m strategy.Mistake) string {
	first, _, _ := strings.Cut(m.Detail, "\n")
	return strings.TrimPrefix(first, "Error: ")
}

// badCase is a tree with the mistakes that are expected of it. A .hcl file is one release file, web.nomad.hcl beside
// it; an archive is a repository. In an archive's comment, `returns:` lists the releases that are sound all the same
// and `blames:` those that mistakes name, "-" for none.
type badCase struct {
	tree    strategy.Tree
	want    []string
	returns string
	blames  string
}

func readBadCase(t *testing.T, file string) badCase {
	t.Helper()
	c := badCase{blames: "web"}
	if strings.HasSuffix(file, ".txtar") {
		var comment string
		c.tree, comment = archiveTree(t, file)
		c.returns = header(comment, "returns")
		c.blames = cmp.Or(header(comment, "blames"), "web")
	} else {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c.tree = treeOf("web.nomad.hcl", "job \"web\" {}\n", "release.hcl", string(content))
	}
	for path, f := range c.tree {
		for i, line := range strings.Split(string(f.Content), "\n") {
			_, marks, _ := strings.Cut(line, "# ")
			for mark := range strings.SplitSeq(marks, "# ") {
				if m := marker.FindStringSubmatch(mark); m != nil {
					c.want = append(c.want, fmt.Sprintf("%s:%d: %s", path, i+1, strings.TrimSuffix(m[1], `"`)))
				}
			}
		}
	}
	slices.Sort(c.want)
	return c
}

func badFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/bad/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d cases, error %v", len(files), err)
	}
	return files
}

// TestBad holds that every file of testdata/bad has just the mistakes that it is marked with.
func TestBad(t *testing.T) {
	for _, file := range badFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := readBadCase(t, file)
			if len(c.want) == 0 {
				t.Fatal("the case expects no mistake")
			}
			releases, mistakes := policies.Load(c.tree, policies.Options{})
			var got []string
			blamed := map[string]bool{}
			for _, m := range mistakes {
				got = append(got, fmt.Sprintf("%s:%d: %s", m.Path, m.Line, summary(m)))
				blamed[cmp.Or(m.Release, "-")] = true
				if !strings.HasPrefix(m.Text, summary(m)+": ") || strings.Contains(m.Text, "\n") {
					t.Errorf("the text is not one line of summary and remedy: %q", m.Text)
				}
			}
			slices.Sort(got)
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s\n%s", diff, details(mistakes))
			}
			if got := strings.Join(names(releases), " "); got != c.returns {
				t.Errorf("returned releases %q, want %q", got, c.returns)
			}
			if got := strings.Join(slices.Sorted(maps.Keys(blamed)), " "); got != c.blames {
				t.Errorf("blamed %q, want %q", got, c.blames)
			}
		})
	}
}

// elsewhere are the mistakes that need more input than a file of testdata should hold.
var elsewhere = map[string]string{
	"File too large":     "TestFileTooLarge",
	"Nesting too deep":   "TestNestingTooDeep",
	"Too many releases":  "TestTooManyReleases",
	"Too many mistakes":  "TestTooManyMistakes",
	"Too many variables": "TestTooManyVariables",
	"Too many var files": "TestTooManyOfAKind",
	"Too many steps":     "TestTooManyOfAKind",
	"Too many gates":     "TestTooManyOfAKind",
	"Too many labels":    "TestTooManyOfAKind",
	"Too many assignees": "TestTooManyOfAKind",

	"Too many smoke checks": "TestTooManyOfAKind",
	"Smoke checks too long": "TestTooManyOfAKind",

	"Not one policy": "TestBuiltinPolicies", // cannot be reached while that one passes
}

// TestEveryMistakeHasACase reads the summaries out of the source of the package and looks for a case of each.
func TestEveryMistakeHasACase(t *testing.T) {
	covered := map[string]bool{}
	for _, file := range badFiles(t) {
		for _, want := range readBadCase(t, file).want {
			_, text, _ := strings.Cut(want, ": ")
			covered[text] = true
		}
	}
	produced := summariesInSource(t)
	if len(produced) < 40 {
		t.Fatalf("found only %d summaries in the source", len(produced))
	}
	for text, at := range produced {
		if !covered[text] && elsewhere[text] == "" {
			t.Errorf("%s: no case of testdata/bad expects %q", at, text)
		}
	}
	for text, test := range elsewhere {
		if produced[text] == "" {
			t.Errorf("%q of %s is no longer produced", text, test)
		}
	}
}

func summariesInSource(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	set := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if name, ok := call.Fun.(*ast.Ident); !ok || (name.Name != "fault" && name.Name != "faults") {
				return true
			}
			switch arg := call.Args[0].(type) {
			case *ast.BasicLit:
				text, err := strconv.Unquote(arg.Value)
				if err != nil {
					t.Fatal(err)
				}
				found[text] = set.Position(arg.Pos()).String()
			case *ast.Ident:
				if arg.Name != "summary" {
					t.Errorf("%s: the summary is no literal", set.Position(arg.Pos()))
				}
			}
			return true
		})
	}
	return found
}
