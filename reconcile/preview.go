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
	// Nomad is what Nomad says it would do with the registration of a rollout that would begin; nil when it was not asked,
	// or did not answer: NomadProblem says why.
	Nomad        *strategy.JobPlan
	NomadProblem string
	// Extra is how many allocations the rollout needs at its peak, beside those that run without it.
	Extra int
	// Arrives is what of each step's weight the router brings to the canary.
	Arrives []strategy.Weight
	// Findings is what people may regret about it, where a rollout would begin.
	Findings []strategy.Finding
	// Warnings is what a person should know before it.
	Warnings []string
}

// Peak is how many allocations all rollouts together need at most beside those that run without them, when no more are
// under way at a time than the limits allow.
func Peak(previews []Preview, limits Limits) int {
	var under, next []int
	for _, p := range previews {
		switch {
		case p.Starts() && p.Now.AtRest():
			next = append(next, p.Extra)
		case !p.Next.AtRest():
			under = append(under, p.Extra)
		}
	}
	slices.SortFunc(next, func(a, b int) int { return b - a })
	free := max(0, limits.withDefaults().MaxActive-len(under))
	sum := 0
	for _, n := range append(under, next[:min(free, len(next))]...) {
		sum += n
	}
	return sum
}

// Starts tells whether a rollout would begin.
func (p Preview) Starts() bool { return p.Next.ID != "" && p.Next.ID != p.Now.ID }

