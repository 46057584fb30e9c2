package git

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/drover-dev/drover/strategy"
)

const (
	// grace is how long a call that ran out of time may take to say so itself.
	grace = 2 * time.Second
	// rebuildPause keeps a remote that is damaged itself from being fetched over and over.
	rebuildPause = time.Minute
)

// Repository is one branch of a Git repository. It is safe for concurrent use; calls that need the store or the remote
// take turns, each bounded by Config.Timeout, waiting included.
type Repository struct {
	config Config
	remote *remote
	dir    string
	log    *slog.Logger
	trees  *treeCache
	packs  int // how many packs the store takes before it is made anew
	bounds bounds

	turn chan struct{} // held by who uses what follows; go-git is not safe even for concurrent reads

	store   *store // nil until it is needed
	head    strategy.Commit
	rebuilt time.Time
	told    map[plumbing.Hash]bool // files that were left out, so that each is logged once
}

// New checks the configuration. It neither reads nor writes anything yet.
func New(config Config) (*Repository, error) {
	config, at, held, err := config.complete()
	if err != nil {
		return nil, fmt.Errorf("configure the release repository: %w", err)
	}
	log := config.Logger.With("component", "git")
	return &Repository{
		config: config,
		remote: newRemote(config, at, held, log),
		dir:    filepath.Join(config.StateDir, "store.git"),
		log:    log,
		trees:  newTreeCache(),
		packs:  maxPacks,
		bounds: defaultBounds(),
		turn:   make(chan struct{}, 1),
		told:   map[plumbing.Hash]bool{},
	}, nil
}

// Close waits for the call under way and lets go of idle connections and open files. The repository may be used again.
func (r *Repository) Close() error {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.remote.idle()
	if r.store == nil {
		return nil
	}
	if err := r.store.Close(); err != nil {
		return fmt.Errorf("close the git store: %w", err)
	}
	return nil
}

// Head is the newest commit of the branch. It asks the remote where the branch is, and fetches only when it moved; a
// branch that was rewritten is followed. An empty repository and a branch that is not there are errors.
func (r *Repository) Head(ctx context.Context) (strategy.Commit, error) {
	return exclusively(ctx, r, r.config.Timeout, r.look)
}

