package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/drover-dev/drover/strategy"
)

var (
	// ErrNoRef says that the remote has no ref of that name.
	ErrNoRef = errors.New("the remote has no such ref")
	// ErrTooLarge says that there is more of something than Drover reads.
	ErrTooLarge = strategy.ErrTooLarge
)

// FetchRef brings the commit that a ref of the remote is at, such as refs/pull/7/head, so that Files, Log, Descends and
// MergeBase work on it. The ref may be a stranger's: what it brings is inspected before it is taken into the store, and
// so are its files, so that Files at that commit does not fail for its size. Nothing is fetched when the commit is known.
//
// The error is ErrNoRef when the ref is not there, and ErrTooLarge when it brings over 50,000 objects, one over 16 MiB,
// 256 MiB in all, a pack over 32 MiB, or more files than Files reads. The commit stays until the store is made anew,
// which a call of Head may do: fetch it again when it is not there any more.
func (r *Repository) FetchRef(ctx context.Context, ref string) (strategy.Commit, error) {
	name := plumbing.ReferenceName(ref)
	if !strings.HasPrefix(ref, "refs/") || name.Validate() != nil {
		return strategy.Commit{}, fmt.Errorf("fetch %q: give the whole name of a ref, as in refs/pull/7/head", ref)
	}
	commit, err := exclusively(ctx, r, r.config.Timeout, func(ctx context.Context) (strategy.Commit, error) {
		commit, err := r.obtain(ctx, name)
		if err != nil {
			return strategy.Commit{}, err
		}
		if err := r.admit(ctx, commit); err != nil {
			return strategy.Commit{}, err
		}
		return summary(commit), nil
	})
	if err != nil {
		return strategy.Commit{}, fmt.Errorf("fetch %s: %w", ref, err)
	}
	return commit, nil
}

// obtain sees to it that the commit that a ref is at is in the store.
func (r *Repository) obtain(ctx context.Context, name plumbing.ReferenceName) (commit *object.Commit, err error) {
	if r.head.SHA == "" {
		if _, err := r.look(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	if r.store.admitted > r.bounds.admitted || r.store.packs() > r.packs {
		if err := r.rebuild(ctx, errors.New("it holds much that refs brought")); err != nil {
			r.log.Warn("store not renewed", "error", err)
		}
	}
	// What is wrong with a stranger's objects is no damage to the store.
	defer func() { err = undamaged(err) }()
	defer catch(&err)
	known := func(hash plumbing.Hash) bool { return r.store.HasEncodedObject(hash) == nil }
	tip, err := r.remote.fetchRef(ctx, name, r.store.haves(), known, func(pack io.Reader) error { return r.store.admit(pack, r.bounds) })
	if err != nil {
		return nil, err
	}
	kind, err := r.store.EncodedObject(plumbing.AnyObject, tip)
	if err != nil {
		return nil, fmt.Errorf("read what %s is at: %w", name, err)
	}
	if kind.Type() != plumbing.CommitObject {
		return nil, fmt.Errorf("%s is at a %s, not at a commit", name, kind.Type())
	}
	return r.store.whole(tip)
}

// admit reads the files of a stranger's commit once.
func (r *Repository) admit(ctx context.Context, commit *object.Commit) (err error) {
	defer func() { err = undamaged(err) }()
	defer catch(&err)
	_, err = r.gather(ctx, commit)
	return err
}

// undamaged has an error no longer say that the store is damaged, so that the store is not made anew for it.
func undamaged(err error) error {
	if damage := new(damagedError); errors.As(err, &damage) {
		return fmt.Errorf("it cannot be read: %w", damage.err)
	}
	return err
}
