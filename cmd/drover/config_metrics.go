package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"

	"github.com/drover-dev/drover/providers/prometheus"
	"github.com/drover-dev/drover/reconcile"
)

// metricsConfig says where the gates that ask by themselves find their answers.
type metricsConfig struct {
	Type         string            `hcl:"type,label"` // "prometheus"
	Address      string            `hcl:"address"`
	Username     string            `hcl:"username,optional"`
	PasswordFile string            `hcl:"password_file,optional"`
	TokenFile    string            `hcl:"token_file,optional"`
	Headers      map[string]string `hcl:"headers,optional"`
	CACert       string            `hcl:"ca_cert,optional"`
	ClientCert   string            `hcl:"client_cert,optional"`
	ClientKey    string            `hcl:"client_key,optional"`
	ServerName   string            `hcl:"tls_server_name,optional"`
	Scrape       *hcl.Attribute    `hcl:"scrape_interval,optional"`
	Range        hcl.Range         `hcl:",def_range"`

	scrape time.Duration
}

const metricsPrometheus = "prometheus"

// complete checks what the syntax cannot, and makes paths those of the folder that drover.hcl stands in.
func (m *metricsConfig) complete(dir string) hcl.Diagnostics {
	if m == nil {
		return nil
	}
	fault := func(at hcl.Range, summary, detail string) hcl.Diagnostics {
		return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at.Ptr()}}
	}
	if m.Type != metricsPrometheus {
		return fault(m.Range, "Unknown metrics", fmt.Sprintf("There are no metrics of type %q: write metrics \"prometheus\".", m.Type))
	}
	if u, err := url.Parse(m.Address); err != nil || u.Host == "" {
		return fault(m.Range, "Invalid address", fmt.Sprintf("%q is not the address of a Prometheus: write it such as \"http://prometheus:9090\".", m.Address))
	}
	for _, path := range []*string{&m.PasswordFile, &m.TokenFile, &m.CACert, &m.ClientCert, &m.ClientKey} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	if m.Scrape == nil {
		return nil
	}
	var text string
	if diags := gohcl.DecodeExpression(m.Scrape.Expr, nil, &text); diags.HasErrors() {
		return diags
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return fault(m.Scrape.Expr.Range(), "Invalid interval", "scrape_interval is how often Prometheus reads the allocations, at least one second, such as \"15s\".")
	}
	m.scrape = d
	return nil
}

// wireMetrics builds what answers gates; nil when nothing is configured.
func wireMetrics(m *metricsConfig) (reconcile.Metrics, error) {
	if m == nil {
		return nil, nil
	}
	return prometheus.New(prometheus.Config{
		Address: m.Address, Username: m.Username, PasswordFile: m.PasswordFile, TokenFile: m.TokenFile, Headers: m.Headers,
		CACert: m.CACert, ClientCert: m.ClientCert, ClientKey: m.ClientKey, ServerName: m.ServerName, Scrape: m.scrape,
	})
}
