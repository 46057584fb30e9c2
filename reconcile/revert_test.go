package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// condemned is a world in which 1.0.0 runs, and whose next version, 1.2.0, will be condemned by its gate.
func condemned(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, rate)
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	w.release(checkout, "1.0.0")
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.0.0" }); err != nil {
		t.Fatalf("release 1.0.0: %v", err)
	}
	return w
}

// rolledBack waits for the end of a rollout of 1.2.0, and returns what the issue says of Git.
func (w *world) rolledBack(t *testing.T) string {
	t.Helper()
	err := w.until(2*time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Last.Kind == strategy.OutcomeCondemned })
	if err != nil {
		t.Fatalf("roll 1.2.0 back: %v", err)
	}
	if got := w.rollout(checkout).Stable.Revision.Version; got != "1.0.0" {
		t.Errorf("stable is %s, want 1.0.0", got)
	}
	if len(w.forge.issues) != 1 {
		t.Fatalf("%d issues were opened, want 1", len(w.forge.issues))
	}
	for line := range strings.Lines(w.forge.issues[0].Body) {
		if git, ok := strings.CutPrefix(strings.TrimSpace(line), "- Git: "); ok {
			return git
		}
	}
	t.Fatalf("the issue says nothing of Git:\n%s", w.forge.issues[0].Body)
	return ""
}

// versionLine is the text of a release that asks for a version by a jobspec of the given name.
func versionLine(version, spec string) string {
	return strings.Replace(releaseText(checkout, version, ""), checkout+".nomad.hcl", spec, 1)
}

