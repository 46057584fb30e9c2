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

// Halt kills a server, or an agent that joined, as a machine does that loses its power; the tasks go on. Restart brings
// it back. An agent that is both at once would end the tasks of the client when it comes back: it registers their
// services with a server that has no leader yet, and takes the refusal for a failed start.
func (a *Agent) Halt() error {
	if a.kind == forgetful {
		return errors.New("halt nomad: this agent would forget everything: use StartServer")
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
