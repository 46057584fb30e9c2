package policies

import (
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/drover-dev/drover/strategy"
)

// The defaults of smoke checks, and their bounds: a check that asks for long holds up the rollout, and the checks are kept
// in its record.
const (
	defaultSmokeStatus  = 200
	defaultSmokeTimeout = 2 * time.Second
	maxSmokeTimeout     = time.Minute
	maxSmokeRetries     = 10
	maxSmokes           = 20
	maxSmokeText        = 4 << 10 // bytes of all checks of a release
)

var (
	// pathLike is what can stand in a request line after the address as it is: no fragment, which is never sent, and every
	// percent sign an escape.
	pathLike   = regexp.MustCompile(`^/([!-"$&-~]|%[0-9A-Fa-f]{2})*$`)
	headerLike = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
)

// smokeRule is a smoke block. A disabled one removes the check of its name.
type smokeRule struct {
	smoke    strategy.Smoke
	disabled bool
	at       hcl.Range // of its label
}

func (r smokeRule) name() string { return r.smoke.Name }
func (r smokeRule) off() bool    { return r.disabled }

var smokeSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{
	{Name: "path"}, {Name: "status"}, {Name: "header"}, {Name: "body"}, {Name: "timeout"}, {Name: "retries"}, {Name: "enabled"},
}}

// decodeSmokes reads the smoke checks of one policy or release.
func decodeSmokes(blocks hcl.Blocks) ([]smokeRule, hcl.Diagnostics) {
	var rules []smokeRule
	var diags hcl.Diagnostics
	seen := map[string]hcl.Range{}
	for _, block := range blocks {
		rule, d := decodeSmokeBlock(block)
		diags = append(diags, d...)
		if first, dup := seen[rule.smoke.Name]; dup {
			diags = append(diags, fault("Duplicate smoke check", rule.at, "There is a smoke check %q already in line %d. Give this one another name.", rule.smoke.Name, first.Start.Line))
			continue
		}
		seen[rule.smoke.Name] = rule.at
		rules = append(rules, rule)
	}
	return rules, diags
}

// decodeSmokeBlock reads one smoke check.
func decodeSmokeBlock(block *hcl.Block) (smokeRule, hcl.Diagnostics) {
	rule := smokeRule{
		smoke: strategy.Smoke{Name: block.Labels[0], Status: defaultSmokeStatus, Timeout: defaultSmokeTimeout},
		at:    block.LabelRanges[0],
	}
	content, diags := block.Body.Content(smokeSchema)
	attrs := content.Attributes
	if !labelLike.MatchString(rule.smoke.Name) {
		diags = append(diags, fault("Invalid name", rule.at, "A smoke check is named with a-z, 0-9, - and _, at most 63 of them, from a letter or digit to a letter or digit."))
	}
	var d hcl.Diagnostics
	if attr := attrs["enabled"]; attr != nil {
		var enabled bool
		enabled, d = boolOf("enabled", attr.Expr)
		diags = append(diags, d...)
		rule.disabled = !enabled && !d.HasErrors()
	}
	if attr := attrs["path"]; attr != nil {
		rule.smoke.Path, d = pathOf(attr.Expr)
		diags = append(diags, d...)
	} else if !rule.disabled {
		diags = append(diags, fault("Missing path", block.DefRange, "A smoke check needs what it asks for: path = \"/healthz\"."))
	}
	if attr := attrs["status"]; attr != nil {
		rule.smoke.Status, d = wholeOf("status", 100, 599, attr.Expr)
		diags = append(diags, d...)
	}
	if attr := attrs["timeout"]; attr != nil {
		rule.smoke.Timeout, d = smokeTimeoutOf(attr.Expr)
		diags = append(diags, d...)
	}
	if attr := attrs["retries"]; attr != nil {
		rule.smoke.Retries, d = wholeOf("retries", 0, maxSmokeRetries, attr.Expr)
		diags = append(diags, d...)
	}
	if attr := attrs["header"]; attr != nil {
		rule.smoke.Header, d = headersOf(attr.Expr)
		diags = append(diags, d...)
	}
	if attr := attrs["body"]; attr != nil {
		rule.smoke.Body, d = patternOf(attr.Expr)
		diags = append(diags, d...)
	}
	return rule, diags
}

