package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/examples"
	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

const (
	person     = "Robin"
	checkout   = "checkout-api"
	policyPath = "policies/standard.hcl"
	instance   = "drover"
)

// world is all that Drover works on, with a Drover in it that can be ended and started anew.
type world struct {
	t     testing.TB
	start time.Time
	now   time.Time

	nomad    *sim.Nomad
	client   *api.Client
	traffic  *sim.Traffic
	repo     *repository
	ledger   *ledger
	forge    *forge
	hub      *hub // the forge has pull requests when it is not nil
	boundary *boundary

	instance string
	limits   reconcile.Limits
	prune    bool

	denied     *denial // what Nomad answers for our token
	deafRouter bool    // the router does not answer
	refusing   bool    // the router takes no split
	blindMeter bool    // the meter does not answer
	smoke      string
	jobspec    func(string) string // changes the jobspec of every release; nil when none is changed

	loop     *reconcile.Loop
	process  *process
	notify   func(reconcile.Decision)
	failed   error // of the last pass
	reviewed error // of the last review
	passes   int
	rivals   []*rival
}

// rival is a Drover that lost the lead and does not know yet.
type rival struct {
	loop   *reconcile.Loop
	passes int // that it still makes
}

// newWorld is a world in which nothing was released yet: the repository holds the shared policy alone.
func newWorld(t testing.TB, rps float64) *world {
	t.Helper()
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	w := &world{
		t: t, start: start, now: start, nomad: sim.New(sim.Config{Start: start, Seed: 7, Namespaces: []string{"east", "west"}}),
		ledger: newLedger(), forge: &forge{}, notify: func(reconcile.Decision) {}, instance: instance,
	}
	w.bound()
	w.denied = &denial{next: w.nomad.Client().Transport}
	client, err := nomad.Connect(nomad.Config{Address: "http://nomad.invalid", HTTPClient: &http.Client{Transport: w.denied}})
	if err != nil {
		t.Fatalf("connect to the simulation: %v", err)
	}
	w.client = client
	w.traffic = w.nomad.Traffic(sim.Load{RPS: rps})
	w.repo = newRepository(func() time.Time { return w.now })
	policy, err := os.ReadFile("testdata/repository/" + policyPath)
	if err != nil {
		t.Fatalf("read the policy: %v", err)
	}
	w.repo.commit(person, "Begin the release repository", map[string]string{policyPath: string(policy)})
	w.restart()
	return w
}

// restart throws the Drover away that runs, and starts another on the same world and ledger.
func (w *world) restart() {
	w.process = w.boundary.process()
	w.loop = reconcile.New(w.options())
}

// options are those of the present process.
func (w *world) options() reconcile.Options {
	p := w.process
	traffic := boundTraffic{process: p, router: router{w}, meter: meter{w}}
	forge, repository := reconcile.Forge(boundForge{p, w.forge}), reconcile.Repository(boundRepository{p, w.repo})
	if w.hub != nil {
		forge, repository = boundHub{boundForge{p, w.forge}, w.hub}, boundBranches{boundRepository{p, w.repo}, w.hub}
	}
	return reconcile.Options{
		Instance: w.instance, Limits: w.limits, Prune: w.prune, Bookmark: boundBookmark{p, w.ledger}, Repository: repository, Load: load,
		Cluster: w.cluster(),
		Routers: map[string]reconcile.Traffic{"": {Router: traffic, Meter: traffic}},
		Ledger:  boundLedger{p, w.ledger}, Forge: forge, Prober: boundProber{p, prober{w}},
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		Notify: func(d reconcile.Decision) {
			if !p.ended() && p == w.process { // What a rival decides on an old record is not stored.
				w.notify(d)
			}
		},
	}
}

// cluster is the provider of Nomad on the simulated one, through the present process.
func (w *world) cluster() boundCluster {
	cluster := nomad.New(w.client, nomad.Options{Instance: w.instance, Logger: slog.New(slog.DiscardHandler)})
	return boundCluster{w.process, newKeptCluster(w.t, cluster, w.nomad, w.denied)}
}

