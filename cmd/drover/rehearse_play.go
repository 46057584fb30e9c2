package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// rehearsal is a release with what it is played on.
type rehearsal struct {
	release strategy.Release
	stable  string         // the version that it takes the place of
	counts  map[string]int // of the groups as they run; those of the jobspec where nothing is said
	sound   service
	notify  func(reconcile.Decision) // is told of every decision; nil when nobody is
}

// take is how one rollout went.
type take struct {
	Seed     uint64        `json:"seed"`
	End      takeEnd       `json:"end"`
	Reason   string        `json:"reason"`
	Gate     string        `json:"gate,omitempty"`  // that failed
	Cause    string        `json:"cause,omitempty"` // the code of the reason
	Step     int           `json:"step,omitempty"`  // in which it ended, from 1
	Weight   string        `json:"weight,omitempty"`
	Took     time.Duration `json:"took_ns"`             // from the commit to the verdict, or to the end of the promotion
	Showed   time.Duration `json:"showed_ns,omitempty"` // from the commit until the fault showed
	Requests float64       `json:"canary_requests"`
	Failed   float64       `json:"canary_failed"`
	Bad      float64       `json:"bad"`  // requests that failed, and would not have with the stable version
	Slow     float64       `json:"slow"` // requests that took longer than they would have with it
	Line     []point       `json:"line"`
}

// takeEnd is how a rollout ends, as those see it who rehearse it.
type takeEnd string

const (
	takePromoted   takeEnd = "promoted"
	takeRolledBack takeEnd = "rolled back"
	takeParked     takeEnd = "parked"
	takeNothing    takeEnd = "nothing to do" // the job does not change with the version
)

// point is the weight from a moment on, counted from the commit.
type point struct {
	At     time.Duration `json:"at_ns"`
	Weight float64       `json:"weight"` // in percent
}

const (
	rehearsalHistory = time.Hour // of the stable, before the release
	rehearsalTick    = time.Second
	// rehearsalSettle bounds the time in which a simulated cluster gets ready, and the loop comes to rest on it.
	rehearsalSettle = 30 * time.Minute
)

// play plays the release once, from the commit that asks for it to its end.
func (r rehearsal) play(ctx context.Context, m mishap, seed uint64) (take, error) {
	p, err := r.stage(ctx, m, seed)
	if err != nil {
		return take{}, err
	}
	if err := p.settle(ctx); err != nil {
		return take{}, err
	}
	p.repository.release()
	p.begun = p.now
	// What bounds a rollout by itself ends this too.
	limit := r.release.Plan.MaxDuration + r.release.Plan.Standby + 2*rehearsalSettle
	for !p.over() {
		if err := p.tick(ctx, p.pace()); err != nil {
			return take{}, err
		}
		if p.now.Sub(p.begun) > limit {
			return take{}, fmt.Errorf("after %s the rollout is still %s: %s", limit, p.rollout().Phase, p.rollout().Reason.Text)
		}
	}
	return p.conclude(ctx)
}

// pace is how long until Drover looks again: a second, or in the middle of a bake as long as its gates gather what they
// judge, so that hours take no longer than minutes.
func (p *player) pace() time.Duration {
	const readings, longest = 20, 5 * time.Second // As many of the shortest bake, and never rarer.
	r := p.rollout()
	if r.Phase != strategy.Stepping || r.Weight == 0 {
		return rehearsalTick
	}
	pace, left := longest, r.Plan.Steps[r.Step].Bake-r.Baked
	for _, s := range r.Plan.Steps {
		if s.Bake > 0 {
			pace = min(pace, max(s.Bake/readings, rehearsalTick))
		}
	}
	pace = pace.Truncate(rehearsalTick)
	if left > 0 && left < 2*pace {
		return rehearsalTick
	}
	return pace
}

// player plays one rollout.
type player struct {
	rehearsal
	fault      mishap
	nomad      *sim.Nomad
	traffic    *sim.Traffic
	loop       *reconcile.Loop
	repository *rehearsedRepository
	now, begun time.Time

	take     take
	faulty   bool    // the fault shows
	unfaulty float64 // requests of the canary before it did
	mu       sync.Mutex
}

