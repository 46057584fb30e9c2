package reconcile

import (
	"encoding/json"

	"github.com/drover-dev/drover/strategy"
)

// recordLimit is what a record may take in the ledger, in bytes. What is longer is cut: see strategy.Rollout.Within.
const recordLimit = 16 << 10

// recordSize is what a rollout takes in the ledger, written as JSON.
func recordSize(r strategy.Rollout) int { return jsonSize(r) }

// jsonSize is the bytes of a value as JSON; one that cannot be written is more than any limit.
func jsonSize(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return 1 << 30
	}
	return len(text)
}
