package integration_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// beginHAProxy is examples/canary-haproxy with HAProxy running.
func beginHAProxy(t *testing.T, name string) *balanced {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "drover.sock")
	b := beginExample(t, "canary-haproxy", name,
		"/run/haproxy/drover.sock", socket, `bake    = "5m"`, `bake    = "2s"`, `"5%", "25%", "50%"`, `"25%", "50%"`, "min    = 500", "min    = 100", `max           = "1%"`, `max           = "2%"`)
	b.runBalancer(answers("http://"+b.edge+"/"), "haproxy", "-db", "-f", b.file("haproxy.cfg"))
	return b
}

// TestCanaryBehindHAProxy is the example's journey: a good version is promoted, a bad one taken back and reverted, and no
// request fails for it.
func TestCanaryBehindHAProxy(t *testing.T) {
	b := beginHAProxy(t, "haproxied")
	b.live("1.0.0")
	old := b.allocs()

	b.ask("1.1.0")
	r := b.rests("1.1.0", strategy.OutcomePromoted)
	b.steps(r)
	b.replaced(old)
	b.takesBack("1.1.0")
}

// TestHAProxyIsStartedAnew: it forgets its servers, at rest and in mid-rollout, and has them again at once.
func TestHAProxyIsStartedAnew(t *testing.T) {
	b := beginHAProxy(t, "restarted")
	b.live("1.0.0")
	restart := func() {
		t.Helper()
		b.balancer.stop()
		b.balancer.start()
		back := time.Now()
		b.until("users are served again", func() bool {
			served, _ := b.users.count(back, time.Time{}, func(a answer) bool { return !a.failed })
			return served > 20
		})
	}
	restart()
	b.ask("1.1.0")
	b.bakes("1.1.0", strategy.Percent(25))
	restart()
	b.rests("1.1.0", strategy.OutcomePromoted)
	rested := time.Now()
	b.until("users see 1.1.0", func() bool { return b.users.answered("1.1.0", rested) > 20 })
	b.only("1.1.0", rested)
	b.nobodyFailed(rested)
	b.drover.stop()
}
