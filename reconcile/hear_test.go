package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/strategy"
)

// heard lets Drover hear what was written, with passes beside it, as Run has them.
func (s *shop) heard() {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.loop.Hear(s.t.Context(), s.now) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				s.t.Logf("hear: %v", err)
			}
			return
		default:
			_, s.failed = s.loop.Pass(s.t.Context(), s.now)
		}
	}
}

// answered is how Drover answered a comment.
func (s *shop) answered(number int, id int64) string {
	var all []string
	for _, c := range s.hub.Comments(number) {
		for _, r := range c.Reactions {
			if c.ID == id && r.By == githubtest.Bot {
				all = append(all, r.Content)
			}
		}
	}
	return strings.Join(all, " ")
}

func TestCommandsInComments(t *testing.T) {
	s := newShop(t)
	s.runs()
	number := s.propose("1.1.0")
	early := s.hub.Write(githubtest.Person, number, "/drover abort")
	s.tick()
	s.tick()
	s.merge(number, "squash")
	s.until("1.1.0 is on trial", func() bool { return s.rollout(checkout).Phase == strategy.Stepping })
	s.hub.Let("reader", "read")

	stranger := s.hub.Write("stranger-7", number, "/drover abort")
	reader := s.hub.Write("reader", number, "/drover abort")
	quoted := s.hub.Write(githubtest.Person, number, "> /drover abort\n\nDo not do it:\n```\n/drover abort\n```")
	pause := s.hub.Write(githubtest.Person, number, "Wait a moment.\r\n/drover pause\r\n")
	other := s.hub.Write(githubtest.Person, number, "/drover abort some-other-release")
	unknown := s.hub.Write(githubtest.Person, number, "/drover explode")
	s.heard()
	for name, c := range map[string]struct {
		id   int64
		want string
	}{
		"a stranger": {stranger, "-1"}, "a reader": {reader, "-1"}, "a quotation": {quoted, ""}, "a person": {pause, "+1"},
		"another release": {other, "confused"}, "no command": {unknown, "confused"}, "before the rollout": {early, "confused"},
	} {
		if got := s.answered(number, c.id); got != c.want {
			t.Errorf("%s is answered %q, want %q", name, got, c.want)
		}
	}
	r := s.rollout(checkout)
	if r.Paused != githubtest.Person || r.AtRest() {
		t.Errorf("the rollout is %s, paused by %q: %s; want it paused by the person", r.Phase, r.Paused, r.Reason.Text)
	}

	// A Drover that starts anew obeys nothing twice: the person resumed by other means meanwhile.
	resume := s.hub.Write(githubtest.Person, number, "/drover resume")
	s.hub.Fail(githubtest.Fault{Method: "POST", Path: "/reactions", Kind: githubtest.Broken})
	s.heard()
	s.restart()
	s.tick()
	s.heard()
	if got := s.answered(number, resume); got != "+1" {
		t.Errorf("resume is answered %q, want +1", got)
	}
	if r := s.rollout(checkout); r.Paused != "" {
		t.Errorf("it is still paused by %q", r.Paused)
	}
	abort := s.hub.Write(githubtest.Person, number, "/drover abort checkout-api")
	s.heard()
	s.until("it is aborted", func() bool { return s.settled("1.0.0", strategy.OutcomeParked) })
	if got := s.answered(number, abort); got != "+1" {
		t.Errorf("abort is answered %q, want +1", got)
	}
	text := ""
	for _, e := range s.rollout(checkout).Timeline {
		text += e.Reason.Text + "\n"
	}
	for _, part := range []string{"paused by robin", "resumed by robin", "aborted by robin"} {
		if !strings.Contains(text, part) {
			t.Errorf("the timeline does not say %q:\n%s", part, text)
		}
	}
	if len(s.hub.Issues()) != 0 {
		t.Error("an aborted rollout opened an issue")
	}
	s.now = s.now.Add(25 * time.Hour)
	old := s.writes()
	s.heard()
	if s.writes() != old {
		t.Error("words of yesterday are answered anew")
	}
}
