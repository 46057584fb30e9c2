package git

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// bounds are those of what one ref that may be a stranger's brings, beyond what the branch has.
type bounds struct {
	pack     int64 // bytes of the pack
	objects  int64 // commits, folders and files
	object   int64 // bytes of one
	inflated int64 // bytes of all
	admitted int64 // bytes of all packs until the store is made anew
}

func defaultBounds() bounds {
	return bounds{pack: 32 << 20, objects: 50_000, object: 16 << 20, inflated: 256 << 20, admitted: 512 << 20}
}

// admit takes a pack in when it is within the bounds. It is inspected on disk first: go-git inflates every object into
// memory, and a pack of a megabyte can hold one of many gigabytes.
func (s *store) admit(pack io.Reader, limit bounds) (err error) {
	file, err := os.CreateTemp(filepath.Dir(s.dir), incoming)
	if err != nil {
		return fmt.Errorf("make room for what is fetched: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	size, err := io.Copy(file, &bounded{from: pack, left: limit.pack, limit: limit.pack})
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read what was fetched: %w", err)
	}
	if err := inspect(file, limit); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read what was fetched: %w", err)
	}
	s.admitted += size
	return packfile.UpdateObjectStorage(s, file)
}

// inspect adds up what the objects of a pack say of their sizes, which the remote has checked.
func inspect(pack io.Reader, limit bounds) error {
	scanner := packfile.NewScanner(pack)
	_, objects, err := scanner.Header()
	switch {
	case err != nil:
		return fmt.Errorf("read what was fetched: %w", err)
	case int64(objects) > limit.objects:
		return fmt.Errorf("%w: it brings %d objects, over %d", ErrTooLarge, objects, limit.objects)
	}
	var total int64
	for range objects {
		size, err := next(scanner, limit.object)
		if err != nil {
			return fmt.Errorf("read what was fetched: %w", err)
		}
		if size > limit.object {
			return fmt.Errorf("%w: it brings an object of %d bytes, over %d", ErrTooLarge, size, limit.object)
		}
		if total += size; total > limit.inflated {
			return fmt.Errorf("%w: it brings over %d bytes", ErrTooLarge, limit.inflated)
		}
	}
	return nil
}

// next goes over one object, and is how large it will be; one that is over the limit is not read.
func next(scanner *packfile.Scanner, limit int64) (int64, error) {
	header, err := scanner.NextObjectHeader()
	switch {
	case err != nil:
		return 0, err
	case header.Length > limit:
		return header.Length, nil
	case header.Type != plumbing.OFSDeltaObject && header.Type != plumbing.REFDeltaObject:
		_, _, err := scanner.NextObject(io.Discard)
		return header.Length, err
	}
	var delta bytes.Buffer
	if _, _, err := scanner.NextObject(&delta); err != nil {
		return 0, err
	}
	// A delta begins with the size of what it is made from, and the size of what comes out.
	_, skip := binary.Uvarint(delta.Bytes())
	if skip <= 0 {
		return 0, errors.New("a delta does not say what it is made from")
	}
	size, n := binary.Uvarint(delta.Bytes()[skip:])
	if n <= 0 || size > 1<<62 {
		return 0, errors.New("a delta does not say what it makes")
	}
	return int64(size), nil
}
