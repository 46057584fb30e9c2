package main

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // Git names blobs by SHA-1.
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// maxFile is the size above which a file of a release repository is left out.
const maxFile = 1 << 20

func runValidate(ctx context.Context, c *console, args []string) int {
	f := c.flags("validate", "validate [flags] DIR")
	path := f.String("path", "", "only releases below this folder of DIR")
	address := f.String("nomad", os.Getenv("NOMAD_ADDR"), "address of a Nomad that parses the jobspecs; empty: that of -config, and without one they are not checked")
	config := f.String("config", "", "Drover's own configuration: whether its routers and metrics can do what the releases ask; empty: it is not checked")
	rps := f.Float64("rps", 0, "requests in a second to each release: says where they are too few for the gates")
	if code, done := parse(f, args); done {
		return code
	}
	if f.NArg() != 1 {
		f.Usage()
		return 1
	}
	can, err := readAbilities(*config)
	if err != nil {
		return c.fail(err)
	}
	tree, err := readTree(f.Arg(0))
	if err != nil {
		return c.fail(err)
	}
	releases, mistakes := loader(*path)(tree)
	checked := checks{said: "not checked: no Nomad address is given (-nomad, NOMAD_ADDR, or the nomad block of -config)"}
	if parser := parserOf(*address, can); parser.Address != "" {
		checked = checkJobspecs(ctx, parser, releases, can)
		mistakes = append(mistakes, checked.wrong...)
	}
	for _, m := range mistakes {
		fmt.Fprintln(c.err, m.Detail)
	}
	for _, r := range releases {
		c.printf("%s: %s %s, %s\n", r.Path, r.Name, r.Version, strategyText(r.Plan))
		for _, w := range checked.warnings[r.Name] {
			c.printf("    warning: %s\n", w)
		}
		for _, f := range checked.findings(r, can.around(r.Traffic.Router, *rps)) {
			c.printf("    warning: %s\n", f)
		}
	}
	for _, s := range policies.Unused(tree) {
		c.printf("%s:%d: policy %q\n    warning: %s\n", s.Path, s.Line, s.Name, s.Finding)
	}
	c.printf("jobspecs: %s\n", checked.said)
	if len(releases)+len(mistakes) == 0 {
		return c.fail(fmt.Errorf("no release.hcl was found below %s", f.Arg(0)))
	}
	if len(mistakes) > 0 {
		c.printf("%s, %s\n", count(len(releases), "release"), count(len(mistakes), "mistake"))
		return 1
	}
	c.printf("%s, no mistakes\n", count(len(releases), "release"))
	return 0
}

// abilities is what a configuration lets releases ask for.
type abilities struct {
	known    bool // there is one
	routers  map[string]reconcile.Traffic
	measured bool
	nomad    *nomadConfig
}

// parserOf is the Nomad that parses the jobspecs; its address is "" when there is none. One that is named for it goes before
// that of a configuration, whose token is not for it.
func parserOf(address string, can abilities) *nomadConfig {
	if address != "" || !can.known {
		return &nomadConfig{Address: address}
	}
	return can.nomad
}

// around is what is known of a release's surroundings by the router that it names.
func (a abilities) around(router string, rps float64) strategy.Surroundings {
	around := strategy.Surroundings{RPS: rps, Every: a.routers[router].Every}
	if traffic, known := a.routers[router]; known {
		around.Late = traffic.Router.Abilities().Late(traffic.Name)
	}
	return around
}

// readAbilities reads them out of drover.hcl. It asks nobody.
func readAbilities(path string) (abilities, error) {
	if path == "" {
		return abilities{}, nil
	}
	conf, err := readConfig(path)
	if err != nil {
		return abilities{}, err
	}
	client, err := connect(conf.Nomad)
	if err != nil {
		return abilities{}, err
	}
	routers, err := wireRouters(conf, client)
	return abilities{known: true, routers: routers, measured: conf.Metrics != nil, nomad: conf.Nomad}, err
}

