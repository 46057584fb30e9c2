package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// perform does the actions in their order, and stops at the first that fails: those after it wait for the next pass.
func (l *Loop) perform(ctx context.Context, t *tracked, actions []strategy.Action, now time.Time) error {
	for _, a := range actions {
		if err := l.act(ctx, t, a, now); err != nil {
			l.metrics.actions.WithLabelValues(string(a.Kind), "error").Inc()
			return err
		}
		l.metrics.actions.WithLabelValues(string(a.Kind), "ok").Inc()
	}
	return nil
}

func (l *Loop) act(ctx context.Context, t *tracked, a strategy.Action, now time.Time) error {
	switch a.Kind {
	case strategy.ActSetSplit:
		return l.setSplit(ctx, a.Router, *a.Split)
	case strategy.ActRegister:
		return l.register(ctx, t, *a.Registration)
	case strategy.ActSmoke:
		return l.smoke(ctx, t, a)
	case strategy.ActDeliver:
		return l.deliver(ctx, t, *a.Task, now)
	case strategy.ActPromote:
		if err := l.opts.Cluster.Promote(ctx, a.Job, a.Deployment); err != nil {
			return fmt.Errorf("promote deployment %s: %w", a.Deployment, err)
		}
	case strategy.ActStop:
		if err := l.opts.Cluster.Stop(ctx, a.Job, a.ModifyIndex); err != nil {
			return fmt.Errorf("stop job %s: %w", a.Job, err)
		}
	case strategy.ActMarkGood, strategy.ActMarkBad, strategy.ActReplace, strategy.ActScale:
		return l.keep(ctx, a)
	}
	return nil
}

// keep does what not every cluster can.
func (l *Loop) keep(ctx context.Context, a strategy.Action) error {
	err := errors.New("this cluster cannot do that")
	switch a.Kind {
	case strategy.ActMarkGood:
		if c, ok := l.opts.Cluster.(Keeper); ok {
			err = c.MarkGood(ctx, a.Job, a.Version)
		}
	case strategy.ActReplace:
		if c, ok := l.opts.Cluster.(Keeper); ok {
			err = c.Replace(ctx, a.Job, a.Alloc)
		}
	case strategy.ActMarkBad:
		if c, ok := l.opts.Cluster.(Condemner); ok {
			err = c.MarkBad(ctx, a.Job, a.Version, a.Revision)
		}
	case strategy.ActScale:
		if c, ok := l.opts.Cluster.(Scaler); ok {
			err = c.Scale(ctx, a.Job, a.Group, a.Count)
		}
	case strategy.ActSetSplit, strategy.ActRegister, strategy.ActSmoke, strategy.ActDeliver, strategy.ActPromote, strategy.ActStop:
	}
	if err != nil {
		return fmt.Errorf("%s on job %s: %w", a.Kind, a.Job, err)
	}
	return nil
}

func (l *Loop) setSplit(ctx context.Context, router string, split strategy.Split) error {
	traffic, err := l.router(router)
	if err != nil {
		return err
	}
	if err := traffic.Router.Apply(ctx, split); err != nil {
		return fmt.Errorf("set the weight to %s: %w", split.Weight, err)
	}
	return nil
}

func (l *Loop) register(ctx context.Context, t *tracked, r strategy.Registration) error {
	r.Marker.Instance = l.opts.Instance
	unchanged, err := l.opts.Cluster.Register(ctx, r)
	if err != nil {
		return fmt.Errorf("register %s as %s: %w", r.Marker.Revision, r.Marker.Role, err)
	}
	if unchanged {
		t.unchanged = r.Marker.Rollout
	}
	return nil
}

// smokeTimeout bounds all smoke checks of a release together: what takes longer is asked again in the next pass, until the
// deadline of placing.
const smokeTimeout = time.Minute

// smoke keeps what the canaries answered for the next look. It is not stored: a Drover that starts anew asks again.
func (l *Loop) smoke(ctx context.Context, t *tracked, a strategy.Action) error {
	if l.opts.Prober == nil {
		return errors.New("run the smoke checks: no prober is configured")
	}
	ctx, cancel := context.WithTimeout(ctx, smokeTimeout)
	defer cancel()
	failed, err := l.opts.Prober.Smoke(ctx, a.Smoke, a.Endpoints)
	if err != nil {
		return fmt.Errorf("run the smoke checks: %w", err)
	}
	t.smoke = &strategy.SmokeResult{Rollout: t.record.Rollout.ID, Failed: failed}
	return nil
}

// mayRevert lets one revert through in a pass.
func (l *Loop) mayRevert() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	may := !l.reverted
	l.reverted = true
	return may
}

// deliver performs a task of the outbox and takes it out. Tasks of one rollout are performed in order, so that the issue
// names the revert.
func (l *Loop) deliver(ctx context.Context, t *tracked, task strategy.Task, now time.Time) error {
	for _, first := range t.record.Rollout.Outbox {
		if first.Rollout != task.Rollout {
			continue
		}
		if first.Kind != task.Kind {
			return nil // An earlier one of this rollout is still there.
		}
		task = first
		break
	}
	var result string
	var err error
	switch task.Kind {
	case strategy.TaskRevert:
		if !l.mayRevert() {
			return nil // In another pass: the next head is read first.
		}
		result, err = l.revert(ctx, t.record.Rollout.Release, task)
	case strategy.TaskIssue:
		result, err = l.openIssue(ctx, t.record.Rollout.Release, task)
	}
	if err != nil {
		return err
	}
	t.record.Rollout = t.record.Rollout.Delivered(task, result)
	return l.store(ctx, t, now)
}
