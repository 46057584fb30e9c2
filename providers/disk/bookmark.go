package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/drover-dev/drover/strategy"
)

// head is the file of the head seen last. Its dot keeps it apart from the records.
const head = ".head.json"

// LoadHead is what StoreHead stored; zero when nothing was.
func (l *Ledger) LoadHead(ctx context.Context) (strategy.Heads, error) {
	var heads strategy.Heads
	if err := ctx.Err(); err != nil {
		return heads, fmt.Errorf("read the head: %w", err)
	}
	name := filepath.Join(l.dir, head)
	content, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return heads, nil
	case err != nil:
		return heads, fmt.Errorf("read the head: %w", err)
	}
	if err := json.Unmarshal(content, &heads); err != nil {
		return strategy.Heads{}, fmt.Errorf("%s is damaged: remove it to have the present head accepted: %w", name, err)
	}
	return heads, nil
}

// StoreHead keeps the heads. When it returns they have reached the disk.
func (l *Ledger) StoreHead(ctx context.Context, heads strategy.Heads) (err error) {
	unlock, err := acquire(ctx, filepath.Join(l.dir, lock))
	if err != nil {
		return fmt.Errorf("store the head: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	l.tidy.Do(l.sweep)
	if err := l.write(filepath.Join(l.dir, head), heads); err != nil {
		return fmt.Errorf("store the head: %w", err)
	}
	return nil
}
