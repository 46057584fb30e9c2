package reconcile_test

import (
	"fmt"
	"maps"
	"runtime"
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

// TestCommitsAreFoundInOneWalk: the commits that releases ask by are found in one walk through the history, whatever
// their number, and later walks end where the last one began.
func TestCommitsAreFoundInOneWalk(t *testing.T) {
	s := newStill(30)
	var want []string // the subject of the commit that each asks by
	for n := range 30 {
		name, subject := fmt.Sprintf("service-%05d", n), fmt.Sprintf("Touch %d", n%10)
		if n%3 == 0 {
			want = append(want, "Release everything")
			continue
		}
		s.repo.commit(person, subject, map[string]string{releasePath(name): "# a word\n" + stillRelease(name, "1.0.0")[releasePath(name)]})
		want = append(want, subject)
	}
	for n := range 10 {
		s.repo.commit(person, "Beside", map[string]string{"README.md": fmt.Sprint(n)})
	}
	s.settle(t)
	// 20 commits of releases, 10 beside them, and the first.
	if diff := cmp.Diff(map[string]int{callLog: 1, callFiles: 1, callChanges: 30}, s.walked(nil)); diff != "" {
		t.Errorf("calls that read the repository for 30 releases (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.subjects()); diff != "" {
		t.Errorf("commits that the releases ask by (-want +got):\n%s", diff)
	}

	before := s.boundary.counts()
	s.repo.commit(person, "Two at once", merged(stillRelease("service-00001", "1.0.0"), stillRelease("service-00002", "1.0.0")))
	s.repo.commit(person, "A policy for all", map[string]string{"policies/x.hcl": "policy \"x\" {}\n"})
	s.repo.commit(person, "Another gate", map[string]string{releasePath("service-00003"): strings.Replace(
		stillRelease("service-00003", "1.0.0")[releasePath("service-00003")], "}", "  policy = \"x\"\n}", 1)})
	s.settle(t)
	if diff := cmp.Diff(map[string]int{callLog: 1, callFiles: 1, callChanges: 1}, s.walked(before)); diff != "" {
		t.Errorf("calls for one release whose content changed, two commits after the last walk (-want +got):\n%s", diff)
	}
	want[3] = "Another gate"
	if diff := cmp.Diff(want, s.subjects()); diff != "" {
		t.Errorf("commits that the releases ask by then (-want +got):\n%s", diff)
	}

	// What a policy changes is dated from what was known at the last head.
	before = s.boundary.counts()
	s.repo.commit(person, "Stricter", map[string]string{"policies/x.hcl": "policy \"x\" {\n  gate \"errors\" {\n    metric = \"error_rate\"\n    max = \"1%\"\n  }\n}\n"})
	s.settle(t)
	if diff := cmp.Diff(map[string]int{callLog: 1, callFiles: 1, callChanges: 1}, s.walked(before)); diff != "" {
		t.Errorf("calls for a policy that changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.subjects()); diff != "" {
		t.Errorf("commits that the releases ask by after the policy changed (-want +got):\n%s", diff)
	}
}

// TestHistoryThatCannotBeRead: without it no commit can be blamed, so nothing is begun, and it is read again.
func TestHistoryThatCannotBeRead(t *testing.T) {
	for _, call := range []string{callLog, callChanges} {
		s := newStill(3)
		s.repo.commit(person, "Beside", map[string]string{"README.md": "about\n"})
		s.boundary.arm(point{call, 1}, failBefore)
		s.pass(t)
		for name, r := range s.loop.Rollouts() {
			if r.Reason.Code != strategy.NothingAsked || !strings.Contains(r.Reason.Text, "read its history") {
				t.Errorf("%s fails: %s says %s: %s", call, name, r.Reason.Code, r.Reason.Text)
			}
		}
		s.settle(t)
		if diff := cmp.Diff([]string{"Release everything", "Release everything", "Release everything"}, s.subjects()); diff != "" {
			t.Errorf("%s fails once: commits afterwards (-want +got):\n%s", call, diff)
		}
	}
}

// TestOneChangedOfManyCostsOne: what a commit costs depends on what it changed, and not on how many releases there are.
func TestOneChangedOfManyCostsOne(t *testing.T) {
	s := newStill(200)
	s.settle(t)
	before := s.boundary.counts()
	s.repo.commit(person, "Another policy", map[string]string{releasePath("service-00123"): strings.Replace(
		stillRelease("service-00123", "1.0.0")[releasePath("service-00123")], "}", "  policy = \"builtin/cautious\"\n}", 1)})
	s.pass(t)
	want := map[string]int{
		callHead: 1, callFiles: 1, callLog: 1, callChanges: 1, callParse: 1, // what is asked for
		callObserve: 1, callRead: 1, callStore: 1, // what is so
	}
	got := s.boundary.since(before)
	delete(got, callDescend) // Whether the branch was forced is asked whenever it moved.
	delete(got, callHeads)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls for one changed release of 200 (-want +got):\n%s", diff)
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
	w.bound()
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

// BenchmarkPassAtRest is a pass in which nothing is to be done: what it takes of CPU time (which other programs do not
// alter), how much is asked of others besides the head of the repository, and what the records of all releases hold.
func BenchmarkPassAtRest(b *testing.B) {
	for _, releases := range []int{200, 10000} {
		b.Run(fmt.Sprint(releases), func(b *testing.B) {
			before := heap()
			s := newStill(releases)
			s.settle(b)
			held := heap() - before
			asked := s.boundary.counts()
			b.ReportAllocs()
			began := cpuTime()
			for b.Loop() {
				s.pass(b)
			}
			b.ReportMetric(float64((cpuTime()-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(held/(1<<20), "MB-held")
			requests := 0
			for call, n := range s.boundary.since(asked) {
				if call != callHead {
					requests += n
				}
			}
			b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
		})
	}
}

// heap is how many bytes are in use.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
