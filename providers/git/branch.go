package git

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/drover-dev/drover/strategy"
)

// ErrBranchTaken says that a branch of that name is there and holds something else. It is strategy.ErrRefused too.
var ErrBranchTaken = fmt.Errorf("there is a branch of that name with other content: delete it, or merge it: %w", strategy.ErrRefused)

// PushBranch commits the change on top of change.Parent, a commit that Head, Log or FetchRef returned, and pushes it as a
// new branch, for a pull request. Nothing else is altered, as with Push; the branch that is followed stays where it is.
//
// It is idempotent: where the branch is there already, and its newest commit makes this change on top of whatever it was
// made for, that commit is returned. The error is ErrBranchTaken when the branch holds anything else, and
// strategy.ErrRefused when the remote does not let us. After any other error it may or may not have happened: call again.
func (r *Repository) PushBranch(ctx context.Context, change strategy.Change, branch string) (strategy.Commit, error) {
	name := plumbing.NewBranchReferenceName(branch)
	switch {
	case branch == "" || name.Validate() != nil:
		return strategy.Commit{}, fmt.Errorf("push a branch: %q is no name that git accepts", branch)
	case name == r.remote.branch:
		return strategy.Commit{}, fmt.Errorf("push branch %q: it is the one that is followed", branch)
	}
	commit, err := exclusively(ctx, r, 2*r.config.Timeout, func(ctx context.Context) (strategy.Commit, error) {
		return r.pushBranch(ctx, change, name)
	})
	if err != nil {
		return strategy.Commit{}, fmt.Errorf("push branch %q on top of %s: %w", branch, change.Parent, err)
	}
	return commit, nil
}

func (r *Repository) pushBranch(ctx context.Context, change strategy.Change, name plumbing.ReferenceName) (strategy.Commit, error) {
	if err := check(change); err != nil {
		return strategy.Commit{}, err
	}
	if r.head.SHA == "" {
		if _, err := r.look(ctx); err != nil {
			return strategy.Commit{}, err
		}
	}
	made, err := r.send(ctx, change, name, plumbing.ZeroHash)
	switch {
	case errors.Is(err, strategy.ErrHeadMoved):
		return r.sameBranch(ctx, change, name)
	case err != nil:
		return strategy.Commit{}, err
	}
	if err := r.store.keep(made); err != nil {
		r.log.Warn("pushed commit not kept", "commit", made.commit.Hash.String(), "error", err)
	}
	return summary(made.commit), nil
}

// sameBranch is the commit of a branch that makes the change already.
func (r *Repository) sameBranch(ctx context.Context, change strategy.Change, name plumbing.ReferenceName) (strategy.Commit, error) {
	there, err := r.obtain(ctx, name)
	if err != nil {
		return strategy.Commit{}, err
	}
	if there.NumParents() != 1 {
		return strategy.Commit{}, ErrBranchTaken
	}
	parent, err := there.Parent(0)
	if err != nil {
		return strategy.Commit{}, fmt.Errorf("read what branch %q was made for: %w", name.Short(), err)
	}
	writer := &rewriter{store: r.store, fresh: memory.NewStorage()}
	// An error says that the change does not fit there, so that the branch is none of ours.
	if tree, err := writer.apply(parent.TreeHash, change.Files); err != nil || tree != there.TreeHash || tree == parent.TreeHash {
		return strategy.Commit{}, ErrBranchTaken
	}
	return summary(there), nil
}
