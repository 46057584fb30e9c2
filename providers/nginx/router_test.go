package nginx_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/nginx"
	"github.com/drover-dev/drover/strategy"
)

// TestFileChangedByHand: whatever somebody makes of the file, the next split writes all of it as it was.
func TestFileChangedByHand(t *testing.T) {
	split := func(release string, w strategy.Weight) strategy.Split {
		return strategy.Split{
			Release: release, Namespace: "default", Service: release, Weight: w,
			Stable: []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}, Canary: []strategy.Endpoint{{Alloc: "b", Address: "10.0.0.2:80"}},
		}
	}
	for name, edit := range map[string]func(string) string{
		"a server": func(text string) string {
			return strings.Replace(text, "server 10.0.0.1:80;", "server 10.9.9.9:80;", 1)
		},
		"a share":        func(text string) string { return strings.Replace(text, "5.00% ", "50.00% ", 1) },
		"a split":        func(text string) string { return strings.Replace(text, `"weight":"20%"`, `"weight":"90%"`, 1) },
		"no split":       func(text string) string { return strings.ReplaceAll(text, "# split {", "# split ") },
		"another server": func(text string) string { return text + "server { listen 1; }\n" },
		"nothing":        func(string) string { return "" },
		"no file":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "edge.conf")
			router, err := nginx.New(nginx.Options{Name: "edge", File: file, Admin: "127.0.0.1:1", Copies: "127.0.0.1:2", Test: []string{"true"}, Reload: []string{"true"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := router.Prepare("shop", "other", "third"); err != nil {
				t.Fatal(err)
			}
			for _, s := range []strategy.Split{split("shop", strategy.Percent(5)), split("other", strategy.Percent(20))} {
				if err := router.Apply(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			want := read(t, file)
			if edit == nil {
				err = os.Remove(file)
			} else {
				edited := edit(want)
				if edited == want {
					t.Fatal("nothing was changed")
				}
				err = os.WriteFile(file, []byte(edited), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if state, err := router.Read(t.Context(), "shop"); err == nil && state.Has(split("shop", strategy.Percent(5))) {
				t.Error("the split is said to be in effect")
			}
			if err := router.Apply(t.Context(), split("shop", strategy.Percent(5))); err != nil {
				t.Fatal(err)
			}
			if got := read(t, file); got != want {
				t.Errorf("the file is not what it was:\n%s", got)
			}
		})
	}
}

// TestFileOfOtherOptions: a file that another Drover wrote is kept, and written anew for what is asked of it now.
func TestFileOfOtherOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.conf")
	options := nginx.Options{Name: "edge", File: file, Admin: "127.0.0.1:1", Test: []string{"true"}, Reload: []string{"true"}}
	before, err := nginx.New(options)
	if err != nil {
		t.Fatal(err)
	}
	split := strategy.Split{Release: "shop", Service: "shop", Stable: []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}}
	if err := before.Apply(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	options.Log, options.Admin = "127.0.0.1:2", "127.0.0.1:3"
	after, err := nginx.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := after.Prepare("shop"); err != nil {
		t.Fatal(err)
	}
	text := read(t, file)
	for _, part := range []string{"log_format drover ", "listen 127.0.0.1:3;", "server 10.0.0.1:80;"} {
		if !strings.Contains(text, part) {
			t.Errorf("the file lacks %q:\n%s", part, text)
		}
	}
}

// TestVariablesDoNotMeet: no variable of a release is that of another, or one of the file's own.
func TestVariablesDoNotMeet(t *testing.T) {
	names := []string{"shop", "secure", "shadow", "after", "before"}
	for _, what := range []string{"new", "drawn", "copy", "copied", "stable", "canary"} {
		names = append(names, "shop-"+what, what+"-shop")
	}
	names = append(names, "cookies-shop", "set-cookie-shop")
	file := filepath.Join(t.TempDir(), "edge.conf")
	router, err := nginx.New(nginx.Options{Name: "edge", File: file, Admin: "127.0.0.1:1", Copies: "127.0.0.1:2", Test: []string{"true"}, Reload: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		split := strategy.Split{Release: name, Service: name, Weight: 500, Sessions: "r-1", Copies: &strategy.Copies{Percent: 1000, Methods: []string{"GET"}}}
		split.Stable, split.Canary = []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}, []strategy.Endpoint{{Alloc: "b", Address: "10.0.0.2:80"}}
		if err := router.Apply(t.Context(), split); err != nil {
			t.Fatal(err)
		}
	}
	defined := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^(?:map|split_clients) .*?(\$\w+) \{$`).FindAllStringSubmatch(read(t, file), -1) {
		if before := defined[found[1]]; before != "" {
			t.Errorf("%s is defined twice, by %q and %q", found[1], before, found[0])
		}
		defined[found[1]] = found[0]
	}
	if len(defined) < 4*len(names) {
		t.Errorf("%d variables were found of %d releases", len(defined), len(names))
	}
	if one, other := nginx.Clash(names); one != "" {
		t.Errorf("%q and %q are said to meet", one, other)
	}
	for _, name := range []string{"shop-cookies", "shop-set-cookie"} {
		if one, other := nginx.Clash(append(names, name)); one != "shop" || other != name {
			t.Errorf("with %q, %q and %q are said to meet", name, one, other)
		}
		if err := router.Apply(t.Context(), strategy.Split{Release: name, Service: name}); err == nil || !strings.Contains(err.Error(), "cannot be on one NGINX") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
