package reconcile_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWhatMovesIsSaidFirst, and what needed nothing last, for all releases of a commit at once where there are many.
func TestWhatMovesIsSaidFirst(t *testing.T) {
	const many = 12
	s := newStill(many)
	said := func(sha string) (all []string) {
		for left := true; left; {
			left = s.loop.Deliver(t.Context(), s.now)
		}
		for _, status := range s.forge.statuses[sha] {
			all = append(all, fmt.Sprintf("%s %s", status.State, status.Context))
		}
		return all
	}
	s.settle(t)
	if diff := cmp.Diff([]string{"success drover"}, said(s.repo.head)); diff != "" {
		t.Errorf("statuses of the first commit (-want +got):\n%s", diff)
	}

	files := map[string]string{}
	for n := range many {
		maps.Copy(files, stillRelease(fmt.Sprintf("service-%05d", n), "1.0.0"))
	}
	for path, text := range files {
		if strings.HasSuffix(path, "/release.hcl") {
			files[path] = strings.Replace(text, "}\n", "  max_duration = \"3h\"\n}\n", 1)
		}
	}
	files[releasePath("service-00007")] = strings.Replace(files[releasePath("service-00007")], "1.0.0", "1.1.0", 1)
	sha := s.repo.commit(person, "Take more time, and release one", files).SHA
	s.now = s.now.Add(1)
	_, _ = s.loop.Pass(t.Context(), s.now) // Nothing can be registered in a still cluster.
	if diff := cmp.Diff([]string{"pending drover/service-00007", "success drover"}, said(sha)); diff != "" {
		t.Errorf("statuses of a commit that moves one (-want +got):\n%s", diff)
	}

	// A few are told one by one.
	sha = s.repo.commit(person, "Change one", map[string]string{releasePath("service-00002"): strings.Replace(files[releasePath("service-00002")], "3h", "4h", 1)}).SHA
	_, _ = s.loop.Pass(t.Context(), s.now)
	if diff := cmp.Diff([]string{"success drover/service-00002"}, said(sha)); diff != "" {
		t.Errorf("statuses of a commit that changes one (-want +got):\n%s", diff)
	}
}
