package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	// socketTimeout bounds one exchange with HAProxy.
	socketTimeout = 5 * time.Second
	// maxSaid bounds what HAProxy may answer, in bytes.
	maxSaid = 16 << 20
	// maxLine is a little less than what HAProxy reads as one line of commands (tune.bufsize, 16 KiB).
	maxLine = 12 << 10
)

// socket is the runtime API of one HAProxy process. Each exchange is a connection of its own, as HAProxy's default is.
type socket struct {
	name             string // as it was configured
	network, address string
	folder           string // that its process begins with; "" for none
}

// parseSocket reads "unix:/run/haproxy.sock", "/run/haproxy.sock" or "tcp:127.0.0.1:9999".
func parseSocket(name string) (socket, error) {
	kind, rest, found := strings.Cut(name, ":")
	switch {
	case strings.HasPrefix(name, "/"):
		return socket{name: name, network: "unix", address: name}, nil
	case found && kind == "unix" && rest != "":
		return socket{name: name, network: "unix", address: rest}, nil
	case found && kind == "tcp":
		if _, _, err := net.SplitHostPort(rest); err == nil {
			return socket{name: name, network: "tcp", address: rest}, nil
		}
	}
	return socket{}, fmt.Errorf("socket %q is neither \"unix:/path\" nor \"tcp:host:port\"", name)
}

// ask sends one command and returns the answer.
func (s socket) ask(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, s.network, s.address)
	if err != nil {
		return "", s.explain(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", s.explain(ctx, err)
	}
	said, err := io.ReadAll(io.LimitReader(conn, maxSaid))
	if err != nil {
		return "", s.explain(ctx, err)
	}
	answer := strings.TrimSpace(string(said))
	if strings.Contains(answer, "Permission denied") {
		return "", fmt.Errorf("HAProxy at %s does not allow %q: its stats socket needs `level admin`", s.name, command)
	}
	return answer, nil
}

func (s socket) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return fmt.Errorf("ask HAProxy at %s: %w", s.name, err)
}

// change is a command, with the answers that mean that it was done: an empty one is always good.
type change struct {
	command string
	fine    []string // parts of further good answers
}

// do makes changes in their order; as many as fit go in one line, which HAProxy works through at once. A wrong answer is
// looked for in all of them, since HAProxy goes on after it.
func (s socket) do(ctx context.Context, changes []change) error {
	for len(changes) > 0 {
		n, size := 0, 0
		for n < len(changes) && (n == 0 || size+len(changes[n].command) < maxLine) {
			size += len(changes[n].command) + 1
			n++
		}
		if err := s.doLine(ctx, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

func (s socket) doLine(ctx context.Context, changes []change) error {
	commands := make([]string, len(changes))
	var fine []string
	for i, c := range changes {
		commands[i] = c.command
		fine = append(fine, c.fine...)
	}
	said, err := s.ask(ctx, strings.Join(commands, ";"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		good := line == ""
		for _, f := range fine {
			good = good || strings.Contains(line, f)
		}
		if !good {
			return fmt.Errorf("HAProxy at %s says %q to one of: %s", s.name, line, strings.Join(commands, "; "))
		}
	}
	return nil
}
