package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Pulls    = boundHub{}
	_ reconcile.Words    = boundHub{}
	_ reconcile.Brancher = boundBranches{}
	_ reconcile.Refs     = boundBranches{}
)

// hub is what a forge has beside issues and statuses: pull requests, and what people write below them; and the branches of
// its repository. It keeps the contracts of reconcile.Pulls, reconcile.Words and reconcile.Brancher.
type hub struct {
	mu        sync.Mutex
	brought   map[string]int            // pull requests by the commits that they brought
	opened    map[int]strategy.Pull     // pull requests, merged or not
	comments  map[int]map[string]string // by pull request and marker
	branches  map[string]string         // the messages of their newest commits
	proposals []strategy.Proposal       // the pull requests that were opened
	words     []strategy.Word           // that people wrote
	answers   map[int64]strategy.Answer // by word
	writers   []string                  // people who may command
}

func newHub() *hub {
	return &hub{
		brought: map[string]int{}, opened: map[int]strategy.Pull{}, comments: map[int]map[string]string{}, branches: map[string]string{},
		answers: map[int64]strategy.Answer{}, writers: []string{person},
	}
}

// write lets somebody write below a pull request.
func (h *hub) write(at time.Time, pull int, author, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.words = append(h.words, strategy.Word{ID: int64(len(h.words) + 1), Pull: pull, Author: author, At: at, Text: text})
}

// open lets a person open a pull request for what a branch is at.
func (h *hub) open(number int, ref string, head strategy.Commit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened[number] = strategy.Pull{Number: number, Author: person, Head: head.SHA, Ref: ref}
}

// merged lets a person merge one, as a commit of the branch.
func (h *hub) merged(number int, as strategy.Commit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	pull := h.opened[number]
	pull.Merged = true
	h.opened[number], h.brought[as.SHA] = pull, number
}

// planned is the newest plan on a pull request's head, "" when there is none.
func (w *world) planned(number int) string {
	for _, s := range slices.Backward(w.forge.statuses[w.hub.opened[number].Head]) {
		if s.Context == instance+"/plan" {
			return s.Text
		}
	}
	return ""
}

// ends is what is to be there at the end, without what the measurements of one run are.
func (h *hub) ends(f *forge) (all []string) {
	for _, number := range slices.Sorted(maps.Keys(h.opened)) {
		newest := map[string]string{}
		for _, s := range f.statuses[h.opened[number].Head] {
			newest[s.Context] = string(s.State)
		}
		for _, name := range slices.Sorted(maps.Keys(newest)) {
			all = append(all, fmt.Sprintf("status %s on the head of %d: %s", name, number, newest[name]))
		}
	}
	for _, p := range h.proposals {
		all = append(all, fmt.Sprintf("proposed %s: %s", p.Branch, p.Title))
	}
	for _, name := range slices.Sorted(maps.Keys(h.branches)) {
		subject, _, _ := strings.Cut(h.branches[name], "\n")
		all = append(all, fmt.Sprintf("branch %s: %s", name, subject))
	}
	for _, number := range slices.Sorted(maps.Keys(h.comments)) {
		for marker, text := range h.comments[number] {
			all = append(all, fmt.Sprintf("comment %s below %d, planned %t, failed %t, ended %t", marker, number, strings.Contains(text, "### Plan"), strings.Contains(text, "🔴"), strings.Contains(text, "⚪")))
		}
	}
	for _, w := range h.words {
		answer := string(h.answers[w.ID])
		if answer == string(strategy.AnswerVoid) {
			answer = string(strategy.AnswerDone) // It was obeyed by a process that could not answer any more.
		}
		all = append(all, fmt.Sprintf("%s of %s: %s", w.Text, w.Author, answer))
	}
	return all
}

const (
	callPulls    = "forge.pulls"
	callPullOf   = "forge.pull_of"
	callWords    = "forge.words"
	callAnswered = "forge.answered"
	callMay      = "forge.may"

	callComment = "forge.comment"
	callPropose = "forge.propose"
	callAnswer  = "forge.answer"
	callBranch  = "repository.branch"
)

// boundHub is a forge with pull requests.
type boundHub struct {
	boundForge
	hub *hub
}

func (f boundHub) Pulls(context.Context) ([]strategy.Pull, error) {
	return looking(f.process, callPulls, func() ([]strategy.Pull, error) {
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		var open []strategy.Pull
		for _, number := range slices.Sorted(maps.Keys(f.hub.opened)) {
			if p := f.hub.opened[number]; !p.Merged {
				open = append(open, p)
			}
		}
		return open, nil
	})
}

