package probe

import (
	"context"
	"sync"
)

// verdicts are what became of the questions, in their order. When one failed, those after it are called off: they cannot be
// quoted any more. Those before it go on.
type verdicts struct {
	contexts []context.Context
	cancels  []context.CancelFunc

	mu     sync.Mutex
	failed []string
}

func newVerdicts(ctx context.Context, n int) *verdicts {
	v := &verdicts{failed: make([]string, n)}
	for range n {
		own, cancel := context.WithCancel(ctx)
		v.contexts = append(v.contexts, own)
		v.cancels = append(v.cancels, cancel)
	}
	return v
}

// put notes the answer to a question. What a question says that was called off does not matter: an earlier one failed.
func (v *verdicts) put(i int, failed string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed[i] = failed
	if failed == "" {
		return
	}
	for _, cancel := range v.cancels[i+1:] {
		cancel()
	}
}

// first is the first failure, "" for none.
func (v *verdicts) first() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, failed := range v.failed {
		if failed != "" {
			return failed
		}
	}
	return ""
}

func (v *verdicts) release() {
	for _, cancel := range v.cancels {
		cancel()
	}
}
