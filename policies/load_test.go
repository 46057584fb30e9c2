package policies_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

var update = flag.Bool("update", false, "write the golden files anew; read them before committing")

// treeOf makes a tree of path and content in turn.
func treeOf(pairs ...string) strategy.Tree {
	tree := strategy.Tree{}
	for i := 0; i < len(pairs); i += 2 {
		tree[pairs[i]] = strategy.File{Content: []byte(pairs[i+1])}
	}
	return tree
}

// archiveTree makes a tree of the files of an archive, and returns its comment.
func archiveTree(t *testing.T, file string) (strategy.Tree, string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tree := strategy.Tree{}
	for _, f := range archive.Files {
		tree[f.Name] = strategy.File{Content: f.Data}
	}
	return tree, string(archive.Comment)
}

func names(releases []strategy.Release) []string {
	var out []string
	for _, r := range releases {
		out = append(out, r.Name)
	}
	return out
}

func details(mistakes []strategy.Mistake) string {
	var b strings.Builder
	for _, m := range mistakes {
		fmt.Fprintf(&b, "[%s] %s\n", m.Release, m.Detail)
	}
	return b.String()
}

// TestGood loads the archives of testdata/good and compares the releases, in full, with the golden JSON beside each.
// A comment line `path: folder` sets Options.Path.
func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d archives, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			tree, comment := archiveTree(t, file)
			releases, mistakes := policies.Load(tree, policies.Options{Path: header(comment, "path")})
			if len(mistakes) > 0 {
				t.Errorf("unexpected mistakes:\n%s", details(mistakes))
			}
			var got bytes.Buffer
			encoder := json.NewEncoder(&got)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(releases); err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".txtar") + ".json"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("releases differ from %s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// header is the value of a line `key: value` of a comment.
func header(comment, key string) string {
	for line := range strings.Lines(comment) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestNativeAndJSONAreEqual(t *testing.T) {
	native := treeOf("release.hcl", `release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"
  strategy "canary" {
    weights = [5, 100]
    bake = "1m"
  }
  gate "errors" {
    metric = "error_rate"
    max = "1%"
  }
  variables {
    tags = ["a", "b"]
    limits = { cpu = 1.5 }
  }
}`, "web.nomad.hcl", "job")
	inJSON := treeOf("release.hcl", `{"release": {"web": {"version": "1", "jobspec": "web.nomad.hcl",
"strategy": {"canary": {"weights": [5, "100%"], "bake": "1m"}},
"gate": {"errors": {"metric": "error_rate", "max": "1%"}},
"variables": {"tags": ["a", "b"], "limits": {"cpu": 1.5}}}}}`, "web.nomad.hcl", "job")
	inJSON["release.hcl.json"] = inJSON["release.hcl"]
	delete(inJSON, "release.hcl")

	want, mistakes := policies.Load(native, policies.Options{})
	if len(want) != 1 || len(mistakes) > 0 {
		t.Fatalf("native syntax: %v\n%s", names(want), details(mistakes))
	}
	got, mistakes := policies.Load(inJSON, policies.Options{})
	if len(got) != 1 || len(mistakes) > 0 {
		t.Fatalf("JSON syntax: %v\n%s", names(got), details(mistakes))
	}
	got[0].Path, got[0].Files = want[0].Path, want[0].Files
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON differs from native syntax (-native +json):\n%s", diff)
	}
}

// TestOrigins compares where every value of the releases of testdata/good was written with the golden list beside each.
func TestOrigins(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d archives, error %v", len(files), err)
	}
	for _, file := range files {
		tree, comment := archiveTree(t, file)
		releases, origins, _ := policies.LoadWithOrigins(tree, policies.Options{Path: header(comment, "path")})
		if len(origins) != len(releases) {
			t.Errorf("%s: %d releases, and origins of %d", file, len(releases), len(origins))
		}
		var got strings.Builder
		for _, r := range releases {
			for _, name := range slices.Sorted(maps.Keys(origins[r.Name])) {
				fmt.Fprintf(&got, "%s %s: %s\n", r.Name, name, origins[r.Name][name])
			}
		}
		golden := strings.TrimSuffix(file, ".txtar") + ".origins"
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", golden, diff)
		}
	}
	if got := (policies.Origin{}).String(); got != "built-in default" {
		t.Errorf("the zero origin is called %q", got)
	}
}

func TestOptionsPath(t *testing.T) {
	release := func(name string) string {
		return fmt.Sprintf("release %q {\n version = \"1\"\n jobspec = \"../j.nomad.hcl\"\n}\n", name)
	}
	tree := treeOf("prod/j.nomad.hcl", "job", "production/j.nomad.hcl", "job",
		"prod/a/release.hcl", release("a"), "production/b/release.hcl", release("b"))
	for path, want := range map[string][]string{
		"": {"a", "b"}, ".": {"a", "b"}, "/": {"a", "b"}, "prod": {"a"}, "prod/": {"a"}, "/prod/a": {"a"}, "production": {"b"}, "staging": nil,
	} {
		got, mistakes := policies.Load(tree, policies.Options{Path: path})
		if diff := cmp.Diff(want, names(got)); diff != "" || len(mistakes) > 0 {
			t.Errorf("below %q (-want +got):\n%s%s", path, diff, details(mistakes))
		}
	}
}

