package git

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Changes is the paths below Config.Path at which two commits hold different files, sorted. Both are commits that Head
// or Log returned. Folders that are the same in both are not gone through, so that it costs what changed and not what
// there is. It does not ask the remote.
//
// It knows names and hashes only: paths that Files leaves out for what they hold may be among the result.
func (r *Repository) Changes(ctx context.Context, older, newer string) ([]string, error) {
	return exclusively(ctx, r, r.config.Timeout, func(ctx context.Context) ([]string, error) {
		var changed []string
		err := r.read(ctx, newer, func(now *object.Commit) error {
			was, err := r.find(older)
			if err != nil {
				return err
			}
			c := &comparison{repository: r, ctx: ctx, paths: map[string]bool{}}
			from, err := r.folder(was)
			if err != nil {
				return err
			}
			to, err := r.folder(now)
			if err != nil {
				return err
			}
			err = c.compare(entriesOf(from), entriesOf(to), r.config.Path, 0)
			changed = slices.Sorted(maps.Keys(c.paths))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("compare %s with %s: %w", newer, older, err)
		}
		return changed, nil
	})
}

// entriesOf are the entries of a folder; none of one that is not there.
func entriesOf(tree *object.Tree) []object.TreeEntry {
	if tree == nil {
		return nil
	}
	return tree.Entries
}

// comparison gathers the paths that differ.
type comparison struct {
	repository *Repository
	ctx        context.Context
	paths      map[string]bool
	entries    int
}

// compare goes through two folders of the same name. Git sorts entries, but a folder and a file of one name apart, so
// they are matched by name and not by place.
func (c *comparison) compare(older, newer []object.TreeEntry, folder string, depth int) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: there are more than %d folders in each other below %q", ErrTooLarge, maxDepth, c.repository.config.Path)
	}
	before := make(map[string]object.TreeEntry, len(older))
	for _, entry := range older {
		before[entry.Name] = entry
	}
	for _, now := range newer {
		was := before[now.Name]
		delete(before, now.Name)
		if err := c.differ(was, now, path.Join(folder, now.Name), depth); err != nil {
			return err
		}
	}
	for _, was := range before {
		if err := c.differ(was, object.TreeEntry{Name: was.Name}, path.Join(folder, was.Name), depth); err != nil {
			return err
		}
	}
	return nil
}

// differ compares what two commits have under one name. The zero entry is nothing.
func (c *comparison) differ(was, now object.TreeEntry, name string, depth int) error {
	if (was.Hash == now.Hash && was.Mode == now.Mode) || isOdd(now.Name) {
		return nil
	}
	if c.entries++; c.entries > maxEntry {
		return fmt.Errorf("%w: there are more than %d changes below %q", ErrTooLarge, maxEntry, c.repository.config.Path)
	}
	if fileHash(was) != fileHash(now) {
		c.paths[name] = true
	}
	from, err := c.below(was, name)
	if err != nil {
		return err
	}
	to, err := c.below(now, name)
	if err != nil {
		return err
	}
	return c.compare(from, to, name, depth+1)
}

// fileHash is the hash of a file, zero for what is none.
func fileHash(entry object.TreeEntry) plumbing.Hash {
	switch entry.Mode {
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
		return entry.Hash
	case filemode.Dir, filemode.Symlink, filemode.Submodule, filemode.Empty:
	}
	return plumbing.ZeroHash
}

// below are the entries of a folder, none for what is none.
func (c *comparison) below(entry object.TreeEntry, name string) ([]object.TreeEntry, error) {
	if entry.Mode != filemode.Dir {
		return nil, nil
	}
	tree, err := object.GetTree(c.repository.store, entry.Hash)
	if err != nil {
		return nil, &damagedError{fmt.Errorf("read folder %s: %w", name, err)}
	}
	return tree.Entries, nil
}
