package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/drover-dev/drover/strategy"
)

// How often, and for how long, a branch that somebody else holds a lock on is looked at before giving up.
const (
	lookAgain = 5
	lookPause = 200 * time.Millisecond
)

// prepared is a commit that was made but not pushed.
type prepared struct {
	commit  *object.Commit
	fresh   *memory.Storage // everything of it that is new
	objects []plumbing.Hash
}

// Push commits the change on top of change.Parent and pushes it, never forced. Only the paths named are altered: file
// modes are kept, folders that become empty go; deleting what is not there alters nothing. File.Hash is not looked at.
//
// The error is strategy.ErrHeadMoved when the branch is no longer at Parent, as far as is known here or at the remote, and
// strategy.ErrRefused, with the remote's words, when it does not let us. After any other error the push may or may not
// have happened; Head tells. A change that alters nothing is an error, and so is one of a folder, a link or a submodule.
func (r *Repository) Push(ctx context.Context, change strategy.Change) (strategy.Commit, error) {
	commit, err := exclusively(ctx, r, 2*r.config.Timeout, func(ctx context.Context) (strategy.Commit, error) {
		return r.push(ctx, change)
	})
	if err != nil {
		return strategy.Commit{}, fmt.Errorf("push to %q on top of %s: %w", r.config.Branch, change.Parent, err)
	}
	return commit, nil
}

func (r *Repository) push(ctx context.Context, change strategy.Change) (strategy.Commit, error) {
	if err := check(change); err != nil {
		return strategy.Commit{}, err
	}
	if r.head.SHA == "" {
		if _, err := r.look(ctx); err != nil {
			return strategy.Commit{}, err
		}
	}
	if r.head.SHA != change.Parent {
		return strategy.Commit{}, fmt.Errorf("it is at %s: %w", r.head.SHA, strategy.ErrHeadMoved)
	}
	made, err := r.send(ctx, change, r.remote.branch, plumbing.NewHash(change.Parent))
	if err != nil {
		return strategy.Commit{}, err
	}
	r.adopt(made)
	return summary(made.commit), nil
}

// send makes the commit of a change and moves a branch of the remote from old, zero to make it, to that commit. The error
// is strategy.ErrHeadMoved when the branch is elsewhere.
func (r *Repository) send(ctx context.Context, change strategy.Change, name plumbing.ReferenceName, old plumbing.Hash) (prepared, error) {
	var made prepared
	err := r.read(ctx, change.Parent, func(parent *object.Commit) (err error) {
		made, err = r.prepare(parent, change)
		return err
	})
	if err != nil {
		return prepared{}, err
	}
	first, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	said, pushErr := r.remote.push(first, name, made.fresh, made.objects, old, made.commit.Hash)
	if pushErr != nil || said.status != "" {
		err = r.settle(ctx, name, old, made.commit.Hash, said, pushErr)
	}
	return made, err
}

func check(change strategy.Change) error {
	if !plumbing.IsHash(change.Parent) {
		return fmt.Errorf("the parent %q is not a commit's full hash", change.Parent)
	}
	if strings.TrimSpace(change.Message) == "" {
		return errors.New("the change has no message")
	}
	for name := range change.Files {
		if err := checkPath(name); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the commit in memory, so that a push that fails leaves nothing behind.
func (r *Repository) prepare(parent *object.Commit, change strategy.Change) (prepared, error) {
	fresh := memory.NewStorage()
	writer := &rewriter{store: r.store, fresh: fresh}
	tree, err := writer.apply(parent.TreeHash, change.Files)
	if err != nil {
		return prepared{}, err
	}
	if tree == parent.TreeHash {
		return prepared{}, errors.New("the change alters nothing: every file is as it asks already")
	}
	by := object.Signature{Name: r.config.Author.Name, Email: r.config.Author.Email, When: r.config.Now().Truncate(time.Second)}
	commit := &object.Commit{
		Author: by, Committer: by,
		Message:      strings.TrimRight(change.Message, "\n") + "\n",
		TreeHash:     tree,
		ParentHashes: []plumbing.Hash{parent.Hash},
	}
	encoded := fresh.NewEncodedObject()
	if err := commit.Encode(encoded); err != nil {
		return prepared{}, fmt.Errorf("encode the commit: %w", err)
	}
	if commit.Hash, err = fresh.SetEncodedObject(encoded); err != nil {
		return prepared{}, fmt.Errorf("write the commit: %w", err)
	}
	made := prepared{commit: commit, fresh: fresh}
	for hash := range fresh.Objects {
		made.objects = append(made.objects, hash)
	}
	return made, nil
}

// settle finds out what became of a push that was not confirmed; nil says that it happened. It is strategy.ErrHeadMoved
// when the branch is at neither of the two, or is there where it was to be made.
func (r *Repository) settle(ctx context.Context, name plumbing.ReferenceName, parent, ours plumbing.Hash, said answer, pushErr error) error {
	cause := pushErr
	if cause == nil {
		cause = errors.New(said.status)
	}
	contended := isContention(said.status)
	for look := 0; ; look++ {
		tip, err := r.remote.position(ctx, name)
		switch {
		case err != nil:
			return fmt.Errorf("%w (and what became of it is not known: %s)", cause, err.Error())
		case tip == ours:
			return nil
		case tip != parent:
			return fmt.Errorf("it is at %s: %w", tip, strategy.ErrHeadMoved)
		}
		if !contended || look == lookAgain {
			break
		}
		pause := time.NewTimer(lookPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%w (given up: %w)", cause, ctx.Err())
		}
	}
	// With the same credentials the branch could be read, so that rejected ones are a matter of permission.
	forbidden := errors.Is(cause, transport.ErrAuthenticationRequired) || errors.Is(cause, transport.ErrAuthorizationFailed)
	switch {
	case forbidden:
		return fmt.Errorf("%w: %s", strategy.ErrRefused, cause.Error())
	case pushErr != nil || contended:
		return cause
	case said.words != "":
		return fmt.Errorf("%w: %s: %s", strategy.ErrRefused, said.status, said.words)
	}
	return fmt.Errorf("%w: %s", strategy.ErrRefused, said.status)
}

// isContention tells whether somebody else was at the branch in the same moment, in the words of the servers that are
// known: this says nothing of whether we may push.
func isContention(status string) bool {
	for _, words := range []string{"failed to update ref", "failed to lock", "cannot lock ref", "incorrect old value", "fetch first", "the branch is elsewhere"} {
		if strings.Contains(status, words) {
			return true
		}
	}
	return false
}

// adopt takes a commit that was pushed to the branch into the store, which saves fetching it. Where that fails the next
// Head fetches.
func (r *Repository) adopt(made prepared) {
	err := r.store.keep(made)
	if err == nil {
		err = r.store.follow(made.commit.Hash)
	}
	if err != nil {
		r.log.Warn("pushed commit not kept, it will be fetched", "commit", made.commit.Hash.String(), "error", err)
		return
	}
	r.head = summary(made.commit)
}

// keep writes a commit, and what is new in it, to the store.
func (s *store) keep(made prepared) error {
	for _, hash := range made.objects {
		encoded, err := made.fresh.EncodedObject(plumbing.AnyObject, hash)
		if err != nil {
			return fmt.Errorf("keep the commit in the git store: %w", err)
		}
		if _, err := s.SetEncodedObject(encoded); err != nil {
			return fmt.Errorf("keep the commit in the git store: %w", err)
		}
	}
	return nil
}
