package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// planner is a cluster that is asked for plans.
type planner struct {
	reconcile.Cluster
	asked []strategy.Registration
	err   error
}

func (p *planner) Plan(_ context.Context, r strategy.Registration) (strategy.JobPlan, error) {
	p.asked = append(p.asked, r)
	return strategy.JobPlan{Diff: "+/- Job: \"checkout-api\""}, p.err
}

// TestPreview holds that a plan asks Nomad about the registration that the next pass makes, and acts on nothing.
func TestPreview(t *testing.T) {
	w := newWorld(t, 100)
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	w.repo.commit(person, "Release it", releaseFiles(t, checkout, "1.0.0"))
	if err := w.until(5*time.Minute, func() bool { return w.rests(checkout) && !w.rollout(checkout).Stable.Revision.IsZero() }); err != nil {
		t.Fatal(err)
	}
	w.repo.commit(person, "Upgrade it", map[string]string{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	before := len(w.nomad.Requests())
	seen := w.ledger.heads
	cluster := &planner{Cluster: w.cluster()}
	opts := w.options()
	opts.Cluster = cluster
	previews, err := reconcile.New(opts).Preview(t.Context(), w.now)
	if err != nil || len(previews) != 1 {
		t.Fatalf("previews %v, error %v", previews, err)
	}
	p := previews[0]
	if !p.Starts() || p.Nomad == nil || p.Nomad.Diff == "" || p.NomadProblem != "" {
		t.Errorf("starts %t, Nomad %v, problem %q", p.Starts(), p.Nomad, p.NomadProblem)
	}
	if len(cluster.asked) != 1 || cluster.asked[0].Marker.Role != strategy.RoleCanary || cluster.asked[0].Marker.Instance != instance || cluster.asked[0].ModifyIndex != p.Live.ModifyIndex {
		t.Errorf("asked %+v", cluster.asked)
	}
	for _, request := range w.nomad.Requests()[before:] {
		if len(request) < 4 || request[:4] != "GET " && request != "PUT /v1/jobs/parse" && request != "PUT /v1/validate/job" {
			t.Errorf("a plan makes the request %s", request)
		}
	}
	if w.ledger.heads != seen {
		t.Errorf("a plan moved the head that was seen last from %v to %v", seen, w.ledger.heads)
	}
	opts = w.options()
	opts.Cluster = cluster
	cluster.err = fmt.Errorf("plan: %w", strategy.ErrRefused)
	if previews, err = reconcile.New(opts).Preview(t.Context(), w.now); err != nil {
		t.Fatal(err)
	}
	if p = previews[0]; p.Nomad != nil || p.NomadProblem != "Drover's token may not ask for one (before Nomad 2.0.4 no workload identity may)" {
		t.Errorf("refused: Nomad %v, problem %q", p.Nomad, p.NomadProblem)
	}
}

// TestPeak holds that no more rollouts are counted than may be under way at a time, those with the most allocations.
func TestPeak(t *testing.T) {
	starts := func(extra int) reconcile.Preview {
		return reconcile.Preview{Next: strategy.Rollout{ID: "new", Phase: strategy.Placing}, Extra: extra}
	}
	moving := reconcile.Preview{Now: strategy.Rollout{ID: "r", Phase: strategy.Stepping}, Next: strategy.Rollout{ID: "r", Phase: strategy.Stepping}, Extra: 7}
	rests := reconcile.Preview{Next: strategy.Rollout{Phase: strategy.Resting}, Extra: 0}
	got := map[int]int{}
	for _, limit := range []int{1, 2, 3, 0} {
		got[limit] = reconcile.Peak([]reconcile.Preview{starts(1), moving, starts(5), rests, starts(3)}, reconcile.Limits{MaxActive: limit})
	}
	if diff := cmp.Diff(map[int]int{1: 7, 2: 12, 3: 15, 0: 16}, got); diff != "" {
		t.Errorf("peak by limit (-want +got):\n%s", diff)
	}
}

// TestPreviewFindings rests what is found on the traffic that the router has counted, where it counts.
func TestPreviewFindings(t *testing.T) {
	w := newWorld(t, 3)
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	w.repo.commit(person, "Release it", releaseFiles(t, checkout, "1.0.0"))
	if err := w.until(10*time.Minute, func() bool { return w.rests(checkout) && !w.rollout(checkout).Stable.Revision.IsZero() }); err != nil {
		t.Fatal(err)
	}
	w.repo.commit(person, "Upgrade it", map[string]string{releasePath(checkout): releaseText(checkout, "1.1.0", `  gate "more" {
    metric        = "error_rate"
    max_vs_stable = "1.5x"
  }
`)})
	w.elapse(5 * time.Minute)
	const tooLittle, tooShort = "DRV018", "DRV012"
	for name, want := range map[string]bool{"counted": true, "not counted": false} {
		opts := w.options()
		traffic := opts.Routers[""]
		if !want {
			traffic.Meter, traffic.Measured, traffic.Every = nil, true, time.Hour
		}
		opts.Routers[""] = traffic
		previews, err := reconcile.New(opts).Preview(t.Context(), w.now)
		if err != nil || len(previews) != 1 || !previews[0].Starts() {
			t.Fatalf("%s: previews %v, error %v", name, previews, err)
		}
		found := slices.ContainsFunc(previews[0].Findings, func(f strategy.Finding) bool { return f.Code == tooLittle })
		if short := slices.ContainsFunc(previews[0].Findings, func(f strategy.Finding) bool {
			return f.Code == tooShort && strings.Contains(f.Text, "readings come 1h0m0s apart")
		}); short == want {
			t.Errorf("%s: found %v, want %s for the metrics' readings alone", name, previews[0].Findings, tooShort)
		}
		if found != want {
			t.Errorf("%s: found %v, want %s among them: %t", name, previews[0].Findings, tooLittle, want)
		}
	}
}

// newcomer is a router as a process has it that asks it for the first time: it says what it says in place of the split.
type newcomer struct {
	reconcile.Router
	says func(strategy.Split) strategy.Split
}

func (n newcomer) Read(ctx context.Context, release string) (strategy.TrafficState, error) {
	state, err := n.Router.Read(ctx, release)
	for i, split := range state.Splits {
		state.Splits[i] = n.says(split)
	}
	return state, err
}

// TestPreviewOfNewcomer: a process that asks a router for the first time says of a rollout under way what the daemon does,
// which has known for long that the split is in effect; unless the router contradicts, or the daemon waits for it too.
func TestPreviewOfNewcomer(t *testing.T) {
	w := newWorld(t, 100)
	w.repo.commit(person, "Go quickly", map[string]string{policyPath: quickPolicy})
	w.repo.commit(person, "Release it", releaseFiles(t, checkout, "1.0.0"))
	if err := w.until(5*time.Minute, func() bool { return w.rests(checkout) && !w.rollout(checkout).Stable.Revision.IsZero() }); err != nil {
		t.Fatal(err)
	}
	w.repo.commit(person, "Upgrade it", map[string]string{releasePath(checkout): releaseText(checkout, "1.1.0", "")})
	bakes := func() bool {
		r := w.rollout(checkout)
		return r.Phase == strategy.Stepping && r.Weight > 0 && r.Baked > time.Second
	}
	if err := w.until(5*time.Minute, bakes); err != nil {
		t.Fatal(err)
	}
	daemon := w.rollout(checkout).Reason
	same := func(s strategy.Split) strategy.Split { return s }
	bare := func(s strategy.Split) strategy.Split {
		return strategy.Split{Release: s.Release, Stable: s.Stable, Canary: s.Canary, Weight: s.Weight}
	}
	for _, c := range []struct {
		name  string
		waits bool
		says  func(strategy.Split) strategy.Split
	}{
		{"all of it", false, same},
		{"that it knows the release", false, func(s strategy.Split) strategy.Split { return strategy.Split{Release: s.Release} }},
		{"what its servers are", false, bare},
		{"a little less", false, func(s strategy.Split) strategy.Split { s = bare(s); s.Weight--; return s }},
		{"nothing of it", true, func(strategy.Split) strategy.Split { return strategy.Split{} }},
		{"another weight", true, func(s strategy.Split) strategy.Split { s.Weight++; return s }},
		{"more", true, func(s strategy.Split) strategy.Split { s = bare(s); s.Weight++; return s }},
		{"none", true, func(s strategy.Split) strategy.Split { s = bare(s); s.Weight = 0; return s }},
		{"other servers", true, func(s strategy.Split) strategy.Split { s = bare(s); s.Stable = s.Stable[1:]; return s }},
	} {
		opts := w.options()
		traffic := opts.Routers[""]
		traffic.Router = newcomer{traffic.Router, c.says}
		opts.Routers[""] = traffic
		previews, err := reconcile.New(opts).Preview(t.Context(), w.now)
		if err != nil || len(previews) != 1 {
			t.Fatalf("the router says %s: previews %v, error %v", c.name, previews, err)
		}
		said := previews[0].Foreseen().Reason
		if waits := strings.Contains(said, "waiting for the router"); waits != c.waits || !waits && said != daemon.Text {
			t.Errorf("the router says %s: the plan says %q, the daemon %q", c.name, said, daemon.Text)
		}
	}
}

// surveyor is a router whose balancer lacks something.
type surveyor struct {
	reconcile.Router
	lacks string
	err   error
	asked []bool // whether sessions were to be kept, by the plan that it was asked with
}

func (s *surveyor) Lacks(_ context.Context, _ string, plan strategy.Plan) (string, error) {
	s.asked = append(s.asked, plan.Sticky)
	return s.lacks, s.err
}

// TestPreviewSurveys: what the balancer's own configuration lacks for a rollout is said before it begins.
func TestPreviewSurveys(t *testing.T) {
	w := newWorld(t, 100)
	w.repo.commit(person, "Release it", releaseFiles(t, checkout, "1.0.0"))
	if err := w.until(30*time.Minute, func() bool { return w.rests(checkout) && !w.rollout(checkout).Stable.Revision.IsZero() }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sticky bool
		says   surveyor
		warns  string
	}{
		{true, surveyor{lacks: "add a line"}, "add a line"},
		{false, surveyor{err: errors.New("it is away")}, "it is away"},
		{false, surveyor{}, ""},
	} {
		more := ""
		if c.sticky {
			more = "  traffic {\n    sessions = \"sticky\"\n  }\n"
		}
		w.repo.commit(person, "Upgrade it", map[string]string{releasePath(checkout): releaseText(checkout, "1.1.0", more)})
		opts := w.options()
		traffic := opts.Routers[""]
		c.says.Router = capable{traffic.Router}
		traffic.Router = &c.says
		opts.Routers[""] = traffic
		previews, err := reconcile.New(opts).Preview(t.Context(), w.now)
		if err != nil || len(previews) != 1 || !previews[0].Starts() {
			t.Fatalf("previews %v, error %v", previews, err)
		}
		if diff := cmp.Diff([]bool{c.sticky}, c.says.asked); diff != "" {
			t.Errorf("asked for sessions (-want +got):\n%s", diff)
		}
		if warns := c.warns != "" && slices.Contains(previews[0].Warnings, c.warns); warns != (c.warns != "") {
			t.Errorf("warnings %q, want %q among them", previews[0].Warnings, c.warns)
		}
	}
}

// capable is a router that can keep users on their track.
type capable struct{ reconcile.Router }

func (c capable) Abilities() strategy.Abilities {
	a := c.Router.Abilities()
	a.Sessions = true
	return a
}
