package reconcile_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/github/openapi"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// shop is a Drover with all that is real about Git and GitHub, on a simulated Nomad: a bare repository, the client of
// GitHub, and a GitHub that answers it as the real one would.
type shop struct {
	*world
	t      *testing.T
	remote *providertest.BareRemote
	hub    *githubtest.Hub
	dir    string

	planForks bool
	reviewed  error // of the last review
}

const shopRepository = "shop/releases"

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{world: newWorld(t, rate), t: t, remote: providertest.NewBareRemote(t), dir: t.TempDir()}
	s.remote.Commit(t, "Begin the release repository", providertest.Files{policyPath: quickPolicy})
	var err error
	s.hub, err = githubtest.New(githubtest.Options{Repository: shopRepository, Dir: s.remote.Dir, Now: func() time.Time { return s.now }, Check: openapi.Check(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.restart()
	return s
}

// restart starts another Drover on the same world.
func (s *shop) restart() {
	s.t.Helper()
	s.process = s.boundary.process()
	clock := func() time.Time { return s.now }
	repository, err := git.New(git.Config{URL: s.remote.Dir, StateDir: s.dir, Now: clock})
	if err != nil {
		s.t.Fatal(err)
	}
	forge, err := github.New(github.Config{
		Repository: shopRepository, Token: github.Fixed(githubtest.Token), Transport: s.hub.Transport(), Now: clock, Gap: -1,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	traffic := boundTraffic{process: s.process, router: router{s.world}, meter: meter{s.world}}
	s.loop = reconcile.New(reconcile.Options{
		Instance: instance, Poll: 5 * time.Second, Repository: repository, Load: load, Strays: policies.Strays,
		Cluster: s.cluster(),
		Routers: map[string]reconcile.Traffic{"": {Router: traffic, Meter: traffic}},
		Ledger:  boundLedger{s.process, s.ledger}, Bookmark: boundBookmark{s.process, s.ledger}, Forge: forge, Prober: prober{s.world}, PlanForks: s.planForks,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Notify: s.notify,
	})
}

// tick lets a second go by; every fifth one the pull requests are looked at.
func (s *shop) tick() {
	s.now = s.now.Add(time.Second)
	s.nomad.Advance(s.now)
	_, s.failed = s.loop.Pass(s.t.Context(), s.now)
	s.loop.Deliver(s.t.Context(), s.now)
	if s.now.Sub(s.start)%(5*time.Second) == 0 {
		_, s.reviewed = s.loop.Review(s.t.Context(), s.now)
	}
}

// until ticks until something holds.
func (s *shop) until(what string, holds func() bool) {
	s.t.Helper()
	for end := s.now.Add(10 * time.Minute); !holds(); s.tick() {
		if !s.now.Before(end) {
			s.t.Fatalf("waited for it in vain: %s; now %s", what, s.describe())
		}
	}
}

// release commits a version onto the branch, as a person who pushes would.
func (s *shop) release(version string) string {
	return s.remote.Commit(s.t, "Release "+checkout+" "+version, releaseFiles(s.t, checkout, version))
}

// propose makes a branch with a version, and opens a pull request for it.
func (s *shop) propose(version string) int {
	s.t.Helper()
	branch := "release-" + version
	s.remote.Branch(s.t, "refs/heads/"+branch, s.remote.Tip(s.t), "Release "+checkout+" "+version, releaseFiles(s.t, checkout, version))
	number, err := s.hub.Open(githubtest.Person, branch, "Release "+checkout+" "+version)
	if err != nil {
		s.t.Fatal(err)
	}
	return number
}

func (s *shop) merge(number int, method string) string {
	s.t.Helper()
	tip, err := s.hub.Merge(githubtest.Person, number, method)
	if err != nil {
		s.t.Fatal(err)
	}
	return tip
}

// settled tells whether the release rests on a version, with everything said.
func (s *shop) settled(version string, end strategy.OutcomeKind) bool {
	r := s.rollout(checkout)
	return s.rests(checkout) && r.Stable.Revision.Version == version && r.Last.Kind == end && len(r.Untold()) == 0
}

// runs brings 1.0.0 to rest.
func (s *shop) runs() {
	s.t.Helper()
	s.release("1.0.0")
	s.until("1.0.0 runs", func() bool { return s.settled("1.0.0", strategy.OutcomePromoted) })
}

// said is the statuses of a commit, in their order.
func (s *shop) said(sha string) []string {
	var all []string
	for _, status := range s.hub.Statuses(sha) {
		all = append(all, fmt.Sprintf("%s %s: %s", status.State, status.Context, status.Text))
	}
	return all
}

// TestRollbackOnGitHub: a bad version is merged; its commit's statuses tell the story, and one issue tells why.
func TestRollbackOnGitHub(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.runs()
	number := s.propose("1.2.0")
	s.looked(s.hub.Pulls()[0].Head)
	bad := s.merge(number, "squash")
	s.until("1.2.0 is rolled back", func() bool { return s.settled("1.0.0", strategy.OutcomeCondemned) })
	said := s.said(bad)
	want := []string{"pending drover/checkout-api: placing 1.2.0", "pending drover/checkout-api: canary 20%, step 1 of 2, baking for 4s, 1 gate asked", "failure drover/checkout-api: rolled back: gate \"errors\" failed"}
	for _, w := range want {
		if !slices.ContainsFunc(said, func(have string) bool { return strings.HasPrefix(have, w) }) {
			t.Errorf("the statuses are %q, want one that begins with %q", said, w)
		}
	}
	if last := said[len(said)-1]; !strings.HasPrefix(last, "failure") {
		t.Errorf("the last status is %q, want failure", last)
	}
	issues := s.hub.Issues()
	if len(issues) != 1 {
		t.Fatalf("%d issues were opened, want 1", len(issues))
	}
	if statuses := s.hub.Statuses(bad); !strings.HasSuffix(statuses[0].URL, "/shop/releases/pull/1") || !strings.HasSuffix(statuses[len(statuses)-1].URL, "/shop/releases/issues/2") {
		t.Errorf("the statuses lead to %q first and to %q in the end, want the pull request and the issue", statuses[0].URL, statuses[len(statuses)-1].URL)
	}
	onHead := s.said(s.hub.Pulls()[0].Head)
	if want := []string{onHead[0], said[len(said)-1]}; !strings.Contains(onHead[0], "drover/plan") || !slices.Equal(onHead, want) {
		t.Errorf("on the pull request's own head stands %q, want the plan and how it ended", onHead)
	}
	for _, part := range []string{bad, "pull request #1 of `robin`", "| errors | fail |", "Git: reverted by "} {
		if !strings.Contains(issues[0].Body, part) {
			t.Errorf("the issue does not hold %q:\n%s", part, issues[0].Body)
		}
	}
	if diff := cmp.Diff([]string{"drover", "rollback"}, issues[0].Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if comments := s.hub.Comments(number); len(comments) != 1 || !strings.Contains(comments[0].Body, "| checkout-api | 🔴 failed | rolled back: gate \"errors\" failed") {
		t.Errorf("below the pull request stands %+v, want one comment that says that it failed", comments)
	}

	// A later version is promoted, and the issue is closed.
	s.release("1.2.1")
	s.nomad.SetBehaviour(sim.DemoBehaviour)
	s.behaveSoundly("1.2.1")
	s.until("1.2.1 is promoted", func() bool { return s.settled("1.2.1", strategy.OutcomePromoted) })
	if issue := s.hub.Issues()[0]; issue.State != "closed" || len(issue.Comments) != 1 || !strings.HasPrefix(issue.Comments[0].Body, "checkout-api 1.2.1 is live: 1.2.1 promoted after") {
		t.Errorf("the issue is %s with %+v, want it closed with a comment", issue.State, issue.Comments)
	}
}

// behaveSoundly has a version answer everything well.
func (s *shop) behaveSoundly(version string) {
	sound := sim.DemoBehaviour(sim.Task{})
	s.nomad.SetBehaviour(func(t sim.Task) sim.Behaviour {
		if t.Version == version {
			return sound
		}
		return sim.DemoBehaviour(t)
	})
}

// TestMergedEveryWay: the comment of a pull request follows its rollout, however it was merged.
func TestMergedEveryWay(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"merge", "squash", "rebase"} {
		t.Run(method, func(t *testing.T) {
			s := newShop(t)
			s.runs()
			number := s.propose("1.1.0")
			tip := s.merge(number, method)
			s.until("1.1.0 is promoted", func() bool { return s.settled("1.1.0", strategy.OutcomePromoted) })
			said := s.said(tip)
			if last := said[len(said)-1]; !strings.HasPrefix(last, "success drover/checkout-api: 1.1.0 promoted after ") {
				t.Errorf("the last status of %s is %q, want success", tip, last)
			}
			comments := s.hub.Comments(number)
			if len(comments) != 1 || comments[0].Edits == 0 || !strings.Contains(comments[0].Body, "| checkout-api | 🟢 done | 1.1.0 promoted after ") {
				t.Errorf("below the pull request stands %+v, want one comment, edited in place, that says that it is done", comments)
			}
		})
	}
}

// TestGitHubDownForTheWholeRollback: the cluster does not wait for it, and everything is said afterwards, once.
func TestGitHubDownForTheWholeRollback(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.runs()
	number := s.propose("1.2.0")
	bad := s.merge(number, "merge")
	s.hub.Down(true)
	s.until("traffic is back", func() bool {
		r := s.rollout(checkout)
		return r.AtRest() && r.Last.Kind == strategy.OutcomeCondemned
	})
	took := s.rollout(checkout).Last.At.Sub(s.start)
	s.until("the revert is in Git", func() bool { return s.rollout(checkout).Reason.Code == strategy.UpToDate })
	for range 3 * 60 {
		s.tick()
	}
	s.restart()
	for range 60 {
		s.tick()
	}
	if len(s.hub.Issues()) != 0 {
		t.Error("an issue was opened while GitHub was down")
	}
	s.hub.Down(false)
	s.until("all is said", func() bool { return s.settled("1.0.0", strategy.OutcomeCondemned) })
	if n := len(s.hub.Issues()); n != 1 {
		t.Errorf("%d issues were opened, want 1", n)
	}
	said := s.said(bad)
	if len(said) == 0 || !strings.HasPrefix(said[len(said)-1], "failure ") {
		t.Errorf("the statuses are %q, want failure in the end", said)
	}
	if n := len(s.hub.Comments(number)); n != 1 {
		t.Errorf("%d comments stand below the pull request, want 1", n)
	}
	t.Logf("rolled back %s after the beginning, with GitHub down", took)
}

// TestRevertOfAProtectedBranch: the revert is a pull request, and merging it ends the matter.
func TestRevertOfAProtectedBranch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.runs()
	if err := s.hub.Protect(true); err != nil {
		t.Fatal(err)
	}
	number := s.propose("1.2.0")
	s.merge(number, "squash")
	// The answer to opening the pull request is lost, and Drover starts anew: there is one all the same.
	s.hub.Fail(githubtest.Fault{Method: "POST", Path: "/pulls", Kind: githubtest.Cut})
	s.until("1.2.0 is rolled back", func() bool {
		r := s.rollout(checkout)
		return r.AtRest() && r.Last.Kind == strategy.OutcomeCondemned && len(s.hub.Pulls()) == 2
	})
	s.restart()
	s.until("all is said", func() bool { return s.settled("1.0.0", strategy.OutcomeCondemned) })
	pulls := s.hub.Pulls()
	if len(pulls) != 2 || !strings.HasPrefix(pulls[1].Title, `Revert "Release checkout-api 1.2.0 (#1)"`) || pulls[1].By != githubtest.Bot {
		t.Fatalf("the pull requests are %+v, want Drover's revert as the second", pulls)
	}
	issue := s.hub.Issues()[0]
	if !strings.Contains(issue.Body, "Git: not reverted yet: the remote refuses the push") || !strings.Contains(issue.Body, "/shop/releases/pull/2") {
		t.Errorf("the issue does not name the pull request:\n%s", issue.Body)
	}
	s.merge(pulls[1].Number, "merge")
	s.until("1.0.0 is what Git asks for", func() bool { return s.rollout(checkout).Reason.Code == strategy.UpToDate })
	if got := s.remote.Files(t, s.remote.Tip(t))[releasePath(checkout)]; got != releaseText(checkout, "1.0.0", "") {
		t.Errorf("the release's file is\n%s\nwant it at 1.0.0", got)
	}
}

// TestRevertOfWhatWasEditedSince is proposed, for a person to look at.
func TestRevertOfWhatWasEditedSince(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.runs()
	s.release("1.2.0")
	s.until("1.2.0 is on trial", func() bool { return s.rollout(checkout).Phase == strategy.Stepping })
	s.remote.Commit(t, "Say who owns it", providertest.Files{releasePath(checkout): "# ours\n" + releaseText(checkout, "1.2.0", "")})
	s.until("1.2.0 is rolled back", func() bool { return s.settled("1.0.0", strategy.OutcomeCondemned) })
	pulls := s.hub.Pulls()
	if len(pulls) != 1 || !strings.Contains(pulls[0].Body, "was edited since") || !strings.Contains(pulls[0].Body, "Look before you merge") {
		t.Errorf("the pull requests are %+v, want one that says what to look at", pulls)
	}
}

// ended is what people see on GitHub at the end of a story.
type ended struct {
	Issues   int
	Comments []int // below each pull request
	Last     string
	Revert   string
}

// playRollback merges a bad version, with one write to GitHub going wrong and Drover starting anew after it.
func playRollback(t *testing.T, fault *githubtest.Fault) (end ended, writes int) {
	t.Helper()
	s := newShop(t)
	s.runs()
	before := s.writes()
	if fault != nil {
		s.hub.Fail(*fault)
	}
	number := s.propose("1.2.0")
	s.until("it is looked at", func() bool { return len(s.hub.Comments(number)) == 1 })
	bad := s.merge(number, "squash")
	s.until("1.2.0 is rolled back", func() bool { return s.rollout(checkout).Last.Kind == strategy.OutcomeCondemned })
	s.restart()
	s.tick()
	s.restart()
	s.until("all is said", func() bool { return s.settled("1.0.0", strategy.OutcomeCondemned) })
	for _, p := range s.hub.Pulls() {
		end.Comments = append(end.Comments, len(p.Comments))
	}
	said := s.said(bad)
	last, _, _ := strings.Cut(said[len(said)-1], ":")
	subject, _, _ := strings.Cut(s.remote.Git(t, "log", "-1", "--format=%s", "refs/heads/main"), "\n")
	end.Issues, end.Last, end.Revert = len(s.hub.Issues()), last, subject
	return end, s.writes() - before
}

// TestLostAnswersOnGitHub has the answer to every single write get lost after it was done, and Drover start anew: the end
// is that of an undisturbed Drover.
func TestLostAnswersOnGitHub(t *testing.T) {
	t.Parallel()
	want, writes := playRollback(t, nil)
	if want.Issues != 1 || want.Last != "failure drover/checkout-api" || want.Revert != `Revert "Release checkout-api 1.2.0 (#1)"` {
		t.Fatalf("undisturbed, the story ends with %+v", want)
	}
	each := 1
	if testing.Short() {
		each = 5
	}
	for _, method := range []string{"POST", "PATCH"} {
		for n := 0; n < writes; n += each {
			t.Run(fmt.Sprintf("%s %d", method, n+1), func(t *testing.T) {
				got, _ := playRollback(t, &githubtest.Fault{Method: method, After: n, Kind: githubtest.Cut})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the end differs (-undisturbed +disturbed):\n%s", diff)
				}
			})
		}
	}
}
