package providertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// Nomad is all that a Cluster may be asked for.
type Nomad interface {
	reconcile.Cluster
	reconcile.Keeper
	reconcile.Watcher
	besides
}

// besides is what a Cluster need not do.
type besides interface {
	reconcile.Scaler
	reconcile.Condemner
	reconcile.Planner
}

// ClusterHarness is one Cluster with nothing of the job under test on it, and an empty namespace "shop". What it starts
// it ends with the test.
type ClusterHarness struct {
	// Cluster is under test, as instance "drover".
	Cluster Nomad
	// Client is the door that people use: to scale, to register by hand, to look behind the Cluster.
	Client *api.Client
	// Source is the job of examples/checkout at a version, with a number of replicas. A version that ends in
	// "-crash" exits at once.
	Source func(version string, replicas int) strategy.JobSource
	// Eventually waits, or lets virtual time pass, until the condition holds; it fails the test when it does not
	// within a minute.
	Eventually func(t *testing.T, what string, condition func() bool)
}

// checkoutRef is the job of examples/checkout, and its service.
var checkoutRef = strategy.JobRef{Namespace: "default", ID: "checkout-api"}

const checkoutService = "checkout-api"

// TestCluster holds a Cluster to what reconcile asks of it. Every subtest gets a harness of its own.
func TestCluster(t *testing.T, newHarness func(t *testing.T) ClusterHarness) {
	cases := []struct {
		name string
		run  func(t *testing.T, c *clusterCase)
	}{
		{"parse", clusterParse},
		{"parse/unset variable", clusterParseUnset},
		{"parse/syntax error", clusterParseSyntax},
		{"parse/file function", clusterParseFile},
		{"parse/digest", clusterParseDigest},
		{"absent job", clusterAbsent},
		{"first release", clusterFirst},
		{"canaries", clusterCanaries},
		{"register again is unchanged", clusterUnchanged},
		{"stale index conflicts", clusterConflict},
		{"restore", clusterRestore},
		{"promote", clusterPromote},
		{"reverse after promotion", clusterReverse},
		{"crash", clusterCrash},
		{"replace a canary", clusterReplace},
		{"stop and start", clusterStop},
		{"live counts survive", clusterCounts},
		{"in-place change has no canaries", clusterInPlace},
		{"mark good moves", clusterMarkGood},
		{"supersede", clusterSupersede},
		{"registered by hand", clusterByHand},
		{"watch", clusterWatch},
		{"mark bad", clusterMarkBad},
		{"mark bad by another instance", clusterMarkBadOther},
		{"mark bad keeps the newest five", clusterMarkBadMany},
		{"oldest version", clusterOldest},
		{"good and bad on one version", clusterGoodAndBad},
		{"last good is not condemned", clusterLastGood},
		{"scale", clusterScale},
		{"scale a good version", clusterScaleGood},
		{"scale refused", clusterScaleRefused},
		{"owner", clusterOwner},
		{"plan", clusterPlan},
		{"plan of what is wrong", clusterPlanInvalid},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			tc.run(t, &clusterCase{ClusterHarness: newHarness(t), ctx: t.Context()})
		})
	}
}

// clusterCase is a harness with the steps that the cases share.
type clusterCase struct {
	ClusterHarness
	ctx context.Context
}

func (c *clusterCase) observe(t *testing.T) strategy.ClusterState {
	t.Helper()
	state, err := c.Cluster.Observe(c.ctx, checkoutRef, checkoutService)
	if err != nil {
		t.Fatalf("observe: %v", err)
	}
	return state
}

// until observes until the condition holds, and returns the state that it held in.
func (c *clusterCase) until(t *testing.T, what string, condition func(strategy.ClusterState) bool) strategy.ClusterState {
	t.Helper()
	var state strategy.ClusterState
	c.Eventually(t, what, func() bool {
		state = c.observe(t)
		return condition(state)
	})
	return state
}

func (c *clusterCase) spec(t *testing.T, source strategy.JobSource) strategy.JobSpec {
	t.Helper()
	spec, err := c.Cluster.Parse(c.ctx, source)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return spec
}

