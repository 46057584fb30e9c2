package nomad

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// The times of the lock. Nomad gives a lock of a silent holder away 2 x lockTTL + lockDelay after the last renewal that it
// saw; the holder itself stops after leaseTime without an answer, counted from when it asked.
const (
	lockTTL      = 10 * time.Second // the least that Nomad takes
	lockDelay    = time.Second
	leaseTime    = 8 * time.Second
	renewEvery   = 3 * time.Second
	renewAgain   = time.Second     // after a renewal that failed
	lockTry      = time.Second     // between tries while a lock is free and not given yet
	lockPause    = 5 * time.Second // at most, between tries while Nomad is away
	requestLimit = 4 * time.Second
)

// Lock is the leader lock of an instance: a lock on the Nomad Variable <instance>/leader, whose items say who holds it.
type Lock struct {
	client    *api.Client
	namespace string
	path      string
	self      holder
	logger    *slog.Logger
}

// LockOptions are what a Lock needs beside a client.
type LockOptions struct {
	Instance  string // of Drover; "drover" when empty
	Namespace string // of the variable; "default" when empty
	Name      string // where this process runs, for people
	Logger    *slog.Logger
}

// holder is who holds the lock, as its variable says it.
type holder struct {
	Name    string    `json:"name"`
	Process string    `json:"process"` // no other has it, so that a process knows its own lock again
	Since   time.Time `json:"since"`
}

// NewLock builds the lock of an instance. Holding it needs read and write on the variable <instance>/leader.
func NewLock(client *api.Client, options LockOptions) *Lock {
	return &Lock{
		client: client, namespace: cmp.Or(options.Namespace, api.DefaultNamespace), path: segment(cmp.Or(options.Instance, "drover")) + "/leader",
		self: holder{Name: options.Name, Process: rand.Text()}, logger: logTo(options.Logger),
	}
}

// Lead waits for the lock, and calls work while it is held, with a context that ends when it is lost, or when for eight
// seconds nobody said that it is not: long before Nomad gives it to another. Then it waits for work to return, and for the
// lock again. It returns when ctx is done and work has returned, with the lock released, so that another has it at once.
func (l *Lock) Lead(ctx context.Context, work func(ctx context.Context)) {
	for ctx.Err() == nil {
		if held, ok := l.acquire(ctx); ok {
			l.hold(ctx, held, work)
		}
	}
}

// Leader is the name of who holds the lock; "" when nobody does.
func (l *Lock) Leader(ctx context.Context) (string, error) {
	variable, _, err := l.client.Variables().Peek(l.path, query(ctx, l.namespace))
	if err != nil {
		return "", fmt.Errorf("read who leads: variable %s: %w", l.path, err)
	}
	held, err := l.isHeld(ctx, variable)
	if err != nil || !held {
		return "", err
	}
	return leaderOf(variable).Name, nil
}

// nobodysLock is the id of a lock that nobody has.
const nobodysLock = "00000000-0000-0000-0000-000000000000"

