package strategy

import (
	"cmp"
	"fmt"
	"strings"
)

const (
	maxChoices = 1000 // names that a mistyped one is compared with
	maxTyped   = 128  // bytes of a name that may be a mistyped one
)

// DidYouMean is " Did you mean …?" with the choice that was probably meant by a name that is none of them: the one that
// is an edit or two away, else one that begins with it, else one that it begins with. It is "" when none is near.
func DidYouMean(given string, choices []string) string {
	if nearest := nearest(given, choices); nearest != "" {
		return fmt.Sprintf(" Did you mean %q?", nearest)
	}
	return ""
}

// Meant is DidYouMean for the end of an error: `: did you mean "web"?`.
func Meant(given string, choices []string) string {
	if nearest := nearest(given, choices); nearest != "" {
		return fmt.Sprintf(": did you mean %q?", nearest)
	}
	return ""
}

func nearest(given string, choices []string) string {
	if len(given) > maxTyped {
		return ""
	}
	const short = 3
	best, least, longer, shorter := "", 3, "", ""
	for _, c := range choices[:min(len(choices), maxChoices)] {
		if c == given {
			continue
		}
		// In a short word two edits make another word.
		if d := edits(given, c); d < least && (d < 2 || len(c) > short+1) {
			best, least = c, d
		}
		switch {
		case min(len(given), len(c)) < short:
		case strings.HasPrefix(c, given):
			longer = cmp.Or(longer, c)
		case strings.HasPrefix(given, c):
			shorter = cmp.Or(shorter, c)
		}
	}
	return cmp.Or(best, longer, shorter)
}

// edits is how many characters are to be put in, taken out, changed or swapped with the next to make b of a; when that is
// above two, any number above two. Upper and lower case differ by one.
func edits(a, b string) int {
	if a != b && strings.EqualFold(a, b) {
		return 1
	}
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 3
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
