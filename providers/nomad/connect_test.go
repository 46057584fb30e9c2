package nomad_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/nomad"
)

// recorder answers every request with an empty list, and keeps what it was sent.
type recorder struct{ requests []*http.Request }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.requests = append(r.requests, req)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

func TestConnectReadsTheTokenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	next := &recorder{}
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := nomad.Connect(nomad.Config{Address: "http://nomad.test:4646", TokenFile: path, Region: "west", HTTPClient: &http.Client{Transport: next}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		t.Helper()
		if _, err := client.Raw().Query("/v1/jobs", new(any), nil); err == nil {
			t.Fatal("an empty body was decoded")
		}
	}
	ask()
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask()
	var tokens []string
	for _, r := range next.requests {
		tokens = append(tokens, r.Header.Get("X-Nomad-Token"))
		if r.URL.Host != "nomad.test:4646" || r.URL.Query().Get("region") != "west" {
			t.Errorf("got request to %s, want the address and region of the configuration", r.URL)
		}
	}
	if diff := cmp.Diff([]string{"one", "two"}, tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

// TestConnectAsksForPlainAnswers: compressing one costs Nomad's server more than most answers do.
func TestConnectAsksForPlainAnswers(t *testing.T) {
	next := &recorder{}
	client, err := nomad.Connect(nomad.Config{Address: "http://nomad.test:4646", HTTPClient: &http.Client{Transport: next}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Raw().Query("/v1/jobs", new(any), nil); err == nil {
		t.Fatal("an empty body was decoded")
	}
	if got := next.requests[0].Header.Values("Accept-Encoding"); !cmp.Equal(got, []string{"identity"}) {
		t.Errorf("asked for an answer in %q, want identity", got)
	}
}

// TestConnectThroughASocket is how a task of Nomad reaches it: by the socket in its secrets, and with the token of its
// identity, which Nomad renews in its file.
func TestConnectThroughASocket(t *testing.T) {
	dir := t.TempDir()
	socket, path := filepath.Join(dir, "api.sock"), filepath.Join(dir, "nomad_token")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.Header.Get("X-Nomad-Token"))
		fmt.Fprint(w, "[]")
	})}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := nomad.Connect(nomad.Config{Address: "unix://" + socket, TokenFile: path})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, token := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Raw().Query("/v1/jobs", new([]any), nil); err != nil {
			t.Errorf("ask through the socket: %v", err)
		}
	}
	if diff := cmp.Diff([]string{"one", "two"}, tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestConnectRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		config nomad.Config
		want   string
	}{
		{"missing token file", nomad.Config{TokenFile: filepath.Join(t.TempDir(), "none")}, "read the token"},
		{"empty token file", nomad.Config{TokenFile: empty}, "is empty"},
		{"token twice", nomad.Config{Token: "x", TokenFile: empty}, "leave one out"},
		{"missing certificate", nomad.Config{CACert: filepath.Join(t.TempDir(), "ca.pem")}, "connect to nomad"},
		{"no address", nomad.Config{Address: "http://[::1"}, "connect to nomad"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := nomad.Connect(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
