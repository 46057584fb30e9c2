package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// demoRelease is the service that the demo releases.
const demoRelease = "checkout-api"

// stage is what the demo's story is played on: a cluster with traffic, simulated or real.
type stage struct {
	about   string                   // one line for the head of the demo
	policy  func(text string) string // changes the example's policy
	release func(text string) string // changes the example's release
	options func(repository string) (reconcile.Options, error)
	// step lets a little time go by and returns the time that then is.
	step func(ctx context.Context) (time.Time, error)
	// answered is the requests that each version has answered so far, as seen from outside Drover.
	answered func() map[string]float64
	every    time.Duration // between two readings of the gates that are shown
	patience time.Duration // for one chapter
	stop     func() error
}

func runDemo(ctx context.Context, c *console, args []string) int {
	f := c.flags("demo", "demo [-keep] [-speed N] [-nomad FILE -service FILE] [-v]")
	keep := f.Bool("keep", false, "after the story leave the release repository there, and follow what you commit to it until Ctrl-C")
	speed := f.Float64("speed", 60, "how much faster than life the simulated time goes")
	nomadBinary := f.String("nomad", "", "play on a real Nomad agent, started from this program")
	service := f.String("service", "", "with -nomad: the demo service, built from examples/checkout/service")
	verbose := f.Bool("v", false, "log to standard error")
	if code, done := parse(f, args); done {
		return code
	}
	if *speed <= 0 || (*nomadBinary == "") != (*service == "") {
		f.Usage()
		return 1
	}
	logger := slog.New(slog.DiscardHandler)
	if *verbose {
		logger = slog.New(slog.NewTextHandler(c.err, nil))
	}
	dir, err := os.MkdirTemp("", "drover-demo-")
	if err != nil {
		return c.fail(err)
	}
	if *keep {
		defer func() {
			if err := removeAllBut(dir, demoRemote(dir)); err != nil {
				fmt.Fprintln(c.err, "drover:", err)
			}
		}()
	} else {
		defer os.RemoveAll(dir)
	}
	var s *stage
	if *nomadBinary != "" {
		c.printf("Starting a Nomad agent, the demo service and drover proxy …\n")
		s, err = realStage(ctx, dir, *nomadBinary, *service, logger)
	} else {
		s, err = simulatedStage(dir, *speed, logger)
	}
	if err != nil {
		return c.fail(err)
	}
	err = playDemo(ctx, c, dir, s, *keep)
	if err := errors.Join(err, s.stop()); err != nil {
		return c.fail(err)
	}
	return 0
}

// demo is the story under way.
type demo struct {
	c        *console
	stage    *stage
	loop     *reconcile.Loop
	repo     *demoRepository
	timeline *timeline
	forge    *tellIssues
	hub      *demoHub
}

// playDemo tells the story, and is an error when anything in it did not come about.
func playDemo(ctx context.Context, c *console, dir string, s *stage, keep bool) error {
	repo, err := newDemoRepository(ctx, dir, s)
	if err != nil {
		return err
	}
	options, err := s.options(repo.bare)
	if err != nil {
		return err
	}
	hub, err := newDemoHub(repo.bare)
	if err != nil {
		return err
	}
	d := &demo{c: c, stage: s, repo: repo, hub: hub, forge: &tellIssues{Forge: hub.forge}, timeline: newTimeline(c.out, s.every)}
	options.Notify, options.Forge, options.Poll = d.timeline.decided, d.forge, 0
	d.loop = reconcile.New(options)
	c.printf("Drover demo: %s\nThe release repository is a real Git repository on a simulated GitHub; a release is a pull request that is merged.\n", s.about)
	for _, chapter := range []func(context.Context) error{d.firstRelease, d.goodRelease, d.badRelease, d.epilogue} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	c.printf("demo: 1.1.0 promoted, 1.2.0 rolled back and reverted\n")
	if keep {
		return d.keep(ctx)
	}
	return nil
}

func (d *demo) chapter(title string) { d.c.printf("\n== %s\n\n", title) }

