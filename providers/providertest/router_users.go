package providertest

import (
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// slowly bounds what takes its time on a loaded machine.
const slowly = 30 * time.Second

// open is what the router says is open on an allocation of a release.
func (s *routerSuite) open(t *testing.T, release, alloc string) int {
	t.Helper()
	state, err := s.Router.Read(t.Context(), release)
	if err != nil {
		t.Fatalf("read what is open on %s: %v", release, err)
	}
	if state.Open == nil {
		t.Fatalf("the router does not tell what is open on %s", release)
	}
	return state.Open[alloc]
}

// opens waits until so many are open.
func (s *routerSuite) opens(t *testing.T, release, alloc string, want int) {
	t.Helper()
	got := 0
	for deadline := time.Now().Add(slowly); time.Now().Before(deadline); {
		if got = s.open(t, release, alloc); got == want {
			return
		}
		s.pause()
	}
	t.Fatalf("%d connections are open on %s, want %d", got, alloc, want)
}

func (s *routerSuite) pause() { time.Sleep(2 * time.Millisecond) }

// routerDrain opens connections to both tracks, and takes the canary away from them.
func routerDrain(t *testing.T, s *routerSuite) {
	if s.Connect == nil {
		return
	}
	if !s.Router.Abilities().Open {
		t.Error("the router tells what is open, and does not declare it")
	}
	split := s.split(shopRelease, strategy.Percent(50))
	stable, canary := split.Stable[0].Alloc, split.Canary[0].Alloc
	s.apply(t, split)
	opened := map[string][]<-chan string{}
	for len(opened[stable]) == 0 || len(opened[canary]) == 0 {
		alloc, ended := s.Connect(shopRelease)
		opened[alloc] = append(opened[alloc], ended)
	}
	kept := len(opened[stable])
	s.opens(t, shopRelease, stable, kept)
	s.opens(t, shopRelease, canary, len(opened[canary]))

	split.Weight, split.Canary = 0, nil
	s.apply(t, split)
	s.expect(t, shopRelease, 50, 0)
	if alloc, _ := s.Connect(shopRelease); alloc != stable {
		t.Errorf("after the canary was closed to it, a new connection is to %q, want %q", alloc, stable)
	}
	s.opens(t, shopRelease, canary, len(opened[canary]))
	for _, ended := range opened[canary] {
		select {
		case how := <-ended:
			t.Errorf("a connection to the canary ended with %q before it was to", how)
		default:
		}
	}

	if !s.Router.Abilities().Closes {
		return
	}
	split.Leaving = []string{canary}
	s.apply(t, split)
	for _, ended := range opened[canary] {
		select {
		case how := <-ended:
			if how != "1001" {
				t.Errorf("a connection to the canary ended with %q, want a close frame with 1001", how)
			}
		case <-time.After(slowly):
			t.Fatal("a connection to an allocation that leaves was not closed")
		}
	}
	s.opens(t, shopRelease, canary, 0)
	s.opens(t, shopRelease, stable, kept+1)
}

// routerSticky keeps users where they were first.
func routerSticky(t *testing.T, s *routerSuite) {
	if s.NewUser == nil {
		return
	}
	if !s.Router.Abilities().Sessions {
		t.Error("the router keeps users on their track, and does not declare it")
	}
	split := s.split(shopRelease, strategy.Percent(20))
	split.Sessions = "shop-1"
	canary := split.Canary[0].Alloc
	s.apply(t, split)
	type user struct {
		ask func(release string) string
		at  string
	}
	var users []*user
	newUsers := func(n int, share strategy.Weight) {
		on := 0
		for range n {
			u := &user{ask: s.NewUser()}
			if u.at = u.ask(shopRelease); u.at == canary {
				on++
			}
			users = append(users, u)
		}
		if want := int(float64(n) * share.Share()); on < want-s.slack(n, share.Share()) || on > want+s.slack(n, share.Share()) {
			t.Errorf("at %s %d of %d new users are on the canary, want %d", share, on, n, want)
		}
	}
	stay := func(when string) {
		t.Helper()
		for range 3 {
			for _, u := range users {
				if at := u.ask(shopRelease); at != u.at {
					t.Fatalf("%s a user of %q was answered by %q", when, u.at, at)
				}
			}
		}
	}
	newUsers(100, split.Weight)
	stay("at 20%")
	split.Weight = strategy.Percent(60)
	s.apply(t, split)
	stay("when the weight grew to 60%")
	newUsers(100, split.Weight)
	stay("at 60%")
	all := func(when, want string) {
		t.Helper()
		for _, u := range users {
			if at := u.ask(shopRelease); at != want {
				t.Fatalf("%s a user was answered by %q, want %q", when, at, want)
			}
		}
	}
	split.Weight = strategy.Full
	s.apply(t, split)
	all("at 100%", canary)
	split.Weight = 0
	s.apply(t, split)
	all("at 0%", split.Stable[0].Alloc)

	// Another rollout asks everybody anew.
	split.Sessions, split.Weight = "shop-2", strategy.Percent(50)
	s.apply(t, split)
	on := 0
	for _, u := range users {
		if u.at = u.ask(shopRelease); u.at == canary {
			on++
		}
	}
	if want := len(users) / 2; on < want-s.slack(len(users), 0.5) || on > want+s.slack(len(users), 0.5) {
		t.Errorf("in the next rollout %d of %d users are on the canary at 50%%, want %d", on, len(users), want)
	}
	stay("in the next rollout")
}

// routerCopies has requests copied to a canary that has no traffic.
func routerCopies(t *testing.T, s *routerSuite) {
	if s.Copied == nil {
		return
	}
	if !s.Router.Abilities().Copies {
		t.Error("the router copies requests, and does not declare it")
	}
	split := s.split(shopRelease, 0)
	split.Copies = &strategy.Copies{Percent: strategy.Percent(25), Methods: []string{"GET"}}
	s.Behave(split.Canary[0], Behavior{Fail: true})
	s.apply(t, split)
	s.expect(t, shopRelease, 400, 0) // Users see nothing of it.
	const want = 100
	slack := s.slack(400, 0.25)
	copied := 0
	for deadline := time.Now().Add(slowly); time.Now().Before(deadline); s.pause() {
		if copied = s.Copied(split.Canary[0]); copied >= want-slack {
			break
		}
	}
	s.Count() // The last ones come after the answers to users.
	copied = s.Copied(split.Canary[0])
	if copied < want-slack || copied > want+slack {
		t.Errorf("at 25%% %d of 400 requests were copied, want %d (slack %d)", copied, want, slack)
	}
	if n := s.Copied(split.Stable[0]); n > 0 {
		t.Errorf("stable got %d copies", n)
	}
	if s.Meter != nil {
		s.countsCopies(t, copied)
	}
	split.Copies = nil
	s.apply(t, split)
	s.expect(t, shopRelease, 100, 0)
	s.Settle()
	if n := s.Copied(split.Canary[0]); n != copied {
		t.Errorf("%d requests were copied after that was ended", n-copied)
	}
}

// countsCopies wants the copies counted by themselves, and the users' requests without them.
func (s *routerSuite) countsCopies(t *testing.T, copied int) {
	t.Helper()
	s.Settle()
	counted := map[strategy.Track]strategy.Counters{}
	for _, series := range s.sample(t, shopRelease).Series {
		if series.Endpoint != "" {
			continue // A part of what is counted besides.
		}
		c := counted[series.Track]
		c.Requests, c.Errors = c.Requests+series.Requests, c.Errors+series.Errors
		counted[series.Track] = c
	}
	if c := counted[strategy.Shadow]; int(c.Requests) != copied || int(c.Errors) != copied {
		t.Errorf("of %d copies, which all failed, %.0f are counted and %.0f errors", copied, c.Requests, c.Errors)
	}
	if stable, canary := counted[strategy.Stable], counted[strategy.Canary]; stable.Requests != 400 || stable.Errors != 0 || canary.Requests != 0 {
		t.Errorf("users' requests are counted as %+v and %+v, want 400 without errors, and none", stable, canary)
	}
}
