package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/strategy"
)

// crowdJobspec is a job that does nothing, and one whose version begins with bad does not even that.
const crowdJobspec = `variable "version" {
  type = string
}

job "%[1]s" {
  group "g" {
    network {
      port "http" {}
    }

    service {
      name     = "%[1]s"
      provider = "nomad"
      port     = "http"
    }

    update {
      min_healthy_time  = "1s"
      healthy_deadline  = "60s"
      progress_deadline = "90s"
    }

    restart {
      attempts = 0
      mode     = "fail"
    }

    task "t" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "case ${var.version} in bad*) exit 1 ;; esac; exec sleep 3600"]
      }

      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
`

// crowd is several releases in one repository, whose rollouts nobody asks for anything.
type crowd struct {
	*story
	names []string
	hub   *githubtest.Hub
}

// newCrowd prepares so many releases, of an instance of Drover of that name.
func newCrowd(t *testing.T, instance string, size int) *crowd {
	t.Helper()
	c := &crowd{story: begin(t, instance)}
	c.instance = instance
	for n := range size {
		c.names = append(c.names, fmt.Sprintf("%s-%d", instance, n+1))
	}
	hub, err := githubtest.New(githubtest.Options{Repository: "shop/releases", Dir: c.shop.bare})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(hub)
	t.Cleanup(server.Close)
	c.hub = hub
	dir := filepath.Dir(c.config)
	for path, text := range map[string]string{
		filepath.Join(dir, "token"): githubtest.Token,
		c.config: fmt.Sprintf("instance = %q\n\ngit {\n  url  = %q\n  poll = \"1s\"\n}\n\nnomad {\n  address = %q\n}\n\n"+
			"router \"edge\" {\n  listen    = %q\n  admin     = %q\n  instances = [\"http://%s\"]\n}\n\n"+
			"github {\n  repository = \"shop/releases\"\n  base_url   = %q\n  token_file = \"token\"\n  budget     = 1\n}\n\n"+
			"limits {\n  max_active   = 2\n  max_failures = 3\n}\n", instance, c.shop.bare, agent.Address, c.edge, c.admin, c.admin, server.URL),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, name := range c.names {
			if err := agent.PurgeIn(ctx, api.DefaultNamespace, name); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
	})
	return c
}

// write puts a release of the crowd into the clone.
func (c *crowd) write(name, version string) {
	c.t.Helper()
	c.shop.write("releases/"+name+"/job.nomad.hcl", fmt.Sprintf(crowdJobspec, name))
	c.shop.write("releases/"+name+"/release.hcl", fmt.Sprintf("release %q {\n  version = %q\n  jobspec = \"job.nomad.hcl\"\n  policy  = \"crowd\"\n}\n", name, version))
}

// bakeFor writes the policy of all.
func (c *crowd) bakeFor(bake string) {
	c.t.Helper()
	c.shop.write("policies/crowd.hcl", fmt.Sprintf("policy \"crowd\" {\n  strategy \"canary\" {\n    weights = [\"100%%\"]\n    bake    = %q\n  }\n}\n", bake))
}

// all is where every release stands.
func (c *crowd) all() map[string]strategy.Rollout {
	c.t.Helper()
	code, out, said := command(c.t, "status", "-config", c.config, "-json")
	var rollouts []strategy.Rollout
	if err := json.Unmarshal([]byte(out), &rollouts); code != 0 || err != nil {
		c.t.Fatalf("drover status -json exited with %d: %v\n%s", code, err, said)
	}
	all := map[string]strategy.Rollout{}
	for _, r := range rollouts {
		all[r.Release] = r
	}
	return all
}

