package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/drover-dev/drover/strategy"
)

// loadState reads the splits of the state file. One that cannot be read is no reason not to start.
func (p *Proxy) loadState() []strategy.Split {
	if p.options.StateFile == "" {
		return nil
	}
	content, err := os.ReadFile(p.options.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var splits []strategy.Split
	if err == nil {
		err = json.Unmarshal(content, &splits)
	}
	if err != nil {
		p.options.Logger.Error("the state file cannot be read; starting without splits", "file", p.options.StateFile, "error", err)
		return nil
	}
	return splits
}

// saveState writes the splits in effect to the state file.
func (p *Proxy) saveState() {
	if p.options.StateFile == "" {
		return
	}
	p.saving.Lock()
	defer p.saving.Unlock()
	if err := writeState(p.options.StateFile, p.Splits()); err != nil {
		p.options.Logger.Error("the state file cannot be written; a restarted proxy starts with older splits",
			"file", p.options.StateFile, "error", err)
	}
}

// writeState replaces the file as a whole: a crash leaves the old one or the new one.
func writeState(path string, splits []strategy.Split) error {
	content, err := json.Marshal(splits)
	if err != nil {
		return fmt.Errorf("write down the splits: %w", err)
	}
	if err := renameio.WriteFile(path, content, 0o600, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("replace the state file: %w", err)
	}
	return nil
}