// prober answers smoke checks as the world says.
type prober struct{ world *world }

func (p prober) Smoke(context.Context, []strategy.Smoke, []strategy.Endpoint) (string, error) {
	return p.world.smoke, nil
}

func load(tree strategy.Tree) ([]strategy.Release, []strategy.Mistake) {
	return policies.Load(tree, policies.Options{Path: "releases"})
}

// tick lets a second go by, and Drover look at everything once. A Drover that crashed is started anew before the next.
func (w *world) tick() {
	w.now = w.now.Add(time.Second)
	w.nomad.Advance(w.now)
	if w.process.ended() {
		w.restart()
	}
	w.pass()
	if w.hub != nil {
		w.hear()
		_, w.reviewed = w.loop.Review(w.t.Context(), w.now)
	}
	for _, r := range w.rivals {
		if r.passes--; r.passes >= 0 {
			_, _ = r.loop.Pass(w.t.Context(), w.now) // It has lost; what it says of that is nobody's.
		}
	}
}

// pass lets Drover look at everything once, and say what is to be said.
func (w *world) pass() {
	w.passes++
	_, w.failed = w.loop.Pass(w.t.Context(), w.now)
	w.loop.Deliver(w.t.Context(), w.now)
}

// elapse lets time go by while Drover waits for something.
func (w *world) elapse(d time.Duration) {
	w.now = w.now.Add(d)
	w.nomad.Advance(w.now)
}

// usurp lets another Drover take the lead while the one that leads is in the middle of a pass, which it ends, and makes
// three more.
func (w *world) usurp() {
	w.rivals = append(w.rivals, &rival{loop: w.loop, passes: 3})
	w.restart()
	w.pass()
}

// bound puts a new boundary around the next Drover: it has counted nothing.
func (w *world) bound() *boundary {
	b := newBoundary()
	b.now, b.pass, b.elapse, b.usurp = func() time.Time { return w.now }, func() int { return w.passes }, w.elapse, w.usurp
	w.boundary = b
	return b
}

// until ticks until something holds; it gives up after patience.
func (w *world) until(patience time.Duration, holds func() bool) error {
	for end := w.now.Add(patience); !holds(); w.tick() {
		if !w.now.Before(end) {
			return fmt.Errorf("not within %s; now %s", patience, w.describe())
		}
	}
	return nil
}

func (w *world) describe() string {
	var parts []string
	for name, r := range w.loop.Rollouts() {
		parts = append(parts, fmt.Sprintf("%s is %s at %s on %s: %s", name, r.Phase, r.Weight, r.Stable.Revision, r.Reason.Text))
	}
	if w.failed != nil {
		parts = append(parts, w.failed.Error())
	}
	if w.hub != nil {
		parts = append(parts, fmt.Sprintf("on the forge: %q, planned %q and %q, reviewed with %v", w.hub.ends(w.forge), w.planned(7), w.planned(8), w.reviewed))
	}
	return strings.Join(parts, "; ")
}

func (w *world) rollout(release string) strategy.Rollout { return w.loop.Rollouts()[release] }

// rests tells whether a release has nothing left to do.
func (w *world) rests(release string) bool {
	r := w.rollout(release)
	return r.Phase == strategy.Resting && r.Hold == nil && len(r.Outbox) == 0 && r.Reason.Code != strategy.Waiting && w.failed == nil && !w.process.ended()
}

// releasePath is the file of a release, jobspecPath that of its job.
func releasePath(name string) string { return "releases/" + name + "/release.hcl" }
func jobspecPath(name string) string { return "releases/" + name + "/" + name + ".nomad.hcl" }

func releaseText(name, version, more string) string {
	return fmt.Sprintf("release %q {\n  version = %q\n  jobspec = %q\n  policy  = \"standard\"\n%s}\n", name, version, name+".nomad.hcl", more)
}