// TestOneCommitOfSeveralReleases merges one commit that touches seven releases, the first three of which crash: two are in
// a rollout at a time, the three are put back and reverted one after the other, and told in one issue; what had not begun
// by then does not begin.
func TestOneCommitOfSeveralReleases(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, "crowd", 7)
	c.bakeFor("1s")
	for _, name := range c.names {
		c.write(name, "1.0.0")
	}
	c.shop.push("Release everything 1.0.0")
	c.runProxy()
	c.drover.start()
	c.until("1.0.0 of all is live", func() bool {
		all := c.all()
		return !slices.ContainsFunc(c.names, func(name string) bool { return all[name].Last.Kind != strategy.OutcomePromoted })
	})

	c.bakeFor("15s") // What is sound is still baking when the third fails.
	bad := c.names[:3]
	for _, name := range c.names {
		version := "2.0.0"
		if slices.Contains(bad, name) {
			version = "bad-2.0.0"
		}
		c.write(name, version)
	}
	touched := c.shop.push("Release everything 2.0.0")
	active, held := 0, c.names[6]
	c.until("the three are reverted, and nothing is in motion", func() bool {
		all, moving := c.all(), 0
		for _, r := range all {
			if !r.AtRest() {
				moving++
			}
		}
		active = max(active, moving)
		return moving == 0 && strings.Contains(all[held].Reason.Text, "limits.max_failures") && len(c.reverts()) == 3
	})
	if active != 2 {
		t.Errorf("%d rollouts were under way at once, want 2 (limits.max_active)", active)
	}
	c.checkEnds(bad, held)
	c.checkReverts(bad, touched)
	c.checkIssue(bad)
	c.drover.stop()
}

// checkEnds looks at what became of each release.
func (c *crowd) checkEnds(bad []string, held string) {
	c.t.Helper()
	for name, r := range c.all() {
		switch {
		case slices.Contains(bad, name):
			if r.Last.Kind != strategy.OutcomeCondemned || r.Stable.Revision.Version != "1.0.0" {
				c.t.Errorf("%s rests on %s, last %s, want 1.0.0 with bad-2.0.0 condemned", name, r.Stable.Revision, r.Last.Kind)
			}
		case r.Stable.Revision.Version == "1.0.0":
			contains(c.t, "drover status", c.drive(0, "status", name), "3 releases of commit", "limits.max_failures", "commit this release again")
		case name == held:
			c.t.Errorf("%s was released after three others of its commit had failed", name)
		}
	}
}

// reverts is the commits of Drover, the oldest first.
func (c *crowd) reverts() []string {
	c.t.Helper()
	return strings.Fields(c.shop.git(c.shop.bare, "log", "--reverse", "--author=Drover", "--format=%H", "main"))
}

// checkReverts holds that each failed release was put back by a commit of its own, and the others were let be.
func (c *crowd) checkReverts(bad []string, touched string) {
	c.t.Helper()
	var reverted []string
	for _, sha := range c.reverts() {
		release := c.shop.trailer(sha, "Drover-Release")
		reverted = append(reverted, release)
		if got := c.shop.trailer(sha, "Drover-Failed"); got != touched {
			c.t.Errorf("the revert of %s is of %q, want %s", release, got, touched)
		}
		if got := c.shop.git(c.shop.bare, "show", "--format=", "--name-only", sha); got != "releases/"+release+"/release.hcl" {
			c.t.Errorf("the revert of %s changes %s", release, got)
		}
	}
	if slices.Sort(reverted); !slices.Equal(reverted, bad) {
		c.t.Errorf("reverted are %v, want %v", reverted, bad)
	}
	if got := c.shop.git(c.shop.bare, "show", "main:releases/"+c.names[6]+"/release.hcl"); !strings.Contains(got, `"2.0.0"`) {
		c.t.Errorf("Git asks for something else of %s than people did:\n%s", c.names[6], got)
	}
}

// checkIssue holds that one issue tells of all that failed.
func (c *crowd) checkIssue(bad []string) {
	c.t.Helper()
	told := func() (text string, open int) {
		for _, issue := range c.hub.Issues() {
			open++
			text += issue.Title + "\n" + issue.Body + "\n"
			for _, comment := range issue.Comments {
				text += comment.Body + "\n"
			}
		}
		return text, open
	}
	c.until("an issue tells of all three", func() bool {
		text, _ := told()
		return !slices.ContainsFunc(bad, func(name string) bool { return !strings.Contains(text, name+" bad-2.0.0") })
	})
	if text, open := told(); open != 1 {
		c.t.Errorf("%d issues were opened, want 1 for the commit:\n%s", open, text)
	}
}
