package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/drover-dev/drover/strategy"
)

const (
	suffix = ".json"
	lock   = ".lock"
	format = 1
)

// Ledger is a folder of records. It is safe for concurrent use, also by several processes.
type Ledger struct {
	dir  string
	tidy sync.Once
}

// NewLedger opens the folder, which it makes with mode 0700 when it is not there.
func NewLedger(dir string) (*Ledger, error) {
	if dir == "" {
		return nil, errors.New("open the ledger: no folder named")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the ledger's folder: %w", err)
	}
	return &Ledger{dir: dir}, nil
}

// page is a record as it stands in its file.
type page struct {
	Format  int              `json:"format"`
	Index   uint64           `json:"index"`
	Rollout strategy.Rollout `json:"rollout"`
}

// Load is every record there is, in the order of their releases' file names. Files that cannot be read are told of in the
// error, each by its name; the records returned beside it are sound and complete without them.
func (l *Ledger) Load(ctx context.Context) ([]strategy.Record, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	var records []strategy.Record
	var faults []error
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		name := entry.Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, suffix) || entry.IsDir() {
			continue
		}
		record, err := l.read(filepath.Join(l.dir, name))
		switch {
		case errors.Is(err, os.ErrNotExist): // removed since the folder was read
		case err != nil:
			faults = append(faults, err)
		default:
			records = append(records, record)
		}
	}
	return records, errors.Join(faults...)
}

// Store writes a record and returns its new index, which is one more than the last. It returns strategy.ErrStale, and
// writes nothing, when the record stored is not of the index given; index 0 stores one that is not there yet. When it
// returns the record has reached the disk. It waits for others that write, until ctx ends. After an error that is not
// strategy.ErrStale the record may or may not have been written.
func (l *Ledger) Store(ctx context.Context, r strategy.Record) (index uint64, err error) {
	release := r.Rollout.Release
	if release == "" {
		return 0, errors.New("store a record: it names no release")
	}
	unlock, err := acquire(ctx, filepath.Join(l.dir, lock))
	if err != nil {
		return 0, fmt.Errorf("store the record of %q: %w", release, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	l.tidy.Do(l.sweep)
	name := filepath.Join(l.dir, fileName(release))
	stored, err := l.read(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("store the record of %q: %w", release, err)
	}
	if err == nil && stored.Rollout.Release != release {
		return 0, fmt.Errorf("store the record of %q: %s holds the one of %q: rename one of the two releases", release, name, stored.Rollout.Release)
	}
	if stored.Index != r.Index {
		return 0, fmt.Errorf("store the record of %q: it is at index %d, not %d: %w", release, stored.Index, r.Index, strategy.ErrStale)
	}
	if err := l.write(name, page{Format: format, Index: r.Index + 1, Rollout: r.Rollout}); err != nil {
		return 0, fmt.Errorf("store the record of %q: %w", release, err)
	}
	return r.Index + 1, nil
}

// read is the record in a file; os.ErrNotExist when there is none.
func (l *Ledger) read(name string) (strategy.Record, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return strategy.Record{}, fmt.Errorf("read record: %w", err)
	}
	var p page
	fault := json.Unmarshal(content, &p)
	switch {
	case fault != nil:
	case p.Format > format:
		return strategy.Record{}, fmt.Errorf("record %s has format %d, written by a newer Drover: run that version, or move the file away", name, p.Format)
	case p.Format < 1 || p.Index == 0 || p.Rollout.Release == "":
		fault = errors.New("format, index or release is missing")
	}
	if fault != nil {
		return strategy.Record{}, fmt.Errorf("record %s is damaged: restore it from a backup, or move it away to have Drover look at the release as if for the first time: %w", name, fault)
	}
	return strategy.Record{Rollout: p.Rollout, Index: p.Index}, nil
}

// write puts a value in the place of the file as a whole.
func (l *Ledger) write(name string, value any) error {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := renameio.WriteFile(name, content.Bytes(), 0o600, renameio.WithTempDir(l.dir)); err != nil {
		return err
	}
	return syncFolder(l.dir)
}

func discard(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes the rename itself last.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// sweep removes what writers that died left behind. It runs under the lock, so that none of it is being written.
// Leftovers are harmless: what cannot be removed is left.
func (l *Ledger) sweep() {
	names, err := filepath.Glob(filepath.Join(l.dir, ".*"+suffix+"[0-9]*"))
	if err != nil {
		return
	}
	for _, name := range names {
		_ = os.Remove(name)
	}
}

// fileName is the release's name, with all but letters, digits, "-", "_" and inner dots as %XX.
func fileName(release string) string {
	var name strings.Builder
	for i := range len(release) {
		c := release[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			name.WriteByte(c)
		default:
			fmt.Fprintf(&name, "%%%02X", c)
		}
	}
	return name.String() + suffix
}
