package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// config is drover.hcl: where everything outside is, and nothing about releases.
type config struct {
	Instance string         `hcl:"instance,optional"`  // prefix of ledger, markers and tags; default "drover"
	StateDir string         `hcl:"state_dir,optional"` // where the clone is kept; default ".drover" beside the file
	LedgerIs *hcl.Attribute `hcl:"ledger,optional"`    // "nomad" (default) or "file", in state_dir
	GitBlock *gitConfig     `hcl:"git,block"`
	Nomad    *nomadConfig   `hcl:"nomad,block"`
	Routers  []routerConfig `hcl:"router,block"`
	HTTP     *httpConfig    `hcl:"http,block"`
	Metrics  *metricsConfig `hcl:"metrics,block"`
	GitHub   *githubConfig  `hcl:"github,block"`
	Limits   *limitsConfig  `hcl:"limits,block"`
	Prune    bool           `hcl:"prune,optional"` // stop the jobs of releases that are deleted from Git

	clone string // the folder of the clone below StateDir: each process needs its own

	Git    gitConfig // that of GitBlock, if there is one
	Ledger string
}

type nomadConfig struct {
	Address       string `hcl:"address,optional"`
	TokenFile     string `hcl:"token_file,optional"`
	Namespace     string `hcl:"namespace,optional"`
	Region        string `hcl:"region,optional"`
	CACert        string `hcl:"ca_cert,optional"`
	CAPath        string `hcl:"ca_path,optional"`
	ClientCert    string `hcl:"client_cert,optional"`
	ClientKey     string `hcl:"client_key,optional"`
	TLSServerName string `hcl:"tls_server_name,optional"`

	Body  hcl.Body  `hcl:",body"`
	Range hcl.Range `hcl:",def_range"`
}

// limitsConfig bounds what one commit can do.
type limitsConfig struct {
	MaxActive   *int      `hcl:"max_active,optional"`
	MaxFailures *int      `hcl:"max_failures,optional"`
	Range       hcl.Range `hcl:",def_range"`
}

const (
	defaultInstance = "drover"
	ledgerNomad     = "nomad"
	ledgerFile      = "file"
)

// readConfig reads drover.hcl. The error shows every mistake with its place in the file.
func readConfig(path string) (*config, error) { return readParts(path, true) }

// readProxyConfig reads a drover.hcl that need not say where the release repository is.
func readProxyConfig(path string) (*config, error) { return readParts(path, false) }

func readParts(path string, needsGit bool) (*config, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration (-config): %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", path, err)
	}
	parser := hclparse.NewParser()
	file, diags := parser.ParseHCL(source, path)
	c := &config{}
	if file != nil && !diags.HasErrors() {
		diags = append(diags, gohcl.DecodeBody(policies.Helpful(file.Body), nil, c)...)
		if needsGit && c.GitBlock == nil && !slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool { return d.Summary == "Duplicate git block" }) {
			diags = append(diags, fault("Missing git block", file.Body.MissingItemRange(), "A git block is required: git { url = \"https://git.example.com/shop/releases\" } says where the release repository is."))
		}
	}
	if !diags.HasErrors() {
		diags = append(diags, c.complete(folder)...)
	}
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int { return cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte) })
	if diags.HasErrors() {
		var text strings.Builder
		if err := hcl.NewDiagnosticTextWriter(&text, parser.Files(), 100, false).WriteDiagnostics(diags); err != nil {
			return nil, diags
		}
		return nil, errors.New(strings.TrimSpace(text.String()))
	}
	return c, nil
}

// complete fills in defaults and checks what the syntax cannot.
func (c *config) complete(dir string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if c.Instance == "" {
		c.Instance = defaultInstance
	}
	c.clone = "git"
	if c.StateDir == "" {
		c.StateDir = ".drover"
	}
	diags = append(diags, c.completeLedger()...)
	if c.Nomad == nil {
		c.Nomad = &nomadConfig{}
	}
	if c.GitBlock != nil {
		c.Git = *c.GitBlock
	}
	diags = append(diags, c.Nomad.check()...)
	c.placeIn(dir)
	if c.GitBlock != nil {
		diags = append(diags, c.Git.complete()...)
	}
	diags = append(diags, c.HTTP.complete()...)
	diags = append(diags, c.GitHub.complete()...)
	diags = append(diags, c.Limits.check()...)
	diags = append(diags, c.Metrics.complete(dir)...)
	diags = append(diags, c.Metrics.checkRouters(c.Routers)...)
	return append(diags, c.checkRouters()...)
}

