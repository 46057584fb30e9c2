package github_test

import (
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/github/openapi"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
)

var (
	_ reconcile.Forge    = (*github.Forge)(nil)
	_ reconcile.Statuses = (*github.Forge)(nil)
)

// desk is a hub with a forge that speaks to it, in a time that the test moves.
type desk struct {
	remote *providertest.BareRemote
	hub    *githubtest.Hub
	forge  *github.Forge
	now    time.Time
}

const repository = "shop/releases"

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskWith(t, 0)
}

// newDeskWith has a hub that allows so many requests in an hour; 0 is GitHub's own number.
func newDeskWith(t *testing.T, limit int) *desk {
	t.Helper()
	d := &desk{remote: providertest.NewBareRemote(t), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	d.remote.Commit(t, "Begin", providertest.Files{"README.md": "releases\n"})
	var err error
	d.hub, err = githubtest.New(githubtest.Options{Repository: repository, Dir: d.remote.Dir, Now: d.clock, Limit: limit, Check: openapi.Check(t)})
	if err != nil {
		t.Fatal(err)
	}
	d.forge = d.newForge(t, github.Config{})
	return d
}

func (d *desk) clock() time.Time { return d.now }

// newForge is another process of Drover's.
func (d *desk) newForge(t *testing.T, c github.Config) *github.Forge {
	t.Helper()
	c.Repository, c.Transport, c.Now, c.Gap = repository, d.hub.Transport(), d.clock, -1
	if c.Token == nil && c.App == nil {
		c.Token = github.Fixed(githubtest.Token)
	}
	forge, err := github.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return forge
}
