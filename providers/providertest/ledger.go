package providertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// LedgerHarness makes an empty store and returns two handles on it that share nothing else, as two processes would
// have them.
type LedgerHarness func(t *testing.T) (ledger, other reconcile.Ledger)

// TestLedger holds a reconcile.Ledger to its contract.
func TestLedger(t *testing.T, newHarness LedgerHarness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, reconcile.Ledger, reconcile.Ledger){
		"an empty store has no records":           ledgerEmpty,
		"a record comes back as it was":           ledgerRoundTrip,
		"each store gives a higher index":         ledgerIndexGrows,
		"a stale index is refused":                ledgerStale,
		"a record that is not there has index 0":  ledgerAbsent,
		"releases do not touch each other":        ledgerSeparate,
		"a full record fits":                      ledgerFull,
		"one of two writers wins":                 ledgerRace,
		"nothing is lost between two handles":     ledgerCount,
		"a record without a release is refused":   ledgerNameless,
		"a context that ended stores nothing":     ledgerCancelled,
		"a caller's record is not kept by handle": ledgerCopies,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, other := newHarness(t)
			test(t, ledger, other)
		})
	}
}

func ledgerRecord(release string, step int) strategy.Record {
	return strategy.Record{Rollout: strategy.Rollout{
		Release: release,
		Job:     strategy.JobRef{Namespace: "default", ID: release},
		Phase:   strategy.Stepping,
		Step:    step,
	}}
}

func mustStore(t *testing.T, ledger reconcile.Ledger, record strategy.Record) strategy.Record {
	t.Helper()
	index, err := ledger.Store(t.Context(), record)
	if err != nil {
		t.Fatalf("store %q at index %d: %v", record.Rollout.Release, record.Index, err)
	}
	record.Index = index
	return record
}

// wantRecords compares what is stored with what should be, in any order.
func wantRecords(t *testing.T, ledger reconcile.Ledger, want ...strategy.Record) {
	t.Helper()
	got, err := ledger.Load(t.Context())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	byRelease := cmpopts.SortSlices(func(a, b strategy.Record) bool { return a.Rollout.Release < b.Rollout.Release })
	if diff := cmp.Diff(want, got, byRelease, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func ledgerEmpty(t *testing.T, ledger, other reconcile.Ledger) {
	wantRecords(t, ledger)
	wantRecords(t, other)
}

func ledgerRoundTrip(t *testing.T, ledger, other reconcile.Ledger) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)
	record := ledgerRecord("web", 2)
	r := &record.Rollout
	r.ID, r.Since, r.Seen, r.Weight = "web-7", at, at.Add(time.Second), strategy.Percent(25)
	r.Reason.Text = "é \u2028 <b> \"quoted\"\nline"
	r.Hold = &strategy.Hold{Since: at}
	r.Plan.Steps = []strategy.Step{{Weight: strategy.Percent(5), Bake: time.Minute}, {Weight: strategy.Full}}
	r.Baked = 90 * time.Second
	r.Condemned = []strategy.Revision{{Version: "1.8.0", Attempt: 2, Digest: "ab12"}}
	r.Evidence.Prev = map[string]strategy.Counters{"proxy-1/canary": {Requests: 12, Errors: 3, Buckets: []float64{1, 2.5}}}
	r.Verdicts = []strategy.Verdict{{Gate: "errors", State: strategy.Fail, Why: "3% is over 1%"}}
	record = mustStore(t, ledger, record)
	wantRecords(t, ledger, record)
	wantRecords(t, other, record)
}

func ledgerIndexGrows(t *testing.T, ledger, other reconcile.Ledger) {
	record := mustStore(t, ledger, ledgerRecord("web", 0))
	if record.Index == 0 {
		t.Fatal("the first store gave index 0, which means a record that is not there")
	}
	for step := 1; step <= 5; step++ {
		before := record.Index
		record.Rollout.Step = step
		// The handles take turns: an index is the store's, not the handle's.
		record = mustStore(t, other, record)
		if record.Index <= before {
			t.Errorf("index went from %d to %d", before, record.Index)
		}
		ledger, other = other, ledger
	}
	wantRecords(t, ledger, record)
}

func wantStale(t *testing.T, ledger reconcile.Ledger, record strategy.Record) {
	t.Helper()
	if index, err := ledger.Store(t.Context(), record); !errors.Is(err, strategy.ErrStale) {
		t.Errorf("store %q at index %d: got index %d, %v, want %v", record.Rollout.Release, record.Index, index, err, strategy.ErrStale)
	}
}

func ledgerStale(t *testing.T, ledger, other reconcile.Ledger) {
	first := mustStore(t, ledger, ledgerRecord("web", 1))
	second := first
	second.Rollout.Step = 2
	second = mustStore(t, other, second)
	late := first
	late.Rollout.Step = 99
	wantStale(t, ledger, late) // somebody else stored since
	late.Index = 0
	wantStale(t, ledger, late) // it is there already
	late.Index = second.Index + 1
	wantStale(t, ledger, late) // never was
	wantRecords(t, ledger, second)
}

