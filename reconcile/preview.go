package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Preview is what the next pass would decide for one release, if nothing moved until then.
type Preview struct {
	Release string
	Desired *strategy.Desired // nil when Git asks for nothing that can be read
	Now     strategy.Rollout  // as recorded
	Next    strategy.Rollout  // as it would be
	Reason  strategy.Reason
	Live    *strategy.ClusterState // nil when Nomad cannot be read
	Problem string                 // why it cannot be said what would happen
}

// Starts tells whether a rollout would begin.
func (p Preview) Starts() bool { return p.Next.ID != "" && p.Next.ID != p.Now.ID }

// Preview decides for every release without acting, storing or telling anybody. The error is of the repository or the
// ledger; what is wrong with single releases stands in their previews.
func (l *Loop) Preview(ctx context.Context, now time.Time) ([]Preview, error) {
	if err := l.intent.refresh(ctx); err != nil {
		return nil, err
	}
	for range looks {
		previews, err := l.look(ctx, now)
		if err != nil {
			return nil, err
		}
		before := l.indexes()
		if l.loaded = false; l.load(ctx) == nil && maps.Equal(before, l.indexes()) {
			return previews, nil
		}
	}
	return nil, errors.New("the daemon is acting just now, so that records and cluster do not fit together: try again")
}

// looks bounds how often records and cluster are read again when a daemon moves them meanwhile.
const looks = 5

func (l *Loop) indexes() map[string]uint64 {
	all := map[string]uint64{}
	for name, t := range l.releases {
		all[name] = t.record.Index
	}
	return all
}

func (l *Loop) look(ctx context.Context, now time.Time) ([]Preview, error) {
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, name := range l.intent.names() {
		names[name] = true
	}
	for name := range l.releases {
		names[name] = true
	}
	var previews []Preview
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t := l.releases[name]
		if t == nil {
			t = newTracked(name)
		}
		previews = append(previews, l.preview(ctx, name, t, now))
	}
	return previews, nil
}

func (l *Loop) preview(ctx context.Context, name string, t *tracked, now time.Time) Preview {
	o := l.observe(ctx, name, t)
	p := Preview{Release: name, Desired: o.Desired, Now: t.record.Rollout, Live: o.Cluster}
	p.Next, _, p.Reason = strategy.Advance(p.Now, o, now)
	if p.Starts() && len(p.Next.Timeline) > 0 {
		p.Reason = p.Next.Timeline[0].Reason
	}
	switch {
	case o.Desired == nil:
		p.Problem = o.GitProblem
	case o.Cluster == nil:
		p.Problem = o.ClusterProblem
	case len(o.Desired.Refusals) > 0:
		p.Problem = p.Reason.Text
	}
	return p
}