// Preview decides for every release without acting, storing or telling anybody. The error is of the repository or the
// ledger; what is wrong with single releases stands in their previews.
func (l *Loop) Preview(ctx context.Context, now time.Time) ([]Preview, error) {
	if err := l.intent.refresh(ctx); err != nil {
		return nil, err
	}
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	if err := l.peekHead(ctx); err != nil {
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
	alone := &tracked{record: t.record, unchanged: t.unchanged, smoke: t.smoke, split: t.split} // What it sees is nobody else's.
	o := l.observe(ctx, name, alone, now)
	believeRecord(t.record.Rollout, &o, now)
	return l.foresee(ctx, t.record.Rollout, o, now)
}

// believeRecord takes a split for being in effect that the record says was, where the router only does not say. One that is
// asked for the first time by this process may have to be asked again, for a while, before it knows (a split is in effect when
// it was seen for so long), or not know all that it was given, which the daemon remembers. What the router does say is not
// contradicted.
func believeRecord(r strategy.Rollout, o *strategy.Observation, now time.Time) {
	if r.AtRest() || !r.Pending.IsZero() || o.Traffic == nil {
		return
	}
	_, actions, _ := strategy.Advance(r, *o, now)
	for _, a := range actions {
		if a.Kind != strategy.ActSetSplit || a.Split.Weight != r.Weight || slices.ContainsFunc(o.Traffic.Splits, a.Split.Contradicts) {
			continue
		}
		state := *o.Traffic
		state.Splits = slices.Repeat([]strategy.Split{*a.Split}, len(state.Splits))
		o.Traffic = &state
		return
	}
}

// foresee is what would be decided on an observation.
func (l *Loop) foresee(ctx context.Context, r strategy.Rollout, o strategy.Observation, now time.Time) Preview {
	p := Preview{Release: r.Release, Desired: o.Desired, Now: r, Live: o.Cluster}
	p.Next, _, p.Reason = strategy.Advance(p.Now, o, now)
	if p.Starts() && len(p.Next.Timeline) > 0 {
		p.Reason = p.Next.Timeline[0].Reason
	}
	if o.Desired != nil {
		p.Warnings = append(p.Warnings, o.Desired.Job.Warnings...)
	}
	p.Extra = p.Next.Extra(o.Desired, o.Cluster)
	if p.Starts() && o.Desired != nil {
		p.Warnings = append(p.Warnings, p.Next.Caveats(*o.Desired, o.Cluster)...)
		l.foreseeTraffic(ctx, &p)
		tried, rps := l.tryMetrics(ctx, &p, now)
		p.Findings = append(l.findings(ctx, &p, rps), tried...)
		l.askNomad(ctx, &p)
	}
	switch {
	case o.Desired == nil:
		p.Problem = o.GitProblem
	case o.Cluster == nil:
		p.Problem = o.ClusterProblem
	case len(o.Desired.Refusals) > 0, p.Reason.Code == strategy.Refused:
		p.Problem = p.Reason.Text
	}
	return p
}

// foreseeTraffic tells what the router makes of the steps.
func (l *Loop) foreseeTraffic(ctx context.Context, p *Preview) {
	traffic, err := l.router(p.Next.Canary.Router)
	if err != nil || p.Live == nil || p.Next.Phase != strategy.Placing {
		return
	}
	live := p.Live.Count
	p.Arrives = traffic.arrivals(p.Next.Plan, live)
	if a := traffic.Router.Abilities(); a.Replicas {
		canaries := p.Next.Plan.Canaries.For(live, p.Next.Plan.Steps)
		p.Warnings = append(p.Warnings, a.ReplicaCaveat(traffic.name(), live, canaries))
	}
	if surveyor, ok := traffic.Router.(Surveyor); ok {
		lacks, err := surveyor.Lacks(ctx, p.Release, p.Next.Plan)
		if err != nil {
			lacks = err.Error()
		}
		if lacks != "" {
			p.Warnings = append(p.Warnings, lacks)
		}
	}
}

// findings is what is to be said about a rollout that would begin, by the traffic that the release has.
func (l *Loop) findings(ctx context.Context, p *Preview, rps float64) []strategy.Finding {
	around := strategy.Surroundings{RPS: rps}
	traffic, err := l.router(p.Next.Canary.Router)
	if err == nil && traffic.Meter != nil && p.Next.Phase == strategy.Placing {
		if sample, err := traffic.Meter.Sample(ctx, p.Release); err == nil {
			around = sample.Surroundings()
		}
	}
	around.Every = max(around.Every, traffic.Every)
	if err == nil {
		around.Late = traffic.Router.Abilities().Late(traffic.name())
	}
	if p.Live != nil {
		around.Live = p.Live.Counts
	}
	around.First = p.Next.Phase == strategy.First
	d := *p.Desired
	d.Release.Plan = p.Next.Plan
	d.Release.Plan.Accepted = p.Desired.Release.Plan.Accepted
	return d.Findings(around)
}

// tryMetrics has the metrics answer for what is live what gates are going to ask. It returns what is to be said of that, and
// the requests a second that they count where the router does not; 0 when they do not.
func (l *Loop) tryMetrics(ctx context.Context, p *Preview, now time.Time) (said []strategy.Finding, rps float64) {
	trier, can := l.opts.Metrics.(Trier)
	traffic, err := l.router(p.Next.Canary.Router)
	if !can || err != nil {
		return nil, 0
	}
	inquiry, asks := p.Next.Rehearsal(p.Live, now, traffic.Measured)
	if !asks {
		return nil, 0
	}
	found, rps := trier.Try(ctx, inquiry)
	return slices.DeleteFunc(found, func(f strategy.Finding) bool {
		_, accepted := p.Desired.Release.Plan.Accepted[f.Code]
		return accepted
	}), rps
}

// askNomad has Nomad say what the rollout that would begin would change.
func (l *Loop) askNomad(ctx context.Context, p *Preview) {
	planner, ok := l.opts.Cluster.(Planner)
	if !ok {
		p.NomadProblem = "Nomad is not asked"
		return
	}
	registration, ok := p.Next.Registers(*p.Desired)
	if !ok {
		return
	}
	registration.Marker.Instance = l.opts.Instance
	plan, err := planner.Plan(ctx, registration)
	switch {
	case errors.Is(err, strategy.ErrRefused):
		p.NomadProblem = "Drover's token may not ask for one (before Nomad 2.0.4 no workload identity may)"
	case err != nil:
		p.NomadProblem = err.Error()
	default:
		p.Nomad = &plan
	}
}
