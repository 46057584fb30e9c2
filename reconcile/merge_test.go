package reconcile_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/drover-dev/drover/reconcile"
)

// TestMergeFile merges as Git does.
func TestMergeFile(t *testing.T) {
	const base = "a\nb\nc\nd\ne\nf\n"
	for name, c := range map[string]struct {
		ours, theirs, want string // "" for a conflict
	}{
		"apart":                       {"A\nb\nc\nd\ne\nf\n", "a\nb\nc\nd\nE\nf\n", "A\nb\nc\nd\nE\nf\n"},
		"the same line":               {"a\nb\nC\nd\ne\nf\n", "a\nb\nX\nd\ne\nf\n", ""},
		"the same line alike":         {"a\nb\nC\nd\ne\nf\n", "a\nb\nC\nd\ne\nF\n", "a\nb\nC\nd\ne\nF\n"},
		"beside each other":           {"a\nb\nC\nd\ne\nf\n", "a\nb\nc\nD\ne\nf\n", ""},
		"one deletes, one adds":       {"a\nd\ne\nf\n", "a\nb\nc\nd\ne\nf\ng\n", "a\nd\ne\nf\ng\n"},
		"one deletes what one edits":  {"a\nd\ne\nf\n", "a\nb\nC\nd\ne\nf\n", ""},
		"both add at the end":         {base + "g\n", base + "h\n", ""},
		"both add at the end alike":   {base + "g\n", base + "g\n", base + "g\n"},
		"one ends without a newline":  {strings.TrimSuffix(base, "\n"), "A\n" + base[2:], "A\nb\nc\nd\ne\nf"},
		"one takes everything away":   {"", base, ""},
		"moved up, and edited before": {"a\ne\nb\nc\nd\nf\n", "A\nb\nc\nd\ne\nf\n", ""},
	} {
		merged, ok := reconcile.MergeFile([]byte(base), []byte(c.ours), []byte(c.theirs))
		if emptied := c.ours == ""; ok != (c.want != "" || emptied) || ok && merged != c.want {
			t.Errorf("%s: got %q, %t, want %q", name, merged, ok, c.want)
		}
	}
	if _, ok := reconcile.MergeFile([]byte("a\x00"), []byte("b\x00"), []byte("a\x00")); ok {
		t.Error("what is no text was merged")
	}
}

// TestMergeFileOfOneSide: what one side alone changed, or both alike, is what comes out.
func TestMergeFileOfOneSide(t *testing.T) {
	text := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "}\n", "\n"}), 0, 12), func(lines []string) string { return strings.Join(lines, "") })
	rapid.Check(t, func(t *rapid.T) {
		base, changed := text.Draw(t, "base"), text.Draw(t, "changed")
		for _, sides := range [][2]string{{changed, base}, {base, changed}, {changed, changed}} {
			merged, ok := reconcile.MergeFile([]byte(base), []byte(sides[0]), []byte(sides[1]))
			if !ok || merged != changed {
				t.Fatalf("%q and %q, from %q: got %q, %t, want %q", sides[0], sides[1], base, merged, ok, changed)
			}
		}
	})
}
