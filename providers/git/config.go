package git

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Config says which branch is followed. URL and StateDir are required.
type Config struct {
	// URL is a path, or a file, http, https or ssh address; the last as ssh://user@host:port/path or user@host:path, with
	// user "git" where none is given. Credentials in an http address are used as Token is, and never shown.
	URL string
	// Branch is the branch that is followed and pushed to; default "main".
	Branch string
	// Path is the folder below which files are read, "" for all.
	Path string
	// Token is sent as the password of user "x-access-token", over https, and over http to this machine only. It is
	// used for no other address.
	Token string
	// ReadToken is asked for the token, in the place of Token: before the first connection, and again whenever the
	// remote rejects the one it gave, so that a file that was replaced is taken up. What was rejected is tried once more
	// when there is another token by then. It is called by one goroutine at a time, within the time of a call.
	ReadToken func(ctx context.Context) (string, error)
	// SSHKeyFile holds the private key for an ssh address, for which it is required: in the form of OpenSSH or PEM,
	// readable by its owner alone. It is read for every connection.
	SSHKeyFile string
	// SSHPassphrase opens the key when it is encrypted.
	SSHPassphrase string
	// SSHKnownHosts is the file of the ssh hosts that are trusted, in the form of OpenSSH; default ~/.ssh/known_hosts. It
	// is read for every connection, and never written to: the key of a host must be in it beforehand.
	SSHKnownHosts string
	// StateDir is where the store lives, for this process alone. It is created with mode 0700.
	StateDir string
	// Author writes the commits; default Drover.
	Author Author
	// Timeout bounds every call; default two minutes. Push may take it twice: to push, and to find out what became of it.
	Timeout time.Duration
	// Now is the clock of commits; default time.Now.
	Now func() time.Time
	// Logger is where damage to the store and files that are left out are told; default none.
	Logger *slog.Logger
}

// Author is who writes commits.
type Author struct {
	Name  string
	Email string
}

const (
	defaultTimeout = 2 * time.Minute
	tokenUser      = "x-access-token"
)

// address is a URL taken apart: what may be shown, and what may not.
type address struct {
	scheme   string // file, http, https or ssh
	path     string // of a file address: absolute, in the syntax of this machine; of an ssh address: as it is there
	host     string // of an ssh address: with the port
	shown    string // of an ssh address: as it was given
	url      *url.URL
	user     string
	password string
}

// String is the address without credentials.
func (a address) String() string {
	switch a.scheme {
	case "file":
		return a.path
	case "ssh":
		return a.shown
	}
	return a.url.String()
}

func (c Config) complete() (Config, address, *credentials, error) {
	if c.Branch == "" {
		c.Branch = "main"
	}
	if c.Author.Name == "" {
		c.Author.Name = "Drover"
	}
	if c.Author.Email == "" {
		c.Author.Email = "drover@localhost"
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.StateDir == "" {
		return c, address{}, nil, errors.New("no state folder for the git store: name one that Drover may write to")
	}
	if err := plumbing.NewBranchReferenceName(c.Branch).Validate(); err != nil {
		return c, address{}, nil, fmt.Errorf("branch %q is no name that git accepts: give the branch as in \"main\", without refs/heads/", c.Branch)
	}
	if strings.ContainsAny(c.Author.Name+c.Author.Email, "<>\n\x00") {
		return c, address{}, nil, fmt.Errorf("author %q <%q> may hold no line break, < or >", c.Author.Name, c.Author.Email)
	}
	folder := strings.Trim(path.Clean("/"+filepath.ToSlash(c.Path)), "/")
	if strings.HasPrefix(path.Clean(filepath.ToSlash(c.Path)), "..") {
		return c, address{}, nil, fmt.Errorf("path %q leaves the repository: give a folder inside it", c.Path)
	}
	c.Path = folder
	at, err := parseAddress(c.URL)
	if err != nil {
		return c, address{}, nil, err
	}
	if at.scheme == "ssh" {
		if err := c.completeSSH(at); err != nil {
			return c, address{}, nil, err
		}
	}
	held, err := at.authorize(c)
	return c, at, held, err
}

// authorize settles the credentials, and refuses to send them where others could read them.
func (a *address) authorize(c Config) (*credentials, error) {
	held := &credentials{user: a.user}
	switch {
	case a.scheme == "file":
		return held, nil
	case a.scheme == "ssh":
		held.conceal(c.SSHPassphrase)
		return held, nil
	case c.Token != "" && c.ReadToken != nil:
		return nil, fmt.Errorf("%s has both a token and a way to read one: leave one out", a)
	case (c.Token != "" || c.ReadToken != nil) && a.password != "":
		return nil, fmt.Errorf("%s has both a token and a password in its address: remove the one in the address", a)
	case c.Token != "" || c.ReadToken != nil:
		held.user, held.read = tokenUser, c.ReadToken
		held.take(c.Token)
	default:
		held.take(a.password)
	}
	a.password = ""
	if held.present() && a.scheme == "http" && !isLoopback(a.url.Hostname()) {
		return nil, fmt.Errorf("%s would carry the token in plain text: use https", a)
	}
	return held, nil
}

func parseAddress(raw string) (address, error) {
	const remedy = "give a path, or a file, http, https or ssh address"
	if raw == "" {
		return address{}, errors.New("no repository address: " + remedy)
	}
	if !strings.Contains(raw, "://") {
		if host, _, scp := strings.Cut(raw, ":"); scp && !strings.ContainsAny(host, `/\`) && len(host) > 1 {
			return parseSCP(raw)
		}
		return fileAddress(raw)
	}
	parsed, err := url.Parse(raw)
	if err != nil {
		// The parser's own words quote the address, credentials and all.
		return address{}, errors.New("the repository address is not a URL: " + remedy)
	}
	switch scheme := strings.ToLower(parsed.Scheme); scheme {
	case "file":
		if parsed.Host != "" && parsed.Host != "localhost" {
			return address{}, fmt.Errorf("file address names the host %q: write file:///path, with three slashes", parsed.Host)
		}
		return fileAddress(filepath.FromSlash(parsed.Path))
	case "http", "https":
		if parsed.Hostname() == "" {
			return address{}, fmt.Errorf("%s address of the repository names no host", scheme)
		}
		at := address{scheme: scheme, user: parsed.User.Username()}
		at.password, _ = parsed.User.Password()
		if at.password == "" {
			// A token alone is often written where the user stands.
			at.user, at.password = tokenUser, at.user
		}
		shown := *parsed
		shown.User, shown.RawQuery, shown.Fragment = nil, "", ""
		at.url = &shown
		return at, nil
	case "ssh":
		return parseSSH(parsed)
	default:
		return address{}, fmt.Errorf("repository addresses of scheme %q are not supported: %s", scheme, remedy)
	}
}

func fileAddress(raw string) (address, error) {
	absolute, err := filepath.Abs(raw)
	if err != nil {
		return address{}, fmt.Errorf("find the folder %q: %w", raw, err)
	}
	return address{scheme: "file", path: absolute}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
