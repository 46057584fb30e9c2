package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/drover-dev/drover/strategy"
)

const (
	remoteName = "origin"
	// maxHaves is how many commits the remote is told of, to find where histories part.
	maxHaves = 64
	// maxPacks is how many fetches the store takes before it is made anew: go-git never joins packs.
	maxPacks = 200
	// maxOpen is how many packs are kept open: to open one for every object takes longer than to read it.
	maxOpen = 16
	// leftover is how go-git names a pack that is not finished, and incoming how we name one that is not inspected.
	leftover = "tmp_*"
	incoming = "incoming-*"
)

// damagedError says that the store cannot be relied on. It never leaves the package without a rebuild having been tried.
type damagedError struct{ err error }

func (e *damagedError) Error() string { return "the git store is damaged: " + e.err.Error() }
func (e *damagedError) Unwrap() error { return e.err }

// store is a bare repository on disk that holds the history of one branch. It is not safe for concurrent use.
type store struct {
	dir      string
	tracking plumbing.ReferenceName
	admitted int64 // bytes of packs that strangers brought
	*filesystem.Storage
}

func storage(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(16*cache.MiByte), filesystem.Options{MaxOpenDescriptors: maxOpen})
}

// createStore makes an empty store in a folder that is not there yet.
func createStore(dir, url, branch string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the git store: %w", err)
	}
	s := &store{dir: dir, tracking: plumbing.NewRemoteReferenceName(remoteName, branch), Storage: storage(dir)}
	repository, err := gogit.Init(s.Storage, nil)
	if err != nil {
		return nil, fmt.Errorf("create the git store %s: %w", dir, err)
	}
	_, err = repository.CreateRemote(&config.RemoteConfig{
		Name:  remoteName,
		URLs:  []string{url},
		Fetch: []config.RefSpec{config.RefSpec(fmt.Sprintf("+refs/heads/%s:%s", branch, s.tracking))},
	})
	if err != nil {
		return nil, fmt.Errorf("configure the git store %s: %w", dir, err)
	}
	return s, nil
}

// openStore opens a store that was made for the same branch of the same repository; any other is damaged. A store that
// is not there is os.ErrNotExist.
func openStore(dir, url, branch string) (opened *store, err error) {
	defer catch(&err)
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("open the git store: %w", err)
	}
	s := &store{dir: dir, tracking: plumbing.NewRemoteReferenceName(remoteName, branch), Storage: storage(dir)}
	settings, err := s.Config()
	if err != nil {
		return nil, &damagedError{err}
	}
	origin := settings.Remotes[remoteName]
	if origin == nil || len(origin.URLs) != 1 || origin.URLs[0] != url {
		return nil, &damagedError{errors.New("it was made for another repository")}
	}
	if _, err := s.head(); err != nil {
		return nil, err
	}
	// What a fetch that was cut off left behind is of no use.
	for _, pattern := range []string{filepath.Join(dir, "objects", "pack", leftover), filepath.Join(filepath.Dir(dir), incoming)} {
		partial, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for leftovers in the git store: %w", err)
		}
		for _, name := range partial {
			if err := os.Remove(name); err != nil {
				return nil, fmt.Errorf("clear the git store: %w", err)
			}
		}
	}
	return s, nil
}

// head is the commit that the branch was at when last seen.
func (s *store) head() (*object.Commit, error) {
	ref, err := s.Reference(s.tracking)
	if err != nil {
		return nil, &damagedError{fmt.Errorf("read %s: %w", s.tracking, err)}
	}
	return s.whole(ref.Hash())
}

// whole is a commit whose tree can be read.
func (s *store) whole(hash plumbing.Hash) (*object.Commit, error) {
	commit, err := object.GetCommit(s, hash)
	if err != nil {
		return nil, &damagedError{fmt.Errorf("read commit %s: %w", hash, err)}
	}
	if _, err := object.GetTree(s, commit.TreeHash); err != nil {
		return nil, &damagedError{fmt.Errorf("read tree of commit %s: %w", hash, err)}
	}
	return commit, nil
}

// follow notes where the branch is now, wherever it was before.
func (s *store) follow(tip plumbing.Hash) error {
	if err := s.SetReference(plumbing.NewHashReference(s.tracking, tip)); err != nil {
		return fmt.Errorf("note the branch in the git store: %w", err)
	}
	return nil
}

// haves are the newest commits of the branch, for the remote to send only what came after.
func (s *store) haves() []plumbing.Hash {
	ref, err := s.Reference(s.tracking)
	if err != nil {
		return nil
	}
	var haves []plumbing.Hash
	for hash := ref.Hash(); len(haves) < maxHaves; {
		commit, err := object.GetCommit(s, hash)
		if err != nil {
			break
		}
		haves = append(haves, hash)
		if commit.NumParents() == 0 {
			break
		}
		hash = commit.ParentHashes[0]
	}
	return haves
}

// packs is how many packs there are.
func (s *store) packs() int {
	names, err := filepath.Glob(filepath.Join(s.dir, "objects", "pack", "*.pack"))
	if err != nil {
		return 0
	}
	return len(names)
}

// replace puts the store in the place of the one at dir, and opens it there.
func (s *store) replace(dir, url, branch string) (*store, error) {
	if err := s.Close(); err != nil {
		return nil, fmt.Errorf("close the new git store: %w", err)
	}
	old := dir + ".old"
	if err := os.RemoveAll(old); err != nil {
		return nil, fmt.Errorf("clear the way for the new git store: %w", err)
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("set the old git store aside: %w", err)
	}
	if err := os.Rename(s.dir, dir); err != nil {
		return nil, fmt.Errorf("put the new git store in place: %w", err)
	}
	opened, err := openStore(dir, url, branch)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(old); err != nil {
		return nil, fmt.Errorf("remove the old git store: %w", err)
	}
	return opened, nil
}

// summary is a commit in short.
func summary(c *object.Commit) strategy.Commit {
	subject, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\r\n"), "\n")
	return strategy.Commit{
		SHA:     c.Hash.String(),
		Subject: strings.TrimSpace(subject),
		Author:  fmt.Sprintf("%s <%s>", c.Author.Name, c.Author.Email),
		Time:    c.Committer.When.UTC(),
	}
}
