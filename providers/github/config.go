package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"
)

// DefaultURL is where the API of github.com answers.
const DefaultURL = "https://api.github.com/"

// Config says which repository Drover speaks to, and as whom. Repository and one of Token and App are required.
type Config struct {
	// Repository is the release repository, as in "shop/releases".
	Repository string
	// Branch is the release branch; default "main".
	Branch string
	// BaseURL is the address of a GitHub Enterprise Server, as in "https://github.example.com"; default github.com. A
	// path below it is kept, else /api/v3/ is where its API answers.
	BaseURL string
	// Token is asked for the token before every request, so that a file that was replaced is taken up.
	Token func(ctx context.Context) (string, error)
	// App is who Drover is when it has no token.
	App *App
	// Budget is the share of the hourly limit that Drover uses of its own accord; default 20%. What reports an incident
	// is not held back by it.
	Budget float64
	// Gap is the time between two writes, which GitHub asks for; default one second, negative for none.
	Gap time.Duration
	// Transport makes the requests; default http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger is where it is told what GitHub does not take; default none.
	Logger *slog.Logger
}

// Fixed is a token that stays.
func Fixed(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

const (
	defaultBudget = 0.2
	defaultGap    = time.Second
	callTimeout   = 30 * time.Second
)

// Forge is one repository on GitHub. It is safe for concurrent use.
type Forge struct {
	config      Config
	owner, name string
	client      *github.Client
	limits      *limits
	app         *appTransport // nil with a token
	log         *slog.Logger

	mu       sync.Mutex
	self     string            // who we are there
	statuses map[string]spoken // by commit
	comments map[sticky]int64  // ids
	brought  map[string]int    // numbers of the pull requests that brought commits
}

// spoken is the statuses of a commit as they are known, by context in lower case.
type spoken map[string]said

// New checks the configuration. It asks nothing yet.
func New(config Config) (*Forge, error) {
	f := &Forge{config: config, statuses: map[string]spoken{}, comments: map[sticky]int64{}, brought: map[string]int{}}
	if err := f.complete(); err != nil {
		return nil, fmt.Errorf("configure GitHub: %w", err)
	}
	return f, nil
}

func (f *Forge) complete() error {
	c := &f.config
	var found bool
	f.owner, f.name, found = strings.Cut(strings.TrimSuffix(c.Repository, ".git"), "/")
	if !found || f.owner == "" || f.name == "" || strings.ContainsAny(f.name, "/?# ") {
		return fmt.Errorf("repository %q is not of the form OWNER/NAME", c.Repository)
	}
	if (c.Token == nil) == (c.App == nil) {
		return errors.New("give either a token or an app")
	}
	if c.Branch == "" {
		c.Branch = "main"
	}
	if c.Budget <= 0 {
		c.Budget = defaultBudget
	}
	if c.Gap == 0 {
		c.Gap = defaultGap
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	f.log = c.Logger.With("component", "github")
	base, err := apiURL(c.BaseURL)
	if err != nil {
		return err
	}
	var authorized http.RoundTripper
	if c.App != nil {
		if f.app, err = newAppTransport(c.App, base, c.Transport, c.Now, f.owner, f.name); err != nil {
			return err
		}
		authorized = f.app
	} else {
		authorized = tokenTransport{c.Token, c.Transport}
	}
	f.limits = newLimits(newConditional(authorized), c)
	f.client = github.NewClient(&http.Client{Transport: f.limits, Timeout: callTimeout})
	f.client.UserAgent = "drover"
	f.client.BaseURL = base
	return nil
}

// apiURL is where the API answers.
func apiURL(raw string) (*url.URL, error) {
	if raw == "" {
		raw = DefaultURL
	}
	base, err := url.Parse(raw)
	if err != nil || base.Host == "" || base.User != nil {
		return nil, errors.New("base_url is not an address without credentials: write it as in https://github.example.com")
	}
	host := base.Hostname()
	if base.Scheme != "https" && (base.Scheme != "http" || (host != "localhost" && !strings.HasPrefix(host, "127.") && host != "::1")) {
		return nil, fmt.Errorf("base_url %s would carry the token in plain text: use https", raw)
	}
	base.RawQuery, base.Fragment = "", ""
	switch {
	case host == "github.com", host == "www.github.com":
		return url.Parse(DefaultURL)
	case strings.Trim(base.Path, "/") == "" && !strings.HasPrefix(host, "api."):
		base.Path = "/api/v3/"
	case !strings.HasSuffix(base.Path, "/"):
		base.Path += "/"
	}
	return base, nil
}

// CommitURL is where GitHub shows a commit to people.
func (f *Forge) CommitURL(sha string) string {
	web := url.URL{Scheme: f.client.BaseURL.Scheme, Host: strings.TrimPrefix(f.client.BaseURL.Host, "api.")}
	if f.client.BaseURL.String() == DefaultURL {
		web = url.URL{Scheme: "https", Host: "github.com"}
	}
	return web.JoinPath(f.owner, f.name, "commit", sha).String()
}

// tokenTransport puts the token into every request.
type tokenTransport struct {
	read func(ctx context.Context) (string, error)
	next http.RoundTripper
}

// RoundTrip does not change the request that it is given.
func (t tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.read(r.Context())
	if err != nil {
		return nil, fmt.Errorf("read the GitHub token: %w", err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return t.next.RoundTrip(r)
}

// Self is who Drover is on GitHub: the login that its comments and issues carry.
func (f *Forge) Self(ctx context.Context) (string, error) {
	f.mu.Lock()
	self := f.self
	f.mu.Unlock()
	if self != "" {
		return self, nil
	}
	var err error
	if f.app != nil {
		self, err = f.app.login(ctx)
	} else {
		var user *github.User
		if user, _, err = f.client.Users.Get(ctx, ""); err == nil {
			self = user.GetLogin()
		}
	}
	if err != nil {
		return "", fmt.Errorf("ask GitHub who Drover is: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.self = self
	return self, nil
}

// code is the HTTP status of an error of GitHub's, 0 for any other.
func code(err error) int {
	var answer *github.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil {
		return answer.Response.StatusCode
	}
	return 0
}

// clip cuts text to so many characters.
func clip(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
