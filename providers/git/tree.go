package git

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/drover-dev/drover/strategy"
)

// rewriter makes a tree out of another one, by altering only the paths named. What is new goes to fresh; the store is
// only read.
type rewriter struct {
	store storer.EncodedObjectStorer
	fresh *memory.Storage
}

// checkPath refuses paths that git would not check out, or that mean another place than they say.
func checkPath(name string) error {
	if name == "" || name != path.Clean(name) || strings.HasPrefix(name, "/") || strings.ContainsAny(name, "\x00\\") {
		return fmt.Errorf("path %q is not a plain path from the root of the repository", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || part == "." || strings.EqualFold(part, ".git") {
			return fmt.Errorf("path %q is not a plain path from the root of the repository", name)
		}
	}
	return nil
}

// apply makes the changes to the tree of a commit.
func (w *rewriter) apply(tree plumbing.Hash, changes map[string]*strategy.File) (plumbing.Hash, error) {
	root, err := w.rewrite(tree, "", changes)
	if err != nil || !root.IsZero() {
		return root, err
	}
	// Nothing is left: git has an empty folder for that.
	encoded := w.fresh.NewEncodedObject()
	encoded.SetType(plumbing.TreeObject)
	if root, err = w.fresh.SetEncodedObject(encoded); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("write the empty folder: %w", err)
	}
	return root, nil
}

// rewrite applies the changes to the folder at where and returns the hash of the new one; zero when nothing is left
// in it. Paths in changes are from that folder on.
func (w *rewriter) rewrite(tree plumbing.Hash, where string, changes map[string]*strategy.File) (plumbing.Hash, error) {
	entries, err := w.entries(tree, where)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	below := map[string]map[string]*strategy.File{}
	for name, file := range changes {
		first, rest, deeper := strings.Cut(name, "/")
		if !deeper {
			if below[name] != nil {
				return plumbing.ZeroHash, fmt.Errorf("%s is both a file and a folder in the change", path.Join(where, name))
			}
			below[name] = map[string]*strategy.File{"": file}
			continue
		}
		if below[first] == nil {
			below[first] = map[string]*strategy.File{}
		}
		if _, both := below[first][""]; both {
			return plumbing.ZeroHash, fmt.Errorf("%s is both a file and a folder in the change", path.Join(where, first))
		}
		below[first][rest] = file
	}
	for name, inside := range below {
		at := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
		entry := object.TreeEntry{Name: name}
		if at >= 0 {
			entry = entries[at]
		}
		file, isFile := inside[""]
		if isFile {
			err = w.setFile(&entry, path.Join(where, name), file)
		} else {
			err = w.setFolder(&entry, path.Join(where, name), inside)
		}
		switch {
		case err != nil:
			return plumbing.ZeroHash, err
		case at >= 0 && entry.Hash.IsZero():
			entries = slices.Delete(entries, at, at+1)
		case at >= 0:
			entries[at] = entry
		case !entry.Hash.IsZero():
			entries = append(entries, entry)
		}
	}
	return w.save(tree, entries)
}

func (w *rewriter) entries(tree plumbing.Hash, where string) ([]object.TreeEntry, error) {
	if tree.IsZero() {
		return nil, nil
	}
	read, err := object.GetTree(w.store, tree)
	if err != nil {
		return nil, &damagedError{fmt.Errorf("read folder %q: %w", where, err)}
	}
	return slices.Clone(read.Entries), nil
}

// save writes the folder, unless it is empty or the one it was.
func (w *rewriter) save(old plumbing.Hash, entries []object.TreeEntry) (plumbing.Hash, error) {
	if len(entries) == 0 {
		return plumbing.ZeroHash, nil
	}
	sort.Sort(object.TreeEntrySorter(entries))
	encoded := w.fresh.NewEncodedObject()
	if err := (&object.Tree{Entries: entries}).Encode(encoded); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode a folder: %w", err)
	}
	if encoded.Hash() == old {
		return old, nil
	}
	return w.fresh.SetEncodedObject(encoded)
}

// setFile makes the entry hold the file, keeping the mode of one that is there; nil empties it.
func (w *rewriter) setFile(entry *object.TreeEntry, where string, file *strategy.File) error {
	switch entry.Mode {
	case filemode.Empty:
		entry.Mode = filemode.Regular
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
	case filemode.Dir, filemode.Symlink, filemode.Submodule:
		return fmt.Errorf("%s is a folder, symbolic link or submodule: only files can be changed", where)
	}
	if file == nil {
		entry.Hash = plumbing.ZeroHash
		return nil
	}
	encoded := w.fresh.NewEncodedObject()
	encoded.SetType(plumbing.BlobObject)
	encoded.SetSize(int64(len(file.Content)))
	if hash := plumbing.ComputeHash(plumbing.BlobObject, file.Content); hash == entry.Hash {
		return nil
	}
	writer, err := encoded.Writer()
	if err != nil {
		return fmt.Errorf("write %s: %w", where, err)
	}
	if _, err := writer.Write(file.Content); err != nil {
		return fmt.Errorf("write %s: %w", where, err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("write %s: %w", where, err)
	}
	entry.Hash, err = w.fresh.SetEncodedObject(encoded)
	return err
}

func (w *rewriter) setFolder(entry *object.TreeEntry, where string, inside map[string]*strategy.File) error {
	if entry.Mode != filemode.Dir && entry.Mode != filemode.Empty {
		return fmt.Errorf("%s is not a folder: nothing can be put below it", where)
	}
	hash, err := w.rewrite(entry.Hash, where, inside)
	entry.Mode, entry.Hash = filemode.Dir, hash
	return err
}
