package github_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/strategy"
)

func TestSetStatus(t *testing.T) {
	d := newDesk(t)
	sha := d.remote.Tip(t)
	pending := strategy.Status{Context: "drover/web", State: strategy.ReportPending, Text: strings.Repeat("ä", 200)}
	for range 2 {
		if err := d.forge.SetStatus(t.Context(), sha, pending); err != nil {
			t.Fatal(err)
		}
	}
	other := d.newForge(t, github.Config{})
	if err := other.SetStatus(t.Context(), sha, pending); err != nil {
		t.Fatal(err)
	}
	set := d.hub.Statuses(sha)
	if len(set) != 1 {
		t.Fatalf("%d statuses were set, want 1: what is so already is not sent", len(set))
	}
	if n := utf8.RuneCountInString(set[0].Text); n != 140 || !strings.HasSuffix(set[0].Text, "ä…") {
		t.Errorf("the description has %d characters: %q", n, set[0].Text)
	}
	success := strategy.Status{Context: "drover/web", State: strategy.ReportSuccess, Text: "1.0.0 runs"}
	if err := other.SetStatus(t.Context(), sha, success); err != nil {
		t.Fatal(err)
	}
	if set := d.hub.Statuses(sha); len(set) != 2 || set[1].State != "success" || set[1].Context != "drover/web" {
		t.Errorf("the statuses are %+v, want pending and success", set)
	}
}

func TestSetStatusOfNoCommit(t *testing.T) {
	d := newDesk(t)
	err := d.forge.SetStatus(t.Context(), strings.Repeat("ab", 20), strategy.Status{Context: "drover/web", State: strategy.ReportSuccess})
	if !errors.Is(err, strategy.ErrRefused) {
		t.Errorf("got %v, want it refused: no later try can mend it", err)
	}
}
