package reconcile_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// TestHourOfALargeRepository: a thousand releases and two hundred open pull requests, asked about every fifteen seconds,
// stay below a fifth of what GitHub allows in an hour: when Drover is there for the first time, which has said everything
// within a quarter of an hour, while nothing moves, and in half an hour in which one pull request after the other gets a new commit.
func TestHourOfALargeRepository(t *testing.T) {
	if testing.Short() {
		t.Skip("it goes through hours with a thousand releases")
	}
	const releases, pulls = 1000, 200
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	remote := providertest.NewBareRemote(t)
	files := providertest.Files{}
	for n := range releases {
		maps.Copy(files, stillRelease(fmt.Sprintf("service-%05d", n), "1.0.0"))
	}
	everything := remote.Commit(t, "Release everything", files)
	hub, err := githubtest.New(githubtest.Options{Repository: shopRepository, Dir: remote.Dir, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	propose := func(n int, version string) string {
		name := fmt.Sprintf("service-%05d", n)
		return remote.Branch(t, fmt.Sprintf("refs/heads/pull-%d", n), remote.Tip(t), "Release "+name+" "+version, stillRelease(name, version))
	}
	heads := make([]string, pulls)
	for n := range pulls {
		heads[n] = propose(n, "1.1.0")
		if _, err := hub.Open(githubtest.Person, fmt.Sprintf("pull-%d", n), fmt.Sprintf("Change %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	repository, err := git.New(git.Config{URL: remote.Dir, StateDir: t.TempDir(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	forge, err := github.New(github.Config{Repository: shopRepository, Token: github.Fixed(githubtest.Token), Transport: hub.Transport(), Now: clock, Gap: -1})
	if err != nil {
		t.Fatal(err)
	}
	router := &stillRouter{splits: map[string]strategy.Split{}}
	loop := reconcile.New(reconcile.Options{
		Instance: instance, Poll: 15 * time.Second, Repository: repository, Load: load, Cluster: &stillCluster{refuses: map[string]bool{}},
		Routers: map[string]reconcile.Traffic{"": {Router: router, Meter: router}}, Ledger: newLedger(), Forge: forge,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	hour := func(polls int, every time.Duration, each func(poll int)) {
		for poll := range polls {
			now = now.Add(every)
			each(poll)
			if _, err := loop.Pass(t.Context(), now); err != nil {
				t.Fatalf("pass: %v", err)
			}
			for left := true; left; {
				left = loop.Deliver(t.Context(), now)
			}
			if _, err := loop.Review(t.Context(), now); err != nil && !isLimit(err) {
				t.Errorf("review: %v", err)
			}
			if err := loop.Hear(t.Context(), now); err != nil && !isLimit(err) {
				t.Errorf("hear: %v", err)
			}
		}
	}
	var used [4]int
	total := 0
	for n, part := range []struct {
		polls int
		every time.Duration
	}{{15, time.Minute}, {15, time.Minute}, {30, 15 * time.Second}, {60, 30 * time.Second}} {
		hour(part.polls, part.every, func(poll int) {
			if n == 3 {
				heads[poll] = propose(poll, "1.2.0")
			}
		})
		_, all, _ := hub.Used()
		used[n], total = all-total, all
		t.Logf("part %d: %d requests counted, %.1f%% of 5000", n+1, used[n], float64(used[n])/50)
		if n == 0 {
			if set := hub.Statuses(everything); len(set) != 1 || set[0].Context != instance || set[0].State != "success" {
				t.Errorf("the commit of a thousand releases has the statuses %v, want one for all", set)
			}
			for _, sha := range heads {
				if len(hub.Statuses(sha)) != 1 {
					t.Fatalf("a pull request has no plan after a quarter of an hour")
				}
			}
		}
		if used[n] > 900 {
			t.Errorf("part %d took %d requests, want 900 of 5000 at most", n+1, used[n])
		}
	}
	if used[1]+used[2] > 10 {
		t.Errorf("twenty minutes in which nothing moved took %d requests", used[1]+used[2])
	}
	for n, sha := range heads {
		want := "1.0.0 -> 1.1.0"
		if n < 60 {
			want = "1.0.0 -> 1.2.0"
		}
		if set := hub.Statuses(sha); len(set) != 1 || !strings.Contains(set[0].Text, want) {
			t.Fatalf("pull request %d has the statuses %v, want one plan of %s", n, set, want)
		}
	}
}

// isLimit tells whether an error only says to wait.
func isLimit(err error) bool {
	_, ok := errors.AsType[*github.LimitError](err)
	return ok
}
