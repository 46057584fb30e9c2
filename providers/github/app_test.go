package github_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/strategy"
)

func privateKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// TestApp: an app finds its installation, gets tokens, and is known by its own name.
func TestApp(t *testing.T) {
	d := newDesk(t)
	d.now = time.Now() // The library that asks for tokens has a clock of its own.
	d.hub.Install(7, 9, "drover-of-the-shop", map[string]string{"statuses": "write"})
	forge := d.newForge(t, github.Config{App: &github.App{ID: 7, Key: privateKey(t)}})
	for range 2 {
		if _, err := forge.OpenIssue(t.Context(), incident(d)); err != nil {
			t.Fatal(err)
		}
	}
	if issues := d.hub.Issues(); len(issues) != 1 || issues[0].By != "drover-of-the-shop[bot]" {
		t.Errorf("the issues are %+v, want one of the app's", issues)
	}
	if n := d.hub.Minted(); n != 1 {
		t.Errorf("%d tokens were made, want 1", n)
	}
	token, err := forge.GitToken(t.Context())
	if err != nil || token != "ghs_1" {
		t.Errorf("the token for Git is %q, %v, want the one that is there", token, err)
	}
}

// TestAppTokenIsRenewed before it ends.
func TestAppTokenIsRenewed(t *testing.T) {
	d := newDesk(t)
	d.now = time.Now().Add(-59*time.Minute - 30*time.Second) // Tokens made now end in half a minute.
	d.hub.Install(7, 9, "drover", map[string]string{"statuses": "write"})
	forge := d.newForge(t, github.Config{App: &github.App{ID: 7, Installation: 9, Key: privateKey(t)}})
	if err := forge.SetStatus(t.Context(), d.remote.Tip(t), status(1)); err != nil {
		t.Fatal(err)
	}
	if err := forge.SetStatus(t.Context(), d.remote.Tip(t), status(2)); err != nil {
		t.Fatal(err)
	}
	if n := d.hub.Minted(); n < 2 {
		t.Errorf("%d tokens were made, want one for each call so near to the end", n)
	}
}

func TestTokenFileThatWasReplaced(t *testing.T) {
	d := newDesk(t)
	d.hub.SetToken("second")
	tokens := []string{"first", "second"}
	forge := d.newForge(t, github.Config{Token: func(context.Context) (string, error) { return tokens[0], nil }})
	if err := forge.SetStatus(t.Context(), d.remote.Tip(t), status(1)); err == nil {
		t.Fatal("a token that is not let in sets a status")
	}
	tokens = tokens[1:]
	if err := forge.SetStatus(t.Context(), d.remote.Tip(t), status(1)); err != nil {
		t.Errorf("the new token: %v", err)
	}
}

// addresses notes where requests go.
type addresses struct {
	next http.RoundTripper
	seen []string
}

func (a *addresses) RoundTrip(r *http.Request) (*http.Response, error) {
	a.seen = append(a.seen, r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)
	return a.next.RoundTrip(r)
}

// TestEnterprise: nothing goes to github.com.
func TestEnterprise(t *testing.T) {
	d := newDesk(t)
	d.now = time.Now()
	d.hub.Install(7, 9, "drover", map[string]string{"statuses": "write"})
	for _, c := range []github.Config{{Token: github.Fixed("token-of-drover-bot")}, {App: &github.App{ID: 7, Key: privateKey(t)}}} {
		seen := &addresses{next: d.hub.Transport()}
		c.Repository, c.Transport, c.Now, c.Gap, c.BaseURL = repository, seen, d.clock, -1, "https://github.shop.example"
		forge, err := github.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := forge.SetStatus(t.Context(), d.remote.Tip(t), strategy.Status{Context: "drover/web", State: strategy.ReportSuccess}); err != nil {
			t.Error(err)
		}
		if _, err := forge.Self(t.Context()); err != nil {
			t.Error(err)
		}
		for _, address := range seen.seen {
			if !strings.HasPrefix(address, "https://github.shop.example/api/v3/") {
				t.Errorf("asked %s", address)
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	for base, want := range map[string]string{
		"http://github.shop.example": "plain text", "https://user:secret@github.shop.example": "without credentials", "github.shop.example": "without credentials",
	} {
		_, err := github.New(github.Config{Repository: repository, Token: github.Fixed("t"), BaseURL: base})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q", base, err, want)
		}
	}
}
