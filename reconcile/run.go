package reconcile

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// tick is how often what is in motion is looked at when nothing else wakes the loop.
	tick = time.Second
	// retryWatch is the pause after a watch that failed.
	retryWatch = 2 * time.Second
	// maxWatches bounds how many jobs are watched at once: each watch holds a connection, and Nomad takes a hundred from
	// one address unless it is told otherwise. What is not watched is looked at every tick.
	maxWatches = 32
)

// Run makes passes until ctx is done: at every poll of the repository, every second while anything is in motion, and
// whenever Nomad says that a job in motion changed, which alone is looked at then. It returns when everything it started
// has ended.
func (l *Loop) Run(ctx context.Context) {
	l.leadAnew()
	watches := map[string]context.CancelFunc{}
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { l.deliverAll(ctx) })
	group.Go(func() { l.review(ctx) })
	group.Go(func() { l.listen(ctx) })
	if events, ok := l.opts.Cluster.(Events); ok {
		group.Go(func() {
			if err := events.Follow(ctx, l.Touch); err != nil && ctx.Err() == nil {
				l.log.Error("events not followed: what others change at rest is seen late", "error", err)
			}
		})
	}
	defer func() {
		for _, cancel := range watches {
			cancel()
		}
	}()
	swept := time.Time{}
	for ctx.Err() == nil {
		moving, pause := l.step(ctx, &swept)
		l.watch(ctx, &group, watches, moving)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// leadAnew forgets what others may have changed or said while they led.
func (l *Loop) leadAnew() {
	l.loaded, l.headsRead, l.pollAt, l.releases = false, false, time.Time{}, map[string]*tracked{}
	l.errands.forget()
}

// step makes one pass, a whole one when the last of those was a tick ago. It returns what is in motion, and how long there is
// nothing to do unless something wakes the loop.
func (l *Loop) step(ctx context.Context, swept *time.Time) (moving []string, pause time.Duration) {
	// Without its monotonic part the time is what can be written down: a decision made again later comes to the same.
	now := time.Now().Round(0)
	whole := now.Sub(*swept) >= tick || now.Before(*swept)
	if whole {
		*swept = now
	}
	due := l.pollAt
	moving, err := l.pass(ctx, now, whole)
	if took := time.Since(now); whole && took > tick/2 {
		// Sweeps over many releases leave half of the time to those that something came up for.
		*swept = now.Add(2*took - tick)
	}
	if !l.pollAt.Equal(due) {
		l.pollAt = now.Add(jittered(l.opts.Poll))
	}
	if ctx.Err() == nil && (whole || err != nil) {
		l.complaint.of(err, time.Now(), l.log)
	}
	if err != nil {
		return moving, tick
	}
	return moving, min(time.Until(l.nextPass(now, *swept, len(moving) > 0)), max(tick, l.opts.Poll))
}

// nextPass is when there is something to do though nobody wakes the loop.
func (l *Loop) nextPass(now, swept time.Time, moving bool) time.Time {
	next, sweep := l.pollAt, swept.Add(tick)
	if l.opts.Poll <= 0 || (moving && sweep.Before(next)) {
		next = sweep
	}
	if patrol := now.Add(patrolEvery); l.patrols() && patrol.Before(next) {
		next = patrol
	}
	if look := l.nextLook(); !look.IsZero() && look.Before(next) {
		next = look
	}
	return next
}

// deliverAll says what is to be said as it comes up, until ctx is done.
func (l *Loop) deliverAll(ctx context.Context) {
	for ctx.Err() == nil {
		if l.Deliver(ctx, time.Now()) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-l.errands.wake:
		case <-time.After(tick):
		}
	}
}

// jittered spreads polls, so that many instances do not ask at one time.
func jittered(d time.Duration) time.Duration {
	if d <= 0 {
		return tick
	}
	return d - rand.N(d/10+1)
}

// watch keeps one blocking query for each job in motion, up to maxWatches, and none for what rests.
func (l *Loop) watch(ctx context.Context, group *sync.WaitGroup, watches map[string]context.CancelFunc, moving []string) {
	watcher, ok := l.opts.Cluster.(Watcher)
	if !ok {
		return
	}
	for name, cancel := range watches {
		if !slices.Contains(moving, name) {
			cancel()
			delete(watches, name)
		}
	}
	for _, name := range moving {
		job := l.releases[name].record.Rollout.Job
		if watches[name] != nil || job == (strategy.JobRef{}) || len(watches) >= maxWatches {
			continue
		}
		watching, cancel := context.WithCancel(ctx)
		watches[name] = cancel
		group.Go(func() { l.follow(watching, watcher, name, job) })
	}
}

func (l *Loop) follow(ctx context.Context, watcher Watcher, name string, job strategy.JobRef) {
	index := uint64(0)
	for ctx.Err() == nil {
		next, err := watcher.Watch(ctx, job, index)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(retryWatch):
			}
			continue
		}
		if next != index && index != 0 {
			l.stirRelease(name)
		}
		if next == index || next == 0 {
			// Nothing to wait for: without a pause this would ask as fast as it can.
			select {
			case <-ctx.Done():
			case <-time.After(tick):
			}
		}
		index = next
	}
}
