// Command drover releases services on Nomad progressively, driven by a Git repository.
//
// Each subcommand stands in a file of its own: it reads flags into values, has wire.go build what it needs, and prints.
// Nothing is decided here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/drover-dev/drover/strategy"
)

// command is one subcommand. run returns the exit code: 0 done, 1 failed or usage wrong, 2 only for plan: there are
// changes.
type command struct {
	name    string
	args    string
	summary string
	run     func(ctx context.Context, c *console, args []string) int
}

// console is where a command writes.
type console struct {
	out, err io.Writer
}

func (c *console) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// fail prints an error and returns its exit code.
func (c *console) fail(err error) int {
	fmt.Fprintln(c.err, "drover:", err)
	return 1
}

func commands() []command {
	return []command{
		{"run", "", "reconcile releases until stopped", runDaemon},
		{"proxy", "", "divide requests between stable and canary, as the daemon says", runProxy},
		{"validate", "DIR", "check the release repository in a folder", runValidate},
		{"plan", "[RELEASE]", "show what Git asks for against what Nomad runs", runPlan},
		{"status", "[RELEASE]", "show where every release stands", runStatus},
		{"why", "RELEASE", "say what a release waits for, with the evidence of each gate", runWhy},
		{"replay", "FILE", "make the decisions of drover why -inputs again, and see that they agree", runReplay},
		{"rehearse", "RELEASE", "play a release on a simulated cluster, with a fault, before it is merged", runRehearse},
		{"policies", "[NAME]", "show the policies that are shipped", runPolicies},
		{"pause", "RELEASE", "hold a rollout where it is", runCommand(strategy.CommandPause)},
		{"resume", "RELEASE", "let a paused rollout go on", runCommand(strategy.CommandResume)},
		{"approve", "RELEASE", "take the next step although a gate is inconclusive", runCommand(strategy.CommandApprove)},
		{"abort", "RELEASE", "put the stable version back, and park the one on trial", runCommand(strategy.CommandAbort)},
		{"rollback", "RELEASE", "commit the revert to what was live before", runRollback},
		{"retry", "RELEASE", "try a parked version again", runCommand(strategy.CommandRetry)},
		{"accept-head", "", "let what a force-pushed branch asks for begin", runAcceptHead},
		{"doctor", "", "check what the configuration needs of Git and of GitHub", runDoctor},
		{"demo", "", "watch a good release promoted and a bad one rolled back", runDemo},
		{"version", "", "print the version", runVersion},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The signal says not which pipe broke: most often it is a connection, which is no reason to end.
	signal.Ignore(syscall.SIGPIPE)
	code := dispatch(ctx, &console{out: outlet{os.Stdout, stop}, err: outlet{os.Stderr, stop}}, os.Args[1:])
	stop()
	os.Exit(code)
}

// outlet is an output whose reader may go away, as head does: then the command ends, and leaves nothing that it started
// behind.
type outlet struct {
	io.Writer
	end func()
}

// Write ends the command when nobody reads any more.
func (o outlet) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		o.end()
	}
	return n, err
}

func dispatch(ctx context.Context, c *console, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		usage(c.out)
		return 0
	}
	for _, cmd := range commands() {
		if cmd.name == args[0] {
			return cmd.run(ctx, c, args[1:])
		}
	}
	var names []string
	for _, cmd := range commands() {
		names = append(names, cmd.name)
	}
	fmt.Fprintf(c.err, "drover: there is no command %q%s\n\n", args[0], strategy.Meant(args[0], names))
	usage(c.err)
	return 1
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Drover releases services on Nomad progressively, driven by a Git repository.\n\nUsage:\n\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  drover %-20s %s\n", cmd.name+" "+cmd.args, cmd.summary)
	}
	fmt.Fprint(w, "\nFlags of a command: drover COMMAND -help\n")
}

// flags makes the flag set of a command.
func (c *console) flags(name, usage string) *flag.FlagSet {
	f := flag.NewFlagSet("drover "+name, flag.ContinueOnError)
	f.SetOutput(c.err)
	f.Usage = func() {
		fmt.Fprintf(c.err, "Usage: drover %s\n\n", usage)
		f.PrintDefaults()
	}
	return f
}

// parse reads the flags; code is what to exit with when done is true.
func parse(f *flag.FlagSet, args []string) (code int, done bool) {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0, true
	case err != nil:
		return 1, true
	}
	return 0, false
}

// maybeOne lets a command take one argument or none.
const maybeOne = -1

// configured reads the flags of f, with -config beside them, sees to the number of arguments, and reads the
// configuration. When done is true, code is what to exit with.
func (c *console) configured(f *flag.FlagSet, args []string, want int) (conf *config, code int, done bool) {
	path, code, done := c.flagged(f, args, want)
	if done {
		return nil, code, true
	}
	conf, err := readConfig(path)
	if err != nil {
		return nil, c.fail(err), true
	}
	return conf, 0, false
}

// flagged reads the flags of f, with -config beside them, which is returned, and sees to the number of arguments.
func (c *console) flagged(f *flag.FlagSet, args []string, want int) (path string, code int, done bool) {
	named := f.String("config", "drover.hcl", "Drover's own configuration")
	if code, done := parse(f, args); done {
		return "", code, true
	}
	if n := f.NArg(); n != want && (want != maybeOne || n > 1) { // Also flags behind the argument, which would be lost.
		f.Usage()
		return "", 1, true
	}
	return *named, 0, false
}
