package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Ledger keeps one record a release in Nomad Variables, at <instance>/releases/<release>. A record's index is the
// variable's ModifyIndex. It is safe for concurrent use, by several instances too.
type Ledger struct {
	client    *api.Client
	namespace string
	prefix    string
}

// NewLedger builds a ledger. The token of the client needs list, read and write on <instance>/releases/* in the
// namespace.
func NewLedger(client *api.Client, instance, namespace string) *Ledger {
	return &Ledger{client: client, namespace: namespace, prefix: segment(instance) + "/releases/"}
}

// Load is every record there is. A record that cannot be read is an error: going on without it would release again
// what was condemned.
func (l *Ledger) Load(ctx context.Context) ([]strategy.Record, error) {
	variables, err := readAll(ctx, l.client, l.namespace, l.prefix)
	if err != nil {
		return nil, fmt.Errorf("load the ledger: %w", err)
	}
	var records []strategy.Record
	for _, variable := range variables {
		record := strategy.Record{Index: variable.ModifyIndex}
		if err := json.Unmarshal([]byte(variable.Items[jsonItem]), &record.Rollout); err != nil {
			return nil, fmt.Errorf("load the ledger: variable %s holds no record of drover's: %w", variable.Path, err)
		}
		records = append(records, record)
	}
	return records, nil
}

// Store writes a record and returns its new index. strategy.ErrStale says that the one stored is not of r.Index, and
// nothing was written; index 0 stores a record that is not there yet. After any other error the record may have been
// written.
func (l *Ledger) Store(ctx context.Context, r strategy.Record) (uint64, error) {
	if r.Rollout.Release == "" {
		return 0, errors.New("store a record: it names no release")
	}
	text, err := json.Marshal(r.Rollout)
	if err != nil {
		return 0, fmt.Errorf("store the record of release %s: %w", r.Rollout.Release, err)
	}
	variable := &api.Variable{
		Namespace:   l.namespace,
		Path:        l.prefix + segment(r.Rollout.Release),
		Items:       api.VariableItems{jsonItem: string(text)},
		ModifyIndex: r.Index,
	}
	// An index of 0 is a write of what must not be there.
	stored, _, err := l.client.Variables().CheckedUpdate(variable, write(ctx, l.namespace))
	var conflict api.ErrCASConflict
	switch {
	case err == nil:
		return stored.ModifyIndex, nil
	case errors.As(err, &conflict):
		return 0, fmt.Errorf("store the record of release %s at index %d: %w", r.Rollout.Release, r.Index, strategy.ErrStale)
	case tooLarge(err):
		return 0, fmt.Errorf("store the record of release %s: it has %d bytes and nomad takes %d in a variable: %w",
			r.Rollout.Release, len(text), variableLimit, err)
	}
	return 0, fmt.Errorf("store the record of release %s: %w", r.Rollout.Release, err)
}
