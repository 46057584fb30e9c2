package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/strategy"
)

// rehearseFlags is what the command line says.
type rehearseFlags struct {
	release, fault, dir, path, config, nomad, stable, svg string
	rps                                                   float64
	errors, p95                                           string
	live, asJSON                                          bool
	watch                                                 time.Duration
	runs                                                  int
	seed                                                  uint64
}

const rehearseUsage = `rehearse [flags] RELEASE

Plays a release on a simulated cluster before it is merged: its own policy and jobspec, the real loop, simulated time. Once
sound and once with the -fault, each many times, and says when the fault would be caught, how many requests it would spoil,
and how often and how soon a sound version would be promoted.

  drover rehearse -rps 200 -fault errors=+2%,p95=+30%,from=25% checkout-api`

func rehearseFlagSet(c *console) (*flag.FlagSet, *rehearseFlags) {
	o := &rehearseFlags{}
	f := c.flags("rehearse", rehearseUsage)
	f.StringVar(&o.fault, "fault", "", "what is wrong with the version: "+mishapForms)
	f.StringVar(&o.dir, "dir", "", "folder of the release repository (default: what the -config's git has, or the present folder)")
	f.StringVar(&o.path, "path", "", "only releases below this folder of the repository")
	f.StringVar(&o.config, "config", "", "Drover's own configuration: its repository, its Nomad to read the jobspec, its routers for -live")
	f.StringVar(&o.nomad, "nomad", os.Getenv("NOMAD_ADDR"), "address of a Nomad to read the jobspec, where the simulated one cannot")
	f.StringVar(&o.stable, "stable", "", "what the version is called that it takes the place of (default \"stable\")")
	f.Float64Var(&o.rps, "rps", 0, "requests in a second to the release")
	f.StringVar(&o.errors, "base-errors", "0.1%", "share of them that fails as it is")
	f.StringVar(&o.p95, "p95", "100ms", "time within which 95% of them are answered as it is")
	f.BoolVar(&o.live, "live", false, "ask the router of the release for these three, and Nomad for the counts")
	f.DurationVar(&o.watch, "watch", 10*time.Second, "with -live: how long to look")
	f.IntVar(&o.runs, "runs", 20, "how often each is played")
	f.Uint64Var(&o.seed, "seed", 1, "of the first; the others follow")
	f.StringVar(&o.svg, "svg", "", "write the plot to this file")
	f.BoolVar(&o.asJSON, "json", false, "print everything as JSON")
	return f, o
}

func runRehearse(ctx context.Context, c *console, args []string) int {
	f, o := rehearseFlagSet(c)
	if code, done := parse(f, args); done {
		return code
	}
	if f.NArg() > 0 { // Flags may stand behind the release too.
		o.release = f.Arg(0)
		if code, done := parse(f, f.Args()[1:]); done {
			return code
		}
	}
	if o.release == "" || f.NArg() > 0 || o.runs < 1 {
		f.Usage()
		return 1
	}
	s, err := o.prepare(ctx, c)
	if err != nil {
		return c.fail(err)
	}
	if err := s.perform(ctx, o); err != nil {
		return c.fail(err)
	}
	if o.svg != "" {
		if err := os.WriteFile(o.svg, []byte(s.picture()), 0o600); err != nil {
			return c.fail(fmt.Errorf("write the plot (-svg): %w", err))
		}
	}
	if !o.asJSON {
		s.print(c)
		return 0
	}
	encoder := json.NewEncoder(c.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return c.fail(err)
	}
	return 0
}

// staged is a rehearsal with all that came of it, as it is printed with -json.
type staged struct {
	Release  string   `json:"release"`
	Stable   string   `json:"stable"`
	Version  string   `json:"version"`
	Strategy string   `json:"strategy"`
	Service  service  `json:"service"`
	Notes    []string `json:"notes,omitempty"`
	Fault    string   `json:"fault,omitempty"`
	Sound    *session `json:"sound"`
	Faulty   *session `json:"faulty,omitempty"`

	rehearsal rehearsal
	mishap    mishap
}