// stage starts a cluster that runs the stable version, and a loop that knows nothing of it yet.
func (r rehearsal) stage(ctx context.Context, m mishap, seed uint64) (*player, error) {
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	p := &player{rehearsal: r, fault: m, now: start, repository: newRehearsedRepository(stableOf(r.release, r.stable), r.release, start), take: take{Seed: seed}}
	p.nomad = sim.New(sim.Config{Start: start, Seed: seed, Lenient: true, Namespaces: []string{r.release.Source.Namespace}, Behaviour: p.behave})
	client, err := nomad.Connect(nomad.Config{Address: "http://simulated", HTTPClient: p.nomad.Client()})
	if err != nil {
		return nil, err
	}
	if err := r.registerStable(ctx, client); err != nil {
		return nil, err
	}
	p.traffic = p.nomad.Traffic(sim.Load{RPS: r.sound.RPS, Poisson: true})
	logger := slog.New(slog.DiscardHandler)
	way := reconcile.Traffic{Router: p.traffic, Meter: p.traffic}
	p.loop = reconcile.New(reconcile.Options{
		Instance: defaultInstance, Repository: p.repository, Load: p.repository.load, Cluster: nomad.New(client, nomad.Options{Instance: defaultInstance, Logger: logger}),
		Routers: map[string]reconcile.Traffic{"": way, r.release.Traffic.Router: way}, Metrics: p.traffic, Ledger: nomad.NewLedger(client, defaultInstance, ""),
		Prober: p.nomad.Prober(), Logger: logger, Registerer: prometheus.NewRegistry(), Notify: p.decided,
	})
	return p, nil
}

// registerStable has the job run as it does before the release.
func (r rehearsal) registerStable(ctx context.Context, client *api.Client) error {
	source := stableOf(r.release, r.stable).Source
	write := &api.WriteOptions{Namespace: source.Namespace}
	job, err := client.Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: source.Jobspec, Variables: source.Variables, Canonicalize: true})
	if err != nil {
		return fmt.Errorf("read %s: %w", source.Path, err)
	}
	for _, group := range job.TaskGroups {
		if n, known := r.counts[*group.Name]; known {
			group.Count = &n
		}
	}
	if source.Namespace != "" {
		job.Namespace = &source.Namespace
	}
	options := &api.RegisterOptions{Submission: &api.JobSubmission{Source: source.Jobspec, Format: "hcl2", Variables: source.Variables}}
	if _, _, err := client.Jobs().RegisterOpts(job, options, write.WithContext(ctx)); err != nil {
		return fmt.Errorf("run the stable version on the simulated cluster: %w", err)
	}
	return nil
}

// canaryPlaced is the job version that the release is registered as: the stable one is version 0.
const canaryPlaced = 1

// behave is how tasks behave: those of the canary have the fault, once it shows.
func (p *player) behave(t sim.Task) sim.Behaviour {
	b := p.sound.behaviour(p.release.Plan.Asking())
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.Placed == canaryPlaced && (p.faulty || p.fault.from == 0) {
		return p.fault.on(b, p.sound)
	}
	return b
}

// settle lets the stable version run for a while, with Drover beside it.
func (p *player) settle(ctx context.Context) error {
	for {
		if err := p.tick(ctx, rehearsalTick); err != nil {
			return err
		}
		r := p.rollout()
		if r.Phase == strategy.Resting && r.Hold == nil && r.Reason.Code == strategy.UpToDate {
			break
		}
		if p.now.Sub(p.repository.start) > rehearsalSettle {
			return fmt.Errorf("the stable version does not come to rest on the simulated cluster: %s", r.Reason.Text)
		}
	}
	return p.tick(ctx, rehearsalHistory)
}