// jobspec is the example's jobspec under another name.
func jobspec(t testing.TB, name string) string {
	t.Helper()
	example, err := examples.Checkout()
	if err != nil {
		t.Fatalf("open the example: %v", err)
	}
	text, err := fs.ReadFile(example, jobspecPath(checkout))
	if err != nil {
		t.Fatalf("read the example: %v", err)
	}
	return strings.ReplaceAll(string(text), checkout, name)
}

// releaseFiles is the files of a release at a version.
func releaseFiles(t testing.TB, name, version string) map[string]string {
	t.Helper()
	return map[string]string{releasePath(name): releaseText(name, version, ""), jobspecPath(name): jobspec(t, name)}
}

// release lets a person ask for a version.
func (w *world) release(name, version string) strategy.Commit {
	files := releaseFiles(w.t, name, version)
	if w.jobspec != nil {
		files[jobspecPath(name)] = w.jobspec(files[jobspecPath(name)])
	}
	return w.repo.commit(person, "Release "+name+" "+version, files)
}

// register lets a person register a job by hand: with its source, the way `nomad job run` does, or as JSON.
func (w *world) register(name, version string, withSource bool) error {
	text := jobspec(w.t, name)
	variables := fmt.Sprintf("version = %q\n", version)
	job, err := w.client.Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: text, Variables: variables, Canonicalize: true})
	if err != nil {
		return err
	}
	var options api.RegisterOptions
	if withSource {
		options.Submission = &api.JobSubmission{Source: text, Format: "hcl2", Variables: variables}
	}
	_, _, err = w.client.Jobs().RegisterOpts(job, &options, nil)
	return err
}

// allocs is the ids of allocations of a job that run, canaries or not, oldest first.
func (w *world) allocs(name string, canary bool) ([]string, error) {
	list, _, err := w.client.Jobs().Allocations(name, false, nil)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, a := range list {
		if isCanary := a.DeploymentStatus != nil && a.DeploymentStatus.Canary; a.ClientStatus == api.AllocClientStatusRunning && a.DesiredStatus == api.AllocDesiredStatusRun && isCanary == canary {
			ids = append(ids, a.ID)
		}
	}
	return ids, nil
}

// denial rejects every token when it is on.
type denial struct {
	next http.RoundTripper
	on   atomic.Bool
	// promote has deployments not promoted, by an answer that says nothing of our token.
	promote atomic.Bool
	// asked, when set, is called before every answer.
	asked func()
}

// interferes tells whether somebody may notice what is asked.
func (d *denial) interferes() bool { return d.on.Load() || d.asked != nil }

// RoundTrip answers as Nomad does to a token that was revoked.
func (d *denial) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.asked != nil {
		d.asked()
	}
	code, text := http.StatusForbidden, "Permission denied"
	switch {
	case d.on.Load():
	case d.promote.Load() && strings.HasPrefix(r.URL.Path, "/v1/deployment/promote/"):
		code, text = http.StatusInternalServerError, "rpc error: deployment is not to be promoted"
	default:
		return d.next.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: code, Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), Request: r, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

// router is the simulated one, unless it does not answer.
type router struct{ *world }

// Apply asks for a split.
func (r router) Apply(ctx context.Context, split strategy.Split) error {
	if r.deafRouter {
		return errors.New("connect to the router: connection refused")
	}
	if r.refusing {
		return errors.New("the balancer does not accept its configuration")
	}
	return r.traffic.Apply(ctx, split)
}

// Read is what is in effect.
func (r router) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	if r.deafRouter {
		return strategy.TrafficState{}, errors.New("connect to the router: connection refused")
	}
	return r.traffic.Read(ctx, release)
}

// Abilities is what the simulated one can do.
func (r router) Abilities() strategy.Abilities { return r.traffic.Abilities() }

// meter is the simulated one, unless it does not answer.
type meter struct{ *world }

// Sample is the counters now.
func (m meter) Sample(ctx context.Context, release string) (strategy.Sample, error) {
	if m.blindMeter {
		return strategy.Sample{}, errors.New("read the counters: no answer")
	}
	return m.traffic.Sample(ctx, release)
}
