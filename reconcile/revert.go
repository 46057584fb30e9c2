package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// pushes bounds how often a revert that lost the race is built anew in one pass.
const pushes = 5

// revert writes the rollback back to Git: it restores the files of the release to their content in the newest commit
// that asked for the good revision, on top of the present head. It is pushed where nobody edited them since; where it
// would undo others' work, where the branch is protected, and where the policy says so, it is proposed as a pull request.
// The result is a sentence for people; an error means that it is to be tried again.
func (l *Loop) revert(ctx context.Context, release string, task strategy.Task) (string, error) {
	for range pushes {
		result, err := l.tryRevert(ctx, release, task)
		if errors.Is(err, strategy.ErrHeadMoved) {
			continue
		}
		return result, err
	}
	return "", fmt.Errorf("revert %s: the branch moved %d times in a row", task.Failed.Short(), pushes)
}

func (l *Loop) tryRevert(ctx context.Context, release string, task strategy.Task) (string, error) {
	if err := l.intent.refresh(ctx); err != nil {
		return "", err
	}
	head := l.intent.now()
	h := &history{intent: l.intent, release: release, seen: map[string]strategy.Revision{}}
	now, err := h.at(ctx, head.SHA)
	if err != nil {
		return "", err
	}
	log, err := l.opts.Repository.Log(ctx, head.SHA, historyDepth)
	if err != nil {
		return "", fmt.Errorf("read the history of %s: %w", head.Short(), err)
	}
	if now.revision != task.Bad {
		return h.alreadyGone(ctx, log, now, task)
	}
	failed, good, err := h.find(ctx, log, task)
	if err != nil {
		return "", err
	}
	if good == nil {
		return fmt.Sprintf("not reverted: no commit of the last %d asks for %s. Revert %s by hand", len(log), task.Good, task.Failed.Short()), nil
	}
	change, obstacles, err := l.change(ctx, release, head, failed, good)
	if err != nil {
		return "", err
	}
	change.Message = revertMessage(release, failed.commit, good.commit, task)
	p := proposal{release: release, task: task, failed: failed.commit, change: change}
	switch {
	case len(change.Files) == 0:
		return "not reverted: its own files did not change: the version comes from elsewhere. Revert " + failed.commit.Short() + " by hand", nil
	case len(obstacles) > 0:
		p.why, p.look = strings.Join(obstacles, ", and "), true
		return l.propose(ctx, p)
	case task.Rollback.Commit == strategy.CommitPullRequest:
		p.why = "the policy asks for a pull request"
		return l.propose(ctx, p)
	}
	commit, err := l.opts.Repository.Push(ctx, change)
	if errors.Is(err, strategy.ErrRefused) {
		p.why = fmt.Sprintf("the remote refuses the push (%v)", err)
		return l.propose(ctx, p)
	}
	if err != nil {
		return "", err
	}
	l.log.Info("revert pushed", "release", release, "failed", failed.commit.SHA, "restored", good.commit.SHA, "commit", commit.SHA)
	if err := l.intent.refresh(ctx); err != nil {
		l.log.Warn("repository not read after the revert", "error", err)
	}
	return revertedText(commit, good.commit), nil
}

// asked is what a release was at one commit.
type asked struct {
	commit   strategy.Commit
	tree     strategy.Tree
	release  *strategy.Release // nil when it is absent or cannot be read there
	revision strategy.Revision
}

// history resolves one release at earlier commits.
type history struct {
	intent  *intent
	release string
	seen    map[string]strategy.Revision // by the content that decides
}

func (h *history) at(ctx context.Context, sha string) (*asked, error) {
	tree, err := h.intent.repository.Files(ctx, sha)
	if err != nil {
		return nil, fmt.Errorf("read the files of %.7s: %w", sha, err)
	}
	a := &asked{commit: strategy.Commit{SHA: sha}, tree: tree}
	releases, _ := h.intent.load(tree)
	n := slices.IndexFunc(releases, func(r strategy.Release) bool { return r.Name == h.release })
	if n < 0 {
		return a, nil
	}
	a.release = &releases[n]
	key := contentKey(*a.release)
	if revision, ok := h.seen[key]; ok {
		a.revision = revision
		return a, nil
	}
	d, err := h.intent.resolve(ctx, *a.release)
	switch {
	case errors.Is(err, strategy.ErrInvalid):
		h.seen[key] = strategy.Revision{}
	case err != nil:
		return nil, fmt.Errorf("resolve the release at %.7s: %w", sha, err)
	default:
		h.seen[key], a.revision = d.Revision, d.Revision
	}
	return a, nil
}

// find looks for the newest commit that asked for the good revision, and for the first one after it that asked for the
// bad one. good is nil when there is none.
func (h *history) find(ctx context.Context, log []strategy.Commit, task strategy.Task) (failed, good *asked, err error) {
	for _, commit := range log {
		a, err := h.at(ctx, commit.SHA)
		if err != nil {
			return nil, nil, err
		}
		a.commit = commit
		switch a.revision {
		case task.Bad:
			failed = a
		case task.Good:
			return failed, a, nil
		}
	}
	return failed, nil, nil
}

// alreadyGone says why there is nothing to revert: somebody was first, or an earlier try of ours, whose answer was lost.
func (h *history) alreadyGone(ctx context.Context, log []strategy.Commit, now *asked, task strategy.Task) (string, error) {
	if now.revision.IsZero() {
		return "nothing reverted: the release cannot be read from Git any more", nil
	}
	by := log[0]
	for n, commit := range log {
		a, err := h.at(ctx, commit.SHA)
		if err != nil {
			return "", err
		}
		if a.revision != now.revision {
			break
		}
		by = log[n]
	}
	if restored, ours, err := h.isRevertOf(ctx, by, task); err != nil || ours {
		return revertedText(by, restored), err
	}
	return fmt.Sprintf("nothing to revert: Git asks for %s since %s %q", now.revision, by.Short(), by.Subject), nil
}

