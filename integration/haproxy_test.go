package integration_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// beginHAProxy is examples/canary-haproxy with times that a test can wait for. Its users are few: so the gate on errors allows
// more, against stable too. To tell half as many again from none at all would take them a minute at the first step.
func beginHAProxy(t *testing.T, name string) *balanced {
	t.Helper()
	dir := t.TempDir()
	return beginExample(t, "canary-haproxy", name,
		"/run/haproxy/drover.sock", filepath.Join(dir, "drover.sock"), "/etc/haproxy/drover", dir, `bake    = "5m"`, `bake    = "2s"`,
		`"5%", "25%", "50%"`, `"25%", "50%"`, "min    = 500", "min    = 100", `max           = "1%"`, `max           = "2%"`,
		`"1.5x"`, `"+2pp"`).at(dir)
}

func (b *balanced) liveBehindHAProxy(version string) {
	b.t.Helper()
	b.live(version, func() {
		b.written(b.name + ".cfg")
		config := filepath.Join(b.t.TempDir(), "haproxy.cfg") // Its folder has what Drover writes, and nothing else.
		if err := os.WriteFile(config, []byte(b.read("haproxy.cfg")), 0o600); err != nil {
			b.t.Fatal(err)
		}
		b.runBalancer(answers("http://"+b.edge+"/"), "haproxy", "-W", "-f", config, "-f", b.dir)
	})
}

// TestCanaryBehindHAProxy is the example's journey: a good version is promoted, a bad one taken back and reverted, and no
// request fails for it.
func TestCanaryBehindHAProxy(t *testing.T) {
	b := beginHAProxy(t, "haproxied")
	b.liveBehindHAProxy("1.0.0")
	old := b.allocs()

	b.ask("1.1.0")
	r := b.rests("1.1.0", strategy.OutcomePromoted)
	b.steps(r)
	b.replaced(old)
	b.takesBack("1.1.0")
}

// TestHAProxyIsReloaded: at rest and in mid-rollout, and nobody notices; neither when it is stopped and started, once it is back.
func TestHAProxyIsReloaded(t *testing.T) {
	b := beginHAProxy(t, "restarted")
	b.liveBehindHAProxy("1.0.0")
	served := func(since time.Time) {
		t.Helper()
		b.until("users are served", func() bool {
			n, _ := b.users.count(since, time.Time{}, func(a answer) bool { return !a.failed })
			return n > 20
		})
	}
	began := time.Now()
	b.ask("1.1.0")
	b.bakes("1.1.0", strategy.Percent(25))
	b.balancer.signal(syscall.SIGUSR2)
	served(time.Now())
	b.rests("1.1.0", strategy.OutcomePromoted)
	b.balancer.signal(syscall.SIGUSR2)
	served(time.Now())
	b.nobodyFailed(began)
	b.balancer.stop()
	b.balancer.start()
	back := time.Now()
	served(back)
	b.only("1.1.0", back)
	b.nobodyFailed(back)
	b.drover.stop()
}

// TestHAProxyIsAwayOnTheWayBack: while HAProxy cannot be told anything the rollout holds. A revert in Git ends the canaries all the
// same, half a minute later, and no user notices: HAProxy finds them gone. It is told when it can be.
func TestHAProxyIsAwayOnTheWayBack(t *testing.T) {
	b := beginHAProxy(t, "unreachable")
	b.liveBehindHAProxy("1.0.0")
	old := b.allocs()
	b.ask("1.1.0")
	b.bakes("1.1.0", strategy.Percent(25))
	socket := filepath.Join(b.dir, "drover.sock")
	if err := os.Rename(socket, socket+".away"); err != nil {
		t.Fatal(err)
	}
	r := b.says(strategy.RouterUnreachable)
	if r.Phase != strategy.Stepping {
		t.Errorf("it is %s with a router that does not answer, want the step to hold", r.Phase)
	}
	b.shop.revert()
	b.enters("1.1.0", strategy.Restoring)
	b.until("the canaries end", func() bool { return slices.Equal(b.allocs(), old) })
	b.until("1.0.0 alone answers", func() bool { // The canaries have a shutdown_delay.
		since := time.Now().Add(-time.Second)
		return b.users.answered("1.0.0", since) > 5 && b.users.answered("1.1.0", since) == 0
	})
	if err := os.Rename(socket+".away", socket); err != nil {
		t.Fatal(err)
	}
	b.rests("1.0.0", strategy.OutcomeWithdrawn)
	b.runs(old)
	b.nobodyFailed(time.Time{})
	b.planned(planAtRest)
	b.drover.stop()
}