func (f boundHub) PullOf(_ context.Context, sha string) (strategy.Pull, error) {
	return looking(f.process, callPullOf, func() (strategy.Pull, error) {
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		number := f.hub.brought[sha]
		return strategy.Pull{Number: number, Author: person, Head: f.hub.opened[number].Head, Merged: number > 0}, nil
	})
}

func (f boundHub) Comment(_ context.Context, number int, marker string, edit func(string) string) error {
	return actingOnly(f.process, callComment, func() error {
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		text := edit(f.hub.comments[number][marker])
		if text == "" {
			return nil
		}
		if f.hub.comments[number] == nil {
			f.hub.comments[number] = map[string]string{}
		}
		f.hub.comments[number][marker] = text
		return nil
	})
}

func (f boundHub) Propose(_ context.Context, p strategy.Proposal) (string, error) {
	return acting(f.process, callPropose, func() (string, error) {
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		n := slices.IndexFunc(f.hub.proposals, func(have strategy.Proposal) bool { return have.Branch == p.Branch })
		if _, there := f.hub.branches[p.Branch]; !there {
			return "", fmt.Errorf("propose: there is no branch %s: %w", p.Branch, strategy.ErrRefused)
		}
		if n < 0 {
			n = len(f.hub.proposals)
			f.hub.proposals = append(f.hub.proposals, p)
		}
		return fmt.Sprintf("https://forge.example/shop/pulls/%d", n+1), nil
	})
}

func (f boundHub) Words(_ context.Context, since time.Time) ([]strategy.Word, error) {
	return looking(f.process, callWords, func() ([]strategy.Word, error) {
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		return slices.DeleteFunc(slices.Clone(f.hub.words), func(w strategy.Word) bool { return w.At.Before(since) }), nil
	})
}

func (f boundHub) IsAnswered(_ context.Context, id int64) (bool, error) {
	return looking(f.process, callAnswered, func() (bool, error) {
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		return f.hub.answers[id] != "", nil
	})
}

func (f boundHub) Answer(_ context.Context, id int64, a strategy.Answer) error {
	return actingOnly(f.process, callAnswer, func() error {
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		f.hub.answers[id] = a
		return nil
	})
}

func (f boundHub) MayCommand(_ context.Context, author string) (bool, error) {
	return looking(f.process, callMay, func() (bool, error) { return slices.Contains(f.hub.writers, author), nil })
}

// boundBranches is a repository that takes branches beside its own.
type boundBranches struct {
	boundRepository
	hub *hub
}

func (r boundBranches) PushBranch(_ context.Context, change strategy.Change, branch string) (strategy.Commit, error) {
	return acting(r.process, callBranch, func() (strategy.Commit, error) {
		r.hub.mu.Lock()
		defer r.hub.mu.Unlock()
		if have, there := r.hub.branches[branch]; there && have != change.Message {
			return strategy.Commit{}, fmt.Errorf("push branch %s: it holds something else: %w", branch, strategy.ErrRefused)
		}
		r.hub.branches[branch] = change.Message
		return strategy.Commit{SHA: branch, Subject: change.Message}, nil
	})
}

func (r boundBranches) FetchRef(ctx context.Context, ref string) (strategy.Commit, error) {
	return looking(r.process, callRef, func() (strategy.Commit, error) { return r.to.FetchRef(ctx, ref) })
}

func (r boundBranches) MergeBase(ctx context.Context, a, b string) (string, error) {
	return looking(r.process, callParted, func() (string, error) { return r.to.MergeBase(ctx, a, b) })
}

// hear lets Drover hear what was written. A command waits for a pass, which is made as soon as it does, so that every run
// has the same ones; where three passes give no answer the command is given up, as it is when its time is over.
func (w *world) hear() {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	loop, process, done := w.loop, w.process, make(chan struct{})
	now := w.now
	go func() {
		defer close(done)
		_ = loop.Hear(ctx, now) // What it did not hear is heard at the next tick.
	}()
	for passes := 0; ; {
		select {
		case <-done:
			return
		default:
		}
		switch {
		case !loop.IsAsked(checkout):
			runtime.Gosched()
		case process.ended() || passes == 3:
			cancel()
			<-done
			return
		default:
			passes++
			_, _ = loop.Pass(w.t.Context(), w.now)
		}
	}
}
