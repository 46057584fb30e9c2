package git

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// sshUser is whom forges expect.
const sshUser = "git"

// parseSSH takes ssh://user@host:port/path apart.
func parseSSH(parsed *url.URL) (address, error) {
	if _, secret := parsed.User.Password(); secret {
		return address{}, errors.New("the ssh address of the repository holds a password, which is not used: leave it out, and set git.ssh_key_file")
	}
	if parsed.RawQuery != "" || parsed.Fragment != "" {
		return address{}, errors.New("the ssh address of the repository holds a ? or #, which is no part of a path: write it as %3F or %23")
	}
	path := parsed.Path
	if strings.HasPrefix(path, "/~") {
		path = path[1:] // somebody's home
	}
	return sshAddress(parsed.User.Username(), parsed.Hostname(), parsed.Port(), path, parsed.String())
}

// parseSCP takes user@host:path apart, whose path starts at the user's home.
func parseSCP(raw string) (address, error) {
	user, rest, named := strings.Cut(raw, "@")
	if before, _, _ := strings.Cut(raw, ":"); !named || !strings.Contains(before, "@") {
		user, rest = "", raw
	}
	host, path, _ := strings.Cut(rest, ":")
	if bracketed, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]:"); ok && strings.HasPrefix(rest, "[") {
		host, path = bracketed, after
	}
	if secret, _, found := strings.Cut(path, "@"); strings.Contains(user, ":") || found && user == "" && !strings.Contains(secret, "/") {
		return address{}, errors.New("the ssh address of the repository holds a password, which is not used: leave it out, and set git.ssh_key_file")
	}
	return sshAddress(user, host, "", path, raw)
}

func sshAddress(user, host, port, path, shown string) (address, error) {
	if user == "" {
		user = sshUser
	}
	if port == "" {
		port = defaultSSHPort
	}
	switch bare := strings.Trim(path, "/"); {
	case host == "":
		return address{}, errors.New("ssh address of the repository names no host")
	case bare == "":
		return address{}, fmt.Errorf("ssh address of host %q names no repository: give ssh://user@host:port/path or user@host:path", host)
	case strings.HasPrefix(path, "-") || strings.ContainsAny(path, "\x00\n"):
		return address{}, fmt.Errorf("ssh address of host %q has a path that git would not take: %q", host, path)
	}
	return address{scheme: "ssh", user: user, host: net.JoinHostPort(host, port), path: path, shown: shown}, nil
}

// completeSSH settles what an ssh address needs besides.
func (c *Config) completeSSH(at address) error {
	if c.SSHKeyFile == "" {
		return fmt.Errorf("%s needs a private key: set git.ssh_key_file", at)
	}
	if c.SSHKnownHosts != "" {
		return nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("find ~/.ssh/known_hosts (%w): set git.known_hosts_file", err)
	}
	c.SSHKnownHosts = filepath.Join(home, ".ssh", "known_hosts")
	return nil
}