func (d *demo) firstRelease(ctx context.Context) error {
	d.chapter("Version 1.0.0 is merged: the first release of checkout-api")
	return d.until(ctx, "1.0.0 runs", func(r strategy.Rollout) bool { return restsOn(r, "1.0.0", strategy.OutcomePromoted) })
}

func (d *demo) goodRelease(ctx context.Context) error {
	d.chapter("Version 1.1.0 is merged: a good one")
	if err := d.release(ctx, "1.0.0", "1.1.0"); err != nil {
		return err
	}
	return d.until(ctx, "1.1.0 is promoted", func(r strategy.Rollout) bool {
		return restsOn(r, "1.1.0", strategy.OutcomePromoted) && len(r.Untold()) == 0
	})
}

func (d *demo) badRelease(ctx context.Context) error {
	d.chapter("Version 1.2.0 is merged: it fails 8 of 100 requests")
	if err := d.release(ctx, "1.1.0", "1.2.0"); err != nil {
		return err
	}
	return d.until(ctx, "1.2.0 is rolled back and reverted", func(r strategy.Rollout) bool {
		return restsOn(r, "1.1.0", strategy.OutcomeCondemned) && len(r.Outbox) == 0 && len(r.Untold()) == 0 && r.Reason.Code == strategy.UpToDate
	})
}

// release proposes a version, and merges it.
func (d *demo) release(ctx context.Context, from, to string) error {
	branch, title, err := d.repo.branch(ctx, from, to)
	if err != nil {
		return err
	}
	return d.propose(ctx, branch, title)
}

// restsOn tells whether the release rests on a version after a rollout that ended so.
func restsOn(r strategy.Rollout, version string, end strategy.OutcomeKind) bool {
	return r.Phase == strategy.Resting && r.Stable.Revision.Version == version && r.Last.Kind == end
}

// pass looks at everything once, and says what is to be said.
func (d *demo) pass(ctx context.Context, now time.Time) (moving []string, err error) {
	moving, err = d.loop.Pass(ctx, now)
	d.loop.Deliver(ctx, now)
	return moving, err
}

// until passes until the release is as wished.
func (d *demo) until(ctx context.Context, what string, done func(strategy.Rollout) bool) error {
	var started time.Time
	for {
		now, err := d.stage.step(ctx)
		if err != nil {
			return err
		}
		if started.IsZero() {
			started = now
		}
		if _, err := d.pass(ctx, now); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.c.printf("          (%v)\n", err)
		}
		if done(d.loop.Rollouts()[demoRelease]) {
			return nil
		}
		if now.Sub(started) > d.stage.patience {
			return fmt.Errorf("waited %s, but not: %s (%s)", d.stage.patience, what, d.loop.Rollouts()[demoRelease].Reason.Text)
		}
	}
}

// epilogue shows what is left for people to read, and checks it.
func (d *demo) epilogue(ctx context.Context) error {
	d.chapter("What is left in Git")
	log, err := d.repo.git(ctx, "log", "--format=%h  %an  %s", "main")
	if err != nil {
		return err
	}
	d.c.printf("%s\n", indent(log))
	head, err := d.repo.git(ctx, "log", "-1", "--format=%B", "main")
	if err != nil {
		return err
	}
	d.c.printf("%s\n", indent(head))
	content, err := d.repo.git(ctx, "show", "main:"+demoReleasePath)
	if err != nil {
		return err
	}
	if !strings.Contains(content, `"1.1.0"`) || !strings.HasPrefix(head, "Revert ") {
		return errors.New("the release repository does not ask for 1.1.0 by a revert")
	}
	if err := d.onGitHub(ctx); err != nil {
		return err
	}
	d.chapter("Requests answered, by version")
	answered := d.stage.answered()
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		d.c.printf("  %s  %8.0f\n", version, answered[version])
	}
	d.c.printf("\n")
	if answered["1.2.0"] == 0 || answered["1.1.0"] == 0 {
		return errors.New("a version that was released answered no request")
	}
	return nil
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			b.WriteString("\n")
			continue
		}
		b.WriteString("  " + line)
	}
	return b.String()
}
