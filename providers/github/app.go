package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"
)

// App is a GitHub App that Drover speaks as.
type App struct {
	ID           int64
	Installation int64  // 0: asked for by the name of the repository
	Key          []byte // private key, PEM
}

// appTransport asks for installation tokens and renews them before they end.
type appTransport struct {
	config     *App
	base       *url.URL
	next       http.RoundTripper
	apps       *ghinstallation.AppsTransport
	owner, own string
	client     *github.Client // as the app, not as its installation

	mu        sync.Mutex
	installed *ghinstallation.Transport
}

func newAppTransport(app *App, base *url.URL, next http.RoundTripper, _ func() time.Time, owner, name string) (*appTransport, error) {
	apps, err := ghinstallation.NewAppsTransport(next, app.ID, app.Key)
	if err != nil {
		return nil, fmt.Errorf("read the private key of app %d: %w", app.ID, err)
	}
	apps.BaseURL = strings.TrimSuffix(base.String(), "/")
	t := &appTransport{config: app, base: base, next: next, apps: apps, owner: owner, own: name}
	t.client = github.NewClient(&http.Client{Transport: apps, Timeout: callTimeout})
	t.client.BaseURL = base
	return t, nil
}

// installation is the transport of the installation that sees the repository.
func (t *appTransport) installation(ctx context.Context) (*ghinstallation.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.installed != nil {
		return t.installed, nil
	}
	id := t.config.Installation
	if id == 0 {
		found, _, err := t.client.Apps.FindRepositoryInstallation(ctx, t.owner, t.own)
		if err != nil {
			return nil, fmt.Errorf("find the installation of app %d for %s/%s: install the app on the repository: %w", t.config.ID, t.owner, t.own, err)
		}
		id = found.GetID()
	}
	t.installed = ghinstallation.NewFromAppsTransport(t.apps, id)
	t.installed.BaseURL = t.apps.BaseURL
	return t.installed, nil
}

// RoundTrip does not change the request that it is given.
func (t *appTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	installed, err := t.installation(r.Context())
	if err != nil {
		return nil, err
	}
	return installed.RoundTrip(r)
}

// login is the name that the app's comments carry.
func (t *appTransport) login(ctx context.Context) (string, error) {
	app, _, err := t.client.Apps.Get(ctx, "")
	if err != nil {
		return "", err
	}
	return app.GetSlug() + "[bot]", nil
}

// GitToken is a token that the repository can be cloned and pushed to with; for an app it is renewed when it is near its
// end.
func (f *Forge) GitToken(ctx context.Context) (string, error) {
	if f.app == nil {
		return f.config.Token(ctx)
	}
	installed, err := f.app.installation(ctx)
	if err != nil {
		return "", err
	}
	token, err := installed.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("ask for a token of the app: %w", err)
	}
	return token, nil
}