// registration asks for a version from Git, on top of what is live.
func (c *clusterCase) registration(t *testing.T, role strategy.Role, version string, replicas int) strategy.Registration {
	t.Helper()
	source := c.Source(version, replicas)
	return strategy.Registration{
		Job:    checkoutRef,
		Source: &source,
		Marker: strategy.Marker{
			Instance: "drover", Rollout: "to-" + version, Role: role,
			Revision: strategy.Revision{Version: version, Attempt: 1, Digest: c.spec(t, source).Digest},
		},
		ModifyIndex: c.observe(t).ModifyIndex,
	}
}

func (c *clusterCase) register(t *testing.T, r strategy.Registration) {
	t.Helper()
	unchanged, err := c.Cluster.Register(c.ctx, r)
	if err != nil {
		t.Fatalf("register %s as %s: %v", r.Marker.Revision, r.Marker.Role, err)
	}
	if unchanged {
		t.Fatalf("register %s as %s: unchanged, want a new version", r.Marker.Revision, r.Marker.Role)
	}
}

// install brings a version up as a first release.
func (c *clusterCase) install(t *testing.T, version string, replicas int) strategy.ClusterState {
	t.Helper()
	c.register(t, c.registration(t, strategy.RoleFirst, version, replicas))
	return c.until(t, version+" installed", func(s strategy.ClusterState) bool {
		return s.Deployment.Status == strategy.DeploymentSuccessful && len(serving(s)) == replicas
	})
}

// canaries registers a version with as many canaries as there are replicas, and waits until they are ready.
func (c *clusterCase) canaries(t *testing.T, version string, replicas int) strategy.ClusterState {
	t.Helper()
	c.register(t, c.registration(t, strategy.RoleCanary, version, replicas))
	return c.until(t, "canaries of "+version, func(s strategy.ClusterState) bool {
		return len(ids(s, isReadyCanary)) == replicas
	})
}

func ids(s strategy.ClusterState, which func(strategy.Alloc) bool) []string {
	var found []string
	for _, a := range s.Allocs {
		if which(a) {
			found = append(found, a.ID)
		}
	}
	slices.Sort(found)
	return found
}

func isReadyCanary(a strategy.Alloc) bool { return a.Canary && a.Ready && a.Address != "" }
func isReadyStable(a strategy.Alloc) bool { return !a.Canary && a.Ready && a.Address != "" }
func isCanary(a strategy.Alloc) bool      { return a.Canary }

// serving are the allocations of the stable track that are ready.
func serving(s strategy.ClusterState) []string { return ids(s, isReadyStable) }

func clusterParse(t *testing.T, c *clusterCase) {
	spec := c.spec(t, c.Source("1.0.0", 3))
	if spec.Ref != checkoutRef || spec.Type != "service" {
		t.Errorf("got job %s of type %q, want %s of type service", spec.Ref, spec.Type, checkoutRef)
	}
	if len(spec.Groups) != 1 || spec.Groups[0].Name != "api" || spec.Groups[0].Count != 3 || !slices.Equal(spec.Groups[0].Services, []string{checkoutService}) {
		t.Errorf("got groups %+v, want api with 3 and service %s", spec.Groups, checkoutService)
	}
	if spec.ProgressDeadline <= 0 || len(spec.Digest) != 64 {
		t.Errorf("got progress deadline %s and digest %q, want both", spec.ProgressDeadline, spec.Digest)
	}
	if len(spec.Refusals) > 0 {
		t.Errorf("got refusals %q, want none", spec.Refusals)
	}
	elsewhere := c.Source("1.0.0", 3)
	elsewhere.Namespace = "shop"
	moved := c.spec(t, elsewhere)
	if moved.Ref.Namespace != "shop" || moved.Digest != spec.Digest {
		t.Errorf("got namespace %q, digest %q with an override, want shop and the same digest", moved.Ref.Namespace, moved.Digest)
	}
}

func (c *clusterCase) invalid(t *testing.T, source strategy.JobSource) string {
	t.Helper()
	_, err := c.Cluster.Parse(c.ctx, source)
	if !errors.Is(err, strategy.ErrInvalid) {
		t.Fatalf("got error %v, want one that is strategy.ErrInvalid", err)
	}
	return err.Error()
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want %q in it", text, part)
		}
	}
}

