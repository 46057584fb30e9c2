package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// perform does the actions in their order, and stops at the first that fails: those after it wait for the next pass. A
// router that does not take its split holds nothing else up.
func (l *Loop) perform(ctx context.Context, t *tracked, actions []strategy.Action) error {
	var refused error
	for _, a := range actions {
		if a.Kind == strategy.ActDeliver {
			continue // Beside the passes: see errands.
		}
		err := l.act(ctx, t, a)
		if a.Kind != strategy.ActSetSplit {
			t.actProblem = ""
			if err != nil {
				t.actProblem = cause(err)
			}
		}
		switch {
		case err == nil:
			l.metrics.actions.WithLabelValues(string(a.Kind), "ok").Inc()
			continue
		case a.Kind == strategy.ActSetSplit:
			refused = errors.Join(refused, err)
		}
		l.metrics.actions.WithLabelValues(string(a.Kind), "error").Inc()
		if a.Kind != strategy.ActSetSplit {
			return errors.Join(refused, err)
		}
	}
	return refused
}

// cause is the end of an error's text: what was being tried is said beside it.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.HasSuffix(err.Error(), inner.Error()) {
			return err.Error()
		}
		err = inner
	}
}

func (l *Loop) act(ctx context.Context, t *tracked, a strategy.Action) error {
	switch a.Kind {
	case strategy.ActSetSplit:
		return l.setSplit(ctx, t, a.Router, *a.Split)
	case strategy.ActRegister:
		return l.register(ctx, t, *a.Registration)
	case strategy.ActSmoke:
		return l.smoke(ctx, t, a)
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
	case strategy.ActDeliver:
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

func (l *Loop) setSplit(ctx context.Context, t *tracked, router string, split strategy.Split) error {
	traffic, err := l.router(router)
	if err == nil {
		err = traffic.Router.Apply(ctx, split)
		t.split.asked(split, err)
	}
	if err != nil {
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