// pathOf is the path of a request, with its query.
func pathOf(expr hcl.Expression) (string, hcl.Diagnostics) {
	p, diags := stringOf("path", `a path such as "/healthz"`, expr)
	switch {
	case diags.HasErrors():
		return "", diags
	case !strings.HasPrefix(p, "/"):
		return "", faults("Invalid path", expr.Range(), "path = %q must begin with \"/\": every canary is asked at its own address.", p)
	case !pathLike.MatchString(p):
		return "", faults("Invalid path", expr.Range(), "path = %q cannot be asked for as it is: write spaces, # and what is not ASCII as escapes such as %%20.", p)
	}
	return p, nil
}

func smokeTimeoutOf(expr hcl.Expression) (time.Duration, hcl.Diagnostics) {
	limit, _, diags := durationOf("timeout", "2s", expr)
	switch {
	case diags.HasErrors():
		return 0, diags
	case limit == 0:
		return 0, faults("Empty duration", expr.Range(), "timeout must be above 0: no answer takes no time.")
	case limit > maxSmokeTimeout:
		return 0, faults("Timeout too long", expr.Range(), "timeout is at most %s, for one try. Where a canary needs longer to get ready, say so in its health check, which comes first.", maxSmokeTimeout)
	}
	return limit, nil
}

// headersOf is the headers that an answer must have, by name.
func headersOf(expr hcl.Expression) (map[string]string, hcl.Diagnostics) {
	if _, diags := constant(expr); diags.HasErrors() {
		return nil, diags
	}
	pairs, d := hcl.ExprMap(expr)
	if d.HasErrors() {
		return nil, faults("Wrong type", expr.Range(), "header must be an object such as { X-Version = \"1.2\" }.")
	}
	var diags hcl.Diagnostics
	headers, seen := map[string]string{}, map[string]bool{}
	for _, pair := range pairs {
		key, d := pair.Key.Value(nil)
		if d.HasErrors() {
			diags = append(diags, d...)
			continue
		}
		name := ""
		if key.Type() == cty.String {
			name = key.AsString()
		}
		if !headerLike.MatchString(name) {
			diags = append(diags, fault("Invalid header", pair.Key.Range(), "This cannot be the name of a header: use letters, digits and -, such as X-Version."))
		}
		if seen[strings.ToLower(name)] {
			diags = append(diags, fault("Duplicate header", pair.Key.Range(), "%s is named already; upper and lower case are the same here. Leave one of them out.", name))
		}
		seen[strings.ToLower(name)] = true
		value, d := stringOf("header "+name, `the value that is expected, such as "1.2"`, pair.Value)
		if !d.HasErrors() && (strings.TrimSpace(value) != value || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })) {
			d = faults("Invalid header", pair.Value.Range(), "No answer has a header with this value: leave out the spaces at its ends and control characters.")
		}
		diags = append(diags, d...)
		headers[name] = value
	}
	if len(headers) == 0 {
		return nil, diags
	}
	return headers, diags
}

// patternOf is a regular expression.
func patternOf(expr hcl.Expression) (string, hcl.Diagnostics) {
	pattern, diags := stringOf("body", `a regular expression such as "^ok"`, expr)
	if diags.HasErrors() {
		return "", diags
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return "", faults("Invalid regular expression", expr.Range(), "body = %q cannot be read: %v. The syntax is that of RE2; a literal . or ( is written \\\\. or \\\\(.", pattern, err)
	}
	return pattern, nil
}

// mergeSmokes is the smoke checks of a policy with those of a release put over them. at is the place to complain at when
// they are too many together.
func mergeSmokes(policy, release []smokeRule, at hcl.Range) ([]strategy.Smoke, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	merged, strays := overlay(policy, release)
	for _, rule := range strays {
		diags = append(diags, fault("Unknown smoke check", rule.at, "There is no smoke check %q in the policy to be disabled.%s", rule.smoke.Name, strategy.DidYouMean(rule.smoke.Name, namesOf(policy))))
	}
	var smokes []strategy.Smoke
	size := 0
	for _, rule := range merged {
		// The caller owns what it gets; a policy is shared.
		rule.smoke.Header = maps.Clone(rule.smoke.Header)
		smokes = append(smokes, rule.smoke)
		size += len(rule.smoke.Name) + len(rule.smoke.Path) + len(rule.smoke.Body)
		for name, value := range rule.smoke.Header {
			size += len(name) + len(value)
		}
	}
	if len(smokes) > maxSmokes {
		diags = append(diags, fault("Too many smoke checks", at, "The release has %d smoke checks with those of its policy; at most %d are made.", len(smokes), maxSmokes))
	}
	if size > maxSmokeText {
		diags = append(diags, fault("Smoke checks too long", at, "The smoke checks have %d bytes together with those of the policy; at most %d are kept. Shorten their paths, headers and bodies.", size, maxSmokeText))
	}
	return smokes, diags
}
