package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

// planned is the newest plan status of a commit, as "state: text".
func (s *shop) planned(sha string) string {
	text := ""
	for _, status := range s.hub.Statuses(sha) {
		if status.Context == "drover/plan" {
			text = status.State + ": " + status.Text
		}
	}
	return text
}

// branch opens a pull request with some files on a branch of its own.
func (s *shop) branch(name string, files providertest.Files) (number int, sha string) {
	s.t.Helper()
	sha = s.remote.Branch(s.t, "refs/heads/"+name, s.remote.Tip(s.t), "On "+name, files)
	number, err := s.hub.Open(githubtest.Person, name, "On "+name)
	if err != nil {
		s.t.Fatal(err)
	}
	return number, sha
}

// looked waits until a commit has a plan.
func (s *shop) looked(sha string) {
	s.t.Helper()
	s.until("the pull request is looked at", func() bool { return s.planned(sha) != "" })
}

func TestPlanOnPullRequests(t *testing.T) {
	s := newShop(t)
	s.runs()
	good, goodHead := s.branch("good", providertest.Files{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	page, pageHead := s.branch("page", providertest.Files{"README.md": "about\n"})
	bad, badHead := s.branch("bad", providertest.Files{releasePath(checkout): strings.Replace(releaseText(checkout, "1.1.0", ""), checkout+".nomad.hcl", "gone.nomad.hcl", 1)})
	spec, specHead := s.branch("spec", providertest.Files{jobspecPath(checkout): "job \"checkout-api\" {\n  grup \"api\" {}\n}\n"})
	for _, sha := range []string{goodHead, pageHead, badHead, specHead} {
		s.looked(sha)
	}
	if got, want := s.planned(goodHead), "success: checkout-api 1.0.0 -> 1.1.0, canary 20-100, about 8 s"; got != want {
		t.Errorf("the plan is %q, want %q", got, want)
	}
	if got, want := s.planned(pageHead), "success: no release changes"; got != want {
		t.Errorf("the plan is %q, want %q", got, want)
	}
	if got := s.planned(badHead); !strings.HasPrefix(got, "failure: releases/checkout-api/release.hcl:3: Missing file") {
		t.Errorf("the plan is %q, want the first mistake with its line", got)
	}
	if got := s.planned(specHead); !strings.HasPrefix(got, "failure: releases/checkout-api/checkout-api.nomad.hcl:1: ") {
		t.Errorf("the plan is %q, want what Nomad says of the jobspec", got)
	}
	if n := len(s.hub.Comments(page)); n != 0 {
		t.Errorf("%d comments stand where no release changes, want none", n)
	}
	body := s.hub.Comments(good)[0].Body
	for _, part := range []string{"| checkout-api | 1.0.0 → 1.1.0 | canary 20-100 | 8 s | 3, beside 3 |", "Gates of checkout-api: errors: error\\_rate, at most 1%"} {
		if !strings.Contains(body, part) {
			t.Errorf("the comment does not hold %q:\n%s", part, body)
		}
	}
	for _, number := range []int{bad, spec} {
		if body := s.hub.Comments(number)[0].Body; !strings.Contains(body, "**Not to be released as it is:**") {
			t.Errorf("the comment does not say what is wrong:\n%s", body)
		}
	}

	// More commits: one comment still, edited in place; then no release changes any more.
	s.remote.CommitTo(t, "refs/heads/good", "Higher", providertest.Files{releasePath(checkout): releaseText(checkout, "1.1.1", "")})
	s.until("the comment follows", func() bool { return strings.Contains(s.hub.Comments(good)[0].Body, "1.0.0 → 1.1.1") })
	s.remote.CommitTo(t, "refs/heads/good", "As it was", providertest.Files{releasePath(checkout): releaseText(checkout, "1.0.0", "")})
	s.until("the comment follows", func() bool {
		return strings.HasPrefix(s.hub.Comments(good)[0].Body, "This pull request changes no release any more.")
	})
	if comments := s.hub.Comments(good); len(comments) != 1 || comments[0].Edits != 2 {
		t.Errorf("%d comments, edited %d times, want 1 and 2", len(comments), comments[0].Edits)
	}

	// Nothing moves: nothing is sent, also by a Drover that starts anew.
	sent := s.writes()
	s.restart()
	for range 30 {
		s.tick()
	}
	if more := s.writes() - sent; more != 0 || s.reviewed != nil {
		t.Errorf("%d more requests write although nothing moved (%v)", more, s.reviewed)
	}
}

// writes is how many requests were made that are no questions.
func (s *shop) writes() int {
	n := 0
	for _, call := range s.hub.Calls() {
		if !strings.HasPrefix(call, "GET ") {
			n++
		}
	}
	return n
}

// TestPlanStaysBelowTheRollout: the comment of a merged pull request has both.
func TestPlanStaysBelowTheRollout(t *testing.T) {
	s := newShop(t)
	s.runs()
	number, sha := s.branch("good", providertest.Files{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	s.looked(sha)
	s.merge(number, "merge")
	s.until("1.1.0 is promoted", func() bool { return s.settled("1.1.0", strategy.OutcomePromoted) })
	comments := s.hub.Comments(number)
	if len(comments) != 1 || !strings.HasPrefix(comments[0].Body, "### Rollout\n") || !strings.Contains(comments[0].Body, "🟢 done | 1.1.0 promoted after") || !strings.Contains(comments[0].Body, "\n### Plan\n") {
		t.Errorf("below the pull request stands %+v, want one comment with rollout and plan", comments)
	}
}

// TestPlanOfAFork: a stranger's files are read, and nothing of ours is asked or shown.
func TestPlanOfAFork(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprintf("allowed %t", allowed), func(t *testing.T) {
			s := newShop(t)
			s.planForks = allowed
			s.restart()
			s.runs()
			const hostile = "fork"
			sha := s.remote.Branch(t, "refs/stranger/patch", s.remote.Tip(t), "Mine", providertest.Files{
				releasePath(checkout):              releaseText(checkout, "9.9.9", ""),
				jobspecPath(checkout):              "job \"checkout-api\" {\n  grup \"@everyone\" {}\n}\n",
				"releases/other/release.hcl":       "release \"other\" {\n  version = " + strings.Repeat("(", 20000) + "\n}\n",
				"releases/<!-- end of rollout -->": hostile,
			})
			number, err := s.hub.OpenFork("stranger", "closes #1 @everyone", sha)
			if err != nil {
				t.Fatal(err)
			}
			parsed := s.boundary.counts()[callParse]
			s.looked(sha)
			if got := s.planned(sha); !strings.HasPrefix(got, "failure: ") {
				t.Errorf("the plan is %q, want failure", got)
			}
			body := s.hub.Comments(number)[0].Body
			asked := s.boundary.counts()[callParse] - parsed
			if (asked > 0) != allowed {
				t.Errorf("Nomad was asked %d times about a fork, which is allowed: %t", asked, allowed)
			}
			if told := strings.Contains(body, "it comes from a fork"); told == allowed {
				t.Errorf("the comment says %t that Nomad was not asked, want %t:\n%s", told, !allowed, body)
			}
			for line := range strings.Lines(body) {
				if strings.Contains(line, "@everyone") && !strings.Contains(line, "@&#8203;") {
					t.Errorf("a mention is alive in %q", line)
				}
			}
		})
	}
}

// TestGitHubGoesAwayDuringReviews: what was not said is said later.
func TestGitHubGoesAwayDuringReviews(t *testing.T) {
	s := newShop(t)
	s.runs()
	for n := range 4 {
		s.hub.Fail(githubtest.Fault{Method: "POST", Path: "/comments", After: n, Kind: githubtest.Cut})
		s.hub.Fail(githubtest.Fault{Method: "POST", Path: "/statuses", After: n, Kind: githubtest.Broken})
	}
	number, sha := s.branch("good", providertest.Files{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	s.looked(sha)
	for range 60 {
		s.tick()
	}
	if comments := s.hub.Comments(number); len(comments) != 1 {
		t.Errorf("%d comments, want 1", len(comments))
	}
	if got := s.planned(sha); !strings.HasPrefix(got, "success: ") {
		t.Errorf("the plan is %q", got)
	}
}
