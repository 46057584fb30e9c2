package nomad

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// head is the path of the variable that keeps the head seen last, beside those of the records.
func (l *Ledger) head() string { return strings.TrimSuffix(l.prefix, "/releases/") + "/head" }

// LoadHead is what StoreHead stored; zero when nothing was.
func (l *Ledger) LoadHead(ctx context.Context) (strategy.Heads, error) {
	variable, _, err := l.client.Variables().Peek(l.head(), query(ctx, l.namespace))
	if err != nil {
		return strategy.Heads{}, fmt.Errorf("read variable %s: %w", l.head(), err)
	}
	var heads strategy.Heads
	if variable == nil {
		return heads, nil
	}
	if err := json.Unmarshal([]byte(variable.Items[jsonItem]), &heads); err != nil {
		return strategy.Heads{}, fmt.Errorf("variable %s holds no heads: delete it to have the present head accepted: %w", l.head(), err)
	}
	return heads, nil
}

// StoreHead keeps the heads. The last who writes wins: only who leads does.
func (l *Ledger) StoreHead(ctx context.Context, heads strategy.Heads) error {
	text, err := json.Marshal(heads)
	if err != nil {
		return fmt.Errorf("store the heads: %w", err)
	}
	variable := &api.Variable{Namespace: l.namespace, Path: l.head(), Items: api.VariableItems{jsonItem: string(text)}}
	if _, _, err := l.client.Variables().Update(variable, write(ctx, l.namespace)); err != nil {
		return fmt.Errorf("write variable %s: %w", l.head(), err)
	}
	return nil
}
