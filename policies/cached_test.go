package policies_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

// hashed is a file as a repository gives it.
func hashed(content string) strategy.File {
	return strategy.File{Hash: fmt.Sprintf("%x", sha256.Sum256([]byte(content))), Content: []byte(content)}
}

// many is a tree of so many releases with jobspecs of their own, that share a policy.
func many(n int) strategy.Tree {
	tree := strategy.Tree{"policies/shared.hcl": hashed(`policy "shared" {
  gate "errors" {
    metric = "error_rate"
    max    = "1%"
  }
}
`)}
	for i := range n {
		version(tree, i, "1.0.0")
		tree[fmt.Sprintf("releases/r%d/job.nomad.hcl", i)] = hashed(fmt.Sprintf("job \"r%d\" {}\n", i))
	}
	return tree
}

// version makes a release of many ask for a version.
func version(tree strategy.Tree, i int, v string) {
	tree[fmt.Sprintf("releases/r%d/release.hcl", i)] = hashed(fmt.Sprintf(`release "r%d" {
  version = %q
  jobspec = "job.nomad.hcl"
  policy  = "shared"
}
`, i, v))
}

// readAnew is the releases that were not taken over from an earlier load.
func readAnew(before, after []strategy.Release) []string {
	known := map[*string]bool{}
	for _, r := range before {
		known[&r.Files[0]] = true
	}
	var anew []string
	for _, r := range after {
		if !known[&r.Files[0]] {
			anew = append(anew, r.Name)
		}
	}
	return anew
}

func TestCachedReadsWhatChanged(t *testing.T) {
	const n = 200
	tree := many(n)
	for _, c := range []struct {
		what   string
		change func(strategy.Tree)
		want   int
	}{
		{"nothing", func(strategy.Tree) {}, 0},
		{"a file that is nobody's", func(tree strategy.Tree) { tree["README.md"] = hashed("new") }, 0},
		{"a version", func(tree strategy.Tree) { version(tree, 7, "1.1.0") }, 1},
		{"a jobspec", func(tree strategy.Tree) { tree["releases/r8/job.nomad.hcl"] = hashed("job \"r8\" { }\n") }, 1},
		{"another policy", func(tree strategy.Tree) {
			tree["policies/shared.hcl"] = hashed(string(tree["policies/shared.hcl"].Content) + "# more\n")
		}, n},
		{"the place of a policy", func(tree strategy.Tree) {
			tree["policies/other.hcl"] = tree["policies/shared.hcl"]
			delete(tree, "policies/shared.hcl")
		}, n},
		{"a hash that is missing", func(tree strategy.Tree) {
			tree["releases/r9/job.nomad.hcl"] = strategy.File{Content: []byte("job \"r9\" {}\n")}
		}, 1},
	} {
		load := policies.Cached(policies.Options{})
		all, _ := load(tree)
		changed := maps.Clone(tree)
		c.change(changed)
		got, mistakes := load(changed)
		if len(got) != n || len(mistakes) > 0 {
			t.Fatalf("%s: got %d releases and mistakes %v", c.what, len(got), mistakes)
		}
		if anew := readAnew(all, got); len(anew) != c.want {
			t.Errorf("%s changed, and %d releases were read anew, want %d: %v", c.what, len(anew), c.want, anew)
		}
		if again, _ := load(tree); len(readAnew(all, again)) > 1 {
			t.Errorf("%s changed back, and %d releases were read anew", c.what, len(readAnew(all, again)))
		}
	}
}

// TestCachedForgets holds that what is no longer asked for is not kept for good.
func TestCachedForgets(t *testing.T) {
	load := policies.Cached(policies.Options{})
	first, other := many(1), strategy.Tree{}
	all, _ := load(first)
	for range 15 {
		load(other)
	}
	if again, _ := load(first); len(readAnew(all, again)) > 0 {
		t.Error("the release was read anew, though it was in one of the last 16 trees")
	}
	for range 20 {
		load(other)
	}
	if again, _ := load(first); len(readAnew(all, again)) != 1 {
		t.Error("the release is still kept")
	}
}

