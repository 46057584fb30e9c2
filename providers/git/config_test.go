package git_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/git"
)

func noToken(context.Context) (string, error) { return "", errors.New("not asked") }

func TestConfigThatIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	for name, c := range map[string]struct {
		config git.Config
		want   []string
	}{
		"no address":             {git.Config{StateDir: dir}, []string{"address", "https"}},
		"no state":               {git.Config{URL: "/srv/r.git"}, []string{"state"}},
		"ssh without a key":      {git.Config{URL: "git@example.com:shop/releases.git", StateDir: dir}, []string{"ssh_key_file", "git@example.com:shop/releases.git"}},
		"ssh with a password":    {git.Config{URL: "ssh://git:" + token + "@example.com/r.git", SSHKeyFile: "id", StateDir: dir}, []string{"password"}},
		"ssh short, a password":  {git.Config{URL: "git:" + token + "@example.com:r.git", SSHKeyFile: "id", StateDir: dir}, []string{"password"}},
		"ssh without a host":     {git.Config{URL: "ssh://git@/r.git", SSHKeyFile: "id", StateDir: dir}, []string{"host"}},
		"ssh without a path":     {git.Config{URL: "ssh://git@example.com/", SSHKeyFile: "id", StateDir: dir}, []string{"example.com", "no repository"}},
		"ssh short, no path":     {git.Config{URL: "git@example.com:", SSHKeyFile: "id", StateDir: dir}, []string{"example.com", "no repository"}},
		"ssh with a query":       {git.Config{URL: "ssh://example.com/r.git?x", SSHKeyFile: "id", StateDir: dir}, []string{"%3F"}},
		"ssh path of an option":  {git.Config{URL: "git@example.com:--upload-pack=x", SSHKeyFile: "id", StateDir: dir}, []string{"--upload-pack"}},
		"another scheme":         {git.Config{URL: "svn://example.com/r", StateDir: dir}, []string{`"svn"`, "https"}},
		"no host":                {git.Config{URL: "https:///r.git", StateDir: dir}, []string{"host"}},
		"two slashes":            {git.Config{URL: "file://srv/r.git", StateDir: dir}, []string{"file:///path"}},
		"token in plain":         {git.Config{URL: "http://example.com/r.git", Token: token, StateDir: dir}, []string{"https", "example.com/r.git"}},
		"password in plain":      {git.Config{URL: "http://me:" + token + "@example.com/r.git", StateDir: dir}, []string{"https"}},
		"token as user in plain": {git.Config{URL: "http://" + token + "@example.com/r.git", StateDir: dir}, []string{"https"}},
		"token twice":            {git.Config{URL: "https://me:" + token + "@example.com/r.git", Token: "other", StateDir: dir}, []string{"both"}},
		"token given and read":   {git.Config{URL: "https://example.com/r.git", Token: token, ReadToken: noToken, StateDir: dir}, []string{"leave one out"}},
		"token read in plain":    {git.Config{URL: "http://example.com/r.git", ReadToken: noToken, StateDir: dir}, []string{"use https"}},
		"password and a reader":  {git.Config{URL: "https://me:" + token + "@example.com/r.git", ReadToken: noToken, StateDir: dir}, []string{"remove the one in the address"}},
		"address that is none":   {git.Config{URL: "https://me:" + token + "@exa mple.com/%zz", StateDir: dir}, []string{"URL"}},
		"whole branch name":      {git.Config{URL: "/srv/r.git", Branch: "a..b", StateDir: dir}, []string{`"a..b"`}},
		"path that leaves":       {git.Config{URL: "/srv/r.git", Path: "../x", StateDir: dir}, []string{`"../x"`}},
		"author with a break":    {git.Config{URL: "/srv/r.git", Author: git.Author{Name: "a\nb"}, StateDir: dir}, []string{"author"}},
	} {
		_, err := git.New(c.config)
		if err == nil {
			t.Errorf("%s: got no error", name)
			continue
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: got %q, want it to say %q", name, err, word)
			}
		}
		if strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error holds the token: %q", name, err)
		}
	}
}

func TestConfigThatIsTaken(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"relative/r.git", "/srv/r.git", "file:///srv/r.git", "https://example.com/r.git", "https://me:pw@example.com/r.git",
		"http://localhost:3000/r.git", "http://127.0.0.1/r.git", "http://[::1]:8080/r.git",
	} {
		config := git.Config{URL: url, StateDir: t.TempDir(), Path: "./releases/"}
		if !strings.Contains(url, "@") {
			config.Token = token
		}
		if _, err := git.New(config); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{
		"ssh://git@example.com/shop/r.git", "ssh://git@example.com:2222/~/r.git", "SSH://[2001:db8::1]:2222/r.git", "git@example.com:shop/r.git",
		"example.com:r.git", "git@[2001:db8::1]:r.git",
	} {
		if _, err := git.New(git.Config{URL: url, SSHKeyFile: "id", SSHKnownHosts: "known", Token: token, StateDir: t.TempDir()}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := git.New(git.Config{URL: "http://example.com/r.git", StateDir: t.TempDir()}); err != nil {
		t.Errorf("plain http without a token: %v", err)
	}
}
