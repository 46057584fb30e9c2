package github_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/strategy"
)

func status(n int) strategy.Status {
	return strategy.Status{Context: fmt.Sprintf("drover/service-%d", n), State: strategy.ReportPending, Text: "placing 1.0.0"}
}

// TestSecondaryLimit: what GitHub says of waiting holds for all calls, and nothing is asked meanwhile.
func TestSecondaryLimit(t *testing.T) {
	d := newDesk(t)
	sha := d.remote.Tip(t)
	d.hub.Fail(githubtest.Fault{Method: "POST", Path: "/statuses", Kind: githubtest.Limited, Wait: 90 * time.Second})
	err := d.forge.SetStatus(t.Context(), sha, status(1))
	var limit *github.LimitError
	if !errors.As(err, &limit) || !limit.RetryAt().Equal(d.now.Add(90*time.Second)) {
		t.Fatalf("got %v, want to be told to wait 90 s", err)
	}
	calls := len(d.hub.Calls())
	d.now = d.now.Add(89 * time.Second)
	if _, err := d.forge.OpenIssue(t.Context(), incident(d)); !errors.As(err, &limit) {
		t.Errorf("got %v, want to wait still", err)
	}
	if n := len(d.hub.Calls()) - calls; n != 0 {
		t.Errorf("%d requests were made while GitHub asked to wait", n)
	}
	d.now = d.now.Add(time.Second)
	if err := d.forge.SetStatus(t.Context(), sha, status(1)); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// TestPrimaryLimit: when the hour is used up, nothing is asked until the next begins.
func TestPrimaryLimit(t *testing.T) {
	d := newDeskWith(t, 200)
	sha := d.remote.Tip(t)
	forge := d.newForge(t, github.Config{Budget: 2})
	var limit *github.LimitError
	for n := 0; ; n++ {
		if err := forge.SetStatus(t.Context(), sha, status(n)); errors.As(err, &limit) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if n > 300 {
			t.Fatal("there is no end to what may be asked")
		}
	}
	used, _, _ := d.hub.Used()
	if used != 200 || !limit.RetryAt().After(d.now) {
		t.Errorf("%d requests were made, and the next is to be at %s", used, limit.RetryAt())
	}
}

// TestBudget: of its own accord Drover uses a fifth of what the hour allows; what reports an incident is not held back.
func TestBudget(t *testing.T) {
	d := newDesk(t)
	sha := d.remote.Tip(t)
	var limit *github.LimitError
	for minute := range 60 {
		for n := range 40 {
			if err := d.forge.SetStatus(t.Context(), sha, status(minute*40+n)); err != nil && !errors.As(err, &limit) {
				t.Fatal(err)
			}
		}
		d.now = d.now.Add(time.Minute)
	}
	_, total, _ := d.hub.Used()
	if total > 1000 || total < 900 || limit == nil {
		t.Errorf("%d requests in an hour, want nearly 1000 of 5000 and no more", total)
	}
	if _, err := d.forge.OpenIssue(t.Context(), incident(d)); err != nil {
		t.Errorf("the issue of an incident: %v", err)
	}
}

// TestNothingChangedCostsNothing: questions with the same answer are not counted.
func TestNothingChangedCostsNothing(t *testing.T) {
	d := newDesk(t)
	for n := range 3 {
		branch := fmt.Sprintf("b%d", n)
		d.remote.Branch(t, "refs/heads/"+branch, d.remote.Tip(t), branch, map[string]string{"f": branch})
		if _, err := d.hub.Open(githubtest.Person, branch, "Change "+branch); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		pulls, err := d.forge.Pulls(t.Context())
		if err != nil || len(pulls) != 3 {
			t.Fatalf("%d pull requests, %v", len(pulls), err)
		}
	}
	if _, total, _ := d.hub.Used(); total != 1 {
		t.Errorf("%d requests were counted, want 1 of 50", total)
	}
}

// TestGitHubIsAway: after some calls without an answer the next ones do not even try for a while.
func TestGitHubIsAway(t *testing.T) {
	d := newDesk(t)
	d.hub.Down(true)
	tried := 0
	for range 100 {
		err := d.forge.SetStatus(t.Context(), d.remote.Tip(t), status(1))
		if err == nil {
			t.Fatal("no error although GitHub is away")
		}
		if limit, ok := errors.AsType[*github.LimitError](err); !ok {
			tried++
		} else if limit.RetryAt().Sub(d.now) > time.Minute {
			t.Errorf("the next try is in %s, want a minute at most", limit.RetryAt().Sub(d.now))
		}
		d.now = d.now.Add(5 * time.Second)
	}
	if tried > 30 {
		t.Errorf("%d of 100 calls in 500 s were tried, want that most are not", tried)
	}
	d.hub.Down(false)
	d.now = d.now.Add(time.Minute)
	if err := d.forge.SetStatus(t.Context(), d.remote.Tip(t), status(1)); err != nil {
		t.Errorf("GitHub is back: %v", err)
	}
}

// TestTokensStayOurs: no error shows the token.
func TestTokensStayOurs(t *testing.T) {
	d := newDesk(t)
	forge := d.newForge(t, github.Config{Token: github.Fixed("very-secret")})
	err := forge.SetStatus(t.Context(), d.remote.Tip(t), status(1))
	if err == nil || strings.Contains(err.Error(), "very-secret") {
		t.Errorf("got %v, want an error without the token", err)
	}
}
