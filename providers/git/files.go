package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/drover-dev/drover/strategy"
)

// The bounds of what is read: a release repository is small, and one that is not was probably named by mistake.
const (
	maxFile  = 1 << 20  // bytes of one file; larger ones are left out
	maxFiles = 50_000   // files below the path; more are an error
	maxTotal = 64 << 20 // bytes of them together; more are an error
	maxDepth = 64       // folders in each other; more are an error
	maxEntry = 200_000  // files, folders, links and submodules gone through; more are an error
	maxTold  = 1000     // files remembered as having been logged
)

var lfsPointer = []byte("version https://git-lfs.github.com/spec/")

// Files is every file below Config.Path at a commit that Head or Log returned, by its path from the root of the
// repository. A folder that is not there has no files. Symbolic links, submodules, pointers to large file storage,
// names that no file can have (.., .git), and files over 1 MiB are left out, the last with a log line. The result is
// shared: callers do not change it.
//
// It does not ask the remote. Over 50,000 files, 64 MiB of them, or 64 folders in each other are ErrTooLarge.
func (r *Repository) Files(ctx context.Context, sha string) (strategy.Tree, error) {
	if tree, ok := r.trees.at(sha); ok {
		return tree, ctx.Err()
	}
	return exclusively(ctx, r, r.config.Timeout, func(ctx context.Context) (strategy.Tree, error) {
		var files strategy.Tree
		err := r.read(ctx, sha, func(commit *object.Commit) (err error) {
			files, err = r.gather(ctx, commit)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read files at %s: %w", sha, err)
		}
		return files, nil
	})
}

// gather is every file below the path at a commit.
func (r *Repository) gather(ctx context.Context, commit *object.Commit) (strategy.Tree, error) {
	sha := commit.Hash.String()
	folder, err := r.folder(commit)
	if err != nil || folder == nil {
		return strategy.Tree{}, err
	}
	if known, ok := r.trees.of(sha, folder.Hash); ok {
		return known, nil
	}
	found := &finder{repository: r, ctx: ctx, files: strategy.Tree{}}
	if err := found.walk(folder, r.config.Path, 0); err != nil {
		return nil, err
	}
	r.trees.keep(sha, folder.Hash, found.files)
	return found.files, nil
}

// folder is the tree at the configured path, nil when there is none.
func (r *Repository) folder(commit *object.Commit) (*object.Tree, error) {
	tree, err := object.GetTree(r.store, commit.TreeHash)
	if err != nil {
		return nil, &damagedError{err}
	}
	if r.config.Path == "" {
		return tree, nil
	}
	for name := range strings.SplitSeq(r.config.Path, "/") {
		entry := entryOf(tree, name)
		if entry == nil {
			return nil, nil
		}
		if entry.Mode != filemode.Dir {
			return nil, fmt.Errorf("path %q is not a folder: set git.path to the folder that holds the releases", r.config.Path)
		}
		if tree, err = object.GetTree(r.store, entry.Hash); err != nil {
			return nil, &damagedError{err}
		}
	}
	return tree, nil
}

func entryOf(tree *object.Tree, name string) *object.TreeEntry {
	for i := range tree.Entries {
		if tree.Entries[i].Name == name {
			return &tree.Entries[i]
		}
	}
	return nil
}

// finder gathers the files below a tree.
type finder struct {
	repository *Repository
	ctx        context.Context
	files      strategy.Tree
	total      int
	seen       int // files
	entries    int
}

// walk goes through a folder. A few objects can make a tree without end, of which no file may be left to count.
func (f *finder) walk(tree *object.Tree, folder string, depth int) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: there are more than %d folders in each other below %q: set git.path to the folder that holds the releases", ErrTooLarge, maxDepth, f.repository.config.Path)
	}
	if f.entries += len(tree.Entries); f.entries > maxEntry {
		return fmt.Errorf("%w: there are more than %d entries below %q: set git.path to the folder that holds the releases", ErrTooLarge, maxEntry, f.repository.config.Path)
	}
	for _, entry := range tree.Entries {
		if isOdd(entry.Name) {
			continue
		}
		name := entry.Name
		if folder != "" {
			name = folder + "/" + name
		}
		switch entry.Mode {
		case filemode.Dir:
			below, err := object.GetTree(f.repository.store, entry.Hash)
			if err != nil {
				return &damagedError{fmt.Errorf("read folder %s: %w", name, err)}
			}
			if err := f.walk(below, name, depth+1); err != nil {
				return err
			}
		case filemode.Regular, filemode.Executable, filemode.Deprecated:
			if err := f.take(name, entry.Hash); err != nil {
				return err
			}
		case filemode.Symlink, filemode.Submodule, filemode.Empty:
		}
	}
	return nil
}

// isOdd tells names that git itself never makes, since they mean another place.
func isOdd(name string) bool {
	return name == "" || name == "." || name == ".." || strings.EqualFold(name, ".git") || strings.ContainsAny(name, "/\x00")
}

func (f *finder) take(name string, hash plumbing.Hash) error {
	if f.seen++; f.seen > maxFiles {
		return fmt.Errorf("%w: there are more than %d files below %q: set git.path to the folder that holds the releases", ErrTooLarge, maxFiles, f.repository.config.Path)
	}
	content, ok, err := f.repository.content(name, hash)
	if err != nil || !ok {
		return err
	}
	if f.total += len(content); f.total > maxTotal {
		return fmt.Errorf("%w: the files below %q are more than %d MiB: set git.path to the folder that holds the releases", ErrTooLarge, f.repository.config.Path, maxTotal>>20)
	}
	f.files[name] = strategy.File{Hash: hash.String(), Content: content}
	return nil
}

// content is what a file holds; false when it is to be left out.
func (r *Repository) content(name string, hash plumbing.Hash) ([]byte, bool, error) {
	if content, ok := r.trees.blobs.get(hash); ok {
		return content, true, nil
	}
	size, err := r.store.EncodedObjectSize(hash)
	if err != nil {
		return nil, false, &damagedError{fmt.Errorf("read file %s: %w", name, err)}
	}
	if size > maxFile {
		if len(r.told) >= maxTold {
			clear(r.told)
		}
		if !r.told[hash] {
			r.told[hash] = true
			r.log.Warn("file left out, too large", "path", name, "bytes", size, "limit", maxFile)
		}
		return nil, false, nil
	}
	content, err := r.readBlob(hash)
	if err != nil {
		return nil, false, &damagedError{fmt.Errorf("read file %s: %w", name, err)}
	}
	if len(content) < 1024 && bytes.HasPrefix(content, lfsPointer) {
		return nil, false, nil
	}
	if isText(content) {
		r.trees.blobs.put(hash, content, len(content)+64)
	}
	return content, true, nil
}

func (r *Repository) readBlob(hash plumbing.Hash) (content []byte, err error) {
	blob, err := object.GetBlob(r.store, hash)
	if err != nil {
		return nil, err
	}
	reader, err := blob.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	return io.ReadAll(io.LimitReader(reader, maxFile+1))
}

// isText is git's own guess.
func isText(content []byte) bool {
	return bytes.IndexByte(content[:min(len(content), 8000)], 0) < 0
}
