package integration_test

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// beginNGINX is examples/blue-green-nginx with times that a test can wait for. NGINX is started when Drover has written what
// it includes.
func beginNGINX(t *testing.T, name string) *balanced {
	t.Helper()
	dir := t.TempDir()
	admin, log := freeAddress(t), freeAddress(t)
	config := filepath.Join(dir, "nginx.conf")
	control := `"nginx", "-c", ` + strconv.Quote(config)
	return beginExample(t, "blue-green-nginx", name,
		"checkout_api", name, "/etc/nginx/drover/edge.conf", filepath.Join(dir, "edge.conf"), "/run/nginx.pid", filepath.Join(dir, "nginx.pid"),
		"127.0.0.1:8081", admin, "127.0.0.1:8082", log, `["nginx", "-t"`, "["+control+`, "-t"`, `["nginx", "-s"`, "["+control+`, "-s"`,
		`bake    = "20m"`, `bake    = "3s"`, `standby = "1h"`, `standby = "2s"`, `\"service\":\"`+name, `\"service\":\"checkout-api`,
	).at(dir)
}

// at places the balancer's files.
func (b *balanced) at(dir string) *balanced {
	b.dir = dir
	return b
}

func (b *balanced) liveBehindNGINX(version string) {
	b.t.Helper()
	b.live(version, "edge.conf", func() {
		b.runBalancer(answers("http://"+b.edge+"/"), "nginx", "-c", b.file("nginx.conf"), "-g", "daemon off;")
	})
}

// TestBlueGreenBehindNGINX is the example's journey: 1.7 to 1.8, and a bad version that is taken back at once and reverted.
func TestBlueGreenBehindNGINX(t *testing.T) {
	b := beginNGINX(t, "greened")
	b.liveBehindNGINX("1.7.0")
	old := b.allocs()

	b.ask("1.8.0")
	b.stands("1.8.0")
	r := b.rests("1.8.0", strategy.OutcomePromoted)
	b.steps(r)
	b.replaced(old)
	b.takesBack("1.8.0")
}

// TestNGINXIsStartedAnewInMidRollout: it has its split still, and the rollout goes on.
func TestNGINXIsStartedAnewInMidRollout(t *testing.T) {
	b := beginNGINX(t, "resumed")
	b.liveBehindNGINX("1.7.0")
	b.ask("1.8.0")
	b.bakes("1.8.0", strategy.Full)
	b.balancer.stop()
	b.balancer.start()
	b.rests("1.8.0", strategy.OutcomePromoted)
	rested := time.Now()
	b.until("users see 1.8.0", func() bool { return b.users.answered("1.8.0", rested) > 20 })
	b.only("1.8.0", rested)
	b.nobodyFailed(rested)
	b.drover.stop()
}
