package integration_test

import (
	"os/exec"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// beginTraefik is examples/canary-traefik with times that a test can wait for, and few users: as beginHAProxy.
func beginTraefik(t *testing.T, name string) *balanced {
	t.Helper()
	if _, err := exec.LookPath("traefik"); err != nil {
		t.Skip("traefik is not on the PATH, and no package of Debian has it")
	}
	dir, meter := t.TempDir(), freeAddress(t)
	b := beginExample(t, "canary-traefik", name,
		"/etc/traefik", dir, "127.0.0.1:9102", freeAddress(t), "127.0.0.1:8081", freeAddress(t), "127.0.0.1:9090", meter,
		`scrape_interval = "5s"`, `scrape_interval = "1s"`, "scrape_interval: 5s", "scrape_interval: 1s", `bake    = "5m"`, `bake    = "2s"`,
		`"5%", "25%", "50%"`, `"25%", "50%"`, "min    = 500", "min    = 100", `max           = "1%"`, `max           = "2%"`,
		`"1.5x"`, `"+2pp"`).at(dir)
	b.runPrometheus(meter, b.read("prometheus.yml"))
	return b
}

// TestCanaryBehindTraefik is the example's journey: a good version is promoted, a bad one taken back and reverted, as Prometheus
// counts them, and no request fails for it.
func TestCanaryBehindTraefik(t *testing.T) {
	b := beginTraefik(t, "routed")
	b.live("1.0.0", func() {
		b.file("routers.yml")
		b.runBalancer(answers("http://"+b.edge+"/"), "traefik", "--configFile="+b.file("traefik.yml"))
	})
	old := b.allocs()

	b.ask("1.1.0")
	r := b.rests("1.1.0", strategy.OutcomePromoted)
	b.steps(r)
	b.replaced(old)
	b.takesBack("1.1.0")
}