// prepare finds the release and the traffic, and sees that both can be rehearsed.
func (o *rehearseFlags) prepare(ctx context.Context, c *console) (*staged, error) {
	conf, err := o.configuration()
	if err != nil {
		return nil, err
	}
	release, err := o.find(ctx, c, conf)
	if err != nil {
		return nil, err
	}
	s := &staged{Release: release.Name, Version: release.Version, Stable: o.stable, Fault: o.fault}
	if s.Stable == "" {
		s.Stable = "stable"
	}
	if release.HoldAt != nil {
		release.HoldAt = nil
		s.Notes = append(s.Notes, "hold_at is left out: the rollout would wait for Git")
	}
	s.rehearsal = rehearsal{release: release, stable: s.Stable}
	if o.fault != "" {
		if s.mishap, err = parseMishap(o.fault, release.Plan.Asking()); err != nil {
			return nil, err
		}
	}
	if s.rehearsal.sound, s.rehearsal.counts, err = o.traffic(ctx, conf, release); err != nil {
		return nil, err
	}
	var notes []string
	if s.rehearsal.release, notes, err = o.fit(ctx, release, conf, s.rehearsal.sound, s.rehearsal.counts); err != nil {
		return nil, err
	}
	s.Notes = append(s.Notes, notes...)
	for _, g := range release.Plan.Asking() {
		s.Notes = append(s.Notes, fmt.Sprintf("gate %q asks the metrics: %s is assumed of the stable version", g.Name, digits(s.rehearsal.sound.usual(g))))
	}
	s.Service, s.Strategy = s.rehearsal.sound, strategyText(s.rehearsal.release.Plan)
	return s, nil
}

func (o *rehearseFlags) configuration() (*config, error) {
	if o.config == "" && o.live {
		o.config = "drover.hcl"
	}
	if o.config == "" {
		return nil, nil
	}
	return readConfig(o.config)
}

// traffic is what the release is asked for, given or measured.
func (o *rehearseFlags) traffic(ctx context.Context, conf *config, r strategy.Release) (service, map[string]int, error) {
	given := service{RPS: o.rps, Spread: usualSpread}
	share, err := shareChange(o.errors)
	if err != nil || share.to == nil || *share.to > 1 {
		return given, nil, fmt.Errorf("-base-errors %q is no share of requests: write such as 0.1%%", o.errors)
	}
	p95, err := time.ParseDuration(o.p95)
	if err != nil || p95 <= 0 {
		return given, nil, fmt.Errorf("-p95 %q is no time: write such as 120ms", o.p95)
	}
	given.Errors, given.P95 = *share.to, p95.Seconds()
	if !o.live {
		if o.rps <= 0 {
			return given, nil, errors.New("say how much traffic the release has, with -rps 200, or have it measured with -live")
		}
		return given, nil, nil
	}
	live, counts, err := measureLive(ctx, conf, r, o.watch)
	if err != nil {
		return given, nil, err
	}
	if o.rps > 0 {
		live.RPS = o.rps
	}
	if live.P95 == 0 {
		live.P95, live.Spread = given.P95, given.Spread
		live.From += fmt.Sprintf(", which says nothing of latencies: p95 %s is assumed", o.p95)
	}
	return live, counts, nil
}

// find reads the release out of the repository. Its own mistakes are shown, and those of others are not.
func (o *rehearseFlags) find(ctx context.Context, c *console, conf *config) (strategy.Release, error) {
	tree, path, err := o.tree(ctx, conf)
	if err != nil {
		return strategy.Release{}, err
	}
	releases, mistakes := loader(path)(tree)
	if n := slices.IndexFunc(releases, func(r strategy.Release) bool { return r.Name == o.release }); n >= 0 {
		return releases[n], nil
	}
	wrong := false
	for _, m := range mistakes {
		if m.Release == o.release || m.Release == "" {
			wrong = true
			fmt.Fprintln(c.err, m.Detail)
		}
	}
	if wrong {
		return strategy.Release{}, fmt.Errorf("the release %q cannot be read", o.release)
	}
	var names []string
	for _, r := range releases {
		names = append(names, r.Name)
	}
	return strategy.Release{}, fmt.Errorf("there is no release %q%s", o.release, strategy.Meant(o.release, names))
}

// perform plays everything, several at a time.
func (s *staged) perform(ctx context.Context, o *rehearseFlags) error {
	var err error
	if s.Sound, err = s.rehearsal.session(ctx, mishap{}, o.seed, o.runs); err != nil {
		return err
	}
	if s.Fault != "" {
		s.Faulty, err = s.rehearsal.session(ctx, s.mishap, o.seed, o.runs)
	}
	return err
}

// session plays the release many times.
func (r rehearsal) session(ctx context.Context, m mishap, seed uint64, runs int) (*session, error) {
	s := &session{Takes: make([]take, runs)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range runs {
		group.Go(func() (err error) {
			s.Takes[i], err = r.play(ctx, m, seed+uint64(i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s.sum()
	return s, nil
}

func outOf(n, all int) string { return fmt.Sprintf("%d of %d", n, all) }