// check refuses an address that no client could use.
func (n *nomadConfig) check() hcl.Diagnostics {
	for _, scheme := range []string{"http://", "https://", "unix://"} {
		if n.Address == "" || strings.HasPrefix(n.Address, scheme) {
			return nil
		}
	}
	return hcl.Diagnostics{fault("Invalid address", placesOf(n.Body, n.Range)("address"),
		"address is %q: write it with its scheme, as \"http://127.0.0.1:4646\", or https:// or unix://.", n.Address)}
}

// checkListen refuses what nobody can listen on.
func checkListen(name, listen string, at hcl.Range) hcl.Diagnostics {
	if _, _, err := net.SplitHostPort(listen); err == nil {
		return nil
	}
	return hcl.Diagnostics{fault("Invalid address", at, "%s is %q: write host and port, as \"127.0.0.1:9090\", or \":9090\" for all addresses of the machine.", name, listen)}
}

// check refuses limits that would stop everything, or nothing.
func (l *limitsConfig) check() hcl.Diagnostics {
	sound := func(n *int) bool { return n == nil || *n >= 1 }
	if l == nil || (sound(l.MaxActive) && sound(l.MaxFailures)) {
		return nil
	}
	return hcl.Diagnostics{{
		Severity: hcl.DiagError, Summary: "Invalid limit", Subject: l.Range.Ptr(),
		Detail: "max_active and max_failures are whole numbers from 1 on. What is left out has its default: 10 rollouts at once, 3 failures of one commit.",
	}}
}

// limits are the bounds that the loop keeps.
func (c *config) limits() reconcile.Limits {
	if c.Limits == nil {
		return reconcile.Limits{}
	}
	given := func(n *int) int {
		if n == nil {
			return 0 // the default
		}
		return *n
	}
	return reconcile.Limits{MaxActive: given(c.Limits.MaxActive), MaxFailures: given(c.Limits.MaxFailures)}
}

// placeIn makes every path that is relative one of the folder that drover.hcl stands in.
func (c *config) placeIn(dir string) {
	paths := []*string{&c.StateDir, &c.Git.TokenFile, &c.Git.SSHKeyFile, &c.Git.KnownHostsFile, &c.Git.SSHPassphraseFile, &c.Nomad.TokenFile, &c.Nomad.CACert, &c.Nomad.CAPath, &c.Nomad.ClientCert, &c.Nomad.ClientKey}
	if c.Git.isPath() {
		paths = append(paths, &c.Git.URL)
	}
	if c.HTTP != nil {
		paths = append(paths, &c.HTTP.TokenFile)
	}
	for i := range c.Routers {
		paths = append(paths, &c.Routers[i].StateFile, &c.Routers[i].File)
		if tls := c.Routers[i].TLS; tls != nil {
			paths = append(paths, &tls.CertFile, &tls.KeyFile)
		}
	}
	for _, path := range append(paths, c.GitHub.paths()...) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
}

func (c *config) completeLedger() hcl.Diagnostics {
	c.Ledger = ledgerNomad
	if c.LedgerIs == nil {
		return nil
	}
	if diags := gohcl.DecodeExpression(c.LedgerIs.Expr, nil, &c.Ledger); diags.HasErrors() {
		return diags
	}
	if c.Ledger == ledgerNomad || c.Ledger == ledgerFile {
		return nil
	}
	return hcl.Diagnostics{fault("Unknown ledger", c.LedgerIs.Expr.Range(),
		"ledger is %q: set it to \"nomad\" (Nomad Variables, the default) or \"file\" (in state_dir).%s", c.Ledger, strategy.DidYouMean(c.Ledger, []string{ledgerNomad, ledgerFile}))}
}
