// Package nomadagent starts a real Nomad development agent for tests and demos: one server and one client in one
// process, on free ports of the loopback, with its state in a directory of its own. It decides how the agent is
// configured, and that nothing of it is left behind; what runs on it is the caller's.
//
// The agent runs as the user it was started by. Its tasks are ended with it, which needs that user's rights only.
package nomadagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// startTimeout bounds how long an agent may take until it places allocations; stopTimeout how long its tasks and it may
// take to end.
const (
	startTimeout = 3 * time.Minute
	stopTimeout  = 30 * time.Second
)

// stateDirs are what the agent keeps below its directory, and what Stop removes.
var stateDirs = []string{"state", "alloc", "mounts", "data"}

// Agent is a Nomad agent that runs.
type Agent struct {
	Address string // of its HTTP API, http://127.0.0.1:port
	Node    string // id of its client; "" of a server alone
	Token   string // that may do anything; "" where ACLs are off

	kind    kind
	acl     bool
	server  *Agent // of one that joined
	name    string // of its node
	ports   ports
	binary  string
	client  *api.Client
	command *exec.Cmd
	exited  chan struct{} // closed when the process is gone
	log     *os.File
	dir     string
}

// Binary finds Nomad: the path in DROVER_NOMAD, else bin/nomad of the repository whose integration directory is at or
// above the working directory, else the PATH. The error says how to build one.
func Binary() (string, error) {
	if path := os.Getenv("DROVER_NOMAD"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("find nomad: DROVER_NOMAD: %w", err)
		}
		return filepath.Abs(path)
	}
	for _, up := range []string{"bin", "../bin", "../../bin"} {
		path, err := filepath.Abs(filepath.Join(up, "nomad"))
		if err != nil {
			return "", fmt.Errorf("find nomad: %w", err)
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	path, err := exec.LookPath("nomad")
	if err != nil {
		return "", errors.New("find nomad: no binary in DROVER_NOMAD, bin/nomad or the PATH: run `make bin/nomad` at the root of the repository")
	}
	return path, nil
}

// Start starts an agent from a Nomad binary, with its configuration, log and state below dir, and returns when it takes
// jobs. The agent runs until Stop; ctx bounds only the start.
func Start(ctx context.Context, dir, binary string) (*Agent, error) {
	return start(ctx, &Agent{kind: forgetful, dir: dir, binary: binary})
}

// StartWithACL is as Start, but the agent refuses who has no token. Its client has Token, the first one.
func StartWithACL(ctx context.Context, dir, binary string) (*Agent, error) {
	return start(ctx, &Agent{kind: forgetful, acl: true, dir: dir, binary: binary})
}

// StartServer starts an agent that takes no allocations itself: others join it. What it knows is on disk, and outlives
// Halt.
func StartServer(ctx context.Context, dir, binary string) (*Agent, error) {
	return start(ctx, &Agent{kind: server, dir: dir, binary: binary})
}

// Join starts another client of the agent's server, with its state below dir. It is stopped by itself, before the agent.
func (a *Agent) Join(ctx context.Context, dir string) (*Agent, error) {
	return start(ctx, &Agent{kind: joined, server: a, dir: dir, binary: a.binary})
}

func start(ctx context.Context, a *Agent) (*Agent, error) {
	var err error
	if a.binary, err = filepath.Abs(a.binary); err != nil {
		return nil, fmt.Errorf("start nomad: %w", err)
	}
	if a.ports, err = freePorts(); err != nil {
		return nil, fmt.Errorf("start nomad: %w", err)
	}
	a.Address = "http://127.0.0.1:" + strconv.Itoa(a.ports.http)
	a.name = "node-" + strconv.Itoa(a.ports.http)
	if err := a.launch(); err != nil {
		return nil, fmt.Errorf("start nomad: %w", err)
	}
	config := api.DefaultConfig()
	config.Address, config.SecretID, config.Namespace, config.Region = a.Address, "", "", ""
	if a.client, err = api.NewClient(config); err == nil {
		err = a.waitReady(ctx)
	}
	if err != nil {
		err = fmt.Errorf("start nomad: %w%s", err, a.lastLog())
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

// Client is a client of the agent.
func (a *Agent) Client() *api.Client { return a.client }

func (a *Agent) launch() error {
	for _, sub := range stateDirs {
		if err := os.MkdirAll(filepath.Join(a.dir, sub), 0o755); err != nil {
			return fmt.Errorf("make its directory: %w", err)
		}
	}
	path := filepath.Join(a.dir, "agent.hcl")
	if err := os.WriteFile(path, []byte(a.config()), 0o600); err != nil {
		return fmt.Errorf("write its configuration: %w", err)
	}
	var err error
	if a.log, err = os.OpenFile(filepath.Join(a.dir, "agent.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return fmt.Errorf("open its log: %w", err)
	}
	args := []string{"agent", "-bind", "127.0.0.1", "-config", path}
	if a.kind == forgetful {
		args = append(args, "-dev")
	}
	// The variable marks the helpers that the agent starts; see killBelow.
	//nolint:noctx // the agent outlives the context that bounds its start
	a.command = exec.Command(a.binary, args...)
	a.command.Stdout, a.command.Stderr = a.log, a.log
	a.command.Env = append(os.Environ(), "DROVER_AGENT_DIR="+a.dir)
	// A group of its own: an interrupt at the terminal must not end it before its tasks.
	a.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := a.command.Start(); err != nil {
		return errors.Join(fmt.Errorf("run %s: %w", a.binary, err), a.log.Close())
	}
	command, exited := a.command, make(chan struct{})
	a.exited = exited
	go func() {
		defer close(exited)
		_ = command.Wait()
	}()
	return nil
}

// waitReady waits until there is a leader and the agent's own node, if it is one, takes allocations.
func (a *Agent) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		nodes, err := a.nodes(ctx)
		if a.kind == server && err == nil {
			return nil // Only with a leader is the question answered.
		}
		for _, node := range nodes {
			if node.Name == a.name && node.Status == "ready" && node.Drivers["raw_exec"] != nil && node.Drivers["raw_exec"].Healthy {
				a.Node = node.ID
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait until it takes jobs: %w", ctx.Err()), err)
		case <-a.exited:
			return errors.New("it exited")
		case <-ticker.C:
		}
	}
}

// nodes is what the agent's server knows, once there is a leader.
func (a *Agent) nodes(ctx context.Context) ([]*api.NodeListStub, error) {
	if a.acl && a.Token == "" {
		token, _, err := a.client.ACLTokens().Bootstrap((&api.WriteOptions{}).WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("make its first token: %w", err)
		}
		a.Token = token.SecretID
		a.client.SetSecretID(a.Token)
	}
	nodes, _, err := a.client.Nodes().List((&api.QueryOptions{}).WithContext(ctx))
	return nodes, err
}

// Purge takes a job away and waits until nothing of it is left to be placed or to end. A job that is not there is no
// error.
func (a *Agent) Purge(ctx context.Context, job string) error {
	return a.PurgeIn(ctx, api.DefaultNamespace, job)
}

// PurgeIn is Purge in another namespace than the default one. The job is stopped first: a server whose plan is of a job
// that was purged meanwhile panics.
func (a *Agent) PurgeIn(ctx context.Context, namespace, job string) error {
	for _, purge := range []bool{false, true} {
		_, _, err := a.client.Jobs().Deregister(job, purge, (&api.WriteOptions{Namespace: namespace}).WithContext(ctx))
		if err != nil && !isNotFound(err) {
			return fmt.Errorf("purge job %s: %w", job, err)
		}
		if err := a.quiet(ctx, namespace, job); err != nil {
			return fmt.Errorf("purge job %s: %w", job, err)
		}
	}
	return nil
}

// quiet waits for the end of a job.
func (a *Agent) quiet(ctx context.Context, namespace, job string) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		quiet, err := a.isQuiet(ctx, namespace, job)
		if err != nil || quiet {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for its end: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// isQuiet tells whether no evaluation of the job is under way and no allocation of it runs.
func (a *Agent) isQuiet(ctx context.Context, namespace, job string) (bool, error) {
	q := (&api.QueryOptions{Namespace: namespace}).WithContext(ctx)
	evaluations, _, err := a.client.Jobs().Evaluations(job, q)
	if err != nil {
		return false, fmt.Errorf("read its evaluations: %w", err)
	}
	for _, e := range evaluations {
		if e.Status == "pending" {
			return false, nil
		}
	}
	allocs, _, err := a.client.Jobs().Allocations(job, true, q)
	if err != nil {
		return false, fmt.Errorf("read its allocations: %w", err)
	}
	for _, alloc := range allocs {
		if alloc.ClientStatus == api.AllocClientStatusRunning || alloc.ClientStatus == api.AllocClientStatusPending {
			return false, nil
		}
	}
	return true, nil
}

func isNotFound(err error) bool {
	var response api.UnexpectedResponseError
	return errors.As(err, &response) && response.StatusCode() == http.StatusNotFound
}

// Stop ends every job with its tasks, then the agent, and removes its state. Its log stays. It may be called again. Of an
// agent that joined only its own tasks end.
func (a *Agent) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var problems []error
	select {
	case <-a.exited:
	default:
		problems = append(problems, a.Thaw(), a.purgeAll(ctx), a.end())
	}
	problems = append(problems, killBelow(a.dir), unmountBelow(a.dir))
	for _, sub := range stateDirs {
		problems = append(problems, os.RemoveAll(filepath.Join(a.dir, sub)))
	}
	if err := a.log.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("stop nomad: %w", err)
	}
	return nil
}

func (a *Agent) purgeAll(ctx context.Context) error {
	if a.client == nil || a.kind == joined {
		return nil
	}
	jobs, _, err := a.client.Jobs().List((&api.QueryOptions{Namespace: "*"}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("list its jobs: %w", err)
	}
	var problems []error
	for _, job := range jobs {
		problems = append(problems, a.PurgeIn(ctx, job.JobSummary.Namespace, job.ID))
	}
	return errors.Join(problems...)
}

// end asks the agent to leave, and kills it when it does not.
func (a *Agent) end() error {
	if err := a.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("interrupt it: %w", err)
	}
	select {
	case <-a.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	if err := a.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill it: %w", err)
	}
	<-a.exited
	return nil
}

// lastLog is the end of the agent's log, for an error that its reader can act on.
func (a *Agent) lastLog() string {
	text, err := os.ReadFile(filepath.Join(a.dir, "agent.log"))
	if err != nil || len(text) == 0 {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return "; the end of its log:\n" + string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}
