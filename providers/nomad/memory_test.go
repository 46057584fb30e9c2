package nomad

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// TestReadVersionsAreBounded: what was read of a job's versions is kept as long as Nomad has them, and no longer.
func TestReadVersionsAreBounded(t *testing.T) {
	const jobs, kept = 50, 6
	asked := 0
	client, err := Connect(Config{Address: "http://nomad.invalid", HTTPClient: &http.Client{Transport: answering(func(*http.Request) *http.Response {
		asked++
		return &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("none"))}
	})}})
	if err != nil {
		t.Fatal(err)
	}
	c := New(client, Options{})
	ref := func(n int) strategy.JobRef { return strategy.JobRef{Namespace: "default", ID: fmt.Sprint("job-", n)} }
	observe := func(job, newest int) {
		t.Helper()
		var all history
		for n := newest; n > max(0, newest-kept); n-- {
			all = append(all, version{job: &api.Job{Version: new(uint64(n)), JobModifyIndex: new(uint64(job*1_000_000 + n))}})
		}
		c.forget(ref(job), all)
		for _, v := range all {
			if _, err := c.recognise(t.Context(), ref(job), all, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	for newest := 1; newest <= 100; newest++ {
		for job := range jobs {
			observe(job, newest)
		}
	}
	if asked != jobs*100 {
		t.Errorf("nomad was asked %d times for the sources of %d versions", asked, jobs*100)
	}
	for job := range jobs {
		if read := c.read[ref(job)]; len(read.revisions) != kept || len(read.submissions) != kept {
			t.Errorf("of %d versions %d revisions and %d sources are kept", kept, len(read.revisions), len(read.submissions))
		}
		c.forget(ref(job), nil)
	}
	if len(c.read) > 0 {
		t.Errorf("%d jobs are kept that Nomad does not have", len(c.read))
	}
}

// TestQuestionsAreForgotten: what is not asked any more is not kept for good, and what is asked still is known.
func TestQuestionsAreForgotten(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := newSteadyTransport(nil)
	s.now = func() time.Time { return now }
	for n := range 10_000 {
		now = now.Add(time.Minute)
		if behind := s.check(fmt.Sprint("/v1/deployment/allocations/", n), 7); behind != 0 {
			t.Fatalf("a first answer is behind %d", behind)
		}
		if behind := s.check("/v1/jobs", uint64(100+n)); behind != 0 {
			t.Fatalf("a later answer is behind %d", behind)
		}
		if behind := s.check("/v1/jobs", 3); behind != uint64(100+n) {
			t.Fatalf("an answer from before is behind %d, want %d", behind, 100+n)
		}
	}
	if kept := len(s.seen) + len(s.before); kept > 250 {
		t.Errorf("%d questions are kept", kept)
	}
}
