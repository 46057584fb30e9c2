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
	t.Parallel()
	s := newShop(t)
	s.runs()
	good, goodHead := s.branch("good", providertest.Files{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	page, pageHead := s.branch("page", providertest.Files{"README.md": "about\n"})
	bad, badHead := s.branch("bad", providertest.Files{releasePath(checkout): strings.Replace(releaseText(checkout, "1.1.0", ""), checkout+".nomad.hcl", "gone.nomad.hcl", 1)})
	spec, specHead := s.branch("spec", providertest.Files{jobspecPath(checkout): "job \"checkout-api\" {\n  grup \"api\" {}\n}\n"})
	_, strayHead := s.branch("stray", providertest.Files{"policies/lost.hcl": "policy \"lost\" {\n  strategy \"canary\" {\n    weights = [5, 100]\n    bake = \"1m\"\n  }\n}\n"})
	for _, sha := range []string{goodHead, pageHead, badHead, specHead, strayHead} {
		s.looked(sha)
	}
	if got, want := s.planned(goodHead), "success: checkout-api 1.0.0 -> 1.1.0, canary 20-100, about 8 s; DRV013"; got != want {
		t.Errorf("the plan is %q, want %q", got, want)
	}
	if got, want := s.planned(pageHead), "success: no release changes"; got != want {
		t.Errorf("the plan is %q, want %q", got, want)
	}
	if got, want := s.planned(strayHead), "success: no release changes; DRV023"; got != want {
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
	for _, part := range []string{"| checkout-api | 1.0.0 → 1.1.0 | canary 20-100 | 8 s | 3, beside 3 |", "Gates of checkout-api: errors: error\\_rate, at most 1%", "⚠ checkout-api, DRV013: the first step gives the canary 20% of the traffic", "accept = { DRV013 = \"why\" }", "1. place 3 canaries beside 3 allocations of group"} {
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// TestPlanComparesWithWhatIsLive: what the branch asks for may never have come to life.
func TestPlanComparesWithWhatIsLive(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.runs()
	bad := s.merge(s.propose("1.2.0"), "squash")
	if err := s.hub.Protect(true); err != nil { // The revert is a pull request, and the branch goes on asking for 1.2.0.
		t.Fatal(err)
	}
	next, nextHead := s.branch("next", providertest.Files{releasePath(checkout): releaseText(checkout, "1.3.0", "")})
	s.until("it is said that 1.2.0 is under way", func() bool {
		comments := s.hub.Comments(next)
		return len(comments) == 1 && strings.Contains(comments[0].Body, "⚠ checkout-api: 1.2.0 is under way, at ") && strings.Contains(comments[0].Body, "merging this ends it first")
	})
	s.until("1.2.0 is rolled back", func() bool { return s.settled("1.0.0", strategy.OutcomeCondemned) })
	if asks := s.remote.Files(t, s.remote.Tip(t))[releasePath(checkout)]; s.remote.Tip(t) != bad || asks != releaseText(checkout, "1.2.0", "") {
		t.Fatalf("the branch does not ask for 1.2.0:\n%s", asks)
	}
	s.until("the plan follows", func() bool { return !strings.Contains(s.hub.Comments(next)[0].Body, "is under way") })
	if got, want := s.planned(nextHead), "success: checkout-api 1.0.0 -> 1.3.0, canary 20-100, about 8 s; DRV013"; got != want {
		t.Errorf("the plan is %q, want %q", got, want)
	}
	for name, c := range map[string]struct {
		files providertest.Files
		want  string // how the status begins
		says  string // in the comment
	}{
		"the condemned one in words of its own": {
			providertest.Files{releasePath(checkout): "# Again.\n" + releaseText(checkout, "1.2.0", "")}, "success: no release changes", "",
		},
		"another condemned one": {
			providertest.Files{releasePath(checkout): releaseText(checkout, "1.2.0", "  attempt = 2\n")}, "success: checkout-api 1.0.0 -> 1.2.0", "| checkout-api | 1.0.0 → 1.2.0 (attempt 2) |",
		},
		"another job": {
			providertest.Files{jobspecPath(checkout): strings.Replace(jobspec(t, checkout), `job "checkout-api"`, `job "checkout"`, 1)},
			"failure: releases/checkout-api/release.hcl:1: Git names job default/checkout, but default/checkout-api runs", "",
		},
		"another service": {
			providertest.Files{jobspecPath(checkout): strings.Replace(jobspec(t, checkout), `= "checkout-api"`, `= "checkout"`, 1)},
			`failure: releases/checkout-api/release.hcl:1: 1.2.0 cannot be released: what runs has no service "checkout"`, "",
		},
		"what is live, by other gates": {
			providertest.Files{releasePath(checkout): releaseText(checkout, "1.0.0", "  max_duration = \"3h\"\n")}, "success: checkout-api 1.0.0, no rollout", "checkout-api runs already as it asks",
		},
	} {
		number, sha := s.branch(strings.ReplaceAll(name, " ", "-"), c.files)
		s.looked(sha)
		if got := s.planned(sha); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: the plan is %q, want it to begin with %q", name, got, c.want)
		}
		if comments := s.hub.Comments(number); c.says != "" && (len(comments) != 1 || !strings.Contains(comments[0].Body, c.says)) {
			t.Errorf("%s: the comments are %+v, want one with %q", name, comments, c.says)
		}
	}

	// A person goes back on the branch; asking for the condemned version again is a mistake then.
	s.hub.Protect(false)
	s.release("1.0.0")
	s.until("1.0.0 is asked for", func() bool { return s.rollout(checkout).Reason.Code == strategy.UpToDate })
	_, again := s.branch("again", providertest.Files{releasePath(checkout): releaseText(checkout, "1.2.0", "")})
	s.looked(again)
	if got, want := s.planned(again), "failure: releases/checkout-api/release.hcl:1: 1.2.0 was condemned"; !strings.HasPrefix(got, want) {
		t.Errorf("the plan is %q, want it to begin with %q", got, want)
	}
}

// TestPlanOfWhatBothChanged: the release branch changed the same files since the pull request parted from it.
func TestPlanOfWhatBothChanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.runs()
	release := releaseText(checkout, "1.0.0", "")
	later := strings.Replace(release, "}\n", "\n  # Ask the team before you change this.\n\n  max_duration = \"3h\"\n}\n", 1)
	apart, apartHead := s.branch("apart", providertest.Files{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	same, sameHead := s.branch("same", providertest.Files{releasePath(checkout): strings.Replace(release, "}\n", "\n  max_duration = \"1h\"\n}\n", 1)})
	s.looked(apartHead)
	s.looked(sameHead)
	s.remote.Commit(t, "Take more time", providertest.Files{releasePath(checkout): later})
	s.until("the plans follow", func() bool {
		return strings.HasPrefix(s.planned(sameHead), "failure: ") && strings.Contains(s.hub.Comments(apart)[0].Body, "changed")
	})
	if got, want := s.planned(apartHead), "success: checkout-api 1.0.0 -> 1.1.0"; !strings.HasPrefix(got, want) {
		t.Errorf("the plan is %q, want it to begin with %q", got, want)
	}
	if body, want := s.hub.Comments(apart)[0].Body, "The release branch changed `releases/checkout-api/release.hcl` too"; !strings.Contains(body, want) {
		t.Errorf("the comment does not hold %q:\n%s", want, body)
	}
	if got, want := s.planned(sameHead), "failure: releases/checkout-api/release.hcl: in conflict with the release branch, which changed it too"; got != want {
		t.Errorf("the plan is %q, want %q", got, want)
	}
	if body, want := s.hub.Comments(same)[0].Body, "**In conflict with the release branch**, which changed it too: `releases/checkout-api/release.hcl`."; !strings.Contains(body, want) {
		t.Errorf("the comment does not hold %q:\n%s", want, body)
	}
}

// TestNomadGoesAwayDuringReviews: what Nomad did not say of a pull request is asked for again.
func TestNomadGoesAwayDuringReviews(t *testing.T) {
	s := newShop(t)
	s.runs()
	s.denied.on.Store(true)
	number, sha := s.branch("good", providertest.Files{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	s.looked(sha)
	if got := s.planned(sha); !strings.HasPrefix(got, "success: checkout-api 1.0.0 -> 1.1.0") {
		t.Errorf("the plan is %q", got)
	}
	if body := s.hub.Comments(number)[0].Body; !strings.Contains(body, "> Nomad could not be asked about the jobspecs.") || !strings.Contains(body, "| not known |") {
		t.Errorf("the comment does not say that Nomad was away:\n%s", body)
	}
	s.denied.on.Store(false)
	s.until("the comment follows", func() bool { return strings.Contains(s.hub.Comments(number)[0].Body, "| 3, beside 3 |") })
}