func replaceOnce(t *testing.T, text, old, replacement string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q stands %d times in the jobspec, want once", old, strings.Count(text, old))
	}
	return strings.Replace(text, old, replacement, 1)
}

func clusterParseUnset(t *testing.T, c *clusterCase) {
	source := c.Source("1.0.0", 3)
	source.Variables = ""
	contains(t, c.invalid(t, source), source.Path, `"version"`)
}

func clusterParseSyntax(t *testing.T, c *clusterCase) {
	source := c.Source("1.0.0", 3)
	source.Jobspec = "variable \"version\" {}\n\njob \"checkout-api\" {\n  group \"api\" {\n"
	contains(t, c.invalid(t, source), source.Path+":4")
}

func clusterParseFile(t *testing.T, c *clusterCase) {
	source := c.Source("1.0.0", 3)
	source.Jobspec = replaceOnce(t, source.Jobspec, `type = "service"`, "type = \"service\"\n  meta {\n    x = file(\"x\")\n  }")
	contains(t, c.invalid(t, source), source.Path+":", "file()")
}

func clusterParseDigest(t *testing.T, c *clusterCase) {
	source := c.Source("1.0.0", 3)
	want := c.spec(t, source).Digest
	same := source
	same.Jobspec = "# another comment\n" + replaceOnce(t, source.Jobspec, "min_healthy_time", "max_parallel = 2\n      min_healthy_time")
	if got := c.spec(t, same).Digest; got != want {
		t.Errorf("a comment and the update block change the digest")
	}
	if got := c.spec(t, c.Source("1.0.0", 5)).Digest; got != want {
		t.Errorf("the count changes the digest")
	}
	if got := c.spec(t, c.Source("1.1.0", 3)).Digest; got == want {
		t.Errorf("two versions have one digest")
	}
}

func clusterAbsent(t *testing.T, c *clusterCase) {
	if state := c.observe(t); state.Exists || state.ModifyIndex != 0 || len(state.Allocs) != 0 {
		t.Errorf("got %+v, want a job that does not exist", state)
	}
	if err := c.Cluster.Stop(c.ctx, checkoutRef, 7); err != nil {
		t.Errorf("stop an absent job: got %v, want no error", err)
	}
}

func clusterFirst(t *testing.T, c *clusterCase) {
	r := c.registration(t, strategy.RoleFirst, "1.0.0", 2)
	if r.ModifyIndex != 0 {
		t.Fatalf("got modify index %d of an absent job, want 0", r.ModifyIndex)
	}
	state := c.install(t, "1.0.0", 2)
	if !state.Exists || state.Stopped || state.ModifyIndex == 0 {
		t.Errorf("got exists %t, stopped %t, index %d, want a running job", state.Exists, state.Stopped, state.ModifyIndex)
	}
	if state.Marker != r.Marker || state.Revision != r.Marker.Revision {
		t.Errorf("got marker %+v and revision %+v, want %+v", state.Marker, state.Revision, r.Marker)
	}
	if state.Count != 2 || len(state.Allocs) != 2 {
		t.Errorf("got count %d and %d allocations, want 2", state.Count, len(state.Allocs))
	}
	for _, a := range state.Allocs {
		if !a.Fresh || a.Canary || a.Group != "api" || a.Fault != strategy.FaultNone {
			t.Errorf("got %+v, want a fresh one of the stable track", a)
		}
	}
	if !state.Deployment.Promoted || state.Deployment.DesiredCanaries() != 0 {
		t.Errorf("got deployment %+v, want nothing to promote", state.Deployment)
	}
	if state.Check == nil || state.Check.Type != "http" || state.Check.Path != "/healthz" {
		t.Errorf("got check %+v, want http on /healthz", state.Check)
	}
	if !slices.Equal(state.Services, []string{checkoutService}) {
		t.Errorf("got services %q, want %s alone", state.Services, checkoutService)
	}
	if state.GoodTagged || state.Unplaced != "" || state.ProgressDeadline <= 0 {
		t.Errorf("got tagged %t, unplaced %q, deadline %s", state.GoodTagged, state.Unplaced, state.ProgressDeadline)
	}
}
