package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// The daemon obeys people over a socket in its state directory: who may write there may command. It does so over HTTP too,
// when that has a token. commandTimeout is for a pass that is under way to end, patience for the answer to that.
const (
	socketName     = "drover.sock"
	maxSocketPath  = 107 // of Linux; others take a few bytes less
	commandTimeout = 30 * time.Second
	patience       = commandTimeout + 5*time.Second
	maxCommand     = 4 << 10
)

// order is what a person asks for, on its way to the daemon; verdict what the daemon answers.
type order struct {
	Release string               `json:"release"`
	Kind    strategy.CommandKind `json:"kind"`
	By      string               `json:"by"`
}

type obeyed struct {
	Rollout strategy.Rollout `json:"rollout"`
	Error   string           `json:"error,omitempty"`
}

// serveCommands listens on the socket until ctx is done. A socket that a dead daemon left is taken over; a live one's is
// not.
func serveCommands(ctx context.Context, group *errgroup.Group, dir string, loop *reconcile.Loop, lead *leadership) error {
	path := filepath.Join(dir, socketName)
	if len(path) > maxSocketPath {
		return fmt.Errorf("listen for commands at %s: the path has %d bytes and the system takes %d: choose a shorter state_dir", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	dialer := net.Dialer{Timeout: time.Second}
	if conn, err := dialer.DialContext(ctx, "unix", path); err == nil {
		return errors.Join(fmt.Errorf("another drover runs on the state directory %s: stop it, or set another state_dir", dir), conn.Close())
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take over the socket of an earlier run: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("listen for commands: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("keep the socket to its owner: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /command", func(w http.ResponseWriter, r *http.Request) { obey(w, r, loop, lead) })
	serveOn(ctx, group, listener, mux)
	return nil
}

func obey(w http.ResponseWriter, r *http.Request, loop *reconcile.Loop, lead *leadership) {
	var asked order
	if err := json.NewDecoder(io.LimitReader(r.Body, maxCommand)).Decode(&asked); err != nil {
		http.Error(w, "read the command: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
	defer cancel()
	var answer obeyed
	err := lead.refuses(ctx)
	if err == nil {
		answer.Rollout, err = loop.Do(ctx, asked.Release, strategy.Command{Kind: asked.Kind, By: asked.By})
	}
	if err != nil {
		answer.Error = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// runCommand makes the subcommand that sends one kind of command to the daemon.
func runCommand(kind strategy.CommandKind) func(context.Context, *console, []string) int {
	return func(ctx context.Context, c *console, args []string) int {
		f := c.flags(string(kind), string(kind)+" [-config drover.hcl | -address URL] RELEASE")
		daemon, code, done := c.reach(f, args, 1)
		if done {
			return code
		}
		rollout, err := daemon.send(ctx, order{Release: f.Arg(0), Kind: kind, By: person()})
		if err != nil {
			return c.fail(err)
		}
		if problem := strategy.Unobeyed(kind, rollout); problem != "" {
			return c.fail(fmt.Errorf("%s %s: %s", kind, f.Arg(0), problem))
		}
		c.printf("%s: %s\n", f.Arg(0), strategy.Obeyed(kind, rollout))
		return 0
	}
}

// runAcceptHead sends the one command that is of no release.
func runAcceptHead(ctx context.Context, c *console, args []string) int {
	f := c.flags("accept-head", "accept-head [-config drover.hcl | -address URL]\n\nAccepts the branch as it is after a forced push: what it asks for may begin.")
	daemon, code, done := c.reach(f, args, 0)
	if done {
		return code
	}
	rollout, err := daemon.send(ctx, order{Kind: strategy.CommandAcceptHead, By: person()})
	if err != nil {
		return c.fail(err)
	}
	c.printf("%s\n", rollout.Reason.Text)
	return 0
}

// daemon is a drover run that takes commands.
type daemon struct {
	client *http.Client
	url    string // before /command
	token  string // "" over the socket
	where  string // for people
	remedy string // when nobody is there
}

// overSocket is the daemon of a state directory.
func overSocket(dir string) *daemon {
	path := filepath.Join(dir, socketName)
	return &daemon{
		client: &http.Client{Timeout: patience, Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", path)
			},
		}},
		url: "http://drover", where: path,
		remedy: "run this where drover run runs, with its configuration, or reach it with -address",
	}
}

// reach reads the flags of a command, and says which daemon is meant. When done is true, code is what to exit with.
func (c *console) reach(f *flag.FlagSet, args []string, want int) (d *daemon, code int, done bool) {
	address := f.String("address", "", "the daemon's http block, instead of the socket of its configuration: http://127.0.0.1:9090")
	tokenFile := f.String("token-file", "", "with -address: the file of the token, instead of "+tokenVariable)
	conf, code, done := c.flagged(f, args, want)
	if done {
		return nil, code, true
	}
	if *address != "" {
		d, err := overHTTP(*address, *tokenFile)
		if err != nil {
			return nil, c.fail(err), true
		}
		return d, 0, false
	}
	read, err := readConfig(conf)
	if err != nil {
		return nil, c.fail(err), true
	}
	return overSocket(read.StateDir), 0, false
}

// send gives an order to the daemon, and returns the rollout after it.
func (d *daemon) send(ctx context.Context, o order) (strategy.Rollout, error) {
	defer d.client.CloseIdleConnections()
	text, err := json.Marshal(o)
	if err != nil {
		return strategy.Rollout{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/command", bytes.NewReader(text))
	if err != nil {
		return strategy.Rollout{}, err
	}
	if d.token != "" {
		request.Header.Set("Authorization", "Bearer "+d.token)
	}
	response, err := d.client.Do(request)
	if err != nil {
		if cause := new(net.OpError); errors.As(err, &cause) {
			err = cause.Err
		}
		return strategy.Rollout{}, fmt.Errorf("no drover answers at %s (%w): %s", d.where, err, d.remedy)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, err := io.ReadAll(io.LimitReader(response.Body, maxCommand))
		return strategy.Rollout{}, errors.Join(fmt.Errorf("the daemon refused: %s", strings.TrimSpace(string(said))), err)
	}
	var answer obeyed
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return strategy.Rollout{}, fmt.Errorf("read the daemon's answer: %w", err)
	}
	if answer.Error != "" {
		return answer.Rollout, errors.New(answer.Error)
	}
	return answer.Rollout, nil
}

// person is who sits at the terminal, for the timeline.
func person() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "somebody"
}
