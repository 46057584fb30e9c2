package reconcile_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/reconcile"
)

// TestComplaintsAreNotRepeated has a repository that nobody can read for ten minutes: the log says so when it begins, and
// rarely after that.
func TestComplaintsAreNotRepeated(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	said := func() string {
		defer log.Reset()
		var lines []string
		for line := range strings.Lines(log.String()) {
			_, message, _ := strings.Cut(strings.TrimSpace(line), "msg=")
			lines = append(lines, message)
		}
		return strings.Join(lines, "; ")
	}
	complain := reconcile.Complainer(logger)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for range 3 {
		complain(nil, now)
	}
	if got := said(); got != "" {
		t.Errorf("without a failure it said %s", got)
	}
	for second := range 601 {
		complain(fmt.Errorf("read the release repository: 127.0.0.1:%d refused", 50_000+second), now.Add(time.Duration(second)*time.Second))
		want := ""
		if second%300 == 0 {
			want = fmt.Sprintf(`"pass incomplete" error="read the release repository: 127.0.0.1:%d refused"`, 50_000+second)
		}
		if got := said(); got != want {
			t.Fatalf("after %d s it said %q, want %q", second, got, want)
		}
	}
	now = now.Add(602 * time.Second)
	complain(errors.New("read the ledger: no"), now)
	if got := said(); got != `"pass incomplete" error="read the ledger: no"` {
		t.Errorf("of another failure it said %q", got)
	}
	complain(nil, now)
	complain(nil, now)
	if got := said(); got != `"passes complete again"` {
		t.Errorf("when it was over it said %q", got)
	}
	complain(errors.New("read the ledger: no"), now)
	if got := said(); got != `"pass incomplete" error="read the ledger: no"` {
		t.Errorf("of the same failure later it said %q", got)
	}
}
