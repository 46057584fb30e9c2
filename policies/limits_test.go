package policies_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

const mebibyte = 1 << 20

// release is a release file with more lines in its block.
func release(lines ...string) string {
	return "release \"web\" {\n version = \"1\"\n jobspec = \"job\"\n" + strings.Join(lines, "\n") + "\n}\n"
}

// only holds that a tree has just one mistake, and returns it.
func only(t *testing.T, tree strategy.Tree, want string) strategy.Mistake {
	t.Helper()
	releases, mistakes := policies.Load(tree, policies.Options{})
	if len(releases) != 0 || len(mistakes) != 1 || summary(mistakes[0]) != want {
		t.Fatalf("want one mistake %q; got releases %v and\n%s", want, names(releases), details(mistakes))
	}
	return mistakes[0]
}

func TestFileTooLarge(t *testing.T) {
	large := strings.Repeat("#", mebibyte+1)
	only(t, treeOf("release.hcl", large), "File too large")
	only(t, treeOf("policies/p.hcl", large), "File too large")
	if m := only(t, treeOf("job", large, "release.hcl", release()), "File too large"); m.Release != "web" || m.Path != "release.hcl" {
		t.Errorf("a large jobspec is blamed on %q in %s", m.Release, m.Path)
	}
	if m := only(t, treeOf("job", "job", "v.hcl", large, "release.hcl", release(`var_files = ["v.hcl"]`)), "File too large"); m.Release != "web" || m.Path != "v.hcl" {
		t.Errorf("a large var file is blamed on %q in %s", m.Release, m.Path)
	}

	releases, mistakes := policies.Load(treeOf("job", large[:mebibyte], "release.hcl", release()), policies.Options{})
	if len(releases) != 1 || len(mistakes) > 0 {
		t.Errorf("a jobspec of just the limit is refused:\n%s", details(mistakes))
	}
}

func TestNestingTooDeep(t *testing.T) {
	for _, piece := range []string{"[", "(", "{a=", "!", "-", "f(", "\"${", "1?", "\"%{if ", "a["} {
		hostile := release("attempt = " + strings.Repeat(piece, 20_000))
		if m := only(t, treeOf("job", "job", "release.hcl", hostile), "Nesting too deep"); m.Release != "web" {
			t.Errorf("%q: blamed on %q, want web", piece, m.Release)
		}
	}
	for _, piece := range []string{"[", `{"a":`} {
		hostile := `{"release": {"web": {"version": ` + strings.Repeat(piece, 20_000)
		if m := only(t, treeOf("job", "job", "release.hcl.json", hostile), "Nesting too deep"); m.Release != "web" {
			t.Errorf("JSON %q: blamed on %q, want web", piece, m.Release)
		}
	}
	deep := strings.Repeat("[", 90) + strings.Repeat("]", 90)
	releases, mistakes := policies.Load(treeOf("job", "job", "release.hcl", release("variables {", "a = "+deep, "}")), policies.Options{})
	if len(releases) != 1 || len(mistakes) > 0 {
		t.Errorf("nesting below the limit is refused:\n%s", details(mistakes))
	}
}

func TestTooManyReleases(t *testing.T) {
	tree := treeOf("job", "job")
	for i := range 10_001 {
		tree[fmt.Sprintf("%05d/release.hcl", i)] = strategy.File{Content: fmt.Appendf(nil, "release \"r%05d\" {\n version = \"1\"\n jobspec = \"../job\"\n}\n", i)}
	}
	releases, mistakes := policies.Load(tree, policies.Options{})
	if len(releases) != 10_000 || len(mistakes) != 1 || summary(mistakes[0]) != "Too many releases" {
		t.Errorf("got %d releases and\n%s", len(releases), details(mistakes))
	}
}

