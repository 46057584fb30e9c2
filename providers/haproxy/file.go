package haproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/drover-dev/drover/strategy"
)

const (
	heading = "# Written by Drover, which replaces it whenever the split changes: a change by hand is undone.\n"
	// splitLine begins a line with a part of the split. HAProxy takes no longer lines than 2048 bytes, comments neither.
	splitLine  = "# split: "
	longestRow = 1000
)

// Prepare writes the files of these releases, without which HAProxy does not start. Those that are there stay.
func (r *Router) Prepare(releases ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, release := range releases {
		if _, err := os.Stat(r.path(release)); r.folder == "" || err == nil {
			continue
		}
		if err := r.write(strategy.Split{Release: release}); err != nil {
			return fmt.Errorf("prepare router %q: %w", r.name, err)
		}
	}
	return nil
}

func (r *Router) path(release string) string {
	return filepath.Join(r.folder, r.backend(release)+".cfg")
}

// section is what the backend of a release takes its settings from.
func (r *Router) section(release string) string {
	if name := r.defaults[release]; name != "" {
		return name
	}
	return r.backend(release)
}

// write writes the file of a release, when there is to be one and it says something else.
func (r *Router) write(split strategy.Split) error {
	if r.folder == "" {
		return nil
	}
	content, err := render(split, r.backend(split.Release), r.section(split.Release))
	if err != nil {
		return err
	}
	path := r.path(split.Release)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := replaceFile(path, content); err != nil {
		return fmt.Errorf("write what HAProxy begins with: %w", err)
	}
	return nil
}

// render is the backend of a split, as HAProxy's configuration has it.
func render(split strategy.Split, backend, section string) ([]byte, error) {
	text, err := json.Marshal(split)
	if err != nil {
		return nil, fmt.Errorf("write the split of %q: %w", split.Release, err)
	}
	var b bytes.Buffer
	b.WriteString(heading)
	for len(text) > 0 {
		n := min(len(text), longestRow)
		fmt.Fprintf(&b, "%s%s\n", splitLine, text[:n])
		text = text[n:]
	}
	fmt.Fprintf(&b, "backend %s from %s\n  dynamic-cookie-key %s\n"+tableLines, backend, section, sessionKey(split), cookieName(split.Release))
	for _, w := range wanted(split) {
		fmt.Fprintf(&b, "  server %s %s weight %d%s", w.name, w.address, w.level, checking(split.Check))
		if w.closed {
			b.WriteString(" disabled")
		}
		b.WriteString("\n")
	}
	return b.Bytes(), nil
}

// written is the split that the file of a release has; a zero one where there is none, or somebody else changed it.
func (r *Router) written(release string) (strategy.Split, error) {
	content, err := os.ReadFile(r.path(release))
	if errors.Is(err, fs.ErrNotExist) {
		return strategy.Split{}, nil
	}
	if err != nil {
		return strategy.Split{}, fmt.Errorf("read what HAProxy begins with: %w", err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(content)) {
		if part, is := strings.CutPrefix(line, splitLine); is {
			text.WriteString(strings.TrimSuffix(part, "\n"))
		}
	}
	var split strategy.Split
	if err := json.Unmarshal([]byte(text.String()), &split); err != nil || split.Release != release {
		return strategy.Split{}, nil //nolint:nilerr // It is written again.
	}
	whole, err := render(split, r.backend(release), r.section(release))
	if err != nil || !bytes.Equal(whole, content) {
		return strategy.Split{}, err
	}
	return split, nil
}

// replaceFile writes a file as a whole: a crash leaves the old one or the new one. Others may read it, as HAProxy must,
// whatever the mode of the old one. The new one begins with a dot until it is whole: HAProxy takes none such for its own.
func replaceFile(path string, content []byte) error {
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o644))
	if err != nil {
		return err
	}
	defer file.Cleanup()
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}
