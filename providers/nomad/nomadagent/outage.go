package nomadagent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Freeze stops the agent in its tracks: it answers nobody, and its tasks go on. Thaw lets it go on.
func (a *Agent) Freeze() error { return a.signal("freeze", syscall.SIGSTOP) }

// Thaw is the end of Freeze. One that is not frozen does not notice.
func (a *Agent) Thaw() error { return a.signal("thaw", syscall.SIGCONT) }

func (a *Agent) signal(what string, s syscall.Signal) error {
	if err := a.command.Process.Signal(s); err != nil {
		return fmt.Errorf("%s nomad: %w", what, err)
	}
	return nil
}

// Halt kills a durable agent, or one that joined, as a machine that loses its power does, save that its tasks go on.
// Restart brings it back.
func (a *Agent) Halt() error {
	if a.kind == forgetful {
		return errors.New("halt nomad: this agent would forget everything: use StartDurable")
	}
	if err := a.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("halt nomad: %w", err)
	}
	<-a.exited
	return a.log.Close()
}

// Restart starts an agent that was halted, at its old address, and returns when it takes jobs.
func (a *Agent) Restart(ctx context.Context) error {
	if err := a.launch(); err != nil {
		return fmt.Errorf("restart nomad: %w", err)
	}
	if err := a.waitReady(ctx); err != nil {
		return fmt.Errorf("restart nomad: %w%s", err, a.lastLog())
	}
	return nil
}
