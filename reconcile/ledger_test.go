package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Ledger   = (*ledger)(nil)
	_ reconcile.Bookmark = (*ledger)(nil)
	_ reconcile.Forge    = (*forge)(nil)
	_ reconcile.Statuses = (*forge)(nil)
	_ reconcile.Closer   = (*forge)(nil)
)

// recordLimit is the size that a record may have, in bytes.
const recordLimit = 16 << 10

// ledger keeps records in memory, as the text that a real one would write.
type ledger struct {
	mu      sync.Mutex
	records map[string]page
	heads   strategy.Heads
	largest int
	stores  int
}

type page struct {
	index uint64
	text  []byte
}

func newLedger() *ledger { return &ledger{records: map[string]page{}} }

// Load is every record.
func (l *ledger) Load(context.Context) ([]strategy.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []strategy.Record
	for _, name := range slices.Sorted(maps.Keys(l.records)) {
		p := l.records[name]
		r := strategy.Record{Index: p.index}
		if err := json.Unmarshal(p.text, &r.Rollout); err != nil {
			return nil, fmt.Errorf("read the record of %q: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// Store is a compare-and-set by index.
func (l *ledger) Store(_ context.Context, r strategy.Record) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.records[r.Rollout.Release]
	if p.index != r.Index {
		return 0, strategy.ErrStale
	}
	text, err := json.Marshal(r.Rollout)
	if err != nil {
		return 0, err
	}
	l.largest = max(l.largest, len(text))
	l.stores++
	l.records[r.Rollout.Release] = page{index: p.index + 1, text: text}
	return p.index + 1, nil
}

// forge keeps issues; the same marker is the same issue.
type forge struct {
	mu       sync.Mutex
	issues   []strategy.Issue             // the first part of each
	parts    map[string][]strategy.Issue  // by marker
	closed   map[string]bool              // by marker
	statuses map[string][]strategy.Status // by commit, the newest last
	away     bool                         // it does not answer
}

var errForgeAway = errors.New("the forge does not answer")

// SetStatus keeps the status, unless it is so already.
func (f *forge) SetStatus(_ context.Context, sha string, status strategy.Status) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return errForgeAway
	}
	if f.statuses == nil {
		f.statuses = map[string][]strategy.Status{}
	}
	for _, have := range slices.Backward(f.statuses[sha]) {
		if have.Context == status.Context {
			if have == status {
				return nil
			}
			break
		}
	}
	f.statuses[sha] = append(f.statuses[sha], status)
	return nil
}

// OpenIssue opens an issue or finds it.
func (f *forge) OpenIssue(_ context.Context, issue strategy.Issue) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return "", errForgeAway
	}
	n := slices.IndexFunc(f.issues, func(have strategy.Issue) bool { return have.Marker == issue.Marker })
	if n < 0 {
		n = len(f.issues)
		f.issues = append(f.issues, issue)
	}
	if f.parts == nil {
		f.parts = map[string][]strategy.Issue{}
	}
	if !slices.ContainsFunc(f.parts[issue.Marker], func(have strategy.Issue) bool { return have.Part == issue.Part }) {
		f.parts[issue.Marker] = append(f.parts[issue.Marker], issue)
		delete(f.closed, issue.Marker)
	}
	return fmt.Sprintf("https://forge.example/shop/issues/%d", n+1), nil
}

// CloseIssue ends a part of an issue.
func (f *forge) CloseIssue(_ context.Context, c strategy.Closing) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.away:
		return errForgeAway
	case c.Open || len(f.parts[c.Marker]) == 0:
		return nil
	case f.closed == nil:
		f.closed = map[string]bool{}
	}
	f.closed[c.Marker] = true
	return nil
}

// LoadHead is what was stored.
func (l *ledger) LoadHead(context.Context) (strategy.Heads, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heads, nil
}

// StoreHead keeps the heads.
func (l *ledger) StoreHead(_ context.Context, heads strategy.Heads) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heads = heads
	return nil
}
