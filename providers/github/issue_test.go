package github_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/strategy"
)

func incident(d *desk) strategy.Issue {
	return strategy.Issue{
		Marker: "drover/0123456", Part: "drover/web-abc", Title: "web 1.2.0 rolled back", Body: "It failed.", Labels: []string{"drover"}, Assignees: []string{githubtest.Person}, Since: d.now,
	}
}

func TestOneIssueForOneIncident(t *testing.T) {
	d := newDesk(t)
	issue := incident(d)
	address, err := d.forge.OpenIssue(t.Context(), issue)
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(3 * time.Hour)
	again, err := d.newForge(t, github.Config{}).OpenIssue(t.Context(), issue)
	if err != nil || again != address {
		t.Errorf("another process got %q, %v, want the issue that is there, %q", again, err, address)
	}
	issues := d.hub.Issues()
	if len(issues) != 1 || issues[0].Labels[0] != "drover" || issues[0].Assignees[0] != githubtest.Person || !strings.HasPrefix(issues[0].Body, "It failed.\n") {
		t.Errorf("the issues are %+v, want one with label, assignee and body", issues)
	}
}

// TestIssueCreatedAndNotRecorded: the answer to the create is lost, and the next try finds what it made.
func TestIssueCreatedAndNotRecorded(t *testing.T) {
	d := newDesk(t)
	d.hub.Fail(githubtest.Fault{Method: "POST", Path: "/issues", Kind: githubtest.Cut})
	if _, err := d.forge.OpenIssue(t.Context(), incident(d)); err == nil {
		t.Fatal("the answer was lost, and there is no error")
	}
	address, err := d.forge.OpenIssue(t.Context(), incident(d))
	if err != nil || !strings.HasSuffix(address, "/issues/1") {
		t.Errorf("got %q, %v, want the first issue", address, err)
	}
	if n := len(d.hub.Issues()); n != 1 {
		t.Errorf("%d issues were opened, want 1", n)
	}
}

// TestIssueOfAStrangerIsNotOurs: somebody copies the marker into an issue of theirs.
func TestIssueOfAStrangerIsNotOurs(t *testing.T) {
	d := newDesk(t)
	if _, err := d.forge.OpenIssue(t.Context(), incident(d)); err != nil {
		t.Fatal(err)
	}
	body := d.hub.Issues()[0].Body
	other := newDesk(t)
	other.hub.OpenIssue("stranger", "mine", body)
	address, err := other.forge.OpenIssue(t.Context(), incident(other))
	if err != nil || !strings.HasSuffix(address, "/issues/2") {
		t.Errorf("got %q, %v, want an issue of its own beside the stranger's", address, err)
	}
}

func TestIssueWithAnAssigneeWhoLeft(t *testing.T) {
	d := newDesk(t)
	issue := incident(d)
	issue.Assignees = []string{"gone"}
	if _, err := d.forge.OpenIssue(t.Context(), issue); err != nil {
		t.Fatal(err)
	}
	if issues := d.hub.Issues(); len(issues) != 1 || len(issues[0].Assignees) != 0 {
		t.Errorf("the issues are %+v, want one without assignees", issues)
	}
}

func TestRepositoryWithoutIssues(t *testing.T) {
	d := newDesk(t)
	d.hub.DisableIssues()
	if _, err := d.forge.OpenIssue(t.Context(), incident(d)); !errors.Is(err, strategy.ErrRefused) {
		t.Errorf("got %v, want it refused", err)
	}
}

func TestLongIssueIsCut(t *testing.T) {
	d := newDesk(t)
	issue := incident(d)
	issue.Title, issue.Body = strings.Repeat("é", 400), strings.Repeat("ü", 70000)
	for range 2 {
		if _, err := d.forge.OpenIssue(t.Context(), issue); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.hub.Issues()); n != 1 {
		t.Errorf("%d issues were opened, want 1", n)
	}
}

func TestCloseIssue(t *testing.T) {
	d := newDesk(t)
	if _, err := d.forge.OpenIssue(t.Context(), incident(d)); err != nil {
		t.Fatal(err)
	}
	closing := strategy.Closing{Marker: "drover/0123456", Part: "drover/web-abc", Since: d.now, Text: "1.2.1 was promoted."}
	d.hub.Fail(githubtest.Fault{Method: "PATCH", Path: "/issues/1", Kind: githubtest.Broken})
	if err := d.forge.CloseIssue(t.Context(), closing); err == nil {
		t.Fatal("GitHub was broken, and there is no error")
	}
	for range 2 {
		if err := d.newForge(t, github.Config{}).CloseIssue(t.Context(), closing); err != nil {
			t.Fatal(err)
		}
	}
	issue := d.hub.Issues()[0]
	if issue.State != "closed" || len(issue.Comments) != 1 || !strings.HasPrefix(issue.Comments[0].Body, "1.2.1 was promoted.") {
		t.Errorf("the issue is %s with %d comments, want it closed with one", issue.State, len(issue.Comments))
	}
	closing.Marker = "drover/other"
	if err := d.forge.CloseIssue(t.Context(), closing); err != nil {
		t.Errorf("an issue that is not there: %v", err)
	}
}

// TestIssueOfSeveralParts: two releases of one commit fail, are told in one issue, and it is closed with the second.
func TestIssueOfSeveralParts(t *testing.T) {
	d := newDesk(t)
	first, second := incident(d), incident(d)
	second.Part, second.Body, second.Labels, second.Assignees = "drover/shop-abd", "It failed too.", []string{"drover", "shop team"}, []string{"someone-who-left", "lee"}
	d.hub.Let("lee", "write")
	if _, err := d.forge.OpenIssue(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	end := func(part string, open bool) {
		t.Helper()
		closing := strategy.Closing{Marker: first.Marker, Part: part, Since: first.Since, Text: part + " is mended.", Open: open}
		if err := d.newForge(t, github.Config{}).CloseIssue(t.Context(), closing); err != nil {
			t.Fatal(err)
		}
	}
	end(first.Part, false)
	d.hub.Fail(githubtest.Fault{Method: "POST", Path: "/issues/1/comments", Kind: githubtest.Cut})
	if _, err := d.forge.OpenIssue(t.Context(), second); err == nil {
		t.Fatal("the answer was lost, and there is no error")
	}
	for range 2 {
		if address, err := d.newForge(t, github.Config{}).OpenIssue(t.Context(), second); err != nil || !strings.HasSuffix(address, "/issues/1") {
			t.Errorf("the second part got %q, %v, want the first issue", address, err)
		}
	}
	issues := d.hub.Issues()
	if len(issues) != 1 || issues[0].State != "open" || len(issues[0].Comments) != 2 || !strings.HasPrefix(issues[0].Comments[1].Body, "It failed too.") {
		t.Fatalf("the issues are %+v, want one, open again, that tells of the second part", issues)
	}
	if got := issues[0]; !slices.Equal(got.Labels, []string{"drover", "shop team"}) || !slices.Equal(got.Assignees, []string{githubtest.Person, "lee"}) {
		t.Errorf("its labels are %q and its assignees %q, want those of both parts", got.Labels, got.Assignees)
	}
	end(second.Part, true)
	if got := d.hub.Issues()[0].State; got != "open" {
		t.Errorf("the issue is %s while it concerns another release", got)
	}
	end(second.Part, false)
	if issue := d.hub.Issues()[0]; issue.State != "closed" || len(issue.Comments) != 3 {
		t.Errorf("the issue is %s with %d comments, want it closed with 3", issue.State, len(issue.Comments))
	}
}
