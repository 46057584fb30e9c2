package integration_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// status is what `drover status -json` says of the release; the zero value while nothing is recorded of it.
func (s *story) status() strategy.Rollout {
	s.t.Helper()
	code, out, said := command(s.t, "status", "-config", s.config, "-json", s.name)
	if code != 0 {
		if strings.Contains(said, "nothing is recorded") {
			return strategy.Rollout{}
		}
		s.t.Fatalf("drover status exited with %d: %s", code, said)
	}
	var rollouts []strategy.Rollout
	if err := json.Unmarshal([]byte(out), &rollouts); err != nil || len(rollouts) != 1 {
		s.t.Fatalf("drover status -json: %v: want one record in %s", err, out)
	}
	return rollouts[0]
}

// recordPath is where the record of the release is kept.
func (s *story) recordPath() string { return cmp.Or(s.instance, s.name) + "/releases/" + s.name }

// read is the record as it is stored, once it is newer than index, or after a second. While Nomad is away there is
// none.
func (s *story) read(index uint64) (strategy.Rollout, uint64) {
	s.t.Helper()
	began := time.Now()
	variable, meta, err := s.agent.Client().Variables().Peek(s.recordPath(), &api.QueryOptions{WaitIndex: index, WaitTime: time.Second})
	if err != nil || variable == nil {
		time.Sleep(max(0, 50*time.Millisecond-time.Since(began)))
		if meta != nil {
			index = meta.LastIndex
		}
		return strategy.Rollout{}, index
	}
	var r strategy.Rollout
	if err := json.Unmarshal([]byte(variable.Items["json"]), &r); err != nil {
		s.t.Fatalf("read the record of %s: %v", s.name, err)
	}
	return r, meta.LastIndex
}

// until waits until something is so.
func (s *story) until(what string, so func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !so() {
		select {
		case <-deadline.C:
			s.t.Fatalf("waited %s, but not: %s", patience, what)
		case <-ticker.C:
		}
	}
}

// becomes waits until the record is so, and returns it. It misses no record that is stored.
func (s *story) becomes(what string, so func(strategy.Rollout) bool) strategy.Rollout {
	s.t.Helper()
	r, index := s.read(0)
	for deadline := time.Now().Add(patience); !so(r); r, index = s.read(index) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %s, but not: %s", patience, what)
		}
	}
	return r
}

// rests waits until the release rests on a version after a rollout that ended so, with nothing left to be done.
func (s *story) rests(stable string, end strategy.OutcomeKind) strategy.Rollout {
	s.t.Helper()
	rests := func(r strategy.Rollout) bool {
		return r.Phase == strategy.Resting && r.Stable.Revision.Version == stable && r.Last.Kind == end && len(r.Outbox) == 0
	}
	r := s.becomes(fmt.Sprintf("it rests on %s, %s", stable, end), rests)
	if seen := s.status(); !rests(seen) {
		s.t.Errorf("drover status says that it is %s on %s, want it at rest on %s, %s", seen.Phase, seen.Stable.Revision, stable, end)
	}
	return r
}

// enters waits until the rollout of a version is in a phase.
func (s *story) enters(version string, phase strategy.Phase) strategy.Rollout {
	s.t.Helper()
	return s.becomes(fmt.Sprintf("%s is %s", version, phase), func(r strategy.Rollout) bool {
		return r.Phase == phase && r.Canary.Revision.Version == version
	})
}

// says waits until the release rests, or holds, for a reason.
func (s *story) says(codes ...strategy.ReasonCode) strategy.Rollout {
	s.t.Helper()
	return s.becomes(fmt.Sprintf("the reason is one of %q", codes), func(r strategy.Rollout) bool {
		return slices.Contains(codes, r.Reason.Code) || (r.Hold != nil && slices.Contains(codes, r.Hold.Reason.Code))
	})
}

// bakes waits until users see a version at a weight in mid-step.
func (s *story) bakes(version string, weight strategy.Weight) {
	s.t.Helper()
	s.becomes(fmt.Sprintf("%s bakes at %s", version, weight), func(r strategy.Rollout) bool {
		return r.Phase == strategy.Stepping && r.Canary.Revision.Version == version && r.Weight == weight
	})
	now := time.Now()
	s.until("users see "+version, func() bool { return s.users.answered(version, now) > 0 })
}

// stands waits until a version has all traffic and the old one stands by.
func (s *story) stands(version string) {
	s.t.Helper()
	s.enters(version, strategy.Standby)
	now := time.Now()
	s.until("users see "+version, func() bool { return s.users.answered(version, now) > 20 })
	s.only(version, now)
}

// closes waits until the proxy sends nothing to the canary any more, and returns when that was seen.
func (s *story) closes() time.Time {
	s.t.Helper()
	s.until("the proxy sends nothing to the canary", func() bool { return s.split().Weight == 0 })
	return time.Now()
}

// split is what the proxy has in effect.
func (s *story) split() strategy.Split {
	s.t.Helper()
	response, err := http.Get("http://" + s.admin + "/splits")
	if err != nil {
		s.t.Fatalf("read the proxy's splits: %v", err)
	}
	defer response.Body.Close()
	var splits []strategy.Split
	if err := json.NewDecoder(response.Body).Decode(&splits); err != nil || len(splits) != 1 {
		s.t.Fatalf("read the proxy's splits: %v: want one, got %+v", err, splits)
	}
	return splits[0]
}