// Log is the first-parent history from sha on, the newest first, sha included, at most limit commits. sha is one that
// Head or Log returned. It does not ask the remote.
func (r *Repository) Log(ctx context.Context, sha string, limit int) ([]strategy.Commit, error) {
	return exclusively(ctx, r, r.config.Timeout, func(ctx context.Context) ([]strategy.Commit, error) {
		var commits []strategy.Commit
		err := r.read(ctx, sha, func(commit *object.Commit) error {
			commits = nil
			for len(commits) < limit {
				commits = append(commits, summary(commit))
				if commit.NumParents() == 0 {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				parent, err := commit.Parent(0)
				if err != nil {
					return &damagedError{fmt.Errorf("read commit %s: %w", commit.ParentHashes[0], err)}
				}
				commit = parent
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read history from %s: %w", sha, err)
		}
		return commits, nil
	})
}

// exclusively runs fn when its turn has come. fn is given up, not stopped, when it outlasts its context: go-git does
// not look at it everywhere. It keeps its turn until it returns.
func exclusively[T any](ctx context.Context, r *Repository, limit time.Duration, fn func(context.Context) (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, limit)
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		cancel()
		return none, fmt.Errorf("wait for another call to the git store: %w", ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		<-r.turn
		cancel()
		return none, fmt.Errorf("use the git store: %w", err)
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer cancel()
		value, err := fn(ctx)
		<-r.turn
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
	}
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case o := <-done:
		return o.value, o.err
	case <-patience.C:
		return none, fmt.Errorf("%s does not answer: %w", r.remote.at, ctx.Err())
	}
}

// look asks the remote where the branch is, and takes in what is new.
func (r *Repository) look(ctx context.Context) (strategy.Commit, error) {
	tip, err := r.remote.tip(ctx)
	if err != nil {
		return strategy.Commit{}, err
	}
	if r.head.SHA == tip.String() {
		return r.head, nil
	}
	if err := r.open(ctx); err != nil {
		return strategy.Commit{}, err
	}
	commit, err := r.take(ctx, tip)
	if damage := new(damagedError); errors.As(err, &damage) {
		if err := r.rebuild(ctx, damage); err != nil {
			return strategy.Commit{}, err
		}
		commit, err = r.store.head()
	}
	if err != nil {
		return strategy.Commit{}, err
	}
	r.head = summary(commit)
	if r.store.packs() > r.packs {
		if err := r.rebuild(ctx, errors.New("it holds many packs")); err != nil {
			r.log.Warn("store not renewed", "error", err)
		}
	}
	return r.head, nil
}

// take makes tip the head of the store, fetching it when the store does not have it.
func (r *Repository) take(ctx context.Context, tip plumbing.Hash) (commit *object.Commit, err error) {
	defer catch(&err)
	switch err := r.store.HasEncodedObject(tip); {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		if tip, err = r.remote.fetch(ctx, r.store, r.store.haves()); err != nil {
			return nil, r.blame(ctx, err)
		}
	case err != nil:
		return nil, &damagedError{err}
	}
	if commit, err = r.store.whole(tip); err != nil {
		return nil, err
	}
	return commit, r.store.follow(tip)
}

// catch makes damage of a panic: go-git indexes into what it reads from disk.
func catch(err *error) {
	if fault := recover(); fault != nil {
		*err = &damagedError{fmt.Errorf("panic: %v", fault)}
	}
}

// blame tells whether a fetch failed for the store's sake.
func (r *Repository) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if _, unsound := r.store.head(); unsound != nil {
		return unsound
	}
	return err
}

// open sees to it that there is a store.
func (r *Repository) open(ctx context.Context) error {
	if r.store != nil {
		return nil
	}
	opened, err := openStore(r.dir, r.remote.at.String(), r.config.Branch)
	damage := new(damagedError)
	switch {
	case err == nil:
		r.store = opened
		return nil
	case errors.Is(err, os.ErrNotExist) && !errors.As(err, &damage):
		return r.build(ctx)
	case errors.As(err, &damage):
		return r.rebuild(ctx, damage)
	}
	return err
}

// rebuild makes the store anew, at most once in a while.
func (r *Repository) rebuild(ctx context.Context, reason error) error {
	now := r.config.Now()
	if !r.rebuilt.IsZero() && now.Sub(r.rebuilt) < rebuildPause {
		return fmt.Errorf("rebuild the git store again so soon: check the disk below %s, and git fsck on the remote: %w", r.config.StateDir, reason)
	}
	r.log.Warn("store is made anew", "reason", reason.Error())
	if err := r.build(ctx); err != nil {
		return fmt.Errorf("rebuild the git store (%s): %w", reason.Error(), err)
	}
	r.rebuilt = now
	return nil
}

// build fetches everything into a new store, and puts it in place when it is complete.
func (r *Repository) build(ctx context.Context) error {
	fresh := r.dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("clear the way for a new git store: %w", err)
	}
	next, err := createStore(fresh, r.remote.at.String(), r.config.Branch)
	if err != nil {
		return err
	}
	tip, err := r.remote.fetch(ctx, next, nil)
	if err != nil {
		return err
	}
	if _, err := next.whole(tip); err != nil {
		return err
	}
	if err := next.follow(tip); err != nil {
		return err
	}
	if r.store != nil {
		if err := r.store.Close(); err != nil {
			r.log.Warn("old store not closed", "error", err)
		}
	}
	placed, err := next.replace(r.dir, r.remote.at.String(), r.config.Branch)
	if err != nil {
		return err
	}
	r.store = placed
	return nil
}

// read calls fn with a commit. When the store turns out to be damaged it is made anew and fn is called once more.
func (r *Repository) read(ctx context.Context, sha string, fn func(*object.Commit) error) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	attempt := func() (err error) {
		defer catch(&err)
		commit, err := r.find(sha)
		if err != nil {
			return err
		}
		return fn(commit)
	}
	err := attempt()
	if damage := new(damagedError); errors.As(err, &damage) {
		if err := r.rebuild(ctx, damage); err != nil {
			return err
		}
		return attempt()
	}
	return err
}

// find is a commit of the store, whole.
func (r *Repository) find(sha string) (*object.Commit, error) {
	if !plumbing.IsHash(sha) {
		return nil, fmt.Errorf("%q is not a commit's full hash", sha)
	}
	hash := plumbing.NewHash(sha)
	commit, err := r.store.whole(hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) && r.store.HasEncodedObject(hash) != nil {
		// Not there at all: either the branch left it, or everything went.
		if _, unsound := r.store.head(); unsound != nil {
			return nil, unsound
		}
		return nil, fmt.Errorf("commit %s is not in the history of branch %q: the branch was rewritten, or it was never there", sha, r.config.Branch)
	}
	return commit, err
}
