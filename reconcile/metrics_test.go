package reconcile_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// TestMetrics reads the metrics of a world in which one version was promoted and one rolled back.
func TestMetrics(t *testing.T) {
	w := condemned(t)
	registry := prometheus.NewRegistry()
	w.loop = reconcile.New(reconcile.Options{
		Instance: instance, Repository: w.repo, Load: load, Cluster: w.cluster(),
		Routers: map[string]reconcile.Traffic{"": {Router: router{w}, Meter: meter{w}}}, Ledger: w.ledger, Forge: w.forge,
		Logger: slog.New(slog.DiscardHandler), Registerer: registry,
	})
	w.release(checkout, "1.1.0")
	if err := w.until(time.Minute, func() bool { return w.rollout(checkout).Weight == strategy.Percent(20) }); err != nil {
		t.Fatalf("release 1.1.0: %v", err)
	}
	const stepping = `# HELP drover_canary_weight_ratio Share of traffic that the canary of a release is given, from 0 to 1.
# TYPE drover_canary_weight_ratio gauge
drover_canary_weight_ratio{release="checkout-api"} 0.2
# HELP drover_rollout_held 1 while a rollout does not go forward.
# TYPE drover_rollout_held gauge
drover_rollout_held{release="checkout-api"} 0
`
	if diff := cmp.Diff(stepping, exposed(t, registry, "drover_canary_weight_ratio", "drover_rollout_held")); diff != "" {
		t.Errorf("metrics at 20%% (-want +got):\n%s", diff)
	}
	w.nomad.Unavailable(true)
	w.tick()
	held := strings.Replace(stepping, `held{release="checkout-api"} 0`, `held{release="checkout-api"} 1`, 1)
	if diff := cmp.Diff(held, exposed(t, registry, "drover_canary_weight_ratio", "drover_rollout_held")); diff != "" {
		t.Errorf("metrics while Nomad is away (-want +got):\n%s", diff)
	}
	const alarm = `# HELP drover_alarm 1 while a person has to look: severity alarm soon, page at once. No release is meant by an empty one, but all.
# TYPE drover_alarm gauge
drover_alarm{reason="nomad_unreachable",release="checkout-api",severity="alarm"} 1
`
	if diff := cmp.Diff(alarm, exposed(t, registry, "drover_alarm")); diff != "" {
		t.Errorf("alarms while Nomad is away (-want +got):\n%s", diff)
	}
	w.nomad.Unavailable(false)
	w.repo.away = strategy.ErrDenied
	w.tick()
	everybody := strings.ReplaceAll(strings.ReplaceAll(alarm, "nomad_unreachable", "credentials_rejected"), "checkout-api", "")
	if diff := cmp.Diff(everybody+strings.ReplaceAll(alarm[strings.LastIndex(alarm, "drover_alarm{"):], "nomad_unreachable", "credentials_rejected"), exposed(t, registry, "drover_alarm")); diff != "" {
		t.Errorf("alarms while Git rejects our token (-want +got):\n%s", diff)
	}
	w.repo.away = nil
	w.tick()
	if diff := cmp.Diff("", exposed(t, registry, "drover_alarm")); diff != "" {
		t.Errorf("alarms when everything answers again (-want +got):\n%s", diff)
	}
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Stable.Revision.Version == "1.1.0" }); err != nil {
		t.Fatalf("release 1.1.0: %v", err)
	}
	w.release(checkout, "1.2.0")
	if err := w.until(time.Minute, func() bool { return w.rests(checkout) && w.rollout(checkout).Last.Kind == strategy.OutcomeCondemned }); err != nil {
		t.Fatalf("roll 1.2.0 back: %v", err)
	}
	const ended = `# HELP drover_actions_total Actions performed, by kind and result (ok, error).
# TYPE drover_actions_total counter
drover_actions_total{action="deliver",result="ok"} 2
drover_actions_total{action="mark_bad",result="ok"} 1
drover_actions_total{action="mark_good",result="ok"} 1
drover_actions_total{action="promote",result="ok"} 1
drover_actions_total{action="register",result="ok"} 3
drover_actions_total{action="set_split",result="ok"} 8
# HELP drover_rollouts_total Rollouts that ended, by outcome.
# TYPE drover_rollouts_total counter
drover_rollouts_total{outcome="condemned"} 1
drover_rollouts_total{outcome="promoted"} 1
`
	if diff := cmp.Diff(ended, exposed(t, registry, "drover_actions_total", "drover_rollouts_total")); diff != "" {
		t.Errorf("metrics at the end (-want +got):\n%s", diff)
	}
}

// exposed is what a scrape reads of some metrics.
func exposed(t *testing.T, registry *prometheus.Registry, names ...string) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	var b strings.Builder
	for _, family := range families {
		if !slices.Contains(names, family.GetName()) {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&b, family); err != nil {
			t.Fatalf("write %s: %v", family.GetName(), err)
		}
	}
	return b.String()
}
