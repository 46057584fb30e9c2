package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDetailsURL is filled in for each release, and refused when it is no address.
func TestDetailsURL(t *testing.T) {
	t.Setenv("SHOP_TOKEN", "a token")
	read := func(address string) (*config, error) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "drover.hcl")
		text := "git {\n  url = \"https://github.com/shop/releases.git\"\n}\n\ngithub {\n  token_env   = \"SHOP_TOKEN\"\n  details_url = \"" + address + "\"\n}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return readConfig(path)
	}
	c, err := read("https://grafana.shop.example/d/drover?var-release={release}&commit={commit}")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.GitHub.details("check out&co", "c0ffee"), "https://grafana.shop.example/d/drover?var-release=check+out%26co&commit=c0ffee"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := read("grafana/{release}"); err == nil || !strings.Contains(err.Error(), "details_url is the address that statuses lead to") {
		t.Errorf("what is no address gives the error %v", err)
	}
}