func TestTooManyMistakes(t *testing.T) {
	var lines []string
	for i := range 150 {
		lines = append(lines, fmt.Sprintf("x%d = 1", i))
	}
	_, mistakes := policies.Load(treeOf("job", "job", "release.hcl", release(lines...)), policies.Options{})
	if len(mistakes) != 101 || summary(mistakes[100]) != "Too many mistakes" || !strings.Contains(mistakes[100].Text, " 50 more") {
		t.Errorf("got %d mistakes, the last is %s", len(mistakes), details(mistakes[len(mistakes)-1:]))
	}
}

func TestLongLinesAreCut(t *testing.T) {
	_, mistakes := policies.Load(treeOf("job", "job", "release.hcl", release(strings.Repeat("é", 100_000)+" = 1")), policies.Options{})
	if len(mistakes) == 0 {
		t.Fatal("no mistakes")
	}
	for _, m := range mistakes {
		if len(m.Text) > 512 || len(m.Detail) > 4096 || !strings.HasSuffix(m.Detail, "[...]") {
			t.Errorf("text of %d and detail of %d bytes", len(m.Text), len(m.Detail))
		}
	}
}

func TestTooManyVariables(t *testing.T) {
	file := func(name string) string { return name + " = \"" + strings.Repeat("x", mebibyte-100) + "\"\n" }
	only(t, treeOf("job", "job", "a.hcl", file("a"), "b.hcl", file("b"), "release.hcl", release(`var_files = ["a.hcl", "b.hcl"]`)), "Too many variables")
}

func TestTooManyOfAKind(t *testing.T) {
	var weights, gates, smokes, labels, files []string
	for i := range 51 {
		weights = append(weights, fmt.Sprint(i+1))
		gates = append(gates, fmt.Sprintf("gate \"g%d\" {\nmetric = \"requests\"\nmin = 1\n}", i))
		smokes = append(smokes, fmt.Sprintf("smoke \"s%d\" {\npath = \"/\"\n}", i))
		labels = append(labels, fmt.Sprintf("%q", fmt.Sprint("l", i)))
		files = append(files, `"v.hcl"`)
	}
	list := func(items []string) string { return "[" + strings.Join(items, ", ") + "]" }
	for want, lines := range map[string][]string{
		"Too many steps": {"strategy \"canary\" {", "weights = " + list(weights), "bake = \"1m\"", "}"},
		"Too many gates": gates[:21],

		"Too many smoke checks": smokes[:21],
		"Smoke checks too long": {"smoke \"s\" {", "path = \"/" + strings.Repeat("x", 4096) + "\"", "}"},

		"Too many labels":    {"rollback {", "labels = " + list(labels[:21]), "}"},
		"Too many assignees": {"rollback {", "assignees = " + list(labels[:11]), "}"},
		"Too many var files": {"var_files = " + list(files)},
	} {
		t.Run(want, func(t *testing.T) {
			only(t, treeOf("job", "job", "v.hcl", "", "release.hcl", release(lines...)), want)
		})
	}
}

func TestLimitsAreAllowed(t *testing.T) {
	lines := []string{"strategy \"blue-green\" {", "bake = \"1m\"", "standby = \"10m\"", "weights = ["}
	for i := range 49 {
		lines[3] += fmt.Sprintf("%d, ", i+1)
	}
	lines[3] += "]"
	lines = append(lines, "}", "max_duration = \"60m1s\"")
	for i := range 20 {
		lines = append(lines, fmt.Sprintf("smoke \"s%02d\" {\npath = \"/%s\"\ntimeout = \"1m\"\nretries = 10\nstatus = 599\n}", i, strings.Repeat("x", 200)))
	}
	releases, mistakes := policies.Load(treeOf("job", "job", "release.hcl", release(lines...)), policies.Options{})
	if len(releases) != 1 || len(mistakes) > 0 {
		t.Fatalf("what is just within the limits is refused:\n%s", details(mistakes))
	}
	if plan := releases[0].Plan; len(plan.Steps) != 50 || len(plan.Smoke) != 20 {
		t.Errorf("got %d steps and %d smoke checks, want 50 and 20", len(plan.Steps), len(plan.Smoke))
	}
}