// tick lets time go by, and Drover look at everything once.
func (p *player) tick(ctx context.Context, d time.Duration) error {
	p.now = p.now.Add(d)
	p.nomad.Advance(p.now)
	if _, err := p.loop.Pass(ctx, p.now); err != nil {
		return err
	}
	state, err := p.traffic.Read(ctx, p.release.Name)
	if err != nil {
		return err
	}
	return p.show(ctx, state.Splits[0].Weight)
}

// show makes the fault show once the canary has the weight for it.
func (p *player) show(ctx context.Context, weight strategy.Weight) error {
	if p.faulty || weight == 0 || weight < p.fault.from {
		return nil
	}
	sample, err := p.traffic.Sample(ctx, p.release.Name)
	if err != nil {
		return err
	}
	p.unfaulty = canaryOf(sample).Requests
	p.take.Showed = p.now.Sub(p.begun)
	p.mu.Lock()
	p.faulty = true
	p.mu.Unlock()
	if p.fault.from > 0 {
		p.nomad.SetBehaviour(p.behave) // Checks and crashes see it at once.
	}
	return nil
}

func canaryOf(s strategy.Sample) strategy.Counters {
	whole := s.Whole()
	return whole[slices.IndexFunc(whole, func(series strategy.Series) bool { return series.Track == strategy.Canary })].Counters
}

func (p *player) rollout() strategy.Rollout { return p.loop.Rollouts()[p.release.Name] }

// decided keeps what is worth telling of a decision.
func (p *player) decided(d reconcile.Decision) {
	if p.notify != nil {
		p.notify(d)
	}
	if p.begun.IsZero() {
		return
	}
	at := d.At.Sub(p.begun)
	if n := len(p.take.Line); n == 0 || p.take.Line[n-1].Weight != d.After.Weight.Share()*100 {
		p.take.Line = append(p.take.Line, point{at, d.After.Weight.Share() * 100})
	}
	if d.Before.Ending == nil && d.After.Ending != nil {
		p.take.Took, p.take.Step, p.take.Weight = at, d.Before.Step+1, d.Before.Weight.String()
		p.take.Reason, p.take.Cause = d.After.Ending.Reason.Text, string(d.After.Ending.Reason.Code)
		for _, v := range d.After.Verdicts {
			if v.State == strategy.Fail && !v.DryRun && p.take.Gate == "" { // The first is the one that is blamed.
				p.take.Gate = v.Gate
			}
		}
	}
}

// over tells whether the rollout has come to its end.
func (p *player) over() bool {
	r := p.rollout()
	return r.Phase == strategy.Resting && r.Last.At.After(p.begun) || r.Phase == strategy.Blocked
}

// conclude is what the rollout came to.
func (p *player) conclude(ctx context.Context) (take, error) {
	r, t := p.rollout(), p.take
	sample, err := p.traffic.Sample(ctx, p.release.Name)
	if err != nil {
		return t, err
	}
	canary := canaryOf(sample)
	t.Requests, t.Failed = canary.Requests, canary.Errors
	t.Bad = max(0, canary.Errors-p.sound.Errors*canary.Requests)
	if p.fault.slower(p.sound) > 1 {
		t.Slow = canary.Requests - p.unfaulty
	}
	if !p.faulty || p.fault.errors.isZero() {
		t.Bad = 0 // What failed would have failed anyway.
	}
	if !p.faulty {
		t.Slow = 0
	}
	switch r.Last.Kind {
	case strategy.OutcomePromoted:
		t.End, t.Took, t.Reason = takePromoted, p.now.Sub(p.begun), r.Last.Reason.Text
		if canary.Requests == 0 {
			t.End = takeNothing
		}
	case strategy.OutcomeCondemned:
		t.End = takeRolledBack
	case strategy.OutcomeParked:
		t.End = takeParked
	case strategy.OutcomeNone, strategy.OutcomeWithdrawn, strategy.OutcomeSuperseded:
		return t, errors.New("the rollout ended, and it cannot be said how: " + r.Reason.Text)
	}
	t.Line = append(t.Line, point{p.now.Sub(p.begun), t.Line[len(t.Line)-1].Weight})
	return t, nil
}