func TestRevertRestoresWhatTheReleaseNames(t *testing.T) {
	const moved = "releases/checkout-api/moved.nomad.hcl"
	spec := jobspec(t, checkout)
	tests := []struct {
		name    string
		commits func(w *world)
		want    map[string]string // content of files at the end; "" is absent
		message string            // part of the commit's message
	}{
		{
			name:    "the release's own file",
			commits: func(w *world) { w.release(checkout, "1.2.0") },
			want:    map[string]string{releasePath(checkout): releaseText(checkout, "1.0.0", ""), jobspecPath(checkout): spec},
			message: `Revert "Release checkout-api 1.2.0"`,
		},
		{
			name: "the jobspec under its old name",
			commits: func(w *world) {
				w.repo.commit(person, "Move the jobspec", map[string]string{
					releasePath(checkout): versionLine("1.2.0", "moved.nomad.hcl"), jobspecPath(checkout): "", moved: spec + "# moved\n",
				})
			},
			want:    map[string]string{releasePath(checkout): releaseText(checkout, "1.0.0", ""), jobspecPath(checkout): spec, moved: ""},
			message: `Revert "Move the jobspec"`,
		},
		{
			name: "what a merge brought, not its branch",
			commits: func(w *world) {
				old := w.repo.head
				w.repo.commit(person, "Write a page", map[string]string{"README.md": "about\n"})
				w.repo.merge(person, "Merge pull request 7", old, map[string]string{releasePath(checkout): releaseText(checkout, "1.2.0", "")})
			},
			want:    map[string]string{releasePath(checkout): releaseText(checkout, "1.0.0", ""), "README.md": "about\n"},
			message: `Revert "Merge pull request 7"`,
		},
		{
			name: "on top of later commits to other files",
			commits: func(w *world) {
				w.release(checkout, "1.2.0")
				w.repo.commit(person, "Write a page", map[string]string{"README.md": "about\n"})
			},
			want:    map[string]string{releasePath(checkout): releaseText(checkout, "1.0.0", ""), "README.md": "about\n"},
			message: `Revert "Release checkout-api 1.2.0"`,
		},
		{
			name: "a subject in quotes",
			commits: func(w *world) {
				w.repo.commit(person, `Say "hello" — für alle`, map[string]string{releasePath(checkout): releaseText(checkout, "1.2.0", "")})
			},
			want:    map[string]string{releasePath(checkout): releaseText(checkout, "1.0.0", "")},
			message: `Revert "Say "hello" — für alle"`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := condemned(t)
			test.commits(w)
			if git := w.rolledBack(t); !strings.HasPrefix(git, "reverted by ") {
				t.Errorf("the issue says %q, want a revert", git)
			}
			if len(w.repo.drover) != 1 {
				t.Fatalf("%d commits were pushed, want 1", len(w.repo.drover))
			}
			for path, want := range test.want {
				if diff := cmp.Diff(want, w.repo.content(path)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
			if message := w.repo.commits[w.repo.drover[0]].message; !strings.HasPrefix(message, test.message+"\n") {
				t.Errorf("the commit says\n%s\nwant it to begin with %s", message, test.message)
			}
		})
	}
}

func TestRevertLeavesOtherPeoplesWork(t *testing.T) {
	tests := []struct {
		name    string
		commits func(w *world)
		want    string // part of what the issue says of Git
	}{
		{
			name: "edited since",
			commits: func(w *world) {
				w.release(checkout, "1.2.0")
				w.repo.commit("Kim", "Say who owns it", map[string]string{releasePath(checkout): "# ours\n" + releaseText(checkout, "1.2.0", "")})
			},
			want: "release.hcl was edited since",
		},
		{
			name: "a jobspec that another release names",
			commits: func(w *world) {
				spec := jobspec(w.t, checkout)
				changed := strings.Replace(spec, "memory = 64", "memory = 96", 1)
				w.repo.commit(person, "Share and change the jobspec", map[string]string{
					releasePath(checkout): releaseText(checkout, "1.2.0", ""), jobspecPath(checkout): changed,
					releasePath("elsewhere"): strings.NewReplacer(`"elsewhere.nomad.hcl"`, `"../checkout-api/checkout-api.nomad.hcl"`).
						Replace(releaseText("elsewhere", "3.0.0", "  namespace = \"east\"\n")),
				})
			},
			want: `is shared with release "elsewhere"`,
		},
		{
			name: "a jobspec that another release names, in which it is wrong",
			commits: func(w *world) {
				// Without the variable that it needs, Nomad accepts the jobspec of the one release and not of the other.
				spec := strings.Replace(jobspec(w.t, checkout), "variable \"version\" {", "variable \"zone\" {\n  type = string\n}\n\nvariable \"version\" {", 1)
				w.repo.commit(person, "Share and change the jobspec", map[string]string{
					releasePath(checkout): releaseText(checkout, "1.2.0", "  variables { zone = \"a\" }\n"), jobspecPath(checkout): spec,
					releasePath("elsewhere"): strings.NewReplacer(`"elsewhere.nomad.hcl"`, `"../checkout-api/checkout-api.nomad.hcl"`).
						Replace(releaseText("elsewhere", "3.0.0", "  namespace = \"east\"\n")),
				})
			},
			want: `is shared with release "elsewhere"`,
		},
		{
			name:    "a protected branch",
			commits: func(w *world) { w.repo.refuse = "protected branch"; w.release(checkout, "1.2.0") },
			want:    "the remote refuses the push",
		},
		{
			name: "a policy that wants a pull request",
			commits: func(w *world) {
				w.repo.commit(person, "Release 1.2.0", map[string]string{
					releasePath(checkout): releaseText(checkout, "1.2.0", "  rollback { commit = \"pull_request\" }\n"),
				})
			},
			want: "asks for a pull request",
		},
		{
			name: "a policy that forbids going back",
			commits: func(w *world) {
				w.repo.commit(person, "Release 1.2.0", map[string]string{
					releasePath(checkout): releaseText(checkout, "1.2.0", "  rollback { commit = \"none\" }\n"),
				})
			},
			want: "as the policy says",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := condemned(t)
			test.commits(w)
			before := w.repo.head
			// The text of an issue escapes what would be Markdown.
			if git := strings.ReplaceAll(w.rolledBack(t), `\`, ""); !strings.Contains(git, test.want) || !strings.HasPrefix(git, "not reverted") {
				t.Errorf("the issue says %q, want it to say that it was not reverted: %s", git, test.want)
			}
			if w.repo.head != before || len(w.repo.drover) != 0 {
				t.Errorf("Drover pushed %d commits, want none", len(w.repo.drover))
			}
			if code := w.rollout(checkout).Reason.Code; code != strategy.AlreadyCondemned {
				t.Errorf("the release says %s, want %s", code, strategy.AlreadyCondemned)
			}
		})
	}
}

func TestRevertLosesTheRaceAgainAndAgain(t *testing.T) {
	w := condemned(t)
	for n := range 7 { // More than are tried in one pass.
		w.repo.race = append(w.repo.race, func() {
			w.repo.commit("Kim", "Write", map[string]string{"notes.md": strings.Repeat("x", n+1)})
		})
	}
	w.release(checkout, "1.2.0")
	if git := w.rolledBack(t); !strings.HasPrefix(git, "reverted by ") {
		t.Errorf("the issue says %q, want a revert", git)
	}
	if w.repo.lostOne != 7 || len(w.repo.drover) != 1 {
		t.Errorf("%d pushes lost and %d landed, want 7 and 1", w.repo.lostOne, len(w.repo.drover))
	}
	if got := w.repo.content("notes.md"); got != "xxxxxxx" {
		t.Errorf("notes.md is %q, want all of the others' commits", got)
	}
}

// TestRevertOfAnEarlierLead: what another Drover has reverted while it led is not reverted by one that leads again, though a
// person has asked for it anew since.
func TestRevertOfAnEarlierLead(t *testing.T) {
	w := condemned(t)
	w.release(checkout, "1.2.0")
	if err := w.until(time.Minute, func() bool { return w.rollout(checkout).Phase == strategy.Stepping }); err != nil {
		t.Fatal(err)
	}
	w.repo.away = errors.New("no answer")
	if err := w.until(2*time.Minute, func() bool { r := w.rollout(checkout); return r.AtRest() && len(r.Outbox) > 0 }); err != nil {
		t.Fatal(err)
	}
	earlier := w.loop
	w.restart()
	w.repo.away = nil
	w.rolledBack(t)
	w.release(checkout, "1.2.0")
	earlier.LeadAnew()
	earlier.Deliver(t.Context(), w.now.Add(time.Hour))
	if n := len(w.repo.drover); n != 1 {
		t.Errorf("%d reverts were pushed, want 1", n)
	}
}

// TestRevertGoesToTheNewestGoodCommit: an edit of the good release stays when the bad one is reverted.
func TestRevertGoesToTheNewestGoodCommit(t *testing.T) {
	w := condemned(t)
	newest := w.repo.commit("Kim", "Explain the release", map[string]string{releasePath(checkout): "# explained\n" + releaseText(checkout, "1.0.0", "")})
	for range 3 {
		w.tick()
	}
	w.repo.commit(person, "Release 1.2.0", map[string]string{releasePath(checkout): "# explained\n" + releaseText(checkout, "1.2.0", "")})
	if git, want := w.rolledBack(t), "to the content of "+newest.Short()+"."; !strings.HasSuffix(git, want) {
		t.Errorf("the issue says %q, want it to end with %q", git, want)
	}
	if got, want := w.repo.content(releasePath(checkout)), "# explained\n"+releaseText(checkout, "1.0.0", ""); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
}

// TestRollbackTwice: a person who asks once more while the release is on its way back does not turn it round.
func TestRollbackTwice(t *testing.T) {
	w := condemned(t)
	upgrade(w)
	if _, err := w.loop.Rollback(t.Context(), checkout, person); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"before the next pass", "on the way back"} {
		if done, err := w.loop.Rollback(t.Context(), checkout, person); err == nil || !strings.Contains(err.Error(), "it is on its way back") {
			t.Errorf("%s: %s, error %v", when, done, err)
		}
		w.tick()
	}
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.0.0" }); err != nil {
		t.Error(err)
	}
}

// TestRevertOfWhatCannotBeRead: the release was broken by somebody before its revert could be made.
func TestRevertOfWhatCannotBeRead(t *testing.T) {
	w := condemned(t)
	w.release(checkout, "1.2.0")
	if err := w.until(time.Minute, func() bool { return w.rollout(checkout).Phase == strategy.Stepping }); err != nil {
		t.Fatal(err)
	}
	w.repo.away = errors.New("no answer")
	if err := w.until(2*time.Minute, func() bool { r := w.rollout(checkout); return r.AtRest() && len(r.Outbox) > 0 }); err != nil {
		t.Fatal(err)
	}
	w.repo.commit(person, "Break the jobspec", map[string]string{jobspecPath(checkout): "job {"})
	w.repo.away = nil
	if git, want := w.rolledBack(t), "nothing reverted: the release cannot be read from Git any more."; git != want {
		t.Errorf("the issue says %q, want %q", git, want)
	}
}
