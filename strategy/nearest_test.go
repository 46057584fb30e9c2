package strategy_test

import (
	"strings"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

func TestDidYouMean(t *testing.T) {
	attributes := []string{"attempt", "drift", "hold_at", "jobspec", "max", "max_duration", "max_vs_stable", "min", "policy", "version", "web"}
	for given, want := range map[string]string{
		"polciy":       "policy",        // swapped
		"plicy":        "policy",        // left out
		"versions":     "version",       // put in
		"Policy":       "policy",        // case
		"VERSION":      "version",       // case alone, however much of it
		"mox":          "max",           // changed, in a short word
		"mix":          "max",           // the first of two that are as near
		"max_dur":      "max_duration",  // the beginning
		"web-frontend": "web",           // longer than what is meant
		"max_vs":       "max_vs_stable", // the nearer of two beginnings
		"job":          "jobspec",
		"we":           "web",
		"bar":          "", // two edits away from a short word
		"replicas":     "",
		"":             "",
	} {
		if want != "" {
			want = ` Did you mean "` + want + `"?`
		}
		if got := strategy.DidYouMean(given, attributes); got != want {
			t.Errorf("DidYouMean(%q) = %q, want %q", given, got, want)
		}
	}
	if got := strategy.DidYouMean("policy", []string{"policy"}); got != "" {
		t.Errorf("a name was taken for itself: %q", got)
	}
	long := strings.Repeat("a", 1<<20)
	if got := strategy.DidYouMean(long, []string{long + "b"}); got != "" {
		t.Errorf("a name of a megabyte was looked at: %.80q", got)
	}
}
