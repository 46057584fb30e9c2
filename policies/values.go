package policies

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/drover-dev/drover/strategy"
)

var (
	plainNumber  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	leadingDays  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)d`)
	goDuration   = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(h|m|s|ms|us|µs|ns))+$`)
	nameLike     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	labelLike    = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$`)
	plusPercent  = regexp.MustCompile(`^\+([0-9]+(?:\.[0-9]+)?)%$`)
	plusPoints   = regexp.MustCompile(`^\+([0-9]+(?:\.[0-9]+)?)pp$`)
	timesStable  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)x$`)
	percentValue = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)%$`)
)

// wrongType says what an attribute must be, and what it is.
func wrongType(name, want string, got cty.Value, at hcl.Range) *hcl.Diagnostic {
	is := "null"
	if !got.IsNull() {
		is = got.Type().FriendlyName()
	}
	return fault("Wrong type", at, "%s must be %s; this is %s.", name, want, is)
}

// stringOf is a string that is not empty. want describes it: `a version such as "1.8.0"`.
func stringOf(name, want string, expr hcl.Expression) (string, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return "", diags
	}
	if v.IsNull() || v.Type() != cty.String {
		return "", hcl.Diagnostics{wrongType(name, want+", in quotes", v, expr.Range())}
	}
	if v.AsString() == "" {
		return "", faults("Empty value", expr.Range(), "%s must be %s. Leave the line out when there is nothing to say.", name, want)
	}
	return v.AsString(), nil
}

// wordOf is one of a few words.
func wordOf(name string, words []string, expr hcl.Expression) (string, hcl.Diagnostics) {
	s, diags := stringOf(name, quoted(words), expr)
	if diags.HasErrors() {
		return "", diags
	}
	if slices.Contains(words, s) {
		return s, nil
	}
	return "", faults("Unknown value", expr.Range(), "%s must be %s.%s", name, quoted(words), strategy.DidYouMean(s, words))
}

// boolOf is true or false.
func boolOf(name string, expr hcl.Expression) (bool, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return false, diags
	}
	if v.IsNull() || v.Type() != cty.Bool {
		return false, hcl.Diagnostics{wrongType(name, "true or false, without quotes", v, expr.Range())}
	}
	return v.True(), nil
}

// numberOf is a number without a unit. want describes it: "a number between 0 and 1, such as 0.95".
func numberOf(name, want string, expr hcl.Expression) (float64, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return 0, diags
	}
	if v.IsNull() || v.Type() != cty.Number {
		return 0, hcl.Diagnostics{wrongType(name, want+", without quotes or unit", v, expr.Range())}
	}
	f, _ := v.AsBigFloat().Float64()
	return f, nil
}

// countOf is a whole number from 1 on.
func countOf(name string, expr hcl.Expression) (int, hcl.Diagnostics) {
	f, diags := numberOf(name, "a whole number from 1 on", expr)
	if diags.HasErrors() {
		return 0, diags
	}
	if f < 1 || f > math.MaxInt32 || f != math.Trunc(f) {
		return 0, faults("Invalid count", expr.Range(), "%s must be a whole number from 1 on.", name)
	}
	return int(f), nil
}

// wholeOf is a whole number within bounds.
func wholeOf(name string, lowest, highest int, expr hcl.Expression) (int, hcl.Diagnostics) {
	want := fmt.Sprintf("a whole number from %d to %d", lowest, highest)
	f, diags := numberOf(name, want, expr)
	if diags.HasErrors() {
		return 0, diags
	}
	if f < float64(lowest) || f > float64(highest) || f != math.Trunc(f) {
		return 0, faults("Number out of range", expr.Range(), "%s must be %s.", name, want)
	}
	return int(f), nil
}

// quantity is the text of a value that carries its unit. unit names the unit and example shows it.
func quantity(name, unit, example string, expr hcl.Expression) (string, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return "", diags
	}
	text := ""
	switch {
	case v.IsNull():
	case v.Type() == cty.Number:
		text = v.AsBigFloat().Text('f', -1)
	case v.Type() == cty.String:
		text = v.AsString()
	}
	if plainNumber.MatchString(strings.TrimPrefix(text, "-")) {
		return "", faults("Missing unit", expr.Range(), "%s is %s: write it with its unit and in quotes, such as %q.", name, unit, example)
	}
	if text == "" {
		return "", hcl.Diagnostics{wrongType(name, unit+" such as "+strconv.Quote(example), v, expr.Range())}
	}
	return text, nil
}

// durationOf is a duration with its unit, from 0 on.
func durationOf(name, example string, expr hcl.Expression) (time.Duration, string, hcl.Diagnostics) {
	text, diags := quantity(name, "a duration", example, expr)
	if diags.HasErrors() {
		return 0, "", diags
	}
	if strings.HasPrefix(text, "-") {
		return 0, "", faults("Negative duration", expr.Range(), "%s cannot be below 0: write a duration such as %q.", name, example)
	}
	d, ok := parseDuration(text)
	if !ok {
		return 0, "", faults("Invalid duration", expr.Range(),
			"%s = %q is not a duration: write numbers with the units d, h, m, s, ms, us or ns, such as %q or \"1h30m\".", name, text, example)
	}
	return d, text, nil
}

// parseDuration reads Go's syntax with days before it: "1d12h".
func parseDuration(text string) (time.Duration, bool) {
	var days time.Duration
	if m := leadingDays.FindStringSubmatch(text); m != nil {
		f, err := strconv.ParseFloat(m[1], 64)
		// A century, so that no sum of durations can overflow.
		if err != nil || f > 36500 {
			return 0, false
		}
		days = time.Duration(math.Round(f * 24 * float64(time.Hour)))
		if text = text[len(m[0]):]; text == "" {
			return days, true
		}
	}
	if !goDuration.MatchString(text) {
		return 0, false
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest > 36500*24*time.Hour {
		return 0, false
	}
	return days + rest, true
}

// weightOf is a weight above 0, as "5%" or the number 5.
func weightOf(name string, expr hcl.Expression) (strategy.Weight, hcl.Diagnostics) {
	w, diags := percentOf(name, expr)
	if !diags.HasErrors() && w == 0 {
		return 0, faults("Weight out of range", expr.Range(), "%s must be above 0%% and at most 100%%.", name)
	}
	return w, diags
}

// percentOf is a weight from 0 on, as "5%" or the number 5.
func percentOf(name string, expr hcl.Expression) (strategy.Weight, hcl.Diagnostics) {
	v, diags := constant(expr)
	if diags.HasErrors() {
		return 0, diags
	}
	var text string
	switch {
	case v.IsNull():
	case v.Type() == cty.Number:
		text = v.AsBigFloat().Text('f', -1)
	case v.Type() == cty.String:
		text, _ = strings.CutSuffix(v.AsString(), "%")
	}
	if text == "" {
		return 0, hcl.Diagnostics{wrongType(name, `a percentage such as 25 or "25%"`, v, expr.Range())}
	}
	if strings.HasPrefix(text, "-") && plainNumber.MatchString(text[1:]) {
		return 0, faults("Weight out of range", expr.Range(), "%s cannot be below 0%%.", name)
	}
	if !plainNumber.MatchString(text) {
		return 0, faults("Invalid weight", expr.Range(), "%s must be a percentage such as 25 or \"25%%\".", name)
	}
	hundredths, whole := hundredthsOf(text)
	switch {
	case hundredths > float64(strategy.Full):
		return 0, faults("Weight out of range", expr.Range(), "%s must be at most 100%%.", name)
	case !whole:
		return 0, faults("Weight too fine", expr.Range(), "%s can be set in steps of 0.01%%.", name)
	}
	return strategy.Weight(hundredths), nil
}

// hundredthsOf is 100 times a plain number, and whether that is a whole one.
func hundredthsOf(text string) (hundredths float64, whole bool) {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, false
	}
	r.Mul(r, big.NewRat(100, 1))
	f, _ := r.Float64()
	return f, r.IsInt()
}

// shareOf is a percentage as a fraction from 0 to 1.
func shareOf(name, example string, expr hcl.Expression) (float64, string, hcl.Diagnostics) {
	text, diags := quantity(name, "a percentage", example, expr)
	if diags.HasErrors() {
		return 0, "", diags
	}
	p, ok := matched(percentValue, text)
	if !ok || p > 100 {
		return 0, "", faults("Invalid percentage", expr.Range(), "%s = %q is not a percentage from 0%% to 100%%: write it such as %q.", name, text, example)
	}
	return p / 100, text, nil
}

// matched is the number that a pattern finds in a text.
func matched(pattern *regexp.Regexp, text string) (float64, bool) {
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(m[1], 64)
	return f, err == nil && !math.IsInf(f, 0)
}
