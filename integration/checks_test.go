package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// allocs is the ids of the allocations that run, sorted.
func (s *story) allocs() []string {
	s.t.Helper()
	stubs, _, err := s.jobs().Allocations(s.name, false, s.query())
	if err != nil {
		s.t.Fatalf("read the allocations: %v", err)
	}
	var ids []string
	for _, stub := range stubs {
		if stub.ClientStatus == api.AllocClientStatusRunning && stub.DesiredStatus == api.AllocDesiredStatusRun {
			ids = append(ids, stub.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// runs waits until just these allocations run.
func (s *story) runs(want []string) {
	s.t.Helper()
	var got []string
	deadline := time.Now().Add(20 * time.Second) // Allocations that were told to stop take a moment.
	for range time.Tick(100 * time.Millisecond) {
		if got = s.allocs(); slices.Equal(want, got) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("other allocations run than before (-want +got):\n%s", cmp.Diff(want, got))
		}
	}
}

// replaced holds that as many other allocations run as these.
func (s *story) replaced(old []string) {
	s.t.Helper()
	got := s.allocs()
	for _, id := range old {
		if slices.Contains(got, id) {
			s.t.Errorf("allocation %s of the old version still runs", id)
		}
	}
	if len(got) != len(old) {
		s.t.Errorf("got %d allocations, want %d", len(got), len(old))
	}
}

// jobVersion is Nomad's number of the job's current version: every registration adds one.
func (s *story) jobVersion() uint64 {
	s.t.Helper()
	job, _, err := s.jobs().Info(s.name, s.query())
	if err != nil {
		s.t.Fatalf("read the job: %v", err)
	}
	return *job.Version
}

// deployments waits until Nomad's deployments have come to this, the oldest first: "version status", with "promoted"
// for canaries that were. Nomad forgets old ones, save what it calls their job versions: stable after a success.
func (s *story) deployments(want ...string) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second) // The one that restores is under way for a moment after the traffic is back.
	for range time.Tick(100 * time.Millisecond) {
		got := s.readDeployments()
		kept := want[max(0, len(want)-max(1, len(got))):]
		if slices.Equal(kept, got) {
			break
		}
		if time.Now().After(deadline) {
			s.t.Errorf("deployments (-want +got):\n%s", cmp.Diff(kept, got))
			return
		}
	}
	versions, _, _, err := s.jobs().Versions(s.name, false, s.query())
	if err != nil {
		s.t.Fatalf("read the job's versions: %v", err)
	}
	if len(versions) != len(want) {
		s.t.Fatalf("the job has %d versions, want %d", len(versions), len(want))
	}
	for i, v := range slices.Backward(versions) { // Nomad gives the newest first.
		if text := want[len(want)-1-i]; *v.Stable != strings.Contains(text, "successful") {
			s.t.Errorf("nomad calls version %d stable: %t, want its deployment %q", *v.Version, *v.Stable, text)
		}
	}
}

func (s *story) readDeployments() []string {
	s.t.Helper()
	all, _, err := s.jobs().Deployments(s.name, false, s.query())
	if err != nil {
		s.t.Fatalf("read the deployments: %v", err)
	}
	slices.SortFunc(all, func(a, b *api.Deployment) int { return int(a.CreateIndex) - int(b.CreateIndex) })
	var got []string
	for _, d := range all {
		text := fmt.Sprintf("%d %s", d.JobVersion, d.Status)
		if group := d.TaskGroups["api"]; group.DesiredCanaries > 0 && group.Promoted {
			text += " promoted"
		}
		got = append(got, text)
	}
	return got
}

// keeps holds that Nomad keeps a job version as the last good one.
func (s *story) keeps(version uint64) {
	s.t.Helper()
	versions, _, _, err := s.jobs().Versions(s.name, false, s.query())
	if err != nil {
		s.t.Fatalf("read the job's versions: %v", err)
	}
	for _, v := range versions {
		if tagged := v.VersionTag != nil && v.VersionTag.Name == s.name+"-good"; tagged != (*v.Version == version) {
			s.t.Errorf("version %d is tagged as good: %t, want version %d to be", *v.Version, tagged, version)
		}
	}
}

// planned holds the exit code of drover plan: 2 when there are changes, 0 at rest, 1 when something is wrong; and that
// it says the words.
func (s *story) planned(want int, words ...string) {
	s.t.Helper()
	contains(s.t, "drover plan", s.drive(want, "plan", s.name), words...)
}

// replays holds that every decision that is kept is made again, and comes to the same.
func (s *story) replays() {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "inputs.jsonl")
	if err := os.WriteFile(file, []byte(s.drive(0, "why", "-inputs", s.name)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	code, out, said := command(s.t, "replay", file)
	if code != 0 || !strings.Contains(out, "made again: all agree") {
		s.t.Errorf("drover replay exits with %d:\n%s%s", code, out, said)
	}
}

// nobodyFailed holds that no request of users failed since a moment, save those that the given versions answered.
func (s *story) nobodyFailed(since time.Time, save ...string) {
	s.t.Helper()
	seen := map[string]int{}
	failed, all := s.users.count(since, time.Time{}, func(a answer) bool {
		if !a.failed || slices.Contains(save, a.version) {
			return false
		}
		seen[fmt.Sprintf("%q of version %q", a.what, a.version)]++
		return true
	})
	if failed > 0 || all == 0 {
		s.t.Errorf("%d of %d requests failed: %v", failed, all, seen)
	}
}

// onlyUnderWayFailed holds that no more requests failed than can have been under way to processes that somebody killed.
func (s *story) onlyUnderWayFailed() {
	s.t.Helper()
	if failed, all := s.users.count(time.Time{}, time.Time{}, func(a answer) bool { return a.failed }); failed > userWorkers {
		s.t.Errorf("%d of %d requests failed, want at most the %d that can have been under way", failed, all, userWorkers)
	}
}

// neverAsked holds that no request reached a version since a moment.
func (s *story) neverAsked(version string, since time.Time) {
	s.t.Helper()
	if n := s.users.answered(version, since); n > 0 {
		s.t.Errorf("%s answered %d requests, want none", version, n)
	}
}

// only holds that users since a moment saw no other version than this one.
func (s *story) only(version string, since time.Time) {
	s.t.Helper()
	others, all := s.users.count(since, time.Time{}, func(a answer) bool { return a.version != version })
	if others > 0 {
		s.t.Errorf("%d of %d requests were answered by another version than %s", others, all, version)
	}
}

// shared holds that a version had at most a share of the requests between two moments; a zero end is now. The proxy
// divides exactly: what lies beyond the share is only where a moment cuts a period of its.
func (s *story) shared(version string, most strategy.Weight, from, to time.Time) {
	s.t.Helper()
	got, all := s.users.count(from, to, func(a answer) bool { return a.version == version })
	if limit := most.Share()*float64(all) + 10; float64(got) > limit || got == 0 {
		s.t.Errorf("%s answered %d of %d requests, want some, and at most %.0f at %s", version, got, all, limit, most)
	}
}

// steps holds that a rollout went through every step once and in order, each for its bake time at least, and that
// users of the canary were as many as its weight at most.
func (s *story) steps(r strategy.Rollout) {
	s.t.Helper()
	var entered []strategy.Event
	for _, e := range r.Timeline {
		if e.Reason.Code == strategy.StepEntered || e.Reason.Code == strategy.StepsDone {
			entered = append(entered, e)
		}
	}
	if len(entered) != len(r.Plan.Steps)+1 {
		s.t.Fatalf("want each of %d steps once, and their end; the timeline is %+v", len(r.Plan.Steps), r.Timeline)
	}
	for i, step := range r.Plan.Steps {
		from, to := entered[i].At, entered[i+1].At
		if entered[i].Step != i+1 {
			s.t.Errorf("step %d was entered as number %d", entered[i].Step, i+1)
		}
		if took := to.Sub(from); took < step.Bake {
			s.t.Errorf("step %d took %s, less than its bake time %s", i+1, took, step.Bake)
		}
		s.shared(r.Canary.Revision.Version, step.Weight, from, to)
	}
}

// reverted holds that Drover made one commit since the failed one, that it says what it must, and that the release's
// files are what they were at the restored commit.
func (s *story) reverted(failed, restored string) {
	s.t.Helper()
	commits := strings.Fields(s.shop.git(s.shop.bare, "rev-list", failed+"..main"))
	if len(commits) != 1 {
		s.t.Fatalf("got %d commits after the failed one, want one revert", len(commits))
	}
	revert := commits[0]
	got := map[string]string{
		"subject":         s.shop.git(s.shop.bare, "log", "-1", "--format=%s", revert),
		"author":          s.shop.git(s.shop.bare, "log", "-1", "--format=%an", revert),
		"parent":          s.shop.git(s.shop.bare, "rev-parse", revert+"^"),
		"Drover-Release":  s.shop.trailer(revert, "Drover-Release"),
		"Drover-Failed":   s.shop.trailer(revert, "Drover-Failed"),
		"Drover-Restored": s.shop.trailer(revert, "Drover-Restored"),
	}
	want := map[string]string{
		"subject": fmt.Sprintf("Revert %q", s.shop.git(s.shop.bare, "log", "-1", "--format=%s", failed)),
		"author":  "Drover", "parent": failed, "Drover-Release": s.name, "Drover-Failed": failed, "Drover-Restored": restored,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("the revert (-want +got):\n%s", diff)
	}
	if diff := s.shop.git(s.shop.bare, "diff", restored, revert, "--", "releases"); diff != "" {
		s.t.Errorf("the content is not what it was:\n%s", diff)
	}
}

// staysPut watches for a while that nothing is registered and nothing committed.
func (s *story) staysPut(while time.Duration) {
	s.t.Helper()
	version, head := s.jobVersion(), s.shop.head()
	deadline := time.Now().Add(while)
	for range time.Tick(200 * time.Millisecond) {
		if got := s.jobVersion(); got != version {
			s.t.Fatalf("job version %d was registered after %d", got, version)
		}
		if got := s.shop.head(); got != head {
			s.t.Fatalf("a commit was pushed: %s", s.shop.git(s.shop.bare, "log", "-1", "main"))
		}
		if time.Now().After(deadline) {
			return
		}
	}
}
