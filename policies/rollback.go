package policies

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// The bounds on the labels of an issue, as the forge sets them.
const (
	maxLabels   = 20
	maxLabelLen = 50
	// maxAssignees is how many people one issue is given to at most.
	maxAssignees = 10
)

// isLogin is how the forge writes people's names.
var isLogin = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,38}$`)

// rollbackRule is a rollback block. What is nil was left out.
type rollbackRule struct {
	commit    *strategy.CommitMode
	issue     *bool
	labels    *[]string
	assignees *[]string
	places    places
}

var rollbackSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "commit"}, {Name: "issue"}, {Name: "labels"}, {Name: "assignees"}}}

// decodeRollbackBlock reads what is said to people and to Git after a rollback.
func decodeRollbackBlock(block *hcl.Block) (rollbackRule, hcl.Diagnostics) {
	r := rollbackRule{places: places{}}
	content, diags := block.Body.Content(rollbackSchema)
	r.places.note("rollback.", content.Attributes, "commit", "issue", "labels", "assignees")
	if attr := content.Attributes["commit"]; attr != nil {
		word, d := wordOf("commit", []string{string(strategy.CommitPush), string(strategy.CommitPullRequest), string(strategy.CommitNone)}, attr.Expr)
		diags = append(diags, d...)
		mode := strategy.CommitMode(word)
		r.commit = &mode
	}
	if attr := content.Attributes["issue"]; attr != nil {
		issue, d := boolOf("issue", attr.Expr)
		diags = append(diags, d...)
		r.issue = &issue
	}
	if attr := content.Attributes["labels"]; attr != nil {
		labels, d := labelsOf(attr.Expr)
		diags = append(diags, d...)
		r.labels = &labels
	}
	if attr := content.Attributes["assignees"]; attr != nil {
		assignees, d := assigneesOf(attr.Expr)
		diags = append(diags, d...)
		r.assignees = &assignees
	}
	return r, diags
}

// labelsOf is the labels of an issue; an empty list is one without any.
func labelsOf(expr hcl.Expression) ([]string, hcl.Diagnostics) {
	items, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		return nil, faults("Wrong type", expr.Range(), "labels must be a list such as [\"drover\", \"rollback\"].")
	}
	if len(items) > maxLabels {
		diags = append(diags, fault("Too many labels", expr.Range(), "An issue gets at most %d labels.", maxLabels))
	}
	var labels []string
	for _, item := range items[:min(len(items), maxLabels)] {
		label, d := stringOf("label", `a text such as "rollback"`, item)
		diags = append(diags, d...)
		if !d.HasErrors() && (utf8.RuneCountInString(label) > maxLabelLen || strings.ContainsAny(label, ",\n\r") || strings.TrimSpace(label) != label) {
			diags = append(diags, fault("Invalid label", item.Range(), "A label has at most %d characters, no comma or line break, and no space at its ends.", maxLabelLen))
		}
		labels = append(labels, label)
	}
	return labels, diags
}

// assigneesOf is whom an issue is given to; an empty list is nobody.
func assigneesOf(expr hcl.Expression) ([]string, hcl.Diagnostics) {
	items, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		return nil, faults("Wrong type", expr.Range(), "assignees must be a list such as [\"robin\"].")
	}
	if len(items) > maxAssignees {
		diags = append(diags, fault("Too many assignees", expr.Range(), "An issue is given to at most %d people.", maxAssignees))
	}
	var assignees []string
	for _, item := range items[:min(len(items), maxAssignees)] {
		login, d := stringOf("assignee", `a login such as "robin"`, item)
		diags = append(diags, d...)
		if !d.HasErrors() && !isLogin.MatchString(login) {
			diags = append(diags, fault("Invalid assignee", item.Range(), "An assignee is a login of the forge: letters, digits and hyphens, without @."))
		}
		assignees = append(assignees, login)
	}
	return assignees, diags
}

// under is the rule completed from a policy's and from the defaults, attribute by attribute.
func (r rollbackRule) under(policy rollbackRule) strategy.Rollback {
	out := strategy.Rollback{Commit: strategy.CommitPush, Issue: true, Labels: []string{"drover", "rollback"}}
	if commit := cmp.Or(r.commit, policy.commit); commit != nil {
		out.Commit = *commit
	}
	if issue := cmp.Or(r.issue, policy.issue); issue != nil {
		out.Issue = *issue
	}
	if labels := cmp.Or(r.labels, policy.labels); labels != nil {
		out.Labels = slices.Clone(*labels)
	}
	if assignees := cmp.Or(r.assignees, policy.assignees); assignees != nil {
		out.Assignees = slices.Clone(*assignees)
	}
	return out
}
