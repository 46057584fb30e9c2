package reconcile_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

func TestAPassAtRestAsksOnlyForTheHead(t *testing.T) {
	s := newStill(200)
	s.settle(t)
	if got := len(s.loop.Rollouts()); got != 200 {
		t.Fatalf("%d releases are kept, want 200", got)
	}
	before := s.boundary.counts()
	if moving := s.pass(t); len(moving) != 0 {
		t.Errorf("in motion: %v, want nothing", moving)
	}
	if diff := cmp.Diff(map[string]int{callHead: 1}, s.boundary.since(before)); diff != "" {
		t.Errorf("calls of a pass in which nothing is to be done (-want +got):\n%s", diff)
	}
}

func TestOnlyWhatChangedIsResolvedAgain(t *testing.T) {
	s := newStill(20)
	s.settle(t)
	if got := s.boundary.count(callParse); got != 20 {
		t.Errorf("20 releases took %d calls of Parse, want 20", got)
	}
	tests := []struct {
		name  string
		files map[string]string
		want  map[string]int // acts and parses
	}{
		{name: "a file of no release", files: map[string]string{"README.md": "about\n"}, want: map[string]int{}},
		{
			name:  "a comment in a release",
			files: map[string]string{releasePath("service-00003"): "# a word\n" + stillRelease("service-00003", "1.0.0")[releasePath("service-00003")]},
			want:  map[string]int{},
		},
		{name: "two new releases", files: merged(stillRelease("new-1", "1.0.0"), stillRelease("new-2", "1.0.0")), want: map[string]int{callParse: 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := s.boundary.counts()
			s.repo.commit(person, test.name, test.files)
			s.settle(t)
			got := map[string]int{}
			if n := s.boundary.since(before)[callParse]; n > 0 {
				got[callParse] = n
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("calls of Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func merged(all ...map[string]string) map[string]string {
	files := map[string]string{}
	for _, some := range all {
		maps.Copy(files, some)
	}
	return files
}

// TestNomadAwayWhileParsing: what could not be asked is asked again, though the head does not move.
func TestNomadAwayWhileParsing(t *testing.T) {
	s := newStill(3)
	s.cluster.away = true
	for range 3 {
		s.pass(t)
	}
	for name, r := range s.loop.Rollouts() {
		if r.Phase != strategy.Resting || r.Reason.Code != strategy.NothingAsked || !strings.Contains(r.Reason.Text, "connection refused") {
			t.Errorf("%s is %s, %s: %s; want it to rest and to say why nothing is known", name, r.Phase, r.Reason.Code, r.Reason.Text)
		}
	}
	if mistakes := s.loop.Mistakes(); len(mistakes) != 0 {
		t.Errorf("that Nomad is away is no mistake in Git: %v", mistakes)
	}
	s.cluster.away = false
	s.settle(t)
	for name, r := range s.loop.Rollouts() {
		if r.Stable.Revision.Version != "1.0.0" || r.Reason.Code != strategy.UpToDate {
			t.Errorf("%s: %s on %q, want it up to date on 1.0.0", name, r.Reason.Code, r.Stable.Revision)
		}
	}
}

// TestJobspecThatNomadRefuses is a mistake of its release, and asked once while the file stays.
func TestJobspecThatNomadRefuses(t *testing.T) {
	s := newStill(3)
	s.cluster.refuses["service-00001"] = true
	s.settle(t)
	before := s.boundary.count(callParse)
	s.pass(t)
	if got := s.boundary.count(callParse) - before; got != 0 {
		t.Errorf("a jobspec that is wrong was asked %d times again", got)
	}
	mistakes := s.loop.Mistakes()
	if len(mistakes) != 1 || mistakes[0].Release != "service-00001" || mistakes[0].Path != "releases/service-00001/job.nomad.hcl" {
		t.Fatalf("mistakes are %+v, want one of service-00001 in its jobspec", mistakes)
	}
	if got := s.loop.Rollouts()["service-00002"].Reason.Code; got != strategy.UpToDate {
		t.Errorf("another release is %s, want %s", got, strategy.UpToDate)
	}
}

func TestTwoReleasesOfOneJobAreAMistakeOfBoth(t *testing.T) {
	s := newStill(2)
	s.settle(t)
	s.repo.commit(person, "Release one a second time", map[string]string{
		releasePath("twin"): "release \"twin\" {\n  version = \"1.0.0\"\n  jobspec = \"../service-00000/job.nomad.hcl\"\n}\n",
	})
	s.settle(t)
	var of []string
	for _, m := range s.loop.Mistakes() {
		of = append(of, m.Release)
		if !strings.Contains(m.Text, "service-00000 and twin") {
			t.Errorf("the mistake of %s names not both: %s", m.Release, m.Text)
		}
	}
	if diff := cmp.Diff([]string{"service-00000", "twin"}, of); diff != "" {
		t.Errorf("releases with a mistake (-want +got):\n%s", diff)
	}
	s.repo.commit(person, "Take it back", map[string]string{releasePath("twin"): ""})
	s.settle(t)
	if got := s.loop.Rollouts()["service-00000"].Reason.Code; got != strategy.UpToDate || len(s.loop.Mistakes()) != 0 {
		t.Errorf("afterwards service-00000 is %s with mistakes %v, want %s and none", got, s.loop.Mistakes(), strategy.UpToDate)
	}
}

// TestRepositoryNotReadYet: a Drover that starts while Git is away does not say that releases are gone from Git.
func TestRepositoryNotReadYet(t *testing.T) {
	w := condemned(t)
	w.boundary = newBoundary()
	w.restart()
	w.boundary.arm(point{callHead, 1}, failBefore)
	w.tick()
	if w.failed == nil {
		t.Error("the pass reports nothing of a repository that cannot be read")
	}
	if r := w.rollout(checkout); strings.Contains(r.Reason.Text, "not in Git") {
		t.Errorf("it says: %s", r.Reason.Text)
	}
	w.tick()
	if r := w.rollout(checkout); w.failed != nil || r.Reason.Code == strategy.NothingAsked {
		t.Errorf("afterwards it says %s: %s (%v)", r.Reason.Code, r.Reason.Text, w.failed)
	}
}

func BenchmarkPassAtRest(b *testing.B) {
	for _, releases := range []int{200, 10000} {
		b.Run(fmt.Sprint(releases), func(b *testing.B) {
			s := newStill(releases)
			s.settle(b)
			b.ReportAllocs()
			for b.Loop() {
				s.pass(b)
			}
		})
	}
}
