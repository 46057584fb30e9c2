package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/drover-dev/drover/strategy"
)

// disk is what was found on the disk.
type disk struct {
	splits   map[string]strategy.Split
	sum      string            // "" for a file that is not there, or was changed by somebody else
	edited   bool              // that one, or one beside it
	contents map[string][]byte // of the file and those beside it, by path; nil for one that is not there
}

// find reads the splits that the file has. Of one that somebody else changed it has those that can still be read.
func (r *Router) find() (disk, error) {
	f := disk{contents: map[string][]byte{}}
	content, err := f.read(r.options.File)
	if err != nil {
		return f, err
	}
	if content != nil {
		sum, ok := intact(content)
		if f.edited = !ok; ok {
			f.sum = sum
		}
	}
	f.splits = splitsOf(content)
	for path, want := range r.besides(f.splits) {
		got, err := f.read(path)
		if err != nil {
			return f, err
		}
		f.edited = f.edited || !bytes.Equal(got, want)
	}
	return f, nil
}

func (f *disk) read(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f.contents[path] = content
	return content, nil
}

// contents is everything that is to be on the disk for these splits, by path.
func (r *Router) contents(splits map[string]strategy.Split) (map[string][]byte, error) {
	content, err := render(splits, format{admin: r.options.Admin, copies: r.options.Copies, log: r.options.Log})
	if err != nil {
		return nil, err
	}
	all := r.besides(splits)
	all[r.options.File] = content
	return all, nil
}

// besides is the files beside the one that all splits are in.
func (r *Router) besides(splits map[string]strategy.Split) map[string][]byte {
	all := map[string][]byte{}
	if r.options.Copies == "" {
		return all
	}
	for release, split := range splits {
		mirror, copied := beside(r.options.File, release)
		all[mirror], all[copied] = renderMirror(split), renderCopy(release, r.options.Copies)
	}
	return all
}

// replace makes the files what they are to be; a nil content is one that is not to be there.
func replace(want, have map[string][]byte) error {
	for _, path := range slices.Sorted(maps.Keys(want)) {
		var err error
		switch content, old := want[path], have[path]; {
		case content == nil && old != nil:
			err = os.Remove(path)
		case content != nil && (old == nil || !bytes.Equal(content, old)):
			err = replaceFile(path, content)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// replaceFile writes a file as a whole: a crash leaves the old one or the new one. Others may read it, as NGINX must,
// whatever the mode of the old one.
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
