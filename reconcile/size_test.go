package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// TestRecordStaysSmall has one release fail again and again, by commits that say a lot, while nobody takes the issues: its
// record fits all the time, also for a Drover that starts on it, and in the end the newest failure is told.
func TestRecordStaysSmall(t *testing.T) {
	t.Parallel()
	w := condemned(t)
	w.forge.away = true
	attempts := 9
	if testing.Short() {
		attempts = 4
	}
	for n := 1; n <= attempts; n++ {
		w.repo.commit(person, strings.Repeat("<Upgrade> ", 300), map[string]string{
			releasePath(checkout): releaseText(checkout, "1.2.0", fmt.Sprintf("  attempt = %d\n", n)),
		})
		failed := func() bool {
			r := w.rollout(checkout)
			return r.AtRest() && r.Last.Kind == strategy.OutcomeCondemned && r.Last.Revision.Attempt == n
		}
		if err := w.until(2*time.Minute, failed); err != nil {
			t.Fatalf("attempt %d: %v", n, err)
		}
		if n%4 == 0 {
			w.restart()
		}
		reverted := func() bool { return strings.Contains(w.repo.content(releasePath(checkout)), `"1.0.0"`) }
		if err := w.until(time.Minute, reverted); err != nil {
			t.Fatalf("attempt %d is not reverted while the forge is away: %v", n, err)
		}
	}
	if w.ledger.largest > recordLimit {
		t.Errorf("the largest record has %d bytes, more than %d", w.ledger.largest, recordLimit)
	}
	w.forge.away = false
	if err := w.until(20*time.Minute, func() bool { return w.rests(checkout) }); err != nil {
		t.Fatalf("tell of everything: %v", err)
	}
	last := fmt.Sprintf("1.2.0 (attempt %d)", attempts)
	if n := len(w.forge.issues); n < 2 || n > attempts || !strings.Contains(w.forge.issues[n-1].Title, last) {
		t.Errorf("%d issues were opened, want the newest to tell of %s", n, last)
	}
	if text := w.repo.content(releasePath(checkout)); !strings.Contains(text, `"1.0.0"`) {
		t.Errorf("Git asks for\n%s\nwant 1.0.0 again", text)
	}
}

// TestPlanTooLarge refuses what no record could hold.
func TestPlanTooLarge(t *testing.T) {
	t.Parallel()
	w := condemned(t)
	gates := ""
	for n := range 5 {
		gates += fmt.Sprintf("  gate \"words-%d\" {\n    query = \"max({alloc_id=~\\\"${allocs}\\\", %s=\\\"\\\"})\"\n    max = 1\n  }\n", n, strings.Repeat("a", 1900))
	}
	w.repo.commit(person, "Say a lot", map[string]string{releasePath(checkout): releaseText(checkout, "1.1.0", gates)})
	if err := w.until(time.Minute, func() bool { return w.rollout(checkout).Reason.Code == strategy.Refused }); err != nil {
		t.Fatal(err)
	}
	if text := w.rollout(checkout).Reason.Text; !strings.Contains(text, "at most 8192 are kept") {
		t.Errorf("it says %q", text)
	}
}
