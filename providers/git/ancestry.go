package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Descends tells whether sha is ancestor, or comes after it on any line of history. sha is one that Head, Log or
// FetchRef returned. An ancestor that the store does not have is none: what a forced push left behind goes when the
// store is made anew. It does not ask the remote.
func (r *Repository) Descends(ctx context.Context, sha, ancestor string) (bool, error) {
	if !plumbing.IsHash(ancestor) {
		return false, fmt.Errorf("compare %s with an ancestor: %q is not a commit's full hash", sha, ancestor)
	}
	return exclusively(ctx, r, r.config.Timeout, func(ctx context.Context) (bool, error) {
		found := false
		err := r.read(ctx, sha, func(commit *object.Commit) (err error) {
			found, err = reaches(ctx, commit, plumbing.NewHash(ancestor))
			return err
		})
		if err != nil {
			return false, fmt.Errorf("look for %s in the history of %s: %w", ancestor, sha, err)
		}
		return found, nil
	})
}

// reaches walks the newest commits first, so that what is recent is found soon.
func reaches(ctx context.Context, from *object.Commit, ancestor plumbing.Hash) (bool, error) {
	history := object.NewCommitIterCTime(from, nil, nil)
	defer history.Close()
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		commit, err := history.Next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, &damagedError{fmt.Errorf("read the history of commit %s: %w", from.Hash, err)}
		case commit.Hash == ancestor:
			return true, nil
		}
	}
}

// MergeBase is the commit at which the histories of two commits part: the newest, where there are several, and ""
// where they have nothing in common. Both are commits that Head, Log or FetchRef returned. It does not ask the remote.
func (r *Repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	return exclusively(ctx, r, r.config.Timeout, func(ctx context.Context) (string, error) {
		base := ""
		err := r.read(ctx, a, func(one *object.Commit) error {
			other, err := r.find(b)
			if err != nil {
				return err
			}
			shared, err := one.MergeBase(other)
			if err != nil {
				return &damagedError{fmt.Errorf("read the histories of commits %s and %s: %w", a, b, err)}
			}
			if base = ""; len(shared) > 0 {
				base = slices.MaxFunc(shared, func(x, y *object.Commit) int { return x.Committer.When.Compare(y.Committer.When) }).Hash.String()
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("find where %s and %s part: %w", a, b, err)
		}
		return base, nil
	})
}
