package reconcile

import (
	"context"
	"slices"

	"github.com/drover-dev/drover/strategy"
)

// historyDepth bounds how far back a commit is looked for.
const historyDepth = 500

// date finds the commits that the releases resolved anew ask by: of each the newest first-parent commit that changed one
// of its files. It walks the history once for all of them, and no further than to the head of the refresh before, where
// the commits of releases with the same files are known. A history that cannot be read takes what depends on it back.
func (i *intent) date(ctx context.Context, head strategy.Commit, all []ask, fresh []int) {
	d := dating{intent: i, users: map[string][]*strategy.Desired{}, open: map[*strategy.Desired]bool{}}
	for _, n := range fresh {
		if all[n].desired != nil {
			d.add(all[n].desired)
		}
	}
	err := d.walk(ctx, head)
	if err == nil {
		return
	}
	for _, n := range fresh {
		if all[n].desired != nil && d.open[all[n].desired] {
			all[n] = ask{problem: "read its history: " + err.Error()}
		}
	}
}

// dating is one walk through the history.
type dating struct {
	intent *intent
	users  map[string][]*strategy.Desired // by the path that they name
	open   map[*strategy.Desired]bool     // those whose commit is not found yet
}

func (d *dating) add(r *strategy.Desired) {
	d.open[r] = true
	for _, path := range r.Release.Files {
		d.users[path] = append(d.users[path], r)
	}
}

// settle says by which commit a release asks, unless a newer one was found.
func (d *dating) settle(r *strategy.Desired, commit strategy.Commit) {
	if d.open[r] {
		r.Commit = commit
		delete(d.open, r)
	}
}

func (d *dating) walk(ctx context.Context, head strategy.Commit) error {
	if len(d.open) == 0 {
		return nil
	}
	log, err := d.intent.repository.Log(ctx, head.SHA, historyDepth)
	if err != nil {
		return err
	}
	last := head
	for n, commit := range log {
		if last = commit; commit.SHA == d.intent.head.SHA {
			d.takeOver()
		}
		if len(d.open) == 0 || n+1 == len(log) {
			break
		}
		changed, err := d.intent.repository.Changes(ctx, log[n+1].SHA, commit.SHA)
		if err != nil {
			return err
		}
		for _, path := range changed {
			for _, r := range d.users[path] {
				d.settle(r, commit)
			}
		}
	}
	for r := range d.open {
		d.settle(r, last)
	}
	return nil
}

// takeOver settles, at the head of the refresh before, those whose commit was found then.
func (d *dating) takeOver() {
	for r := range d.open {
		if known := d.intent.asked[r.Release.Name].desired; known != nil && slices.Equal(known.Release.Files, r.Release.Files) {
			d.settle(r, known.Commit)
		}
	}
}
