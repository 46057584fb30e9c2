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
	// reportsAtOnce bounds how many reports are told in one go: what failed before is to be tried again in time.
	reportsAtOnce = 30
)

// errands is what is to be said to Git and to the forge. It is done beside the passes, in the order of each release's
// outbox: nothing in the cluster waits for it. The records are what survives a crash; what was done and not recorded is
// found again by whoever does it once more. It is safe for concurrent use.
type errands struct {
	mu     sync.Mutex
	queues map[string]*queue // by release
	done   []finished
	wake   chan struct{}
	// hush is until when no report is told: the forge asks to wait.
	hush time.Time
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

// forget leaves what is to be said to the records, which are read again. What was done stays to be recorded.
func (e *errands) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.queues)
	clear(e.incidents)
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

// errand is one thing that is to be said of a release.
type errand struct {
	release string
	in      lane
	task    *strategy.Task
	report  *strategy.Report
}

// next is what comes first now: reverts, other tasks, reports, and last of all those that nothing was to be done; of several
// releases the one that is first in the alphabet. nil when nothing is due.
func (e *errands) next(now time.Time, reverted bool, reports int) *errand {
	e.mu.Lock()
	defer e.mu.Unlock()
	var quiet *errand
	names := slices.Sorted(maps.Keys(e.queues))
	for _, in := range []lane{laneReverts, laneTasks, laneReports} {
		if in == laneReverts && reverted || in == laneReports && (reports == reportsAtOnce || now.Before(e.hush)) {
			continue // The next revert is made on the head that this one leaves.
		}
		for _, release := range names {
			q := e.queues[release]
			if now.Before(q.rests[in].next) {
				continue
			}
			task, report := q.first(in)
			found := &errand{release, in, task, report}
			switch {
			case task == nil && report == nil:
			case report != nil && report.IsQuiet():
				if quiet == nil {
					quiet = found
				}
			default:
				return found
			}
		}
	}
	return quiet
}

// first is what comes next in a lane.
func (q *queue) first(in lane) (*strategy.Task, *strategy.Report) {
	isRevert := func(t strategy.Task) bool { return t.Kind == strategy.TaskRevert }
	switch {
	case in == laneReverts:
		return q.task(isRevert), nil
	case in == laneTasks:
		task := q.task(func(t strategy.Task) bool { return !isRevert(t) })
		if task == nil || q.task(func(t strategy.Task) bool { return isRevert(t) && t.Rollout == task.Rollout }) != nil {
			return nil, nil
		}
		return task, nil
	case len(q.reports) > 0:
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
		if in == laneReports {
			e.hush = r.next
		}
		return
	}
	r.pause = min(max(2*r.pause, errandPause), longestPause)
	r.next = now.Add(r.pause)
}

// Deliver says what is to be said, the most important first: at most one revert, and so many reports; left tells that there
// are more. It may run beside Pass, but not beside itself. The next pass records what was done.
func (l *Loop) Deliver(ctx context.Context, now time.Time) (left bool) {
	reverted, reports := false, 0
	for ctx.Err() == nil {
		e := l.errands.next(now, reverted, reports)
		if e == nil {
			return reports == reportsAtOnce
		}
		switch e.in {
		case laneReverts:
			reverted = true
		case laneReports:
			reports++
		case laneTasks:
		}
		if err := l.deliver(ctx, e); err != nil {
			if ctx.Err() != nil {
				return false // Whoever leads next finds out what took effect.
			}
			l.metrics.delivered(e.task, "error")
			l.log.Warn("not delivered", "release", e.release, "error", err)
			l.errands.fail(e.release, e.in, now, err)
			continue
		}
		l.metrics.delivered(e.task, "ok")
	}
	return false
}

// deliver says one thing.
func (l *Loop) deliver(ctx context.Context, e *errand) error {
	ctx, cancel := context.WithTimeout(ctx, errandTimeout)
	defer cancel()
	f := finished{release: e.release, task: e.task, report: e.report}
	var err error
	switch {
	case e.report != nil:
		err = l.tell(ctx, e.release, *e.report)
	case e.task.Kind == strategy.TaskRevert:
		f.result, err = l.revert(ctx, e.release, *e.task)
	case e.task.Kind == strategy.TaskIssue:
		f.result, err = l.openIssue(ctx, e.release, *e.task)
	case e.task.Kind == strategy.TaskClose:
		err = l.closeIssue(ctx, e.release, *e.task)
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
			t.restingOn, t.attention.stir = "", true
		}
	}
}
