package prometheus

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/config"
)

// Config says where the metrics are. Secrets are files, which are read at every request, so that they may be replaced.
type Config struct {
	Address      string            // of the API, such as http://prometheus:9090, with its path where it has one
	Username     string            // for basic authentication, with PasswordFile
	PasswordFile string            //
	TokenFile    string            // for a bearer token
	Headers      map[string]string // sent with every request, such as X-Scope-OrgID
	CACert       string            // files of PEM, for TLS
	ClientCert   string
	ClientKey    string
	ServerName   string
	Scrape       time.Duration // how often allocations are scraped; 0 is 15 seconds
	Profile      *Profile      // how requests are found; nil: they are counted elsewhere

	Logger     *slog.Logger      // nil for none
	Registerer client.Registerer // nil for none
}

const (
	// DefaultScrape is how often allocations are scraped where nothing is said.
	DefaultScrape = 15 * time.Second
	// scrapes is how many readings a query that counts spans at least: increase() extrapolates from two on.
	scrapes = 4
	timeout = 10 * time.Second
)

// New makes a meter. It asks nothing yet; the error says what is wrong with the configuration.
func New(c Config) (*Meter, error) {
	if c.Scrape == 0 {
		c.Scrape = DefaultScrape
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Username != "" && c.TokenFile != "":
		return nil, errors.New("metrics: both username and token_file are set: leave one out")
	case (c.Username == "") != (c.PasswordFile == ""):
		return nil, errors.New("metrics: username and password_file go together")
	case c.Scrape < time.Second:
		return nil, fmt.Errorf("metrics: scrape_interval %s: want at least 1s", c.Scrape)
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	server, err := api.NewClient(api.Config{Address: c.Address, RoundTripper: transport})
	if err != nil {
		return nil, fmt.Errorf("metrics: address %q: %w", c.Address, err)
	}
	m := &Meter{
		api: v1.NewAPI(server), every: scrapes * c.Scrape, scrape: c.Scrape, profile: c.Profile, log: c.Logger.With("component", "metrics"),
		clamped: promauto.With(c.Registerer).NewCounterVec(client.CounterOpts{
			Name: "drover_metrics_clamped_total", Help: "Values of gates on the machine that were above 100%, and were judged as that.",
		}, []string{"metric"}),
		tallies: map[string]*tally{}, counts: map[string]*count{}, lastRead: map[string]time.Time{},
	}
	if c.Profile == nil {
		return m, nil
	}
	if err := c.Profile.Check(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	m.failed, err = c.Profile.classifier()
	return m, err
}

func (c Config) transport() (http.RoundTripper, error) {
	base := api.DefaultRoundTripper
	if c.CACert != "" || c.ClientCert != "" || c.ServerName != "" {
		settings := config.TLSConfig{CAFile: c.CACert, CertFile: c.ClientCert, KeyFile: c.ClientKey, ServerName: c.ServerName}
		tls, err := config.NewTLSConfig(&settings)
		if err != nil {
			return nil, fmt.Errorf("metrics: read the certificates: %w", err)
		}
		base = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: tls, TLSHandshakeTimeout: timeout}
	}
	return credentials{next: base, config: c}, nil
}

// credentials puts what the configuration says on every request.
type credentials struct {
	next   http.RoundTripper
	config Config
}

// RoundTrip sends the request with its credentials.
func (c credentials) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range c.config.Headers {
		r.Header.Set(name, value)
	}
	switch {
	case c.config.TokenFile != "":
		token, err := secret(c.config.TokenFile)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	case c.config.Username != "":
		password, err := secret(c.config.PasswordFile)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.config.Username+":"+password)))
	}
	return c.next.RoundTrip(r)
}

func secret(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the credentials of the metrics: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
