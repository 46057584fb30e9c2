package nomad

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Items are single items of variables that others may hold too, such as those that the tasks of a job read.
type Items struct {
	client    *api.Client
	namespace string
}

// NewItems builds the items of a namespace. Reading and writing one needs read and write on its variable.
func NewItems(client *api.Client, namespace string) *Items { return &Items{client, namespace} }

// Item is the text of an item, "" when it is not there, when its variable was written, and the variable's index: 0 for one
// that is not there.
func (i *Items) Item(ctx context.Context, path, name string) (text string, written time.Time, index uint64, err error) {
	variable, _, err := i.client.Variables().Peek(path, query(ctx, i.namespace))
	if err != nil {
		return "", time.Time{}, 0, fmt.Errorf("read variable %s: %w", path, err)
	}
	if variable == nil {
		return "", time.Time{}, 0, nil
	}
	return variable.Items[name], time.Unix(0, variable.ModifyTime), variable.ModifyIndex, nil
}

// PutItem writes one item and leaves the others. It returns strategy.ErrStale when the variable is not at that index, and
// strategy.ErrTooLarge when Nomad does not store as much.
func (i *Items) PutItem(ctx context.Context, path, name, text string, index uint64) error {
	variable, _, err := i.client.Variables().Peek(path, query(ctx, i.namespace))
	switch {
	case err != nil:
		return fmt.Errorf("read variable %s: %w", path, err)
	case variable == nil && index > 0, variable != nil && variable.ModifyIndex != index:
		return fmt.Errorf("write variable %s: %w", path, strategy.ErrStale)
	}
	items := api.VariableItems{}
	if variable != nil {
		maps.Copy(items, variable.Items)
	}
	items[name] = text
	next := &api.Variable{Namespace: i.namespace, Path: path, Items: items, ModifyIndex: index}
	_, _, err = i.client.Variables().CheckedUpdate(next, write(ctx, i.namespace))
	var conflict api.ErrCASConflict
	switch {
	case errors.As(err, &conflict):
		return fmt.Errorf("write variable %s: %w", path, strategy.ErrStale)
	case tooLarge(err):
		return fmt.Errorf("write variable %s: %w: item %q has %d bytes, and nomad takes less than %d in a variable", path, strategy.ErrTooLarge, name, len(text), variableLimit)
	case err != nil:
		return fmt.Errorf("write variable %s: %w", path, err)
	}
	return nil
}
