package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// beginNGINX is examples/blue-green-nginx with times that a test can wait for. NGINX is started when Drover has written what
// it includes.
func beginNGINX(t *testing.T, name string, changes ...func(dir string) []string) *balanced {
	t.Helper()
	dir := t.TempDir()
	admin, log := freeAddress(t), freeAddress(t)
	config := filepath.Join(dir, "nginx.conf")
	control := `"nginx", "-c", ` + strconv.Quote(config)
	all := []string{
		"checkout_api", name, "/etc/nginx/drover/edge.conf", filepath.Join(dir, "edge.conf"), "/run/nginx.pid", filepath.Join(dir, "nginx.pid"),
		"127.0.0.1:8081", admin, "127.0.0.1:8082", log, `["nginx", "-t"`, "[" + control + `, "-t"`, `["nginx", "-s"`, "[" + control + `, "-s"`,
		`bake    = "20m"`, `bake    = "3s"`, `standby = "1h"`, `standby = "2s"`, `\"service\":\"` + name, `\"service\":\"checkout-api`,
	}
	for _, change := range changes {
		all = append(all, change(dir)...)
	}
	return beginExample(t, "blue-green-nginx", name, all...).at(dir)
}

// copying adds to the example that users' requests are copied before anybody is sent to the new version, which is judged by them.
func copying(t *testing.T, name string) func(dir string) []string {
	t.Helper()
	copies := freeAddress(t)
	return func(dir string) []string {
		edge := filepath.Join(dir, "edge."+name)
		return []string{
			`  log   = `, fmt.Sprintf("  copies = %q\n  log   = ", copies),
			"    location / {\n", fmt.Sprintf("    location = /drover-copy-%s {\n      include %s.copy;\n      proxy_set_header Host $host;\n    }\n\n    location / {\n      include %[2]s.mirror;\n", name, edge),
			`  gate "errors" {`, `  shadow {
    percent = 50
    bake    = "2s"
  }

  gate "copies" {
    metric = "requests"
    min    = 10
    on     = "shadow"
  }

  gate "copy-errors" {
    metric = "error_rate"
    max    = "1%"
    on     = "shadow"
  }

  gate "errors" {`,
		}
	}
}

// at places the balancer's files.
func (b *balanced) at(dir string) *balanced {
	b.dir = dir
	return b
}

func (b *balanced) liveBehindNGINX(version string) {
	b.t.Helper()
	b.live(version, func() {
		b.written("edge.conf")
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

// TestNGINXIsStartedAnewInMidRollout: a good version passes by copies of requests. NGINX has its split still when it is started
// anew, and the rollout goes on. A bad version is thrown away for what it answers to copies, and no user notices.
func TestNGINXIsStartedAnewInMidRollout(t *testing.T) {
	b := beginNGINX(t, "resumed", copying(t, "resumed"))
	b.liveBehindNGINX("1.7.0")
	b.ask("1.8.0")
	b.bakes("1.8.0", strategy.Full)
	b.balancer.stop()
	b.balancer.start()
	r := b.rests("1.8.0", strategy.OutcomePromoted)
	copied := func(e strategy.Event) bool { return strings.Contains(e.Reason.Text, "copies of 50% of the requests") }
	if !slices.ContainsFunc(r.Timeline, copied) {
		t.Errorf("no requests were copied: %+v", r.Timeline)
	}
	rested := time.Now()
	b.until("users see 1.8.0", func() bool { return b.users.answered("1.8.0", rested) > 20 })

	good := b.shop.head()
	failed := b.ask("1.2.0")
	r = b.rests("1.8.0", strategy.OutcomeCondemned)
	if r.Last.Reason.Code != strategy.GateFailed || !strings.Contains(r.Last.Reason.Text, "copy-errors") {
		t.Errorf("rolled back for %q, want the gate on copies", r.Last.Reason.Text)
	}
	b.reverted(failed, good)
	b.only("1.8.0", rested)
	b.nobodyFailed(rested)
	b.drover.stop()
}

// TestSharesThatAPersonMakesHold: an nginx.conf that names an upstream by hand, and not by Drover's variable, holds the rollout:
// the canary gets nothing of what it is to get, and then all. It goes on when that is mended.
func TestSharesThatAPersonMakesHold(t *testing.T) {
	b := beginNGINX(t, "misled", func(string) []string {
		return []string{`"blue-green"`, `"canary"`, `bake    = "3s"`, `bake    = "1s"`, `standby = "2s"`, `weights = [25, 100]`}
	})
	variable := "proxy_pass http://$drover_" + b.name
	b.liveBehindNGINX("1.7.0")
	holds := func(got string) {
		t.Helper()
		text := "the canary got " + got + " of "
		r := b.becomes("it holds, since "+text, func(r strategy.Rollout) bool { return r.Hold != nil && strings.Contains(r.Hold.Reason.Text, text) })
		if r.Hold.Reason.Code != strategy.SplitNotInEffect || r.Phase != strategy.Stepping || r.Weight != strategy.Percent(25) {
			t.Errorf("it is %s at %s, and holds for %+v; want the step to hold", r.Phase, r.Weight, r.Hold.Reason)
		}
		contains(t, "drover status", b.drive(0, "status", b.name), text, "and is to get 25%")
	}
	reload := func(pass string) {
		t.Helper()
		text := strings.ReplaceAll(b.read("nginx.conf"), variable, pass)
		if err := os.WriteFile(filepath.Join(b.dir, "nginx.conf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.balancer.signal(syscall.SIGHUP)
	}

	b.says(strategy.Promoted) // Its split rests: stable has the traffic.
	reload("proxy_pass http://drover-" + b.name + "-stable")
	b.ask("1.8.0")
	holds("0%")
	reload("proxy_pass http://drover-" + b.name + "-canary")
	holds("100%")
	reload(variable)
	b.rests("1.8.0", strategy.OutcomePromoted)
	b.nobodyFailed(time.Time{})
	b.drover.stop()
}