// isRevertOf tells whether a commit is Drover's own, made for the task, and to which commit it went back.
func (h *history) isRevertOf(ctx context.Context, by strategy.Commit, task strategy.Task) (restored strategy.Commit, ours bool, err error) {
	messages, can := h.intent.repository.(Messages)
	if !can {
		return strategy.Commit{}, false, nil
	}
	message, err := messages.Message(ctx, by.SHA)
	if err != nil {
		return strategy.Commit{}, false, fmt.Errorf("read what %s says: %w", by.Short(), err)
	}
	failed := trailer(message, trailerFailed)
	if trailer(message, trailerRelease) != h.release || failed == "" {
		return strategy.Commit{}, false, nil
	}
	a, err := h.at(ctx, failed)
	if err != nil || a.revision != task.Bad {
		return strategy.Commit{}, false, err
	}
	return strategy.Commit{SHA: trailer(message, trailerRestored)}, true, nil
}

// The trailers of a rollback.
const (
	trailerRelease  = "Drover-Release"
	trailerFailed   = "Drover-Failed"
	trailerRestored = "Drover-Restored"
)

// trailer is the value of a trailer in the last paragraph of a message, "" when it has none.
func trailer(message, name string) string {
	paragraphs := strings.Split(strings.TrimSpace(message), "\n\n")
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func revertedText(by, restored strategy.Commit) string {
	return fmt.Sprintf("reverted by %s, to the content of %s", by.Short(), restored.Short())
}

// change restores the files that the release names, as they were when it was good. Obstacles are reasons why that would
// undo somebody else's work.
func (l *Loop) change(ctx context.Context, release string, head strategy.Commit, failed, good *asked) (change strategy.Change, obstacles []string, err error) {
	tree, err := l.opts.Repository.Files(ctx, head.SHA)
	if err != nil {
		return strategy.Change{}, nil, fmt.Errorf("read the files of %s: %w", head.Short(), err)
	}
	paths := slices.Concat(failed.release.Files, good.release.Files)
	slices.Sort(paths)
	change = strategy.Change{Parent: head.SHA, Files: map[string]*strategy.File{}}
	for _, path := range slices.Compact(paths) {
		was, is := good.tree[path], tree[path]
		switch {
		case is.Hash == was.Hash:
			continue
		case is.Hash != failed.tree[path].Hash:
			obstacles = append(obstacles, fmt.Sprintf("%s was edited since %s", path, failed.commit.Short()))
		}
		if other := l.sharer(release, path); other != "" {
			obstacles = append(obstacles, fmt.Sprintf("%s is shared with release %q", path, other))
		}
		if was.Hash == "" {
			change.Files[path] = nil
		} else {
			change.Files[path] = &was
		}
	}
	return change, obstacles, nil
}

// sharer is another release that names the file, be it one that cannot be resolved now.
func (l *Loop) sharer(release, path string) string {
	l.intent.mu.RLock()
	defer l.intent.mu.RUnlock()
	for name, a := range l.intent.asked {
		if name != release && slices.Contains(a.files, path) {
			return name
		}
	}
	return ""
}

func revertMessage(release string, failed, good strategy.Commit, task strategy.Task) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Revert \"%s\"\n\n", oneLine(failed.Subject))
	fmt.Fprintf(&b, "This reverts commit %s.\n\n", failed.SHA)
	fmt.Fprintf(&b, "%s %s was rolled back to %s: %s.\n", release, task.Bad, task.Good, oneLine(task.Reason.Text))
	if task.Requests > 0 {
		fmt.Fprintf(&b, "The canary answered %.0f requests, %.0f of them failed.\n", task.Requests, task.Errors)
	}
	fmt.Fprintf(&b, "\n%s: %s\n%s: %s\n%s: %s\n", trailerRelease, release, trailerFailed, failed.SHA, trailerRestored, good.SHA)
	return b.String()
}

// Rollback writes into Git that the release is to go back to what was live before the version it asks for now: what a
// person does by reverting the commit. It returns a sentence on what was done. The cluster follows as it follows Git.
func (l *Loop) Rollback(ctx context.Context, release, by string) (string, error) {
	if err := l.load(ctx); err != nil {
		return "", err
	}
	if err := l.intent.refresh(ctx); err != nil {
		return "", err
	}
	d, problem := l.intent.desired(release)
	if d == nil {
		return "", fmt.Errorf("roll back %q: %s%s", release, problem, strategy.Meant(release, slices.Sorted(slices.Values(l.intent.names()))))
	}
	t := l.releases[release]
	if t == nil {
		return "", fmt.Errorf("roll back %q: nothing is recorded of it, so what was live before is not known%s", release, strategy.Meant(release, slices.Sorted(maps.Keys(l.releases))))
	}
	if r := t.record.Rollout; r.IsGoingBack(d.Revision) {
		return "", fmt.Errorf("roll back %q: Git asks for %s by %s, which was live before %s: it is on its way back", release, d.Revision, d.Commit.Short(), r.Stable.Revision)
	}
	good, ok := t.record.Rollout.Previous(d.Revision)
	if !ok {
		return "", fmt.Errorf("roll back %q: nothing was live before %s", release, d.Revision)
	}
	return l.revert(ctx, release, strategy.Task{
		Kind: strategy.TaskRevert, Rollout: t.record.Rollout.ID, Failed: d.Commit, Bad: d.Revision, Good: good,
		Reason:   strategy.Reason{Code: strategy.RevertedInGit, Text: "asked for by " + by},
		Rollback: strategy.Rollback{Commit: strategy.CommitPush},
	})
}
