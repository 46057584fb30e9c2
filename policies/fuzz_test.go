package policies_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

// FuzzLoad holds that whatever the files hold, Load returns, and that what it returns can be relied on.
func FuzzLoad(f *testing.F) {
	good := "release \"web\" {\n version = \"1\"\n jobspec = \"job\"\n policy = \"p\"\n var_files = [\"v.hcl\"]\n}\n"
	policy := "policy \"p\" {\n strategy \"canary\" {\n weights = [5, \"100%\"]\n bake = \"1m\"\n }\n gate \"e\" {\n metric = \"error_rate\"\n max = \"1%\"\n }\n}\n"
	f.Add(good, policy, "a = 1\nb = { c = [\"$${d}\", null] }\n", false)
	f.Add("release \"web\" {\n version = \"1\"\n jobspec = \"job\"\n policy = \"p\"\n hold_at = \"25%\"\n smoke \"s\" {\n path = \"/?q=%20\"\n header = { X-A = \"1\", \"b\" = \"2\" }\n body = \"^o(k)\"\n timeout = \"1s\"\n retries = 2\n }\n}\n",
		"policy \"p\" {\n strategy \"blue-green\" {\n bake = \"1m\"\n standby = \"2m\"\n weights = [10, \"50%\"]\n step_bake = \"1s\"\n }\n smoke \"s\" {\n path = \"/\"\n status = 204\n }\n}\n", "", false)
	f.Add(`{"release": {"web": {"version": "1", "jobspec": "job", "hold_at": 0, "smoke": {"s": {"path": "/", "header": {"1": "x", "": "y"}}}}}}`, `{}`, "", true)
	f.Add(`{"release": {"web": {"version": "1", "jobspec": "job"}}}`, `{"policy": {"p": {"max_duration": "3h"}}}`, `{"a": 1}`, true)
	f.Add("release \"web\" {", "policy \"p\" {\n gate \"e\" {", "a = ", false)
	f.Add("release \"web\" {\n attempt = 1e999999999\n}", "polcy {}", "a = -\"1e1000000000\"", false)
	f.Add("release \"web\" {\n strategy \"canary\" {\n weights = [\"1e999999999%\", -0, 1e-400]\n bake = \"99999999999d\"\n }\n}", "", "", false)
	f.Add("\xff\xfe", "\x00", "\"\xff\" = 1", true)
	f.Fuzz(func(t *testing.T, release, policy, vars string, isJSON bool) {
		suffix := ""
		if isJSON {
			suffix = ".json"
		}
		tree := treeOf("job", "job", "v.hcl", vars, "v.hcl.json", vars, "policies/p.hcl"+suffix, policy, "release.hcl"+suffix, release)
		releases, mistakes := policies.Load(tree, policies.Options{})
		for _, r := range releases {
			checkRelease(t, tree, r)
		}
		for _, m := range mistakes {
			if _, ok := tree[m.Path]; !ok || m.Line < 1 || m.Text == "" || m.Detail == "" || !utf8.ValidString(m.Text+m.Detail) || strings.Contains(m.Text, "\n") {
				t.Errorf("mistake without place or text: %+v", m)
			}
		}
		againReleases, againMistakes := policies.Load(tree, policies.Options{})
		if diff := cmp.Diff(releases, againReleases) + cmp.Diff(mistakes, againMistakes); diff != "" {
			t.Errorf("a second call differs:\n%s", diff)
		}
	})
}

// checkRelease holds what everybody who takes a release relies on.
func checkRelease(t *testing.T, tree strategy.Tree, r strategy.Release) {
	t.Helper()
	if r.Name == "" || r.Version == "" || r.Attempt < 1 || r.Line < 1 || r.Source.Jobspec != string(tree[r.Source.Path].Content) {
		t.Errorf("incomplete release: %+v", r)
	}
	checkPlan(t, r.Plan)
	checkSmokes(t, r.Plan.Smoke)
	if at := r.HoldAt; at != nil && (*at < 0 || *at > strategy.Full) {
		t.Errorf("held at %s", *at)
	}
	for _, file := range r.Files {
		if _, ok := tree[file]; !ok {
			t.Errorf("names %s, which is not in the tree", file)
		}
	}
	checkVariables(t, r.Source.Variables)
}

func checkPlan(t *testing.T, plan strategy.Plan) {
	t.Helper()
	last := strategy.Weight(0)
	for _, s := range plan.Steps {
		if s.Weight <= last || s.Weight > strategy.Full || s.Bake < 0 {
			t.Errorf("steps are not rising to 100%%: %+v", plan.Steps)
		}
		last = s.Weight
	}
	if plan.Kind == strategy.KindBlueGreen && (last != strategy.Full || !plan.Canaries.IsFull()) || plan.Kind != strategy.KindBlueGreen && plan.Standby != 0 {
		t.Errorf("steps %s, standby %s and %s canaries are not those of %q", plan.Weights(), plan.Standby, plan.Canaries, plan.Kind)
	}
	if last == 0 || plan.Standby < 0 || plan.MaxDuration <= plan.Bake()+plan.Standby {
		t.Errorf("the plan goes nowhere: %+v", plan)
	}
	for _, g := range plan.Gates {
		if g.Name == "" || g.Metric == "" || (g.Max == nil && g.Min == nil && g.MaxVsStable == nil) {
			t.Errorf("gate without threshold: %+v", g)
		}
	}
}

// checkSmokes holds that every smoke check can be asked.
func checkSmokes(t *testing.T, smokes []strategy.Smoke) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range smokes {
		request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+s.Path, nil)
		if err != nil || request.URL.Host != "127.0.0.1:8080" || request.URL.Fragment != "" || !strings.HasPrefix(request.URL.Path, "/") {
			t.Errorf("path %q cannot be asked: %v", s.Path, err)
		}
		if _, err := regexp.Compile(s.Body); err != nil {
			t.Errorf("the body of %q cannot be matched: %v", s.Name, err)
		}
		if s.Name == "" || seen[s.Name] || s.Status < 100 || s.Status > 599 || s.Timeout <= 0 || s.Timeout > time.Minute || s.Retries < 0 || s.Retries > 10 {
			t.Errorf("smoke check out of bounds: %+v", s)
		}
		seen[s.Name] = true
	}
}

func checkVariables(t *testing.T, variables string) {
	t.Helper()
	parsed, diags := hclsyntax.ParseConfig([]byte(variables), "variables", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("the variables do not parse: %v\n%s", diags, variables)
	}
	attrs, diags := parsed.Body.JustAttributes()
	if diags.HasErrors() || len(attrs) != strings.Count(variables, "\n") || attrs["version"] == nil {
		t.Errorf("the variables are not one a line with version among them: %v\n%s", diags, variables)
	}
	for name, attr := range attrs {
		if _, diags := attr.Expr.Value(nil); diags.HasErrors() {
			t.Errorf("variable %s is not constant: %v", name, diags)
		}
	}
}
