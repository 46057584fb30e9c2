package nomad

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// socketScheme begins the address of a Unix socket, such as the one that Nomad gives each of its tasks.
const socketScheme = "unix://"

// Config says how to reach Nomad. A field that is empty is taken from the environment that Nomad's own tools use
// (NOMAD_ADDR, NOMAD_TOKEN, NOMAD_NAMESPACE, NOMAD_REGION, NOMAD_CACERT, …), then from Nomad's defaults.
type Config struct {
	Address   string // http://, https:// or unix://
	Token     string
	TokenFile string // read again for every request, so that a renewed token is used at once; excludes Token
	Namespace string // of requests that name none
	Region    string

	CACert        string // paths of PEM files
	CAPath        string
	ClientCert    string
	ClientKey     string
	TLSServerName string
	Insecure      bool // do not verify the server's certificate

	// HTTPClient replaces the whole transport; the TLS fields are ignored then. It is how a simulated Nomad is
	// driven in-process.
	HTTPClient *http.Client
}

// Connect builds a client. It makes no request: a wrong address shows at the first use. The token file is read once
// to say early that it is missing.
func Connect(config Config) (*api.Client, error) {
	if config.Token != "" && config.TokenFile != "" {
		return nil, fmt.Errorf("connect to nomad: both a token and a token file are set: leave one out")
	}
	c := api.DefaultConfig()
	override(&c.Address, config.Address)
	override(&c.SecretID, config.Token)
	override(&c.Namespace, config.Namespace)
	override(&c.Region, config.Region)
	override(&c.TLSConfig.CACert, config.CACert)
	override(&c.TLSConfig.CAPath, config.CAPath)
	override(&c.TLSConfig.ClientCert, config.ClientCert)
	override(&c.TLSConfig.ClientKey, config.ClientKey)
	override(&c.TLSConfig.TLSServerName, config.TLSServerName)
	c.TLSConfig.Insecure = c.TLSConfig.Insecure || config.Insecure
	c.HttpClient = config.HTTPClient
	if err := wrapTransport(c, config.TokenFile); err != nil {
		return nil, fmt.Errorf("connect to nomad: %w", err)
	}
	client, err := api.NewClient(c)
	if err != nil {
		return nil, fmt.Errorf("connect to nomad at %s: %w", c.Address, err)
	}
	return client, nil
}

func override(field *string, value string) {
	if value != "" {
		*field = value
	}
}

// wrapTransport keeps a server that is behind from being believed, and, where there is a token file, makes every request
// carry the token that it holds at that moment.
func wrapTransport(c *api.Config, tokenFile string) error {
	wrapped := http.Client{}
	if c.HttpClient != nil {
		wrapped = *c.HttpClient
	}
	next := wrapped.Transport
	switch {
	case next != nil:
	case c.HttpClient != nil:
		next = http.DefaultTransport
	default:
		transport, err := newTransport(c)
		if err != nil {
			return err
		}
		next = transport
	}
	next = newSteadyTransport(uncompressed{next})
	if tokenFile != "" {
		tokens := &tokenTransport{path: tokenFile, next: next}
		if _, err := tokens.read(); err != nil {
			return err
		}
		c.SecretID = ""
		next = tokens
	}
	wrapped.Transport = next
	c.HttpClient = &wrapped
	return nil
}

// idleConnections is how many connections are kept for the next request: Drover works on eight releases at a time, and Go keeps
// two. Nomad takes a hundred from one address, of all who are there.
const idleConnections = 16

// newTransport is what the client of Nomad's API would make for the address. It is made here, as that client wraps
// none of its own.
func newTransport(c *api.Config) (*http.Transport, error) {
	if socket, ok := strings.CutPrefix(c.Address, socketScheme); ok {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		return &http.Transport{DialContext: dial, MaxIdleConnsPerHost: idleConnections}, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSHandshakeTimeout = 10 * time.Second
	transport.MaxIdleConnsPerHost = idleConnections
	plain := &http.Client{Transport: transport}
	if err := api.ConfigureTLS(plain, c.TLSConfig); err != nil {
		return nil, fmt.Errorf("set up tls: %w", err)
	}
	return transport, nil
}

// uncompressed asks Nomad for its answers as they are. Nomad begins each compressed one with a megabyte of tables, which costs
// its server more than most answers do.
type uncompressed struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (u uncompressed) RoundTrip(r *http.Request) (*http.Response, error) {
	plain := r.Clone(r.Context())
	plain.Header.Set("Accept-Encoding", "identity")
	return u.next.RoundTrip(plain)
}

// tokenTransport adds the token of a file to every request.
type tokenTransport struct {
	path string
	next http.RoundTripper
}

func (t *tokenTransport) read() (string, error) {
	text, err := os.ReadFile(t.path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("read the token: %s is empty", t.path)
	}
	return token, nil
}

// RoundTrip implements http.RoundTripper.
func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.read()
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("X-Nomad-Token", token)
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	return next.RoundTrip(req)
}