// isHeld tells whether anybody holds the lock of the variable that was read. With ACLs Nomad shows the lock to management
// tokens alone: others learn of it by how a renewal is refused, which needs the right to write the variable.
func (l *Lock) isHeld(ctx context.Context, variable *api.Variable) (bool, error) {
	if variable == nil || variable.Lock != nil {
		return variable != nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	_, _, err := l.client.Variables().RenewLock(&api.Variable{
		Namespace: l.namespace, Path: l.path, Lock: &api.VariableLock{ID: nobodysLock},
	}, write(ctx, l.namespace))
	switch {
	case err == nil:
		return false, errors.New("ask whether the leader lock is held: nomad renewed a lock that nobody has")
	case conflicts(err):
		return strings.Contains(err.Error(), "attempting to modify locked variable"), nil
	case isNotFound(err):
		return false, nil
	}
	return false, fmt.Errorf("ask whether the leader lock is held: %w", err)
}

// leaderOf is who holds a lock that is held.
func leaderOf(variable *api.Variable) holder {
	who := holder{}
	if err := json.Unmarshal([]byte(variable.Items[jsonItem]), &who); err != nil || who.Name == "" {
		who.Name = "somebody" // Who locks by hand may say nothing.
	}
	return who
}

// held is the lock as this process has it.
type held struct {
	id string
	at time.Time // when the renewal, or the acquisition, was asked for that Nomad answered last
}

// acquire waits for the lock. It returns without it when ctx ends.
func (l *Lock) acquire(ctx context.Context) (held, bool) {
	pause, waiting := firstPause, ""
	for ctx.Err() == nil {
		got, err := l.try(ctx)
		switch {
		case err == nil:
			return got, true
		case errors.Is(err, strategy.ErrConflict):
			pause = firstPause
			waiting = l.await(ctx, waiting)
		case ctx.Err() == nil:
			l.logger.WarnContext(ctx, "leader lock not acquired", "path", l.path, "error", err)
			_ = sleep(ctx, pause) // The loop looks at ctx.
			pause = min(2*pause, lockPause)
		}
	}
	return held{}, false
}

// try asks for the lock once. strategy.ErrConflict says that another holds it, or that it is not given yet.
func (l *Lock) try(ctx context.Context) (held, error) {
	asked := time.Now()
	self := l.self
	self.Since = asked.UTC().Round(time.Second)
	text, err := json.Marshal(self)
	if err != nil {
		return held{}, fmt.Errorf("write who leads: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	got, _, err := l.client.Variables().AcquireLock(&api.Variable{
		Namespace: l.namespace, Path: l.path, Items: api.VariableItems{jsonItem: string(text)},
		Lock: &api.VariableLock{TTL: lockTTL.String(), LockDelay: lockDelay.String()},
	}, write(ctx, l.namespace))
	switch {
	case err == nil && got.Lock != nil:
		return held{id: got.Lock.ID, at: asked}, nil
	case err == nil:
		return held{}, errors.New("acquire the leader lock: nomad named no lock in its answer")
	case conflicts(err):
		return held{}, fmt.Errorf("acquire the leader lock: %w", strategy.ErrConflict)
	}
	return held{}, fmt.Errorf("acquire the leader lock: %w", err)
}

// conflicts tells whether another holds the lock.
func conflicts(err error) bool {
	var conflict api.ErrCASConflict
	return errors.As(err, &conflict) || statusOf(err) == http.StatusConflict
}

// await waits until the lock may be free. It takes and returns whom it said it waits for, to say it once.
func (l *Lock) await(ctx context.Context, said string) string {
	options, wasHeld := query(ctx, l.namespace), false
	for ctx.Err() == nil {
		variable, meta, err := l.client.Variables().Peek(l.path, options)
		held := false
		if err == nil {
			held, err = l.isHeld(ctx, variable)
		}
		if err != nil {
			_ = sleep(ctx, lockTry)
			return said
		}
		if !held {
			if !wasHeld {
				// In the time for which Nomad keeps it from everybody after its holder fell silent.
				_ = sleep(ctx, lockTry)
			}
			return said
		}
		wasHeld = true
		who := leaderOf(variable)
		if who.Process == l.self.Process && variable.Lock != nil {
			// An acquisition of ours whose answer was lost: nobody renews it, so it is given back.
			l.release(ctx, variable.Lock.ID)
			return said
		}
		if who.Name != said && who.Process != l.self.Process {
			said = who.Name
			l.logger.InfoContext(ctx, "another leads", "leader", said, "since", who.Since)
		}
		options.WaitIndex, options.WaitTime = meta.LastIndex, longestWait
	}
	return said
}

// hold has the work done while the lock is held, and releases it afterwards.
func (l *Lock) hold(ctx context.Context, h held, work func(context.Context)) {
	leading, lose := context.WithCancel(ctx)
	defer lose()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(leading)
	}()
	// Renewed until the work has returned, also when it takes its time after ctx is done.
	renewing := context.WithoutCancel(ctx)
	lost := l.renew(renewing, h, lose, done)
	lose()
	<-done
	if !lost {
		l.release(renewing, h.id)
	}
}

// renew keeps the lock until done. It calls lose, and returns true, when the lock is lost.
func (l *Lock) renew(ctx context.Context, h held, lose func(), done <-chan struct{}) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lease := time.AfterFunc(time.Until(h.at.Add(leaseTime)), func() {
		lose()
		cancel()
	})
	defer lease.Stop()
	pause := renewEvery
	for {
		timer := time.NewTimer(pause)
		select {
		case <-done:
			timer.Stop()
			return false
		case <-ctx.Done():
			timer.Stop()
			l.logger.Error("leader lock lost", "path", l.path, "error", "nomad did not answer in time")
			return true
		case <-timer.C:
		}
		asked := time.Now()
		switch err := l.renewOnce(ctx, h.id); {
		case err == nil:
			if !lease.Reset(time.Until(asked.Add(leaseTime))) {
				lease.Stop() // The lease was over before the answer came.
				lose()
				return true
			}
			pause = renewEvery
		case errors.Is(err, strategy.ErrConflict):
			l.logger.Error("leader lock lost", "path", l.path, "error", err)
			lose()
			return true
		default:
			l.logger.Warn("leader lock not renewed", "path", l.path, "error", err)
			pause = renewAgain
		}
	}
}

// renewOnce asks for one renewal. strategy.ErrConflict says that the lock is not ours any more.
func (l *Lock) renewOnce(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	_, _, err := l.client.Variables().RenewLock(&api.Variable{
		Namespace: l.namespace, Path: l.path, Lock: &api.VariableLock{ID: id},
	}, write(ctx, l.namespace))
	switch {
	case err == nil:
		return nil
	case conflicts(err), isNotFound(err):
		return fmt.Errorf("renew the leader lock: %w: %w", strategy.ErrConflict, err)
	}
	return fmt.Errorf("renew the leader lock: %w", err)
}

// release gives the lock back, so that nobody waits for its end.
func (l *Lock) release(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	_, _, err := l.client.Variables().ReleaseLock(&api.Variable{
		Namespace: l.namespace, Path: l.path, Lock: &api.VariableLock{ID: id},
	}, write(ctx, l.namespace))
	if err != nil {
		l.logger.Warn("leader lock not released: another leads after 21s at the latest", "path", l.path, "error", err)
	}
}
