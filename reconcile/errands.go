package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// errandTimeout bounds one thing to be said.
	errandTimeout = time.Minute
	// errandPause is how long a release's errands rest after a failure; it doubles up to longestPause.
	errandPause  = time.Second
	longestPause = 5 * time.Minute
)

// errands is what is to be said to Git and to the forge. It is done beside the passes, in the order of each release's
// outbox: nothing in the cluster waits for it. The records are what survives a crash; what was done and not recorded is
// found again by whoever does it once more. It is safe for concurrent use.
type errands struct {
	mu     sync.Mutex
	queues map[string]*queue // by release
	done   []finished
	wake   chan struct{}
	// incidents are the failed commits that concern a release still, by release.
	incidents map[string][]strategy.Incident
}

// queue is what is to be said of one release. Reverts, other tasks and reports are three lanes, each in its order: an issue
// that nobody takes keeps neither Git from being mended nor statuses from being told. It waits for the revert that it tells
// of.
type queue struct {
	tasks   []strategy.Task
	reports []strategy.Report
	rests   [3]rest // by lane
}

// lane is one of the three.
type lane int

const (
	laneReverts lane = iota
	laneTasks
	laneReports
)

// rest is the pause that failures have earned.
type rest struct {
	pause time.Duration
	next  time.Time
}

// finished is an errand that was done and is not in the record yet.
type finished struct {
	release string
	task    *strategy.Task
	result  string
	report  *strategy.Report
}

func newErrands() *errands {
	return &errands{queues: map[string]*queue{}, wake: make(chan struct{}, 1), incidents: map[string][]strategy.Incident{}}
}

// put takes over what a record says is to be said; what was done meanwhile is left out.
func (e *errands) put(release string, r strategy.Rollout) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.done {
		if f.release == release {
			r = f.into(r)
		}
	}
	e.incidents[release] = r.Incidents
	untold := r.Untold()
	if len(r.Outbox) == 0 && len(untold) == 0 {
		delete(e.queues, release)
		return
	}
	if e.queues[release] == nil {
		e.queues[release] = &queue{}
	}
	e.queues[release].tasks, e.queues[release].reports = slices.Clone(r.Outbox), untold
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// concerns tells whether the failure of a commit concerns another release than the one given, which has no better version
// yet.
func (e *errands) concerns(commit, but string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for release, incidents := range e.incidents {
		if release != but && slices.ContainsFunc(incidents, func(i strategy.Incident) bool { return i.Commit == commit }) {
			return commit != ""
		}
	}
	return false
}

// into is the record with the errand in it.
func (f finished) into(r strategy.Rollout) strategy.Rollout {
	if f.task != nil {
		r = r.Delivered(*f.task, f.result)
	}
	if f.report != nil {
		r = r.Tell(*f.report)
	}
	return r
}

// take is what was done since the last call.
func (e *errands) take() []finished {
	e.mu.Lock()
	defer e.mu.Unlock()
	done := e.done
	e.done = nil
	return done
}

// due is the releases of which something in a lane is to be tried now, in the order of their names.
func (e *errands) due(now time.Time, in lane) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var due []string
	for _, release := range slices.Sorted(maps.Keys(e.queues)) {
		if !now.Before(e.queues[release].rests[in].next) {
			due = append(due, release)
		}
	}
	return due
}

// first is what comes next in a lane of a release.
func (e *errands) first(release string, in lane) (*strategy.Task, *strategy.Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queues[release]
	switch {
	case q == nil:
	case in == laneReverts:
		return q.task(func(t strategy.Task) bool { return t.Kind == strategy.TaskRevert }), nil
	case in == laneTasks:
		task := q.task(func(t strategy.Task) bool { return t.Kind != strategy.TaskRevert })
		if task == nil || q.task(func(t strategy.Task) bool { return t.Kind == strategy.TaskRevert && t.Rollout == task.Rollout }) != nil {
			return nil, nil
		}
		return task, nil
	case in == laneReports && len(q.reports) > 0:
		report := q.reports[0]
		return nil, &report
	}
	return nil, nil
}

// task is the first task of a kind, nil when there is none.
func (q *queue) task(is func(strategy.Task) bool) *strategy.Task {
	n := slices.IndexFunc(q.tasks, is)
	if n < 0 {
		return nil
	}
	task := q.tasks[n]
	return &task
}

// finish takes an errand out of its queue; the issue learns what became of the revert.
func (e *errands) finish(f finished) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = append(e.done, f)
	q := e.queues[f.release]
	if q == nil {
		return
	}
	in := laneReports
	switch {
	case f.task == nil:
	case f.task.Kind == strategy.TaskRevert:
		in = laneReverts
	default:
		in = laneTasks
	}
	q.rests[in] = rest{}
	left := f.into(strategy.Rollout{Outbox: q.tasks, Reports: q.reports})
	q.tasks, q.reports = left.Outbox, left.Untold()
	if len(q.tasks) == 0 && len(q.reports) == 0 {
		delete(e.queues, f.release)
	}
}

// later is an error that says when to try again.
type later interface{ RetryAt() time.Time }

// fail lets a lane of a release rest for a while.
func (e *errands) fail(release string, in lane, now time.Time, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queues[release]
	if q == nil {
		return
	}
	r := &q.rests[in]
	var at later
	if errors.As(err, &at) { // It is nobody's fault, and no reason to wait longer the next time.
		r.next = now.Add(max(at.RetryAt().Sub(now), errandPause))
		return
	}
	r.pause = min(max(2*r.pause, errandPause), longestPause)
	r.next = now.Add(r.pause)
}

// Deliver says what is to be said: at most one revert, and of each release as much as goes without a failure. It may
// run beside Pass, but not beside itself. The next pass records what was done.
func (l *Loop) Deliver(ctx context.Context, now time.Time) {
	reverted := false
	for _, in := range []lane{laneReverts, laneTasks, laneReports} {
		for _, release := range l.errands.due(now, in) {
			for ctx.Err() == nil {
				task, report := l.errands.first(release, in)
				if task == nil && report == nil {
					break
				}
				if task != nil && task.Kind == strategy.TaskRevert {
					if reverted {
						break // The next one is made on the head that this one leaves.
					}
					reverted = true
				}
				if err := l.errand(ctx, release, task, report); err != nil {
					l.metrics.delivered(task, "error")
					l.log.Warn("not delivered", "release", release, "error", err)
					l.errands.fail(release, in, now, err)
					break
				}
				l.metrics.delivered(task, "ok")
			}
		}
	}
}

// errand says one thing.
func (l *Loop) errand(ctx context.Context, release string, task *strategy.Task, report *strategy.Report) error {
	ctx, cancel := context.WithTimeout(ctx, errandTimeout)
	defer cancel()
	f := finished{release: release, task: task, report: report}
	var err error
	switch {
	case report != nil:
		err = l.tell(ctx, release, *report)
	case task.Kind == strategy.TaskRevert:
		f.result, err = l.revert(ctx, release, *task)
	case task.Kind == strategy.TaskIssue:
		f.result, err = l.openIssue(ctx, release, *task)
	case task.Kind == strategy.TaskClose:
		err = l.closeIssue(ctx, release, *task)
	}
	if err != nil {
		return err
	}
	l.errands.finish(f)
	l.Wake()
	return nil
}

// record takes what was delivered into the records; the pass stores them.
func (l *Loop) record() {
	for _, f := range l.errands.take() {
		if t := l.releases[f.release]; t != nil {
			t.record.Rollout = f.into(t.record.Rollout)
			t.restingOn = ""
		}
	}
}