// strategyText is a strategy in a few words.
func strategyText(p strategy.Plan) string {
	text := string(p.Kind) + " " + p.Weights()
	if p.Standby > 0 {
		text += ", standby " + short(p.Standby)
	}
	return text
}

// checks is what Nomad says of the jobspecs.
type checks struct {
	wrong    []strategy.Mistake
	warnings map[string][]string // by release
	jobs     map[string]strategy.Desired
	said     string // how many were checked, or why they were not
}

// findings is what is to be said about a release, with its job where Nomad has read it.
func (c checks) findings(r strategy.Release, around strategy.Surroundings) []strategy.Finding {
	if d, known := c.jobs[r.Name]; known {
		return d.Findings(around)
	}
	return strategy.Desired{Release: r}.Findings(around)
}

// checkJobspecs has Nomad parse every jobspec, and sees whether the job can go through its plan. Nomad's absence is no
// mistake of a release.
func checkJobspecs(ctx context.Context, parser *nomadConfig, releases []strategy.Release, can abilities) checks {
	found := checks{warnings: map[string][]string{}, jobs: map[string]strategy.Desired{}}
	client, err := connect(parser)
	if err != nil {
		found.said = "not checked: " + err.Error()
		return found
	}
	cluster := nomad.New(client, nomad.Options{Namespace: parser.Namespace})
	owners := map[strategy.JobRef][]strategy.Release{}
	for _, r := range releases {
		asking, cancel := context.WithTimeout(ctx, 10*time.Second)
		job, err := cluster.Parse(asking, r.Source)
		cancel()
		switch {
		case errors.Is(err, strategy.ErrInvalid):
			found.blame(r, "Invalid jobspec", err.Error())
			continue
		case err != nil:
			found.said = "not checked: " + err.Error()
			return found
		}
		found.warnings[r.Name] = job.Warnings
		service, _ := reconcile.ServiceOf(job, r.Traffic)
		found.jobs[r.Name] = strategy.Desired{Release: r, Job: job, Service: service}
		owners[job.Ref] = append(owners[job.Ref], r)
		_, _, refusals := reconcile.Fit(r, job, can.routers)
		if unanswered := r.Plan.Unanswered(); unanswered != "" && can.known && !can.measured {
			refusals = append(refusals, unanswered)
		}
		for _, refusal := range refusals {
			found.blame(r, "Release refused", refusal)
		}
	}
	found.blameShared(owners)
	found.said = fmt.Sprintf("%d parsed by Nomad", len(releases))
	return found
}

// blame notes what is wrong with a release, in the form of the other mistakes.
func (c *checks) blame(r strategy.Release, summary, text string) {
	c.wrong = append(c.wrong, strategy.Mistake{
		Release: r.Name, Path: r.Path, Line: r.Line, Text: text,
		Detail: fmt.Sprintf("Error: %s\n\n  on %s line %d, in release %q\n\n%s\n", summary, r.Path, r.Line, r.Name, text),
	})
}

// blameShared refuses releases of one job, all of them.
func (c *checks) blameShared(owners map[strategy.JobRef][]strategy.Release) {
	for job, releases := range owners {
		for i, r := range releases {
			if len(releases) > 1 {
				other := releases[(i+1)%len(releases)]
				c.blame(r, "Shared job", fmt.Sprintf("It is of the job %s, as release %q of %s:%d is. Keep one of them; neither is released.", job, other.Name, other.Path, other.Line))
			}
		}
	}
	slices.SortStableFunc(c.wrong, func(a, b strategy.Mistake) int { return cmp.Compare(a.Path, b.Path) })
}

// readTree reads a folder as if it were committed.
func readTree(dir string) (strategy.Tree, error) {
	tree := strategy.Tree{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxFile {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)) //nolint:gosec // Git names blobs by SHA-1.
		tree[filepath.ToSlash(name)] = strategy.File{Hash: hex.EncodeToString(sum[:]), Content: content}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the folder %s: %w", dir, err)
	}
	return tree, nil
}