func ledgerAbsent(t *testing.T, ledger, _ reconcile.Ledger) {
	record := ledgerRecord("web", 1)
	record.Index = 7
	wantStale(t, ledger, record)
	wantRecords(t, ledger)
	record.Index = 0
	wantRecords(t, ledger, mustStore(t, ledger, record))
}

func ledgerSeparate(t *testing.T, ledger, other reconcile.Ledger) {
	// Names that are parts of each other, and that differ in their punctuation alone.
	var records []strategy.Record
	for i, name := range []string{"web", "web-2", "web_2", "we", "checkout-api"} {
		records = append(records, mustStore(t, ledger, ledgerRecord(name, i)))
	}
	wantRecords(t, other, records...)
	records[1].Rollout.Step = 50
	records[1] = mustStore(t, other, records[1])
	wantRecords(t, ledger, records...)
}

// ledgerFull stores what the design allows a record: 16 KiB.
func ledgerFull(t *testing.T, ledger, other reconcile.Ledger) {
	record := ledgerRecord("web", 1)
	for i := range 13 {
		record.Rollout.Timeline = append(record.Rollout.Timeline, strategy.Event{
			Phase: strategy.Stepping, Step: i, Reason: strategy.Reason{Text: strings.Repeat("x", 1024)},
		})
	}
	record = mustStore(t, ledger, record)
	wantRecords(t, other, record)
}

func ledgerRace(t *testing.T, ledger, other reconcile.Ledger) {
	record := mustStore(t, ledger, ledgerRecord("web", 0))
	for round := 1; round <= 10; round++ {
		var wg sync.WaitGroup
		stored := make([]strategy.Record, 4)
		errs := make([]error, len(stored))
		for i := range stored {
			wg.Go(func() {
				mine := record
				mine.Rollout.Step = round*100 + i
				mine.Index, errs[i] = []reconcile.Ledger{ledger, other}[i%2].Store(t.Context(), mine)
				stored[i] = mine
			})
		}
		wg.Wait()
		winners := 0
		for i, err := range errs {
			switch {
			case err == nil:
				winners++
				record = stored[i]
			case !errors.Is(err, strategy.ErrStale):
				t.Errorf("round %d: got %v, want %v", round, err, strategy.ErrStale)
			}
		}
		if winners != 1 {
			t.Fatalf("round %d: %d writers of index %d won, want 1", round, winners, record.Index)
		}
		wantRecords(t, other, record)
	}
}

// ledgerCount has two writers add to one number, each looking again when it lost.
func ledgerCount(t *testing.T, ledger, other reconcile.Ledger) {
	const each = 10
	mustStore(t, ledger, ledgerRecord("web", 0))
	add := func(ledger reconcile.Ledger) error {
		for {
			records, err := ledger.Load(t.Context())
			if err != nil {
				return err
			}
			if len(records) != 1 {
				return fmt.Errorf("%d records are there, want 1", len(records))
			}
			next := records[0]
			next.Rollout.Step++
			if _, err := ledger.Store(t.Context(), next); !errors.Is(err, strategy.ErrStale) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for _, handle := range []reconcile.Ledger{ledger, other} {
		wg.Go(func() {
			for range each {
				if err := add(handle); err != nil {
					t.Errorf("add: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	records, err := ledger.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 1 || records[0].Rollout.Step != 2*each {
		t.Errorf("got %+v, want one record of step %d", records, 2*each)
	}
}

func ledgerNameless(t *testing.T, ledger, _ reconcile.Ledger) {
	if _, err := ledger.Store(t.Context(), ledgerRecord("", 1)); err == nil || errors.Is(err, strategy.ErrStale) {
		t.Errorf("got %v, want an error of its own", err)
	}
	wantRecords(t, ledger)
}

func ledgerCancelled(t *testing.T, ledger, other reconcile.Ledger) {
	record := mustStore(t, ledger, ledgerRecord("web", 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	next := record
	next.Rollout.Step = 2
	if _, err := ledger.Store(ctx, next); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	wantRecords(t, other, record)
}

// ledgerCopies changes a record after it was stored, and one that was loaded: neither reaches the store.
func ledgerCopies(t *testing.T, ledger, _ reconcile.Ledger) {
	record := ledgerRecord("web", 1)
	record.Rollout.Condemned = []strategy.Revision{{Version: "1"}}
	record = mustStore(t, ledger, record)
	record.Rollout.Condemned[0].Version = "2"
	loaded, err := ledger.Load(t.Context())
	if err != nil || len(loaded) != 1 {
		t.Fatalf("got %d records, %v, want 1", len(loaded), err)
	}
	loaded[0].Rollout.Condemned[0].Version = "3"
	record.Rollout.Condemned = []strategy.Revision{{Version: "1"}}
	wantRecords(t, ledger, record)
}
