package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/reconcile"
)

// githubConfig is the github block: who Drover is on GitHub. Secrets come from the environment or files.
type githubConfig struct {
	Repository string     `hcl:"repository,optional"` // OWNER/NAME; default: the end of git's url
	BaseURL    string     `hcl:"base_url,optional"`   // of a GitHub Enterprise Server
	TokenEnv   string     `hcl:"token_env,optional"`
	TokenFile  string     `hcl:"token_file,optional"`
	App        *appConfig `hcl:"app,block"`
	SecretEnv  string     `hcl:"webhook_secret_env,optional"`
	SecretFile string     `hcl:"webhook_secret_file,optional"`
	PlanForks  bool       `hcl:"plan_forks,optional"`
	DetailsURL string     `hcl:"details_url,optional"` // where statuses lead; {release} and {commit} are filled in
	Budget     *float64   `hcl:"budget,optional"`      // the share of the hourly limit; default 0.2
	Body       hcl.Body   `hcl:",body"`
	Range      hcl.Range  `hcl:",def_range"`
}

type appConfig struct {
	ID           int64  `hcl:"id"`
	Installation int64  `hcl:"installation_id,optional"`
	KeyEnv       string `hcl:"key_env,optional"`
	KeyFile      string `hcl:"key_file,optional"`
}

// paths are those of the block that may be relative.
func (g *githubConfig) paths() []*string {
	if g == nil {
		return nil
	}
	paths := []*string{&g.TokenFile, &g.SecretFile}
	if g.App != nil {
		paths = append(paths, &g.App.KeyFile)
	}
	return paths
}

func (g *githubConfig) token() secret {
	return secret{block: "github", name: "token", env: g.TokenEnv, file: g.TokenFile}
}

func (g *githubConfig) webhookSecret() secret {
	return secret{block: "github", name: "webhook_secret", env: g.SecretEnv, file: g.SecretFile}
}

func (a *appConfig) key() secret {
	return secret{block: "github: app", name: "key", env: a.KeyEnv, file: a.KeyFile}
}

// complete checks what the syntax cannot.
func (g *githubConfig) complete() hcl.Diagnostics {
	if g == nil {
		return nil
	}
	at := placesOf(g.Body, g.Range)
	diags := append(g.token().check(at), g.webhookSecret().check(at)...)
	switch {
	case g.App != nil && g.token().given():
		diags = append(diags, fault("Two identities", g.Range, "Both an app and a token are named: leave one out."))
	case g.App == nil && !g.token().given():
		diags = append(diags, fault("No identity", g.Range, "Say who Drover is on GitHub: token_env or token_file, or an app block."))
	case g.App != nil && !g.App.key().given():
		diags = append(diags, fault("No private key", g.Range, "Name the private key of the app by key_file or key_env."))
	}
	if g.Budget != nil && (*g.Budget <= 0 || *g.Budget > 1) {
		diags = append(diags, fault("Invalid budget", at("budget"), "budget is the share of GitHub's hourly limit that Drover uses, above 0 and at most 1, such as 0.2."))
	}
	return append(diags, g.checkDetails(at)...)
}

func (g *githubConfig) checkDetails(at func(string) hcl.Range) hcl.Diagnostics {
	u, err := url.Parse(g.details("release", "commit"))
	if g.DetailsURL == "" || (err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")) {
		return nil
	}
	return hcl.Diagnostics{fault("Invalid address", at("details_url"),
		"details_url is the address that statuses lead to, such as \"https://grafana.example.com/d/drover?var-release={release}\": {release} and {commit} are filled in.")}
}

// details is where the status of a release on a commit leads.
func (g *githubConfig) details(release, sha string) string {
	return strings.NewReplacer("{release}", url.QueryEscape(release), "{commit}", sha).Replace(g.DetailsURL)
}

// wireForge builds the client of GitHub; nil without a github block.
func wireForge(c *config, logger *slog.Logger) (*github.Forge, error) {
	g := c.GitHub
	if g == nil {
		return nil, nil
	}
	repository := g.Repository
	if repository == "" {
		repository = repositoryOf(c.Git.URL)
	}
	if repository == "" {
		return nil, errors.New("github: say which repository: repository = \"OWNER/NAME\"")
	}
	settings := github.Config{Repository: repository, Branch: c.Git.Branch, BaseURL: g.BaseURL, Logger: logger}
	if g.Budget != nil {
		settings.Budget = *g.Budget
	}
	if g.App != nil {
		key, err := g.App.key().read()
		if err != nil {
			return nil, err
		}
		settings.App = &github.App{ID: g.App.ID, Installation: g.App.Installation, Key: []byte(key)}
		return github.New(settings)
	}
	if _, err := g.token().read(); err != nil {
		return nil, err
	}
	settings.Token = func(context.Context) (string, error) { return g.token().read() }
	return github.New(settings)
}

// repositoryOf is OWNER/NAME from the address of a repository, "" when it has none.
func repositoryOf(address string) string {
	var path string
	if u, err := url.Parse(address); err == nil && u.Scheme != "" {
		path = u.Path
	} else if _, after, ok := strings.Cut(address, ":"); ok {
		path = after
	} else {
		return ""
	}
	parts := strings.Split(strings.TrimSuffix(strings.Trim(path, "/"), ".git"), "/")
	if len(parts) != 2 {
		return ""
	}
	return strings.Join(parts, "/")
}

// isOnGitHub tells whether Git may use the token of the github block: no other is named, and the repository is at the same
// host. A token is sent to no other.
func (c *config) isOnGitHub() bool {
	u, err := url.Parse(c.Git.URL)
	if err != nil || u.Scheme != "https" || u.User != nil || c.Git.token().given() {
		return false
	}
	host := "github.com"
	if base, err := url.Parse(c.GitHub.BaseURL); err == nil && base.Host != "" {
		host = strings.TrimPrefix(base.Host, "api.")
	}
	return strings.EqualFold(u.Host, host)
}

// webhookPath is where GitHub delivers to.
const webhookPath = "/webhooks/github"

// webhooks answers deliveries, when a secret for them is configured; else it is nil. They are hints: what they say may have changed is
// asked for at once instead of at the next poll.
func webhooks(c *config, opts reconcile.Options, loop *reconcile.Loop) (http.Handler, error) {
	forge, ok := opts.Forge.(*github.Forge)
	if !ok || !c.GitHub.webhookSecret().given() {
		return nil, nil
	}
	text, err := c.GitHub.webhookSecret().read()
	if err != nil {
		return nil, err
	}
	return forge.NewHook(text, func(hint github.Hint) {
		switch hint {
		case github.HintPush:
			loop.PollNow()
			loop.LookAtPulls()
		case github.HintPull:
			loop.LookAtPulls()
		case github.HintWords:
			loop.ListenNow()
		}
	})
}