func TestLoadIsRepeatable(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tree := strategy.Tree{}
	for _, file := range files {
		one, _ := archiveTree(t, file)
		for path, f := range one {
			tree[filepath.Base(file)+"/"+path] = f
		}
	}
	releases, mistakes := policies.Load(tree, policies.Options{})
	for range 5 {
		againReleases, againMistakes := policies.Load(tree, policies.Options{})
		if diff := cmp.Diff(releases, againReleases); diff != "" {
			t.Fatalf("releases differ from one call to the next:\n%s", diff)
		}
		if diff := cmp.Diff(mistakes, againMistakes); diff != "" {
			t.Fatalf("mistakes differ from one call to the next:\n%s", diff)
		}
	}
}

// TestExamples holds that every release repository in examples loads.
func TestExamples(t *testing.T) {
	folders, err := filepath.Glob("../examples/*/releases")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, folder := range folders {
		folder = filepath.Dir(folder) // where policies and releases stand side by side
		releases, mistakes := policies.Load(readTree(t, folder), policies.Options{})
		if len(mistakes) > 0 {
			t.Errorf("%s has mistakes:\n%s", folder, details(mistakes))
		}
		all = append(all, names(releases)...)
	}
	if !slices.Contains(all, "checkout-api") {
		t.Errorf("releases of the examples are %v, without checkout-api", all)
	}
}

func readTree(t *testing.T, folder string) strategy.Tree {
	t.Helper()
	tree := strategy.Tree{}
	root := os.DirFS(folder)
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		tree[path] = strategy.File{Content: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestBuiltinPolicies(t *testing.T) {
	want := map[string]string{
		"builtin/standard":   "5-25-50-100",
		"builtin/cautious":   "1-5-10-25-50-100",
		"builtin/fast":       "20-50-100",
		"builtin/blue-green": "100",

		"builtin/latency-critical": "5-20-50-100",
		"builtin/low-traffic":      "50-100",
	}
	if got := len(policies.Builtin()); got != len(want) {
		t.Errorf("got %d shipped policies, want %d", got, len(want))
	}
	for name, weights := range want {
		if len(policies.Builtin()[name]) == 0 {
			t.Errorf("the source of %s is missing", name)
		}
		releases, mistakes := policies.Load(treeOf("job", "job", "release.hcl",
			fmt.Sprintf("release \"web\" {\n version = \"1\"\n jobspec = \"job\"\n policy = %q\n}\n", name)), policies.Options{})
		if len(mistakes) > 0 || len(releases) != 1 {
			t.Fatalf("%s does not load:\n%s", name, details(mistakes))
		}
		plan := releases[0].Plan
		if got := plan.Weights(); got != weights {
			t.Errorf("%s has weights %s, want %s", name, got, weights)
		}
		if len(plan.Gates) == 0 || (plan.Bake()+plan.Standby)*2 > plan.MaxDuration {
			t.Errorf("%s: %d gates, bakes %s of %s", name, len(plan.Gates), plan.Bake(), plan.MaxDuration)
		}
		if blueGreen := name == "builtin/blue-green"; (plan.Kind == strategy.KindBlueGreen) != blueGreen || (plan.Standby > 0) != blueGreen {
			t.Errorf("%s is %q with a standby of %s", name, plan.Kind, plan.Standby)
		}
	}
}

func TestDetailShowsSource(t *testing.T) {
	_, mistakes := policies.Load(treeOf("job", "job", "a/release.hcl",
		"release \"web\" {\n  version = \"1\"\n  jobspec = \"../job\"\n  strategy \"canary\" {\n    weights = [5]\n    bake = 5\n  }\n}\n"), policies.Options{})
	want := []strategy.Mistake{{
		Release: "web",
		Path:    "a/release.hcl",
		Line:    6,
		Text:    `Missing unit: bake is a duration: write it with its unit and in quotes, such as "5m".`,
		Detail: "Error: Missing unit\n\n  on a/release.hcl line 6, in release \"web\":\n   6:     bake = 5\n\n" +
			"bake is a duration: write it with its unit and in quotes, such as \"5m\".\n",
	}}
	if diff := cmp.Diff(want, mistakes); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

// TestReleasesShareNothing holds that what is done to the plan of one release does not reach another of its policy.
func TestReleasesShareNothing(t *testing.T) {
	file := func(name string) string {
		return fmt.Sprintf("release %q {\n version = \"1\"\n jobspec = \"../job\"\n policy = \"p\"\n}\n", name)
	}
	tree := treeOf("job", "job", "a/release.hcl", file("a"), "b/release.hcl", file("b"),
		"policies/p.hcl", "policy \"p\" {\n smoke \"s\" {\n path = \"/\"\n header = { X-Version = \"1\" }\n }\n strategy \"blue-green\" {\n weights = [10]\n bake = \"1m\"\n }\n}\n")
	releases, mistakes := policies.Load(tree, policies.Options{})
	if len(releases) != 2 || len(mistakes) > 0 {
		t.Fatalf("got %v and\n%s", names(releases), details(mistakes))
	}
	releases[0].Plan.Smoke[0].Header["X-Version"] = "2"
	releases[0].Plan.Smoke[0].Path = "/changed"
	releases[0].Plan.Steps[0].Weight = strategy.Percent(90)
	other := releases[1].Plan
	if other.Smoke[0].Header["X-Version"] != "1" || other.Smoke[0].Path != "/" || other.Steps[0].Weight != strategy.Percent(10) {
		t.Errorf("the other release changed too: %+v", other)
	}
}
