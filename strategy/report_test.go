package strategy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// TestOldCommitsAreNotTold that what they ask for runs: at the first start of Drover there may be a thousand of them.
func TestOldCommitsAreNotTold(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	revision := strategy.Revision{Version: "1.0.0", Attempt: 1, Digest: "d"}
	asks := func(committed time.Time, stopped bool) strategy.Observation {
		job := strategy.JobSpec{Ref: strategy.JobRef{Namespace: "default", ID: "web"}, Type: "service", Groups: []strategy.GroupSpec{{Name: "web", Count: 1}}}
		return strategy.Observation{
			Desired: &strategy.Desired{Job: job, Revision: revision, Commit: strategy.Commit{SHA: "c0ffee", Time: committed}},
			Cluster: &strategy.ClusterState{Exists: true, Stopped: stopped, Version: 3, ModifyIndex: 3, Revision: revision, Counts: map[string]int{"web": 1}},
			Traffic: &strategy.TrafficState{},
		}
	}
	told := func(r strategy.Rollout) (states []strategy.ReportState) {
		for _, report := range r.Reports {
			states = append(states, report.State)
		}
		return states
	}
	for name, c := range map[string]struct {
		committed time.Time
		want      []strategy.ReportState
	}{
		"just now": {now.Add(-time.Minute), []strategy.ReportState{strategy.ReportSuccess}}, "unknown": {time.Time{}, []strategy.ReportState{strategy.ReportSuccess}},
		"long ago": {now.AddDate(0, -1, 0), nil},
	} {
		r, _, why := strategy.Advance(strategy.Rollout{Release: "web"}, asks(c.committed, false), now)
		if diff := cmp.Diff(c.want, told(r)); diff != "" {
			t.Errorf("%s: reports (-want +got):\n%s\n%s", name, diff, why.Text)
		}
	}

	// What was said on it otherwise is put right, however old it is.
	r, _, _ := strategy.Advance(strategy.Rollout{Release: "web"}, asks(now.AddDate(0, -1, 0), false), now)
	for _, stopped := range []bool{true, false} {
		now = now.Add(time.Minute)
		r, _, _ = strategy.Advance(r, asks(now.AddDate(0, -1, 0), stopped), now)
		want := map[bool]strategy.ReportState{true: strategy.ReportError, false: strategy.ReportSuccess}[stopped]
		if diff := cmp.Diff([]strategy.ReportState{want}, told(r)); diff != "" {
			t.Errorf("stopped %t: reports (-want +got):\n%s", stopped, diff)
		}
	}
}
