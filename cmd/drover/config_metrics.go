package main

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"

	client "github.com/prometheus/client_golang/prometheus"

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
	Profile      string            `hcl:"profile,optional"` // requests are counted there, in place of by the routers
	Latency      string            `hcl:"latency,optional"` // profile of the latencies, where it is another one
	Routers      []string          `hcl:"routers,optional"` // whose requests; all when left out
	Requests     *requestsConfig   `hcl:"requests,block"`
	Range        hcl.Range         `hcl:",def_range"`

	scrape  time.Duration
	profile *prometheus.Profile
}

const metricsPrometheus = "prometheus"

// complete checks what the syntax cannot, and makes paths those of the folder that drover.hcl stands in.
func (m *metricsConfig) complete(dir string) hcl.Diagnostics {
	if m == nil {
		return nil
	}
	if m.Type != metricsPrometheus {
		return hcl.Diagnostics{fault("Unknown metrics", m.Range, "There are no metrics of type %q: write metrics \"prometheus\".", m.Type)}
	}
	if u, err := url.Parse(m.Address); err != nil || u.Host == "" {
		return hcl.Diagnostics{fault("Invalid address", m.Range, "%q is not the address of a Prometheus: write it such as \"http://prometheus:9090\".", m.Address)}
	}
	for _, path := range []*string{&m.PasswordFile, &m.TokenFile, &m.CACert, &m.ClientCert, &m.ClientKey} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	return append(m.completeScrape(), m.completeProfile()...)
}

func (m *metricsConfig) completeScrape() hcl.Diagnostics {
	if m.Scrape == nil {
		return nil
	}
	var text string
	if diags := gohcl.DecodeExpression(m.Scrape.Expr, nil, &text); diags.HasErrors() {
		return diags
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return hcl.Diagnostics{fault("Invalid interval", m.Scrape.Expr.Range(), "scrape_interval is how often Prometheus reads the allocations, at least one second, such as \"15s\".")}
	}
	m.scrape = d
	return nil
}

// wireMetrics builds what answers gates; nil when nothing is configured.
func wireMetrics(m *metricsConfig, logger *slog.Logger, registry client.Registerer) (reconcile.Metrics, error) {
	if m == nil {
		return nil, nil
	}
	return prometheus.New(prometheus.Config{
		Address: m.Address, Username: m.Username, PasswordFile: m.PasswordFile, TokenFile: m.TokenFile, Headers: m.Headers,
		CACert: m.CACert, ClientCert: m.ClientCert, ClientKey: m.ClientKey, ServerName: m.ServerName, Scrape: m.scrape,
		Profile: m.profile, Logger: logger, Registerer: registry,
	})
}
