package nomad

import (
	"testing"

	"github.com/drover-dev/drover/strategy"
)

func TestMarker(t *testing.T) {
	marker := strategy.Marker{
		Instance: "drover", Rollout: "r1", Role: strategy.RoleCanary,
		Revision: strategy.Revision{Version: "1.0.0", Attempt: 1, Digest: "abc"},
	}
	const source = "# a comment\njob \"web\" {}\n"
	marked, err := markSource(marker, source)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := readMarker(marked); !ok || got != marker {
		t.Errorf("got %+v, %t, want %+v", got, ok, marker)
	}
	if got := unmarkSource(marked); got != source {
		t.Errorf("got source %q, want %q", got, source)
	}
	second := marker
	second.Rollout = "r2"
	again, err := markSource(second, marked)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := readMarker(again); got != second || unmarkSource(again) != source {
		t.Errorf("got %q, want the old marker replaced", again)
	}
	alone, err := markSource(marker, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := readMarker(alone); !ok || got != marker || unmarkSource(alone) != "" {
		t.Errorf("got %q of a version without source, want the marker alone", alone)
	}
	for _, text := range []string{"", source, "# drover: is great\njob", "# drover: {}\n", "job\n# drover: {\"instance\":\"drover\"}"} {
		if got, ok := readMarker(text); ok {
			t.Errorf("got marker %+v of %q, want none", got, text)
		}
	}
}

func TestReadVersion(t *testing.T) {
	for text, want := range map[string]string{
		"replicas = 3\nversion = \"1.2.0\"\n":     "1.2.0",
		"version=\"2\"":                           "2",
		"conversion = \"1\"\n# version = \"2\"\n": "",
		"": "",
		"app_version = \"1\"\n  version = \"x-y\"": "x-y",
	} {
		if got := readVersion(text); got != want {
			t.Errorf("got %q of %q, want %q", got, text, want)
		}
	}
}

func TestVariablesOf(t *testing.T) {
	got := variablesOf("version = \"1\"\nreplicas = 2\n", map[string]string{"version": `a"${b}`, "zones": `["a"]`})
	want := "replicas = 2\nversion = \"a\\\"$${b}\"\nzones = [\"a\"]\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