// TestCachedIsLoad holds that a cache changes nothing, whatever changes in the tree.
func TestCachedIsLoad(t *testing.T) {
	contents := map[string][]string{
		"policies/a.hcl": {
			`policy "one" { max_duration = "3h" }`, `policy "one" { max_duration = "4h" }`, `policy "two" {}`, `policy "one" {`, `policy "one" { max_duration = 3 }`,
		},
		"policies/b.hcl": {`policy "one" {}`, `policy "three" {}`},
		"x/release.hcl": {
			`release "x" { version = "1", jobspec = "job", policy = "one" }`, "release \"x\" {\n version = \"1\"\n jobspec = \"job\"\n policy = \"one\"\n}\n",
			"release \"y\" {\n version = \"2\"\n jobspec = \"../job\"\n var_files = [\"vars\"]\n}\n", "release \"x\" {\n version = \"2\"\n jobspec = \"../y/job\"\n}\nrelease \"z\" {}\n",
		},
		"y/release.hcl": {
			"release \"y\" {\n version = \"1\"\n jobspec = \"../job\"\n policy = \"two\"\n}\n", "\n\nrelease \"y\" {\n version = \"1\"\n jobspec = \"../job\"\n policy = \"two\"\n}\n",
			"release \"x\" {\n version = \"1\"\n jobspec = \"../job\"\n}\n", `release "y" {`,
		},
		"job":    {"one", "two"},
		"x/job":  {"one", "two"},
		"x/vars": {"a = 1\n", "a = 2\n", "a = \n"},
	}
	rapid.Check(t, func(rt *rapid.T) {
		tree, load := strategy.Tree{}, policies.Cached(policies.Options{})
		for range rapid.IntRange(1, 12).Draw(rt, "commits") {
			for range rapid.IntRange(1, 4).Draw(rt, "changes") {
				path := rapid.SampledFrom(slices.Sorted(maps.Keys(contents))).Draw(rt, "path")
				content := rapid.SampledFrom(append([]string{""}, contents[path]...)).Draw(rt, "content")
				if tree[path] = hashed(content); content == "" {
					delete(tree, path)
				}
			}
			wantReleases, wantMistakes := policies.Load(tree, policies.Options{})
			gotReleases, gotMistakes := load(tree)
			if diff := cmp.Diff(wantReleases, gotReleases); diff != "" {
				rt.Fatalf("releases differ from those of Load:\n%s", diff)
			}
			if diff := cmp.Diff(wantMistakes, gotMistakes); diff != "" {
				rt.Fatalf("mistakes differ from those of Load:\n%s", diff)
			}
		}
	})
}

func TestCachedIsSafe(t *testing.T) {
	load := policies.Cached(policies.Options{})
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			tree := many(20)
			version(tree, i, "1.1.0")
			for range 5 {
				if got, mistakes := load(tree); len(got) != 20 || got[0].Name != "r0" || len(mistakes) > 0 {
					t.Errorf("got %d releases, mistakes %v", len(got), mistakes)
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkLoad reads a head of which one release changed.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{200, 10_000} {
		for name, load := range map[string]func(strategy.Tree) ([]strategy.Release, []strategy.Mistake){
			"all": func(tree strategy.Tree) ([]strategy.Release, []strategy.Mistake) {
				return policies.Load(tree, policies.Options{})
			},
			"cached": policies.Cached(policies.Options{}),
		} {
			b.Run(fmt.Sprintf("%s-of-%d", name, n), func(b *testing.B) {
				tree := many(n)
				load(tree)
				for i := 0; b.Loop(); i++ {
					version(tree, i%n, fmt.Sprint("1.", i))
					load(tree)
				}
			})
		}
	}
}
