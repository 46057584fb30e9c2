package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"

	"github.com/drover-dev/drover/providers/git"
)

// gitConfig says where the release repository is, and how Drover gets in.
type gitConfig struct {
	URL               string         `hcl:"url"`
	Branch            string         `hcl:"branch,optional"`
	Path              string         `hcl:"path,optional"`
	Poll              *hcl.Attribute `hcl:"poll,optional"`
	TokenEnv          string         `hcl:"token_env,optional"`
	TokenFile         string         `hcl:"token_file,optional"`
	SSHKeyFile        string         `hcl:"ssh_key_file,optional"`
	KnownHostsFile    string         `hcl:"known_hosts_file,optional"`
	SSHPassphraseEnv  string         `hcl:"ssh_passphrase_env,optional"`
	SSHPassphraseFile string         `hcl:"ssh_passphrase_file,optional"`
	Name              string         `hcl:"author_name,optional"`
	Email             string         `hcl:"author_email,optional"`
	Body              hcl.Body       `hcl:",body"`
	Range             hcl.Range      `hcl:",def_range"`

	poll time.Duration
}

const defaultPoll = 15 * time.Second

// isPath tells whether the repository is a folder of this machine, named by its path.
func (g *gitConfig) isPath() bool { return !strings.Contains(g.URL, ":") }

// isSSH tells whether the address is ssh://user@host/path or user@host:path.
func (g *gitConfig) isSSH() bool {
	if scheme, _, ok := strings.Cut(g.URL, "://"); ok {
		return strings.EqualFold(scheme, "ssh")
	}
	host, _, ok := strings.Cut(g.URL, ":")
	return ok && len(host) > 1 && !strings.ContainsAny(host, `/\`)
}

func (g *gitConfig) token() secret {
	return secret{block: "git", name: "token", env: g.TokenEnv, file: g.TokenFile}
}

func (g *gitConfig) passphrase() secret {
	return secret{block: "git", name: "ssh_passphrase", env: g.SSHPassphraseEnv, file: g.SSHPassphraseFile}
}

// complete fills in defaults and checks what the syntax cannot.
func (g *gitConfig) complete() hcl.Diagnostics {
	diags := g.completePoll()
	at := placesOf(g.Body, g.Range)
	diags = append(diags, g.token().check(at)...)
	diags = append(diags, g.passphrase().check(at)...)
	given := map[string]bool{
		"token_env": g.TokenEnv != "", "token_file": g.TokenFile != "", "ssh_key_file": g.SSHKeyFile != "",
		"known_hosts_file": g.KnownHostsFile != "", "ssh_passphrase_env": g.SSHPassphraseEnv != "", "ssh_passphrase_file": g.SSHPassphraseFile != "",
	}
	refuse := func(why string, names ...string) {
		for _, name := range names {
			if given[name] {
				diags = append(diags, fault("Unfitting attribute", at(name), "%s is %s Leave it out, or change the url.", name, why))
			}
		}
	}
	switch {
	case g.isSSH():
		refuse("not used over ssh: Drover proves itself with the key of ssh_key_file there.", "token_env", "token_file")
		if g.SSHKeyFile == "" {
			diags = append(diags, fault("Missing ssh key", at("url"), "An ssh address needs the private key that Drover shows: ssh_key_file = \"drover_ed25519\". No agent and no ~/.ssh/config is used."))
		}
	default:
		refuse("for an ssh address only, such as ssh://git@git.example.com/shop/releases.", "ssh_key_file", "known_hosts_file", "ssh_passphrase_env", "ssh_passphrase_file")
	}
	return diags
}

func (g *gitConfig) completePoll() hcl.Diagnostics {
	g.poll = defaultPoll
	if g.Poll == nil {
		return nil
	}
	var text string
	if diags := gohcl.DecodeExpression(g.Poll.Expr, nil, &text); diags.HasErrors() {
		return diags
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return hcl.Diagnostics{fault("Invalid poll interval", g.Poll.Expr.Range(), "poll is a duration of at least one second, such as \"15s\" or \"1m\".")}
	}
	g.poll = d
	return nil
}

// credentials puts into a configuration how Drover gets in. What is missing is told now rather than in every pass; a
// token is read again whenever the remote rejects it.
func (g *gitConfig) credentials(conf *git.Config) error {
	if token := g.token(); token.given() {
		if _, err := token.read(); err != nil {
			return err
		}
		conf.ReadToken = func(context.Context) (string, error) { return token.read() }
	}
	if passphrase := g.passphrase(); passphrase.given() {
		text, err := passphrase.read()
		if err != nil {
			return err
		}
		conf.SSHPassphrase = text
	}
	conf.SSHKeyFile, conf.SSHKnownHosts = g.SSHKeyFile, g.KnownHostsFile
	return nil
}

// open makes the repository that the block names, on top of what conf says already.
func (g *gitConfig) open(conf git.Config) (*git.Repository, error) {
	conf.URL, conf.Branch, conf.Author = g.URL, g.Branch, git.Author{Name: g.Name, Email: g.Email}
	if err := g.credentials(&conf); err != nil {
		return nil, err
	}
	repository, err := git.New(conf)
	if err != nil {
		return nil, fmt.Errorf("the git block of %s:%d: %w", g.Range.Filename, g.Range.Start.Line, err)
	}
	return repository, nil
}
